import { ask } from "../../api/client";
import { useLoad } from "../../api/load";
import type { EventDetail } from "../../api/types";
import { columnName, isMoney, shown } from "../../format/values";
import { stamp } from "../../format/time";
import { to } from "../../router";
import { t, word } from "../../text";
import { Facts, Failed, Heading, Loading, Missing, Money, Panel, isMissing } from "../../ui/parts";
import { Whole } from "../../ui/whole";
import { AlertLines } from "../alerts/related";
import { Explain } from "./explain";
import { type Event, EventRow, text } from "./list";

const LINKS: Record<string, string> = { budget_line_id: "budget", to_budget_line_id: "budget", unit_code: "units" };
const EVENTS = ["original_event_id", "application_id"];

/** One event: what it says, where it comes from, what became of it, and what any rule says to it. */
export function EventScreen({ id }: { id: string }) {
  const said = t().payments;
  const { data, error, again } = useLoad(`event ${id}`, (stop) =>
    ask<EventDetail>(`/events/${encodeURIComponent(id)}`, {}, { stop }),
  );
  if (isMissing(error)) return <Missing title={said.missing} id={id} />;
  if (error) return <Failed error={error} again={again} />;
  if (!data) return <Loading rows={10} />;
  const event = data.event as Event;
  const trace = data.trace as Event[];
  return (
    <div>
      <Heading
        title={id}
        lead={
          <>
            {word(t().eventType, text(event, "type"))} · {stamp(text(event, "occurred_at"))} ·{" "}
            <Money of={text(event, "amount") || null} />
          </>
        }
      >
        {text(event, "type") === "payment" && (text(event, "payee_account") || text(event, "payee_name")) && (
          <a class="button" href={to("payees", id)}>
            {said.ofPayee}
          </a>
        )}
        <Whole />
      </Heading>
      {data.alerts.length > 0 && (
        <Panel title={said.alerts}>
          <AlertLines alerts={data.alerts} />
        </Panel>
      )}
      <Panel title={said.details}>
        <Facts of={Object.entries(event).map(([name, value]) => [columnName(name), fact(name, value)])} />
      </Panel>
      <Panel title={said.trace}>
        {trace.length === 0 && <p class="faint">{said.traceNone}</p>}
        {trace.length > 0 && (
          <div class="table-place is-bare" tabIndex={0} role="group" aria-label={said.trace}>
            <table class="table is-cards">
              <tbody>
                {trace.map((other) => (
                  <EventRow key={text(other, "event_id")} of={other} />
                ))}
              </tbody>
            </table>
          </div>
        )}
        {!data.complete && <p class="foot-note">{said.incomplete}</p>}
      </Panel>
      <Explain event={id} first={data.findings[0]?.rule_id ?? null} />
    </div>
  );
}

function fact(name: string, value: unknown) {
  const known = LINKS[name];
  if (known) return <a href={to(known, String(value))}>{String(value)}</a>;
  if (EVENTS.includes(name)) return <a href={to("payments", String(value))}>{String(value)}</a>;
  return <span class={isMoney(name) ? "money" : ""}>{shown(name, value)}</span>;
}
