import { ask } from "../api/client";
import { useLoad } from "../api/load";
import { session } from "../api/session";
import type { BudgetLine, FindingTimes, Indicator, IndicatorPage } from "../api/types";
import { percent } from "../format/money";
import { go, query, to, withParams } from "../router";
import { t } from "../text";
import { Heat } from "../ui/heat";
import { Empty, Failed, Heading, Loading, Panel, Time, isForbidden } from "../ui/parts";
import { Quadrant } from "../ui/quadrant";
import { type Column, Table, sorted } from "../ui/table";
import { Weeks } from "../ui/weeks";

const PAGE = 100;
/** So many lines are asked at once. */
const ABREAST = 4;

interface Row {
  of: Indicator;
  /** The executed share of its line. */
  money: number | null;
  reached: number | null;
}

/** What programmes were to reach and have reached, and what it cost. */
export function Results() {
  const said = t().results;
  const after = query.value.get("after") ?? "";
  const { data, error, again } = useLoad(`results ${after}`, (stop) => read(after, stop));
  const columns: Column<Row>[] = [
    {
      name: "indicator",
      title: said.columns.indicator,
      by: ({ of }) => of.indicator_name ?? of.indicator_id,
      wraps: true,
      show: ({ of }) => of.indicator_name ?? of.indicator_id,
    },
    {
      name: "unit",
      title: said.columns.unit,
      by: ({ of }) => of.unit_name ?? of.unit_code ?? null,
      show: ({ of }) => of.unit_name ?? of.unit_code,
    },
    {
      name: "line",
      title: t().budget.line,
      show: ({ of }) =>
        of.budget_line_id ? <a href={to("budget", of.budget_line_id)}>{of.budget_line_id}</a> : t().empty,
    },
    {
      name: "target",
      title: said.columns.target,
      isFigure: true,
      show: ({ of }) => `${of.direction === "at_most" ? "≤" : "≥"} ${of.target}`,
    },
    { name: "actual", title: said.columns.actual, isFigure: true, show: ({ of }) => of.actual ?? t().empty },
    {
      name: "reached",
      title: said.columns.achievement,
      isFigure: true,
      by: ({ reached }) => reached,
      show: ({ of }) => percent(of.achievement),
    },
    {
      name: "money",
      title: said.columns.money,
      isFigure: true,
      by: ({ money }) => money,
      show: ({ money }) => percent(money),
    },
    {
      name: "stated",
      title: said.columns.stated,
      isFigure: true,
      by: ({ of }) => of.stated_at,
      show: ({ of }) => <Time at={of.stated_at} text={of.stated_at.slice(0, 10)} />,
    },
  ];
  const rows = sorted(data?.rows ?? [], columns, "");
  const points = rows
    .filter(({ money, reached }) => money !== null && reached !== null)
    .map((row) => ({
      id: row.of.indicator_id,
      x: row.money!,
      y: row.reached!,
      title: `${row.of.unit_name ?? ""} ${row.of.indicator_name ?? row.of.indicator_id}`,
    }));
  return (
    <div>
      <Heading title={said.title}>
        {(after || data?.next) && (
          <button
            type="button"
            class="button"
            disabled={!data?.next}
            onClick={() => go(withParams({ after: data?.next }))}
          >
            {t().inbox.next}
          </button>
        )}
      </Heading>
      {error && <Failed error={error} again={again} />}
      {!data && !error && <Loading />}
      {data && rows.length === 0 && <Empty title={said.empty} />}
      {points.length > 0 && (
        <Panel title={said.quadrant} lead={said.lead}>
          <Quadrant
            label={said.quadrant}
            points={points}
            corners={[said.savedDone, said.spentDone, said.savedNotDone, said.spentNotDone]}
            x={said.columns.money}
            y={said.columns.achievement}
          />
        </Panel>
      )}
      {session.may("findings.read") && <Found />}
      {rows.length > 0 && <Table label={said.title} columns={columns} rows={rows} id={({ of }) => of.indicator_id} />}
    </div>
  );
}

/** When something was found: week by week, and at which hours of which days. */
function Found() {
  const said = t().results;
  const { data, error, again } = useLoad("finding times", (stop) => ask<FindingTimes>("/findings/times", {}, { stop }));
  // Whoever is limited to units may not see how many there are of all.
  if (isForbidden(error)) return null;
  return (
    <div class="columns is-even">
      <Panel title={said.weeks} lead={said.weeksLead}>
        {error && <Failed error={error} again={again} />}
        {!data && !error && <Loading rows={3} />}
        {data?.weeks.length === 0 && <p class="faint">{said.foundNone}</p>}
        {data && data.weeks.length > 0 && <Weeks of={data.weeks} label={said.weeks} isHeaded />}
      </Panel>
      <Panel title={said.hours} lead={said.hoursLead}>
        {data && data.weeks.length > 0 && (
          <Heat label={said.hours} days={said.days} rows={data.hours} unit={t().alert.findings} />
        )}
      </Panel>
    </div>
  );
}

async function read(after: string, stop: AbortSignal): Promise<{ rows: Row[]; next: string | null }> {
  const page = await ask<IndicatorPage>("/indicators", { after, limit: PAGE }, { stop });
  const wanted = [...new Set(page.indicators.map((one) => one.budget_line_id).filter((id): id is string => !!id))];
  const shares = new Map<string, number | null>();
  const queue = wanted.slice();
  const work = async () => {
    for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
      // A line that is not there has no share; the indicator stays.
      const line = await ask<BudgetLine>(`/budget-lines/${encodeURIComponent(id)}`, {}, { stop }).catch(() => null);
      shares.set(id, line?.executed_ratio ? Number(line.executed_ratio) : null);
    }
  };
  await Promise.all(Array.from({ length: ABREAST }, work));
  const rows = page.indicators.map((of) => ({
    of,
    money: shares.get(of.budget_line_id ?? "") ?? null,
    reached: of.achievement ? Number(of.achievement) : null,
  }));
  return { rows, next: page.next ?? null };
}
