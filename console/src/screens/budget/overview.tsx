import { Fragment } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ask } from "../../api/client";
import { useLoad } from "../../api/load";
import type { BudgetGroup, BudgetLine, BudgetTotals, CodeTables, GroupPage, LinePage } from "../../api/types";
import { cents, money, percent, share } from "../../format/money";
import { yearElapsed } from "../../format/time";
import { live } from "../../live";
import { go, query, to, withParams } from "../../router";
import { settings } from "../../settings";
import { t, word } from "../../text";
import { BarLegend, BudgetBar, executedShare } from "../../ui/bar";
import { Empty, Failed, Heading, Loading, Panel, moneyUnit } from "../../ui/parts";
import { Search } from "../../ui/search";
import { type Tile, Treemap } from "../../ui/treemap";
import { Balances } from "../alerts/line";
import { ControlGroups } from "./control";
import { Figures, Head, SumsTable } from "./sums";

/** What lines are grouped by at first, and below what was chosen. */
const WAY = ["region", "unit"] as const;
const GROUPS = ["region", "branch", "unit", "function", "class", "economic", "fund", "project", "year"] as const;
const FILTERS = [
  "region",
  "under",
  "unit",
  "function",
  "economic",
  "fund",
  "project",
  "year",
  "q",
  "overspent",
] as const;
/** The groups that rules control, where there are any. */
const CONTROL = "control";
const PAGE = 100;

const filters = (now: URLSearchParams) => Object.fromEntries(FILTERS.map((name) => [name, now.get(name)]));

/** What follows when a group is opened: the next of the way that is not chosen yet, or the lines. */
function below(now: URLSearchParams, by: string): string {
  const chosen = new URLSearchParams(now);
  chosen.set(by, "x");
  return WAY.find((name) => !chosen.get(name)) ?? "line";
}

/** Region, unit, line: each a click. */
export function Budget() {
  const said = t().budget;
  const now = query.value;
  const by = now.get("by") ?? WAY.find((name) => !now.get(name)) ?? "line";
  const control = useLoad("control groups", (stop) => ask<GroupPage>("/budget/groups", { limit: 1 }, { stop }));
  const tables = useLoad("code tables", (stop) => ask<CodeTables>("/codes", {}, { stop }));
  const hasTree = tables.data?.tables.some((table) => table.column === "unit_code") ?? false;
  const asOf = live.status.value?.last_event_at;
  const calendar = asOf ? yearElapsed(asOf) : null;
  return (
    <div>
      <Heading title={said.title} lead={moneyUnit()}>
        <div class="segments" role="group" aria-label={said.view}>
          {(["", "map"] as const).map((view) => (
            <button
              key={view}
              type="button"
              aria-pressed={(now.get("view") ?? "") === view}
              onClick={() => go(withParams({ view }), { replace: true })}
            >
              {view === "map" ? said.viewMap : said.viewTable}
            </button>
          ))}
        </div>
        <label class="inline">
          <input
            type="checkbox"
            checked={now.get("overspent") === "true"}
            onChange={(event) =>
              go(withParams({ overspent: event.currentTarget.checked ? "true" : null }), { replace: true })
            }
          />
          <span>{said.onlyOverspent}</span>
        </label>
        <Search
          label={said.find}
          value={now.get("q") ?? ""}
          onChange={(q) => go(withParams({ q }), { replace: true })}
        />
      </Heading>
      <Way />
      <nav class="tabs" aria-label={said.by}>
        {[
          ...GROUPS.filter((name) => name !== "branch" || hasTree),
          ...(control.data?.total ? [CONTROL] : []),
          "line",
        ].map((name) => (
          <a key={name} href={withParams({ by: name, sort: null })} aria-current={by === name ? "page" : undefined}>
            {name === "line" ? said.line : name === CONTROL ? said.control : word(said.groups, name)}
          </a>
        ))}
      </nav>
      {by === "line" ? (
        <Lines calendar={calendar} />
      ) : by === CONTROL ? (
        <ControlGroups calendar={calendar} />
      ) : (
        <Groups by={by} calendar={calendar} />
      )}
    </div>
  );
}

