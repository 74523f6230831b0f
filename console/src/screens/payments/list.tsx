import { useState } from "preact/hooks";
import { ask } from "../../api/client";
import { useLoad } from "../../api/load";
import type { EventPage } from "../../api/types";
import { stamp } from "../../format/time";
import { go, query, to, withParams } from "../../router";
import { t, word } from "../../text";
import { Empty, Failed, Heading, Loading, Money, Time } from "../../ui/parts";
import { Search } from "../../ui/search";
import { Whole } from "../../ui/whole";

/** What an event has, by the names of its columns. */
export type Event = Record<string, unknown>;
export const text = (event: Event, name: string): string => {
  const value = event[name];
  return value === undefined || value === null ? "" : String(value);
};

const FIELDS = [
  "payee",
  "account",
  "purpose",
  "contract",
  "unit",
  "line",
  "min_amount",
  "max_amount",
  "from",
  "to",
] as const;
const TYPES = [
  "payment",
  "application",
  "refund",
  "correction",
  "withdrawal",
  "confirmation",
  "receipt",
  "budget",
] as const;
const PAGE = 100;

/** The journal, searched. */
export function Payments() {
  const said = t().payments;
  const now = query.value;
  const asked = {
    type: now.get("type"),
    q: now.get("q"),
    ...Object.fromEntries(FIELDS.map((name) => [name, now.get(name)])),
    limit: PAGE,
  };
  const key = JSON.stringify(asked);
  const { data, error, again } = useLoad(`events ${key}`, (stop) => ask<EventPage>("/events", asked, { stop }));
  const [more, setMore] = useState<{ key: string; page: EventPage; rows: Event[] } | null>(null);
  const further = more?.key === key ? more : null;
  const rows = [...((data?.events ?? []) as Event[]), ...(further?.rows ?? [])];
  const last = further?.page ?? data;
  const read = async () => {
    const page = await ask<EventPage>("/events", { ...asked, before: last?.next });
    setMore({ key, page, rows: [...(further?.rows ?? []), ...(page.events as Event[])] });
  };
  return (
    <div>
      <Heading title={said.title} lead={said.lead}>
        <Whole />
      </Heading>
      <Filters />
      {error && <Failed error={error} again={again} />}
      {!data && !error && <Loading rows={12} />}
      {data && rows.length === 0 && <Empty title={said.empty} />}
      {rows.length > 0 && (
        <div class="table-place" tabIndex={0} role="group" aria-label={said.title}>
          <table class="table is-cards">
            <thead>
              <tr>
                <th scope="col">{said.time}</th>
                <th scope="col">{said.type}</th>
                <th scope="col">{said.event}</th>
                <th scope="col">{said.unit}</th>
                <th scope="col">{said.payee}</th>
                <th scope="col">{said.purpose}</th>
                <th scope="col" class="figure">
                  {said.amount}
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.map((event) => (
                <EventRow key={text(event, "event_id")} of={event} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {last && (
        <div class="foot">
          <span class="faint">{said.searched(stamp(last.searched_from))}</span>{" "}
          {last.next && (
            <button type="button" class="button" onClick={() => void read()}>
              {said.further}
            </button>
          )}
        </div>
      )}
    </div>
  );
}

export function EventRow({ of }: { of: Event }) {
  const id = text(of, "event_id");
  const said = t().payments;
  return (
    <tr>
      <td data-name={said.time}>
        <Time at={text(of, "occurred_at")} />
      </td>
      <td data-name={said.type}>
        {text(of, "action") ? word(t().budgetAction, text(of, "action")) : word(t().eventType, text(of, "type"))}
      </td>
      <td data-name={said.event} class="id" title={id}>
        <a href={to("payments", id)}>{id}</a>
      </td>
      <td data-name={said.unit}>{text(of, "unit_name") || text(of, "unit_code")}</td>
      <td data-name={said.payee} class="is-first">
        {text(of, "payee_name") || text(of, "actual_payee_name") || text(of, "payer_name")}
      </td>
      <td data-name={said.purpose} class="wrap">
        {text(of, "purpose") || text(of, "reason")}
      </td>
      <td data-name={said.amount} class="figure is-first">
        <Money of={text(of, "amount") || null} />
      </td>
    </tr>
  );
}

function Filters() {
  const said = t().payments;
  const inbox = t().inbox;
  const now = query.value;
  const [open, setOpen] = useState(FIELDS.some((name) => now.get(name)));
  const change = (changes: Record<string, string>) => go(withParams(changes), { replace: true });
  const names: Record<(typeof FIELDS)[number], string> = {
    payee: said.payee,
    account: said.account,
    purpose: said.purpose,
    contract: said.contract,
    unit: said.unit,
    line: said.line,
    min_amount: inbox.min,
    max_amount: inbox.max,
    from: inbox.from,
    to: inbox.to,
  };
  return (
    <div class="filters" role="search" aria-label={inbox.filters}>
      <div class="filter-line">
        <Search label={said.find} value={now.get("q") ?? ""} onChange={(q) => change({ q })} />
        <label class="inline">
          <span>{said.type}</span>
          <select value={now.get("type") ?? ""} onChange={(event) => change({ type: event.currentTarget.value })}>
            <option value="">{said.any}</option>
            {TYPES.map((type) => (
              <option key={type} value={type}>
                {word(t().eventType, type)}
              </option>
            ))}
          </select>
        </label>
        <button type="button" class="plain" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? inbox.less : inbox.more}
        </button>
      </div>
      {open && (
        <form
          class="filter-details"
          onSubmit={(event) => {
            event.preventDefault();
            const given = new FormData(event.currentTarget);
            change(Object.fromEntries(FIELDS.map((name) => [name, String(given.get(name) ?? "").trim()])));
          }}
        >
          {FIELDS.map((name) => (
            <label key={name}>
              <span>{names[name]}</span>
              {name === "from" || name === "to" ? (
                <input key={now.get(name) ?? ""} name={name} type="date" defaultValue={now.get(name) ?? ""} />
              ) : (
                <input
                  key={now.get(name) ?? ""}
                  name={name}
                  type="text"
                  inputMode={name.endsWith("amount") ? "decimal" : "text"}
                  defaultValue={now.get(name) ?? ""}
                />
              )}
            </label>
          ))}
          <button type="submit" class="button is-main">
            {inbox.search}
          </button>
        </form>
      )}
    </div>
  );
}
