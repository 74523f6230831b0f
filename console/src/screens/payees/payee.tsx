import { ask } from "../../api/client";
import { useLoad } from "../../api/load";
import { session } from "../../api/session";
import type { EventPage, PayeeDetail } from "../../api/types";
import { cents, count, percent, share } from "../../format/money";
import { stamp } from "../../format/time";
import { to } from "../../router";
import { t, word } from "../../text";
import { Count, Facts, Failed, Heading, Loading, Missing, Money, Panel, Time, isMissing } from "../../ui/parts";
import { Whole } from "../../ui/whole";
import { AlertLines } from "../alerts/related";
import { type Event, EventRow, text } from "../payments/list";

/** One payee: its names, what it was paid and by whom, the alerts and lists that name it, its latest payments. */
export function PayeeScreen({ id }: { id: string }) {
  const said = t().payees;
  const { data, error, again } = useLoad(`payee ${id}`, (stop) =>
    ask<PayeeDetail>(`/payees/${encodeURIComponent(id)}`, {}, { stop }),
  );
  // Accounts are masked, so its payments are found by what masks leave of it and by its name.
  const tail = data?.payee.account?.slice(-4);
  const name = data?.payee.owner === "person" ? null : data?.payee.names[0];
  const latest = useLoad(data ? `payments of ${id}` : null, (stop) =>
    ask<EventPage>("/events", { type: "payment", account: tail, payee: name, limit: 20 }, { stop }),
  );
  if (isMissing(error)) return <Missing title={said.missing} id={id} />;
  if (error) return <Failed error={error} again={again} />;
  if (!data) return <Loading rows={10} />;
  const { payee } = data;
  const all = cents(payee.paid) ?? 0n;
  return (
    <div>
      <Heading
        title={payee.names[0] ?? said.nameless}
        lead={
          <>
            {payee.account && <code>{payee.account}</code>} {payee.owner && word(said.owners, payee.owner)}
          </>
        }
      >
        <Whole />
      </Heading>
      <Panel title={said.summary}>
        <Facts
          of={[
            [said.paid, <Money of={payee.paid} />],
            [said.payments, <Count of={payee.payments} />],
            [said.units, <Count of={payee.units} />],
            [said.firstPaid, <Time at={payee.first_at} />],
            [said.last, <Time at={payee.last_at} />],
            [
              said.lists,
              data.lists.length > 0 ? <strong class="trouble">{data.lists.join("、")}</strong> : said.noList,
            ],
            ...(payee.names.length > 1 ? ([[said.names, payee.names.join("、")]] as [string, string][]) : []),
          ]}
        />
        {session.may("rules.propose") && payee.names[0] && (
          <p>
            <a class="button" href={`/approvals?propose=list&key=${encodeURIComponent(payee.names[0])}`}>
              {t().approvals.toList}
            </a>
          </p>
        )}
        <p class="foot-note">{said.searched(stamp(data.searched_from).slice(0, 10), data.complete)}</p>
      </Panel>
      <Panel title={said.alerts} lead={data.alerts.length > 0 ? count(data.alerts.length) : null}>
        {data.alerts.length === 0 && <p class="faint">{said.noAlerts}</p>}
        <AlertLines alerts={data.alerts} />
      </Panel>
      <Panel title={said.byUnit}>
        <div class="table-place is-bare" tabIndex={0} role="group" aria-label={said.byUnit}>
          <table class="table is-cards">
            <thead>
              <tr>
                <th scope="col">{t().payments.unit}</th>
                <th scope="col" class="figure">
                  {said.paid}
                </th>
                <th scope="col" class="figure">
                  {said.share}
                </th>
                <th scope="col" class="figure">
                  {said.payments}
                </th>
              </tr>
            </thead>
            <tbody>
              {data.units.map((unit) => (
                <tr key={unit.unit_code}>
                  <td data-name={t().payments.unit} class="wrap is-first">
                    {unit.unit_code ? (
                      <a href={to("units", unit.unit_code)}>{unit.unit_name || unit.unit_code}</a>
                    ) : (
                      t().empty
                    )}
                  </td>
                  <td data-name={said.paid} class="figure is-first">
                    <Money of={unit.paid} />
                  </td>
                  <td data-name={said.share} class="figure">
                    {percent(share(cents(unit.paid) ?? 0n, all))}
                  </td>
                  <td data-name={said.payments} class="figure">
                    {count(unit.payments)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </Panel>
      {latest.data && latest.data.events.length > 0 && (
        <Panel title={said.latest}>
          <div class="table-place is-bare" tabIndex={0} role="group" aria-label={said.latest}>
            <table class="table is-cards">
              <tbody>
                {(latest.data.events as Event[]).map((event) => (
                  <EventRow key={text(event, "event_id")} of={event} />
                ))}
              </tbody>
            </table>
          </div>
        </Panel>
      )}
    </div>
  );
}
