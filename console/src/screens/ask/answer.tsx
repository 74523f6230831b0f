import type { ComponentChildren } from "preact";
import type { AskAnswer } from "../../api/types";
import { cents, count, percent } from "../../format/money";
import { stamp } from "../../format/time";
import { to } from "../../router";
import { settings } from "../../settings";
import { t, word } from "../../text";
import { Empty, Money, Severity, State, Time, moneyUnit } from "../../ui/parts";

type Column = AskAnswer["columns"][number];
type Value = string | number | boolean | null;

const title = (of: Column): string =>
  (settings.language.value === "zh" ? of.title.zh : of.title.en) ?? of.title.en ?? of.name;

/** Where a value leads. */
const PLACES: Record<string, string> = {
  unit_code: "units",
  budget_line_id: "budget",
  event_id: "payments",
  original_event_id: "payments",
  alert_id: "alerts",
  rule_id: "rules",
};

const isFigure = ({ cell }: Column): boolean => cell !== "text";

/** The rows of an answer, with bars of its chart in front where it has one. */
export function AnswerTable({ of }: { of: AskAnswer }) {
  const said = t().ask;
  const rows = of.rows as unknown as Value[][];
  if (rows.length === 0) return <Empty title={said.nothing} />;
  return (
    <>
      {of.chart && rows.length > 1 && <Chart of={of} rows={rows} />}
      <p class="faint" role="status">
        {said.rows(rows.length, of.is_cut)}
      </p>
      <div class="table-place" tabIndex={0} role="group" aria-label={said.answer}>
        <table class="table is-cards">
          <thead>
            <tr>
              {of.columns.map((column) => (
                <th key={column.name} scope="col" class={isFigure(column) ? "figure" : ""}>
                  {title(column)}
                  {column.cell === "money" && `（${moneyUnit()}）`}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, at) => (
              <tr key={at}>
                {of.columns.map((column, i) => (
                  <td key={column.name} data-name={title(column)} class={isFigure(column) ? "figure" : "wrap"}>
                    {cell(column, row[i] ?? null)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}

function cell({ name, cell: kind }: Column, value: Value): ComponentChildren {
  if (value === null) return <span class="faint">{t().empty}</span>;
  const text = String(value);
  if (kind === "money") return <Money of={text} sign />;
  if (kind === "share") return percent(text);
  if (kind === "time") return <Time at={text} text={told(name, text)} />;
  if (kind === "number") return name === "fiscal_year" ? text : number(text);
  if (name === "severity") return <Severity of={text} />;
  if (name === "state" && text in t().state) return <State of={text} />;
  if (name === "settlement" || name === "payment_mode") return word(t().words, text);
  if (name === "action") return word(t().budgetAction, text);
  const place = PLACES[name];
  return place ? <a href={to(place, text)}>{text}</a> : text;
}

/** A number as it is, with separators where it is whole. */
const number = (text: string): string => (/^-?\d+$/.test(text) ? count(Number(text)) : text.replace(/\.?0+$/, ""));

/** A month or a day where that is all that it is. */
const told = (name: string, at: string): string =>
  name === "month" ? at.slice(0, 7) : name === "day" ? at.slice(0, 10) : stamp(at).slice(0, 16);

const WIDTH = 600;
const MOST = 20;

/** The values as bars, each with its name; the table below has the same. */
function Chart({ of, rows }: { of: AskAnswer; rows: Value[][] }) {
  const { chart, columns } = of;
  const [label, value] = [chart!.label, chart!.value].map((name) => columns.findIndex((one) => one.name === name));
  if (label === undefined || value === undefined || label < 0 || value < 0) return null;
  const kind = columns[value]!.cell;
  const size = (row: Value[]): number =>
    Math.max(0, kind === "money" ? Number(cents(String(row[value] ?? "0")) ?? 0n) : Number(row[value] ?? 0));
  const shown = rows.slice(0, MOST);
  const most = Math.max(...shown.map(size)) || 1;
  return (
    <div class="ask-chart" aria-hidden="true">
      {shown.map((row, at) => (
        <div key={at} class="ask-bar">
          <span>{name(columns[label]!, row[label] ?? null)}</span>
          <svg viewBox={`0 0 ${WIDTH} 10`} preserveAspectRatio="none">
            <rect class="part part-executed" x={0} y={0} width={(size(row) / most) * WIDTH} height={10} />
          </svg>
        </div>
      ))}
    </div>
  );
}

function name(column: Column, value: Value): string {
  if (value === null) return t().empty;
  if (column.cell === "time") return told(column.name, String(value));
  if (column.name === "severity") return word(t().severity, String(value));
  if (column.name === "settlement") return word(t().words, String(value));
  return String(value);
}
