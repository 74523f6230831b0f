import { ask } from "../api/client";
import { useLoad } from "../api/load";
import { session } from "../api/session";
import type { AlertCounts, AlertPage, BudgetTotals, RuleList } from "../api/types";
import { count, percent } from "../format/money";
import { since, yearElapsed } from "../format/time";
import { live, useRest } from "../live";
import { t } from "../text";
import { BarLegend, BudgetBar } from "../ui/bar";
import { Count, Empty, Facts, Failed, Heading, Loading, Money, Panel, Severity, Time, moneyUnit } from "../ui/parts";
import { SEVERITIES } from "./alerts/filter";
import { AlertLines } from "./alerts/related";
import { Demo } from "./demo";
import { said as ofRule } from "./rules/list";

/** What is new, what we are late with, and how the budget stands. */
export function Today() {
  return (
    <div>
      <Heading title={t().today.title} />
      <Demo />
      <Alerts />
      {session.may("budget.read") && <Execution />}
      <Service />
    </div>
  );
}

function Alerts() {
  const said = t().today;
  const turn = useRest();
  const now = Date.now();
  const counts = useLoad("counts", (stop) => ask<AlertCounts>("/alerts/counts", { state: "active" }, { stop }), turn);
  const oldest = useLoad(
    "oldest",
    (stop) => ask<AlertPage>("/alerts", { state: "open", sort: "oldest", limit: 8 }, { stop }),
    turn,
  );
  const blocked = useLoad(
    "blocked",
    (stop) => ask<AlertPage>("/alerts", { state: "open", handling: "block", limit: 6, totals: true }, { stop }),
    turn,
  );
  const rules = useLoad("rules", (stop) => ask<RuleList>("/rules", {}, { stop }));
  if (!session.may("alerts.read")) return null;
  const { data, error, again } = counts;
  if (error) return <Failed error={error} again={again} />;
  if (!data) return <Loading rows={8} />;
  const title = (id: string) => {
    const rule = rules.data?.rules.find((one) => one.id === id);
    return rule ? ofRule(rule.title) : id;
  };
  return (
    <>
      <Open of={data} />
      <div class="columns is-even">
        <Panel
          title={said.oldest}
          lead={data.oldest_open_at && said.oldestSince(since(data.oldest_open_at, now))}
          aside={<a href="/alerts?state=open&sort=oldest">{said.seeAll}</a>}
        >
          {oldest.data?.alerts.length === 0 && <Empty title={said.oldestNone} />}
          {oldest.data && <AlertLines alerts={oldest.data.alerts} aside={(alert) => since(alert.opened_at, now)} />}
        </Panel>
        <Panel title={said.rulesTop} aside={<a href="/rules">{said.seeAll}</a>}>
          <Ranks
            of={data.rules.slice(0, 8).map((one) => ({
              key: one.value ?? "",
              title: title(one.value ?? ""),
              there: `/alerts?rule=${encodeURIComponent(one.value ?? "")}`,
              n: one.alerts,
            }))}
          />
        </Panel>
      </div>
      <Panel
        title={said.blocked}
        lead={blocked.data?.total ? count(blocked.data.total) : null}
        aside={<a href="/alerts?state=open&handling=block">{said.seeAll}</a>}
      >
        {blocked.data?.alerts.length === 0 && <Empty title={said.blockedNone} />}
        {blocked.data && <AlertLines alerts={blocked.data.alerts} />}
      </Panel>
    </>
  );
}

