import { useState } from "preact/hooks";
import { ask, send } from "../api/client";
import { useLoad } from "../api/load";
import { session } from "../api/session";
import type { QuarantinePage, QuarantinedRecord, Replayed } from "../api/types";
import { given } from "../api/who";
import { query, withParams, go } from "../router";
import { t } from "../text";
import { Empty, Failed, Heading, Loading, Panel, Time } from "../ui/parts";
import { Sure } from "../ui/sure";
import { Whole } from "../ui/whole";

/** Records that cannot be read: why, where, what they say; corrected here, or read again as they are. */
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
  const key = JSON.stringify(asked);
  const { data, error, again } = useLoad(`quarantine ${key}`, (stop) =>
    ask<QuarantinePage>("/quarantine", asked, { stop }),
  );
  const [picked, setPicked] = useState<number[]>([]);
  const [correcting, setCorrecting] = useState<number | null>(null);
  const [came, setCame] = useState<Replayed | null>(null);
  const may = session.may("quarantine.replay");
  const replayable = data?.records.filter((record) => record.can_be_read_again && !record.replayed_at) ?? [];
  const chosen = picked.filter((seq) => replayable.some((record) => record.seq === seq));
  const pick = (seq: number) =>
    setPicked(chosen.includes(seq) ? chosen.filter((one) => one !== seq) : [...chosen, seq]);
  const replay = async () => {
    setCame(null);
    setCame(await replayed({ seqs: chosen }));
    setPicked([]);
    again();
  };
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
        <Whole />
      </Heading>
      {may && replayable.length > 0 && (
        <div class="row-of-tools is-spread">
          <label class="inline">
            <input
              type="checkbox"
              checked={chosen.length === replayable.length}
              onChange={(event) => setPicked(event.currentTarget.checked ? replayable.map((record) => record.seq) : [])}
            />
            <span>{said.pickAll(replayable.length)}</span>
          </label>
          {chosen.length > 0 && <Sure ask={said.replay(chosen.length)} act={replay} isMain />}
        </div>
      )}
      {came && <Came of={came} />}
      {error && <Failed error={error} again={again} />}
      {!data && !error && <Loading />}
      {data && data.records.length === 0 && <Empty title={said.empty} />}
      {correcting !== null && (
        <Correction
          key={correcting}
          seq={correcting}
          done={(result) => {
            setCame(result);
            if (result.rejected === 0) setCorrecting(null);
            again();
          }}
          cancel={() => setCorrecting(null)}
        />
      )}
      {data && data.records.length > 0 && (
        <div class="table-place" tabIndex={0} role="group" aria-label={said.title}>
          <table class="table is-cards">
            <thead>
              <tr>
                {may && (
                  <th scope="col">
                    <span class="sr">{t().act.bar}</span>
                  </th>
                )}
                <th scope="col">{said.received}</th>
                <th scope="col">{said.reason}</th>
                <th scope="col">{said.source}</th>
                <th scope="col">{said.place}</th>
                <th scope="col">{said.text}</th>
                {may && (
                  <th scope="col">
                    <span class="sr">{said.correct}</span>
                  </th>
                )}
              </tr>
            </thead>
            <tbody>
              {data.records.map((record) => (
                <tr key={record.seq} class={record.replayed_at ? "is-over" : ""}>
                  {may && (
                    <td class="is-bare">
                      {record.can_be_read_again && !record.replayed_at && (
                        <label class="inline">
                          <input
                            type="checkbox"
                            checked={chosen.includes(record.seq)}
                            aria-label={said.pick(record.seq)}
                            onChange={() => pick(record.seq)}
                          />
                          <span class="phone-only">{said.pick(record.seq)}</span>
                        </label>
                      )}
                    </td>
                  )}
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
                  {may && (
                    <td class="row-tools">
                      {record.reason !== "lost" && (
                        <button
                          type="button"
                          class="button"
                          aria-expanded={correcting === record.seq}
                          onClick={() => setCorrecting(correcting === record.seq ? null : record.seq)}
                        >
                          {said.correct}
                        </button>
                      )}
                    </td>
                  )}
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

const replayed = (asked: { seqs: number[]; record?: string }): Promise<Replayed> => {
  const who = given();
  return send<Replayed>("POST", "/quarantine/replay", { ...asked, ...(who ? { who } : {}) });
};

/** What became of records that were read again. */
function Came({ of }: { of: Replayed }) {
  const said = t().quarantine;
  return (
    <div role="status" class={of.rejected > 0 ? "failed" : "banner is-back"}>
      <div>
        <p>{said.came(of.accepted, of.duplicates, of.rejected, of.left)}</p>
        {of.again.map((record) => (
          <p key={record.seq}>
            <code>{record.reason}</code> {record.detail}
          </p>
        ))}
      </div>
    </div>
  );
}

/** One record as it came, and what it should have been. */
function Correction({ seq, done, cancel }: { seq: number; done: (result: Replayed) => void; cancel: () => void }) {
  const said = t().quarantine;
  const { data, error, again } = useLoad(`record ${seq}`, (stop) =>
    ask<QuarantinedRecord>(`/quarantine/${seq}`, {}, { stop }),
  );
  const [text, setText] = useState<string | null>(null);
  const [trouble, setTrouble] = useState("");
  if (error) return <Failed error={error} again={again} />;
  if (!data) return <Loading rows={3} />;
  const written = text ?? data.text;
  const isCut = new TextEncoder().encode(data.text).length < data.bytes && !data.text.includes("*");
  const correct = async () => {
    setTrouble("");
    try {
      done(await replayed({ seqs: [seq], record: written }));
    } catch (error) {
      setTrouble((error as Error).message);
    }
  };
  return (
    <Panel title={said.correctTitle(seq)} lead={`${data.source} · ${data.partition} · ${data.record}`}>
      <p>
        <code>{data.reason}</code> {data.detail}
      </p>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          void correct();
        }}
      >
        <label class="is-wide">
          <span>{said.should}</span>
          <textarea
            class="code"
            rows={Math.min(14, Math.max(4, Math.ceil(written.length / 90)))}
            spellcheck={false}
            value={written}
            aria-describedby="correct-hint"
            onInput={(event) => setText(event.currentTarget.value)}
          />
          <small id="correct-hint">{isCut ? said.tooLong : said.shouldHint}</small>
        </label>
        <div class="form-foot">
          {trouble && (
            <span class="trouble" role="alert">
              {trouble}
            </span>
          )}
          <button type="button" class="button" onClick={cancel}>
            {t().act.cancel}
          </button>
          <button type="submit" class="button is-main" disabled={written.trim() === "" || isCut}>
            {said.send}
          </button>
        </div>
      </form>
    </Panel>
  );
}
