import { ask } from "../api/client";
import { useLoad } from "../api/load";
import type { QuarantinePage } from "../api/types";
import { query, withParams, go } from "../router";
import { t } from "../text";
import { Empty, Failed, Heading, Loading, Time } from "../ui/parts";

/** Records that cannot be read: why, where, and what they say. */
export function Quarantine() {
  const said = t().quarantine;
  const now = query.value;
  const asked = {
    reason: now.get("reason"),
    source: now.get("source"),
    replayed: now.get("replayed"),
    after: now.get("after"),
    limit: 100,
  };
  const { data, error, again } = useLoad(`quarantine ${JSON.stringify(asked)}`, (stop) =>
    ask<QuarantinePage>("/quarantine", asked, { stop }),
  );
  return (
    <div>
      <Heading title={said.title} lead={data && data.total > 0 ? said.total(data.total) : said.lead}>
        {now.get("reason") && (
          <a class="chip" href={withParams({ reason: null, after: null })}>
            {said.reason} {now.get("reason")} ×
          </a>
        )}
        <label class="inline">
          <input
            type="checkbox"
            checked={now.get("replayed") === "true"}
            onChange={(event) => go(withParams({ replayed: event.currentTarget.checked ? "true" : null, after: null }))}
          />
          <span>{said.withReplayed}</span>
        </label>
      </Heading>
      {error && <Failed error={error} again={again} />}
      {!data && !error && <Loading />}
      {data && data.records.length === 0 && <Empty title={said.empty} />}
      {data && data.records.length > 0 && (
        <div class="table-place" tabIndex={0} role="group" aria-label={said.title}>
          <table class="table is-cards">
            <thead>
              <tr>
                <th scope="col">{said.received}</th>
                <th scope="col">{said.reason}</th>
                <th scope="col">{said.source}</th>
                <th scope="col">{said.place}</th>
                <th scope="col">{said.text}</th>
              </tr>
            </thead>
            <tbody>
              {data.records.map((record) => (
                <tr key={record.seq} class={record.replayed_at ? "is-over" : ""}>
                  <td data-name={said.received}>
                    <Time at={record.received_at} />
                  </td>
                  <td data-name={said.reason} class="wrap">
                    <a href={withParams({ reason: record.reason, after: null })}>{record.reason}</a>
                    <div>{record.detail}</div>
                    {record.replayed_at && <small>{said.replayed}</small>}
                  </td>
                  <td data-name={said.source}>{record.source}</td>
                  <td data-name={said.place}>
                    {record.partition} · {record.record}
                  </td>
                  <td data-name={said.text} class="wrap">
                    <details>
                      <summary>{record.text.slice(0, 60) || said.bytes(record.bytes)}</summary>
                      <pre class="problem">{record.text}</pre>
                    </details>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <div class="foot">
        {now.get("after") && (
          <a class="button" href={withParams({ after: null })}>
            {said.first}
          </a>
        )}{" "}
        {data?.next && (
          <a class="button" href={withParams({ after: String(data.next) })}>
            {said.more}
          </a>
        )}
      </div>
    </div>
  );
}