/** What was chosen, each to be taken back. */
function Way() {
  const said = t().budget;
  const now = query.value;
  const chosen = FILTERS.filter((name) => name !== "q" && name !== "overspent" && now.get(name));
  if (chosen.length === 0) return null;
  return (
    <nav class="way" aria-label={said.path}>
      <a href="/budget">{said.all}</a>
      {chosen.map((name) => (
        <Fragment key={name}>
          <span aria-hidden="true">›</span>
          <a class="chip" href={withParams({ [name]: null, by: null })} title={t().inbox.clear}>
            {word(said.groups, name === "under" ? "branch" : name)} {now.get(name)} ×
          </a>
        </Fragment>
      ))}
    </nav>
  );
}

function Groups({ by, calendar }: { by: string; calendar: number | null }) {
  const said = t().budget;
  const now = query.value;
  const sort = now.get("sort") ?? "-total";
  const asked = { ...filters(now), group_by: by, sort, limit: PAGE };
  const { data, error, again } = useLoad(JSON.stringify(asked), (stop) =>
    ask<BudgetTotals>("/budget/totals", asked, { stop }),
  );
  const address = (group: BudgetGroup) => {
    const value = group.value[0];
    if (value === null || value === undefined) return null;
    // A branch opens the units right below it; one that has none below it is a unit.
    if (by === "branch")
      return now.get("under") === value ? to("units", value) : withParams({ under: value, sort: null });
    return by === "unit"
      ? to("units", value)
      : withParams({ [by]: value, by: below(now, by) === "line" ? "line" : null, sort: null });
  };
  if (error) return <Failed error={error} again={again} />;
  if (!data) return <Loading rows={10} />;
  if (data.groups.length === 0) return <Empty title={isNarrowed(now) ? said.emptyFiltered : said.empty} />;
  return (
    <>
      <Panel
        title={said.all}
        lead={said.linesOf(data.lines)}
        aside={`${t().money["ratio"]} ${percent(data.executed_ratio)}`}
      >
        <BudgetBar of={data.sums} calendar={calendar} tall />
        <BarLegend />
        <Balances of={data.sums} />
      </Panel>
      {now.get("view") === "map" && (
        <Areas
          tiles={data.groups.map((group) =>
            tile(group.value[0] ?? said.none, group.name ?? group.value[0] ?? said.none, group.sums, address(group)),
          )}
        />
      )}
      <SumsTable
        label={word(said.groups, by)}
        first="value"
        sort={sort}
        calendar={calendar}
        rows={data.groups.map((group) => {
          const there = address(group);
          const name = group.value[0] ?? said.none;
          const title = (
            <>
              {there ? <a href={there}>{group.name ?? name}</a> : name} {group.name && <code>{name}</code>}
            </>
          );
          return { ...group, id: name, title };
        })}
      />
      {data.total > data.groups.length && <p class="foot-note">{t().inbox.counted(data.groups.length, data.total)}</p>}
    </>
  );
}

/** Budgets as areas, each a way further down. */
function Areas({ tiles }: { tiles: Tile[] }) {
  const said = t().budget;
  return (
    <Panel title={said.areas} lead={said.areasLead}>
      <Treemap label={said.areas} tiles={tiles} />
    </Panel>
  );
}

/** Money as whole yuan, for drawing only. */
const yuan = (text: string) => Number((cents(text) ?? 0n) / 100n);

function tile(id: string, title: string, of: { total: string; executed: string }, there: string | null): Tile {
  const [total, executed] = [cents(of.total) ?? 0n, cents(of.executed) ?? 0n];
  const note = `${money(of.total, settings.money.value)} · ${percent(share(executed, total, 99))}`;
  return {
    id,
    title,
    size: yuan(of.total),
    filled: share(executed, total),
    isBad: executed > total,
    note,
    said: `${title} · ${t().money["total"]} ${money(of.total, settings.money.value)} · ${t().money["ratio"]} ${percent(share(executed, total, 99))}`,
    to: there,
  };
}

