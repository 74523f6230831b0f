import { useMemo, useState } from "preact/hooks";
import { ask } from "../../api/client";
import { useLoad } from "../../api/load";
import type { BudgetLine, BudgetLineEntry, BudgetLineForecast, BudgetLineHistory } from "../../api/types";
import { cents } from "../../format/money";
import { stamp } from "../../format/time";
import { to } from "../../router";
import { t, word } from "../../text";
import { Curve, type Series } from "../../ui/curve";
import { Failed, Loading, Money, Panel, Time } from "../../ui/parts";

const PAGE = 1000;
/** So many pages are read for the curve. */
const PAGES = 5;
/** Entries that the table shows at first. */
const SHOWN = 50;

const yuan = (text: string) => Number((cents(text) ?? 0n) / 100n);
/** Seconds of the clock there, as if it were UTC. */
const seconds = (at: string) => Date.parse(`${at.slice(0, 19)}Z`) / 1_000;
const text = (entry: BudgetLineEntry, name: string) => {
  const value = (entry.event as Record<string, unknown>)[name];
  return value === undefined || value === null ? "" : String(value);
};

async function read(id: string, stop: AbortSignal): Promise<{ entries: BudgetLineEntry[]; complete: boolean }> {
  const entries: BudgetLineEntry[] = [];
  let after: number | null | undefined = null;
  let complete = false;
  for (let page = 0; page < PAGES; page += 1) {
    const found: BudgetLineHistory = await ask(
      `/budget-lines/${encodeURIComponent(id)}/history`,
      { after, limit: PAGE },
      { stop },
    );
    entries.push(...found.entries);
    complete = found.complete;
    after = found.next;
    if (after === null || after === undefined) break;
  }
  return { entries, complete: complete && (after === null || after === undefined) };
}

/** What happened on a line: the curve of what is executed against plan and calendar, and the entries. */
export function History({ line }: { line: BudgetLine }) {
  const said = t().budget;
  const { data, error, again } = useLoad(`history ${line.budget_line_id}`, (stop) => read(line.budget_line_id, stop));
  const forecast = useLoad(`forecast ${line.budget_line_id}`, (stop) =>
    ask<BudgetLineForecast>(`/budget-lines/${encodeURIComponent(line.budget_line_id)}/forecast`, {}, { stop }),
  );
  const entries = data?.entries ?? [];
  const drawn = useMemo(() => curve(entries, forecast.data ?? null), [data, forecast.data, said]);
  return (
    <>
      <Panel title={said.curve} lead={forecast.data && <Outlook of={forecast.data} />}>
        {error && <Failed error={error} again={again} />}
        {!data && !error && <Loading rows={4} />}
        {entries.length > 1 && <Curve label={said.curve} time={said.time} times={drawn.times} series={drawn.series} />}
        {data && !data.complete && <p class="trouble">{said.incomplete}</p>}
      </Panel>
      {entries.length > 0 && <Entries of={entries} />}
    </>
  );
}

/** What the end of the year is expected to bring. */
function Outlook({ of }: { of: BudgetLineForecast }) {
  const said = t().budget;
  if (!of.year_end) return null;
  const isRange = of.year_end_low && of.year_end_high && of.year_end_low !== of.year_end_high;
  return (
    <span title={(of.year_end_low ? said.forecastAt : said.forecastAlone)(stamp(of.at))}>
      {said.forecast} <Money of={of.year_end} />
      {isRange && (
        <>
          {" "}
          · {said.forecastRange} <Money of={of.year_end_low} /> – <Money of={of.year_end_high} />
        </>
      )}
      {of.methods.length > 0 && <> · {madeOf(of)}</>}
    </span>
  );
}

/** The methods with their weights, and the years that told them. */
function madeOf(of: BudgetLineForecast): string {
  const said = t().budget;
  const methods = of.methods.map(({ method, weight }) => `${said.forecastMethods[method] ?? method} ${weight} %`);
  const parts = methods.join(said.forecastAnd);
  return of.closed_years.length > 0 ? `${parts}${said.forecastYears(of.closed_years.join(said.forecastAnd))}` : parts;
}

/** The forecast as three more series that begin where the curve ends; none for a year that is over. */
function ahead(
  times: number[],
  last: BudgetLineEntry["balances"] | undefined,
  of: BudgetLineForecast | null,
): Series[] {
  const end = of?.ends_at ? seconds(of.ends_at) : 0;
  const now = times[times.length - 1];
  if (!of?.year_end || !last || now === undefined || end <= now) return [];
  const before = times.slice(0, -1).map(() => null);
  const from = yuan(last.executed);
  const line = (kind: Series["kind"], name: string, to: string): Series => ({
    name,
    kind,
    values: [...before, from, yuan(to)],
  });
  const said = t().budget;
  const range =
    of.year_end_low && of.year_end_high
      ? [line("high", said.forecastHigh, of.year_end_high), line("low", said.forecastLow, of.year_end_low)]
      : [];
  // What is drawn last lies on top.
  return [...range, line("forecast", said.forecast, of.year_end)];
}

