import type { Work } from "../../api/types";
import { columnName } from "../../format/values";
import { t, word } from "../../text";
import { Money } from "../../ui/parts";

type Row = Record<string, unknown>;

/** Which columns a kind of work shows; money is told from the rest by its name. */
const COLUMNS: Record<string, string[]> = {
  adjustments: [
    "occurred_at",
    "budget_line_id",
    "action",
    "amount",
    "to_budget_line_id",
    "before",
    "after",
    "executed",
    "reserved",
  ],
  proposal: ["unit_code", "unit_name", "function_code", "economic_code", "amount", "reason"],
  comparison: ["unit_code", "function_code", "economic_code", "old", "new", "difference", "reason"],
  settlement: [
    "code",
    "unit_name",
    "beginning",
    "carried_over",
    "supplemented",
    "reduced",
    "transferred",
    "reclaimed",
    "total",
    "executed",
    "balance",
  ],
  against: ["code", "column", "ours", "theirs"],
  pilot: [
    "rule_id",
    "severity",
    "findings",
    "keys",
    "a_day",
    "worst_day",
    "overlap",
    "overlaps",
    "confirmed",
    "dismissed",
  ],
  checks: ["name", "outcome", "detail"],
};
const MONEY = new Set([
  "amount",
  "before",
  "after",
  "executed",
  "reserved",
  "old",
  "new",
  "difference",
  "beginning",
  "carried_over",
  "supplemented",
  "reduced",
  "transferred",
  "reclaimed",
  "total",
  "balance",
  "ours",
  "theirs",
]);
const COUNTS = new Set(["findings", "keys", "a_day", "worst_day", "overlap", "confirmed", "dismissed"]);

/** What a rule in shadow would bring, as people decide by it: a day, and how much of it is found already. */
function pilot({ pilot, days }: Row): Row {
  const of = pilot as Row & { key_days: number; overlapping: number; findings: number; overlaps: [string, number][] };
  return {
    ...of,
    a_day: (of.key_days / Number(days)).toFixed(1),
    overlap: `${Math.floor((100 * of.overlapping) / Math.max(of.findings, 1))}%`,
    overlaps: of.overlaps.map(([rule, findings]) => `${rule} ${findings}`).join(" · "),
  };
}

/** What a command gave, as a table that becomes cards on a phone. */
export function Rows({ of }: { of: Work }) {
  const said = t().works;
  if (of.kind === "drill") return null;
  const rows: Row[] = of.rows.map((row) => (of.kind === "pilot" ? pilot(row as Row) : (row as Row)));
  const isAgainst = of.kind === "settlement" && rows[0] !== undefined && "ours" in rows[0];
  const columns = COLUMNS[isAgainst ? "against" : of.kind] ?? Object.keys(rows[0] ?? {});
  return (
    <>
      <Table name={said.tab[of.kind as keyof typeof said.tab] ?? said.title} columns={columns} rows={rows} />
      {of.rows_total > rows.length && <p class="faint">{said.more(rows.length, of.rows_total)}</p>}
      {of.kind === "pilot" &&
        rows
          .filter((row) => ((row.sample as Row[] | undefined) ?? []).length > 0)
          .map((row) => (
            <details key={String(row.rule_id)}>
              <summary>{said.sample(String(row.rule_id))}</summary>
              <ul class="plain-list">
                {(row.sample as Row[]).map((finding) => (
                  <li key={String(finding.finding_id)}>{String(finding.summary)}</li>
                ))}
              </ul>
            </details>
          ))}
    </>
  );
}

/** Rows under their titles. */
export function Table({ name, columns, rows }: { name: string; columns: string[]; rows: Row[] }) {
  const said = t().works;
  const title = (column: string) => (said.column as Record<string, string>)[column] ?? columnName(column);
  return (
    <div class="table-place" tabIndex={0} role="group" aria-label={name}>
      <table class="table is-cards">
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col" class={MONEY.has(column) || COUNTS.has(column) ? "figure" : ""}>
                {title(column)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={at}>
              {columns.map((column, place) => (
                <td
                  key={column}
                  data-name={title(column)}
                  class={`${MONEY.has(column) || COUNTS.has(column) ? "figure" : "wrap"}${place === 0 ? " is-first" : ""}`}
                >
                  <Cell column={column} of={row[column]} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Cell({ column, of }: { column: string; of: unknown }) {
  if (of === null || of === undefined || of === "") return <span class="faint">{t().empty}</span>;
  if (MONEY.has(column)) return <Money of={String(of)} sign />;
  if (column === "action") return <>{word(t().budgetAction, String(of))}</>;
  if (column === "severity") return <>{word(t().severity, String(of))}</>;
  if (column === "column") return <>{(t().works.column as Record<string, string>)[String(of)] ?? String(of)}</>;
  return <>{String(of)}</>;
}