const isNarrowed = (now: URLSearchParams) => FILTERS.some((name) => now.get(name));

/** The lines that the filters mean; `unit` narrows them further. */
export function Lines({ calendar, unit }: { calendar: number | null; unit?: string }) {
  const said = t().budget;
  const now = query.value;
  const sort = now.get("sort") ?? "-total";
  const asked = { ...filters(now), ...(unit ? { unit } : {}), sort, totals: true, limit: PAGE };
  const key = JSON.stringify(asked);
  const { data, error, again } = useLoad(key, (stop) => ask<LinePage>("/budget-lines", asked, { stop }));
  const [more, setMore] = useState<{ key: string; rows: BudgetLine[]; next: string | null }>({
    key,
    rows: [],
    next: null,
  });
  useEffect(() => setMore({ key, rows: [], next: data?.next ?? null }), [key, data]);
  if (error) return <Failed error={error} again={again} />;
  if (!data) return <Loading rows={10} />;
  if (data.budget_lines.length === 0) return <Empty title={isNarrowed(now) ? said.emptyFiltered : said.empty} />;
  const rows = [...data.budget_lines, ...(more.key === key ? more.rows : [])];
  const read = async () => {
    const page = await ask<LinePage>("/budget-lines", { ...asked, totals: null, after: more.next });
    setMore({ key, rows: [...more.rows, ...page.budget_lines], next: page.next ?? null });
  };
  return (
    <>
      {data.sums && (
        <Panel
          title={said.all}
          lead={said.linesOf(data.total ?? rows.length)}
          aside={`${t().money["ratio"]} ${executedShare(data.sums)}`}
        >
          <BudgetBar of={data.sums} calendar={calendar} tall />
          <BarLegend />
          <Balances of={data.sums} />
        </Panel>
      )}
      {now.get("view") === "map" && (
        <Areas
          tiles={rows.map((line) =>
            tile(
              line.budget_line_id,
              [line.unit_name, line.budget_line_id].filter(Boolean).join(" "),
              line,
              to("budget", line.budget_line_id),
            ),
          )}
        />
      )}
      <div class="table-place" tabIndex={0} role="group" aria-label={said.lines}>
        <table class="table budget-table">
          <thead>
            <tr>
              <Head name="id" title={said.line} sort={sort} />
              {!unit && <th scope="col">{said.unit}</th>}
              <th scope="col">{said.economic}</th>
              <th scope="col" class="bar-cell">
                {said.bar}
              </th>
              <Head name="total" title={t().money["total"]!} sort={sort} isFigure />
              <Head name="executed" title={t().money["executed"]!} sort={sort} isFigure />
              <Head name="reserved" title={t().money["reserved"]!} sort={sort} isFigure />
              <Head name="frozen" title={t().money["frozen"]!} sort={sort} isFigure />
              <Head name="available" title={t().money["available"]!} sort={sort} isFigure />
              <Head name="executed_ratio" title={t().money["ratio"]!} sort={sort} isFigure />
            </tr>
          </thead>
          <tbody>
            {rows.map((line) => (
              <tr key={line.budget_line_id}>
                <th scope="row">
                  <a href={to("budget", line.budget_line_id)}>{line.budget_line_id}</a>
                  {!line.approved && <em class="tag is-late">{said.notApproved}</em>}
                </th>
                {!unit && <td>{line.unit_name ?? line.unit_code}</td>}
                <td>{line.economic_code}</td>
                <td class="bar-cell">
                  <BudgetBar of={line} calendar={calendar} />
                </td>
                <Figures of={line} />
                <td class="figure on-phone">{percent(line.executed_ratio)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {more.next && (
        <div class="foot">
          <button type="button" class="button" onClick={() => void read()}>
            {said.more}
          </button>
        </div>
      )}
    </>
  );
}