/** How many are open and in work, by severity, and how many are late. */
function Open({ of }: { of: AlertCounts }) {
  const said = t().today;
  const isOver = (state: string) => ["closed", "dismissed", "resolved"].includes(state);
  const number = (severity: string, isOpen: boolean) =>
    of.counts
      .filter((one) => one.severity === severity && !isOver(one.state) && (one.state === "open") === isOpen)
      .reduce((sum, one) => sum + one.alerts, 0);
  return (
    <Panel
      title={said.open}
      aside={
        of.overdue > 0 ? <strong class="trouble">{`${said.overdue} ${count(of.overdue)}`}</strong> : said.overdueNone
      }
    >
      <ul class="tiles">
        {SEVERITIES.map((severity) => (
          <li key={severity}>
            <a href={`/alerts?severity=${severity}`}>
              <Severity of={severity} />
              <b class="figure">{count(number(severity, true))}</b>
              <span>
                {said.openOnly} · {said.inWork} {count(number(severity, false))}
              </span>
            </a>
          </li>
        ))}
      </ul>
      {of.past_due + of.in_review > 0 && (
        <p class="late">
          {of.past_due > 0 && (
            <a class="trouble" href="/alerts?past_due=true&sort=last_day">
              {t().inbox.pastDue} {count(of.past_due)}
            </a>
          )}{" "}
          {of.in_review > 0 && (
            <a href="/alerts?review=true">
              {t().inbox.inReview} {count(of.in_review)}
            </a>
          )}
        </p>
      )}
    </Panel>
  );
}

/** Names with a bar for how many. */
function Ranks({ of }: { of: { key: string; title: string; there: string; n: number }[] }) {
  const most = Math.max(1, ...of.map((one) => one.n));
  return (
    <ul class="ranks">
      {of.map((one) => (
        <li key={one.key}>
          <a href={one.there}>{one.title}</a>
          <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
            <rect class="part-reserved" width={(one.n / most) * 100} height="8" />
          </svg>
          <span class="figure">{count(one.n)}</span>
        </li>
      ))}
    </ul>
  );
}

/** Execution against plan and calendar, by region. */
function Execution() {
  const said = t().today;
  const at = live.status.value?.last_event_at;
  const calendar = at ? yearElapsed(at) : null;
  const { data, error, again } = useLoad(
    "totals by region",
    (stop) => ask<BudgetTotals>("/budget/totals", { group_by: "region", sort: "-total", limit: 12 }, { stop }),
    useRest(),
  );
  if (error) return <Failed error={error} again={again} />;
  if (!data) return <Loading rows={4} />;
  if (data.groups.length === 0) return null;
  return (
    <Panel
      title={said.execution}
      lead={`${moneyUnit()}${calendar === null ? "" : ` · ${said.executionLead(percent(calendar))}`}`}
      aside={<a href="/budget">{said.seeAll}</a>}
    >
      <ul class="executions">
        {[
          { value: [null], name: said.total, sums: data.sums, executed_ratio: data.executed_ratio },
          ...data.groups,
        ].map((group, i) => (
          <li key={group.value[0] ?? `none ${i}`} class={i === 0 ? "is-total" : ""}>
            {i === 0 ? (
              <b>{said.total}</b>
            ) : group.value[0] ? (
              <a href={`/budget?region=${encodeURIComponent(group.value[0])}`}>{group.value[0]}</a>
            ) : (
              <span class="faint">{t().budget.none}</span>
            )}
            <BudgetBar of={group.sums} calendar={calendar} />
            <span class="figure">{percent(group.executed_ratio)}</span>
            <Money of={group.sums.executed} />
            <Money of={group.sums.total} />
          </li>
        ))}
      </ul>
      <BarLegend />
    </Panel>
  );
}

function Service() {
  const said = t().today;
  const status = live.status.value;
  if (!status) return null;
  const troubles = Object.keys(status.rule_errors).length;
  return (
    <Panel
      title={said.service}
      lead={status.ready ? said.ready : said.notReady}
      aside={<a href="/sources">{said.seeAll}</a>}
    >
      <Facts
        of={[
          [said.journal, <Count of={status.journal_events} />],
          [said.accepted, <Count of={status.since_start.accepted} />],
          [said.rejected, <Count of={status.since_start.rejected} />],
          [said.findings, <Count of={status.since_start.findings} />],
          [said.lines, <Count of={status.budget_lines} />],
          [t().sources.started, <Time at={status.started_at} />],
          ...(troubles > 0
            ? ([[said.ruleErrors, <span class="trouble">{count(troubles)}</span>]] as [
                string,
                preact.ComponentChildren,
              ][])
            : []),
        ]}
      />
    </Panel>
  );
}
