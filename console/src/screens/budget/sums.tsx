// Sums of budget lines in rows: a bar, the money, the share that is executed, and how many lines there are.
import type { ComponentChildren } from "preact";
import type { BudgetSums } from "../../api/types";
import { count, percent } from "../../format/money";
import { withParams } from "../../router";
import { t } from "../../text";
import { BudgetBar } from "../../ui/bar";
import { Money } from "../../ui/parts";

export interface SumsRow {
  id: string;
  title: ComponentChildren;
  sums: BudgetSums;
  executed_ratio?: string | null | undefined;
  lines: number;
  overspent?: number;
}

/** Rows of sums; `first` is what the first column sorts by. */
export function SumsTable({
  label,
  first,
  sort,
  calendar,
  rows,
}: {
  label: string;
  first: string;
  sort: string;
  calendar: number | null;
  rows: SumsRow[];
}) {
  const said = t().budget;
  const tellsOverspent = rows.some((row) => row.overspent !== undefined);
  return (
    <div class="table-place" tabIndex={0} role="group" aria-label={label}>
      <table class="table budget-table">
        <thead>
          <tr>
            <Head name={first} title={label} sort={sort} />
            <th scope="col" class="bar-cell">
              {said.bar}
            </th>
            {MONEY.map((name) => (
              <Head key={name} name={name} title={t().money[name]!} sort={sort} isFigure />
            ))}
            <Head name="executed_ratio" title={t().money["ratio"]!} sort={sort} isFigure />
            <th scope="col" class="figure">
              {said.lines}
            </th>
            {tellsOverspent && (
              <th scope="col" class="figure">
                {said.overspentLines}
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.id}>
              <th scope="row">{row.title}</th>
              <td class="bar-cell">
                <BudgetBar of={row.sums} calendar={calendar} />
              </td>
              <Figures of={row.sums} />
              <td class="figure on-phone">{percent(row.executed_ratio)}</td>
              <td class="figure">{count(row.lines)}</td>
              {row.overspent !== undefined && (
                <td class={`figure${row.overspent > 0 ? " trouble" : " faint"}`}>{count(row.overspent)}</td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const MONEY = ["total", "executed", "reserved", "frozen", "available"] as const;
/** What is left on a phone, and what only a wide screen has room for. */
const NARROW = ["executed", "available"];
const WIDE = ["reserved", "frozen"];

export function Figures({
  of,
}: {
  of: { total: string; executed: string; reserved: string; frozen: string; available: string };
}) {
  return (
    <>
      {MONEY.map((name) => (
        <td
          key={name}
          class={`figure${NARROW.includes(name) ? " on-phone" : WIDE.includes(name) ? " on-wide" : ""}`}
          data-name={t().money[name]}
        >
          <Money of={of[name]} sign />
        </td>
      ))}
    </>
  );
}

export function Head({
  name,
  title,
  sort,
  isFigure = false,
}: {
  name: string;
  title: string;
  sort: string;
  isFigure?: boolean;
}) {
  const isUp = sort === name;
  const isDown = sort === `-${name}`;
  const next = isFigure ? (isDown ? name : `-${name}`) : isUp ? `-${name}` : name;
  return (
    <th
      scope="col"
      class={`${isFigure ? "figure" : ""}${WIDE.includes(name) ? " on-wide" : ""}`}
      aria-sort={isUp ? "ascending" : isDown ? "descending" : undefined}
    >
      <a href={withParams({ sort: next })} class={isUp || isDown ? "is-sorted" : ""}>
        {title}
        <span aria-hidden="true">{isUp ? " ↑" : isDown ? " ↓" : ""}</span>
      </a>
    </th>
  );
}