function curve(entries: BudgetLineEntry[], forecast: BudgetLineForecast | null): { times: number[]; series: Series[] } {
  const rows = entries
    .map((entry) => ({ at: seconds(text(entry, "occurred_at")), of: entry.balances }))
    .filter(({ at }) => Number.isFinite(at))
    .sort((a, b) => a.at - b.at);
  const times: number[] = [];
  const kept: BudgetLineEntry["balances"][] = [];
  for (const row of rows) {
    // Of several at one instant the last counts.
    if (times[times.length - 1] === row.at) kept[kept.length - 1] = row.of;
    else {
      times.push(row.at);
      kept.push(row.of);
    }
  }
  const last = kept[kept.length - 1];
  const year = times.length > 0 ? new Date(times[times.length - 1]! * 1_000).getUTCFullYear() : 0;
  const [start, end] = [Date.UTC(year, 0, 1) / 1_000, Date.UTC(year + 1, 0, 1) / 1_000];
  const total = last ? yuan(last.total) : 0;
  const expected = ahead(times, last, forecast);
  // The axis goes on to the end of the year where something is expected of it.
  if (expected.length > 0 && forecast?.ends_at) times.push(seconds(forecast.ends_at));
  const goesOn = expected.length > 0;
  const series: Series[] = [
    { name: t().money["executed"]!, kind: "executed", values: kept.map((of) => yuan(of.executed)) },
    { name: t().money["planned"]!, kind: "plan", values: kept.map((of) => yuan(of.planned)) },
    {
      name: t().money["total"]!,
      kind: "total",
      values: [...kept.map((of) => yuan(of.total)), ...(goesOn ? [total] : [])],
    },
    {
      name: t().money["calendar"]!,
      kind: "calendar",
      values: times.map((at) => Math.round((total * (at - start)) / (end - start))),
    },
    ...expected,
  ];
  // What is known ends before the year does.
  const whole = series.map((one) => ({ ...one, values: times.map((_, at) => one.values[at] ?? null) }));
  return { times, series: whole };
}

/** The entries, the latest first. */
function Entries({ of }: { of: BudgetLineEntry[] }) {
  const said = t().budget;
  const [all, setAll] = useState(false);
  const rows = useMemo(() => of.slice().reverse(), [of]);
  return (
    <Panel title={said.entries} class="is-flush">
      <div class="table-place" tabIndex={0} role="group" aria-label={said.entries}>
        <table class="table is-cards">
          <thead>
            <tr>
              <th scope="col">{said.time}</th>
              <th scope="col">{said.type}</th>
              <th scope="col">{said.event}</th>
              <th scope="col">{said.payee}</th>
              <th scope="col">{said.purpose}</th>
              <th scope="col" class="figure">
                {said.amount}
              </th>
              <th scope="col" class="figure">
                {t().money["executed"]}
              </th>
              <th scope="col" class="figure">
                {said.balance}
              </th>
            </tr>
          </thead>
          <tbody>
            {(all ? rows : rows.slice(0, SHOWN)).map((entry) => (
              <tr key={text(entry, "event_id")}>
                <td data-name={said.time}>
                  <Time at={text(entry, "occurred_at")} text={stamp(text(entry, "occurred_at"))} />
                </td>
                <td data-name={said.type}>
                  {text(entry, "action")
                    ? word(t().budgetAction, text(entry, "action"))
                    : word(t().eventType, text(entry, "type"))}
                </td>
                <td data-name={said.event} class="id" title={text(entry, "event_id")}>
                  <a href={to("payments", text(entry, "event_id"))}>{text(entry, "event_id")}</a>
                </td>
                <td data-name={said.payee} class="wrap">
                  {text(entry, "payee_name") || text(entry, "actual_payee_name") || text(entry, "payer_name")}
                </td>
                <td data-name={said.purpose} class="wrap">
                  {text(entry, "purpose") || text(entry, "reason")}
                </td>
                <td data-name={said.amount} class="figure">
                  <Money of={text(entry, "amount")} />
                </td>
                <td data-name={t().money["executed"]} class="figure">
                  <Money of={entry.balances.executed} />
                </td>
                <td data-name={said.balance} class="figure">
                  <Money of={entry.balances.available} sign />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {!all && rows.length > SHOWN && (
        <div class="foot">
          <button type="button" class="button" onClick={() => setAll(true)}>
            {said.allEntries(rows.length)}
          </button>
        </div>
      )}
    </Panel>
  );
}
