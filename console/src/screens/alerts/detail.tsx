import { useEffect } from "preact/hooks";
import { ask, epoch, wholeOn } from "../../api/client";
import { useLoad } from "../../api/load";
import { session } from "../../api/session";
import type { Alert, AlertDetail, BudgetTotals, Change, Finding } from "../../api/types";
import { columnName, isMoney, shown } from "../../format/values";
import { money } from "../../format/money";
import { day, stamp } from "../../format/time";
import { useKeys } from "../../keys";
import { live } from "../../live";
import { go, to } from "../../router";
import { settings } from "../../settings";
import { t, word } from "../../text";
import { Icon } from "../../ui/icon";
import { Facts, Failed, Loading, Missing, Money, Panel, Severity, State, Time, isMissing } from "../../ui/parts";
import { Save } from "../../ui/save";
import { Whole } from "../../ui/whole";
import { Because } from "../payments/explain";
import { ActionBar, Composer, begin } from "./composer";
import { Files } from "./files";
import { Letter } from "./letter";
import { LineNow } from "./line";
import * as list from "./model";
import { Related } from "./related";
import { silenceAddress } from "./silence";
import { Worthwhile } from "./worth";
import { ACTS, KEYS, REVIEW_ACTS, type Act, type Outcome, isOver } from "./work";

export function Detail({ id }: { id: string }) {
  const news = live.alerts.value;
  const row = list.byId.value.get(id);
  const { data, error, again } = useLoad(`alert ${id}`, (stop) =>
    ask<AlertDetail>(`/alerts/${encodeURIComponent(id)}`, {}, { stop }),
  );
  // What is known of it elsewhere may be newer.
  const version = row?.version ?? 0;
  useEffect(() => {
    if (data && version > data.alert.version) again();
  }, [version]);
  useEffect(() => {
    if (data && news.some((one) => one.alert_id === id && one.version > data.alert.version)) again();
  }, [news]);
  useEffect(() => {
    list.cursor.value = id;
  }, [id, epoch.value]);

  const alert = data?.alert ?? row;
  const after = (outcomes: Outcome[], act: Act) => {
    again();
    const isDone = outcomes.every((outcome) => outcome.why === null);
    if (!isDone || !["confirm", "dismiss", "close", "merge", "approve"].includes(act)) return;
    // After a verdict the next one opens.
    const next = list.moveTo((other) => !isOver(other) && other.alert_id !== id);
    if (next) go(to("alerts", next.alert_id));
  };
  const step = (by: number) => {
    list.move(by);
    const there = list.cursor.peek();
    if (there && there !== id) go(to("alerts", there), { replace: true });
  };
  const back = () => go(list.address.peek());
  useKeys({
    j: () => step(1),
    k: () => step(-1),
    n: () => {
      const next = list.moveTo((other) => !other.owner && !isOver(other) && other.alert_id !== id);
      if (next) go(to("alerts", next.alert_id), { replace: true });
    },
    Escape: back,
    s: () => alert && go(silenceAddress(alert)),
    ...Object.fromEntries(
      [...REVIEW_ACTS, ...ACTS].map((act) => [KEYS[act], () => alert && begin(act, [alert], after)]),
    ),
  });

  if (!alert) {
    if (isMissing(error)) return <Missing title={t().alert.missing} id={id} />;
    return error ? <Failed error={error} again={again} /> : <Loading rows={12} />;
  }
  const position = list.cursorAt.value;
  return (
    <article class="detail" aria-label={alert.title}>
      <div class="detail-way">
        <a class="plain" href={list.address.value}>
          <Icon of="back" />
          {t().alert.back}
        </a>
        {position >= 0 && (
          <span class="detail-steps">
            <button
              type="button"
              class="plain icon-only"
              aria-label={t().alert.previousOne}
              title={`${t().alert.previousOne} k`}
              disabled={position === 0}
              onClick={() => step(-1)}
            >
              <Icon of="back" />
            </button>
            <span class="figure">{t().alert.position(position + 1, list.rows.value.length)}</span>
            <button
              type="button"
              class="plain icon-only"
              aria-label={t().alert.nextOne}
              title={`${t().alert.nextOne} j`}
              disabled={position === list.rows.value.length - 1}
              onClick={() => step(1)}
            >
              <Icon of="next" />
            </button>
          </span>
        )}
        <button type="button" class="plain wide-only" onClick={() => print()}>
          {t().inbox.print}
        </button>
      </div>
      <header class="detail-head">
        <div class="detail-badges">
          <Severity of={alert.severity} />
          <State of={alert.state} />
          <h1>{alert.title}</h1>
        </div>
        <p class="sentence">{alert.summary}</p>
        <div class="detail-actions">
          <ActionBar alerts={[alert]} done={after} />
          <a class="plain" href={silenceAddress(alert)}>
            {t().alert.mute}
          </a>
          <Whole />
        </div>
      </header>
      {error && !isMissing(error) && <Failed error={error} again={again} />}
      <div class="columns">
        <div class="column-main">
          <Review alert={alert} />
          <Known alert={alert} name={unitName(data?.findings ?? [])} />
          {data && <Why alert={alert} findings={data.findings} count={alert.findings} />}
          {alert.labels["budget_line_id"]?.map((line) => (
            <LineNow key={line} id={line} />
          ))}
          <Related alert={alert} />
          <Worthwhile alert={alert} />
        </div>
        {data && (
          <div class="column-side">
            <History of={data} />
            <Letter detail={data} again={again} />
            <Files alert={data.alert} again={again} />
            <Evidence id={alert.alert_id} />
            <Told of={data} />
          </div>
        )}
      </div>
      <Composer />
    </article>
  );
}

/** The evidence pack, for whoever may take findings out. */
function Evidence({ id }: { id: string }) {
  const said = t().alert;
  if (!session.may("findings.export")) return null;
  return (
    <Panel title={said.evidence}>
      <p class="faint">
        {session.user === null || wholeOn.value === location.pathname ? said.evidenceWhole : said.evidenceMasked}
      </p>
      <Save path={`/alerts/${encodeURIComponent(id)}/evidence`}>{said.evidenceSave}</Save>
    </Panel>
  );
}

/** The name of the unit, where the findings tell it: a confirmation has it from the payment that it is about. */
function unitName(findings: Finding[]): string | null {
  for (const { values } of findings) {
    for (const column of ["unit_name", "original.unit_name"]) {
      const name = (values as Record<string, unknown>)[column];
      if (typeof name === "string" && name !== "") return name;
    }
  }
  return null;
}

/** A unit by its name, where somebody knows it: the finding, or else its budget lines. */
function UnitLink({ code, name }: { code: string; name: string | null }) {
  const asked = name === null && session.may("budget.read") ? `unit name ${code}` : null;
  const { data } = useLoad(asked, (stop) =>
    ask<BudgetTotals>("/budget/totals", { group_by: "unit", unit: code, limit: 1 }, { stop }),
  );
  const known = name ?? data?.groups[0]?.name;
  return (
    <a href={to("units", code)}>
      {known} {known ? <code>{code}</code> : code}
    </a>
  );
}

/** What a code is called, beside it, where a table of codes says it. */
function CodeName({ of, column, code }: { of: Alert; column: string; code: unknown }) {
  const names = of.names as Record<string, Record<string, string>> | undefined;
  const name = names?.[column.replace(/^.*\./, "")]?.[String(code)];
  return name ? <small class="faint"> {name}</small> : null;
}

function Known({ alert, name }: { alert: Alert; name: string | null }) {
  const said = t().alert;
  const line = alert.labels["budget_line_id"]?.[0];
  return (
    <section class="panel" aria-label={alert.title}>
      <Facts
        of={[
          [said.advice, <strong>{word(t().handling, alert.handling)}</strong>],
          [said.what, word(t().eventType, alert.event_type)],
          [
            said.unit,
            alert.labels["unit_code"]?.map((unit, _, all) => (
              <UnitLink key={unit} code={unit} name={all.length === 1 ? name : null} />
            )),
          ],
          [said.line, line && <a href={to("budget", line)}>{line}</a>],
          [
            said.region,
            alert.labels["region_code"]?.map((region) => (
              <span key={region}>
                {region}
                <CodeName of={alert} column="region_code" code={region} />
              </span>
            )),
          ],
          [said.owner, alert.owner],
          [said.amount, alert.amount && <Money of={alert.amount} />],
          [
            said.lastDay,
            alert.due && (
              <span class={isPastDue(alert) ? "trouble" : ""}>
                {day(alert.due)} {isPastDue(alert) && said.pastDue}
              </span>
            ),
          ],
          [said.opened, <Time at={alert.opened_at} />],
          [said.last, <Time at={alert.last_at} />],
          [said.acknowledged, alert.acknowledged_at && <Time at={alert.acknowledged_at} />],
          [said.ended, alert.ended_at && <Time at={alert.ended_at} />],
          [
            said.escalation,
            alert.escalation > 0 || alert.escalates_at
              ? [
                  alert.escalation > 0 ? t().inbox.escalated(alert.escalation) : "",
                  alert.escalates_at ? t().inbox.escalates(stamp(alert.escalates_at)) : "",
                ]
                  .filter(Boolean)
                  .join("，")
              : null,
          ],
          ...only(said.outcome, alert.outcome && <Came of={alert} />),
          ...only(said.mergedInto, alert.merged_into && <AlertLink id={alert.merged_into} />),
          ...only(said.merged, alert.merged.length > 0 && alert.merged.map((id) => <AlertLink key={id} id={id} />)),
          [said.id, <code>{alert.alert_id}</code>],
          ...only(said.previous, alert.previous && <AlertLink id={alert.previous} />),
        ]}
      />
    </section>
  );
}

/** A fact that most alerts do not have. */
const only = (name: string, value: preact.ComponentChildren): [string, preact.ComponentChildren][] =>
  value ? [[name, value]] : [];

const AlertLink = ({ id }: { id: string }) => <a href={to("alerts", id)}>{id} </a>;

function isPastDue(alert: Alert): boolean {
  return !isOver(alert) && !!alert.due && alert.due < stamp(new Date().toISOString()).slice(0, 10);
}

/** What came of a case. */
const Came = ({ of }: { of: Alert }) => (
  <>
    <strong>{word(t().outcome, of.outcome!)}</strong> {of.outcome_amount && <Money of={of.outcome_amount} />}
  </>
);

/** What waits for a second officer. */
function Review({ alert }: { alert: Alert }) {
  const { review } = alert;
  if (!review) return null;
  const said = t().alert;
  return (
    <section class="panel review" aria-label={said.reviewLead}>
      <p>
        <strong>{said.reviewOf(review.by, word(t().action, review.action))}</strong>{" "}
        {review.outcome && word(t().outcome, review.outcome)} {review.amount && <Money of={review.amount} />}{" "}
        <Time at={review.at} /> · {said.reviewLead}
      </p>
      <p>{review.why}</p>
    </section>
  );
}

/** The values that the rule saw, the latest finding first. */
function Why({ alert, findings, count }: { alert: Alert; findings: Finding[]; count: number }) {
  const said = t().alert;
  return (
    <Panel title={said.why} lead={said.whyLead} aside={said.findingsOf(count)}>
      {findings.slice(0, 20).map((finding, at) => (
        <details key={finding.finding_id} class="finding" open={at === 0}>
          <summary>
            <Time at={finding.at} />
            <span>{finding.summary}</span>
          </summary>
          {at === 0 && finding.event_id && <Because event={finding.event_id} rule={finding.rule_id} />}
          <div class="values">
            <table>
              <thead>
                <tr>
                  <th scope="col">{said.column}</th>
                  <th scope="col">{said.value}</th>
                </tr>
              </thead>
              <tbody>
                {Object.entries(finding.values as Record<string, unknown>).map(([column, value]) => (
                  <tr key={column}>
                    <th scope="row">
                      {columnName(column)} <code>{column}</code>
                    </th>
                    <td class={isMoney(column) ? "money" : ""}>
                      {shown(column, value)}
                      <CodeName of={alert} column={column} code={value} />
                    </td>
                  </tr>
                ))}
                {finding.event_id && (
                  <tr>
                    <th scope="row">
                      {said.event} <code>event_id</code>
                    </th>
                    <td>
                      <a href={`${to("payments", finding.event_id)}?rule=${encodeURIComponent(finding.rule_id)}`}>
                        {finding.event_id}
                      </a>
                    </td>
                  </tr>
                )}
                {finding.window && (
                  <tr>
                    <th scope="row">{said.window}</th>
                    <td>
                      {stamp(String((finding.window as Record<string, unknown>)["start"] ?? ""))} –{" "}
                      {stamp(String((finding.window as Record<string, unknown>)["end"] ?? ""))}
                    </td>
                  </tr>
                )}
              </tbody>
            </table>
          </div>
        </details>
      ))}
    </Panel>
  );
}

/** What a change says beside who and why. */
function facts({ action, facts: of }: Change): string {
  const said = t().alert;
  if (!of) return "";
  return [
    action === "assign" && (of.to ? said.gaveTo(of.to) : said.putBack),
    of.due && said.until(day(of.due)),
    of.proposed && word(t().action, of.proposed),
    of.proposed_by && said.proposedBy(of.proposed_by),
    of.outcome && word(t().outcome, of.outcome),
    of.amount && money(of.amount, settings.money.value),
    of.alert,
  ]
    .filter(Boolean)
    .join(" · ");
}

function History({ of }: { of: AlertDetail }) {
  const said = t().alert;
  return (
    <Panel title={said.history}>
      {of.history_left_out > 0 && <p class="faint">{said.historyLeftOut(of.history_left_out)}</p>}
      <ol class="history">
        {of.history.map((change, at) => (
          <li key={at}>
            <div>
              <strong>{word(t().action, change.action)}</strong>
              <span>{change.who === "fiscwatch" ? said.system : change.who}</span>
              <Time at={change.done_at} />
            </div>
            {change.facts && <p class="faint">{facts(change)}</p>}
            {change.why && <p>{change.why}</p>}
          </li>
        ))}
      </ol>
    </Panel>
  );
}

function Told({ of }: { of: AlertDetail }) {
  const said = t().alert;
  const reason = t().notifications.reason;
  return (
    <Panel
      title={said.told}
      aside={
        session.may("notifications.read") && (
          <a href={`/routes?alert=${encodeURIComponent(of.alert.alert_id)}`}>{t().routes.ofAlert}</a>
        )
      }
    >
      {of.waiting.length === 0 && of.notifications.length === 0 && <p class="faint">{said.toldNone}</p>}
      <ul class="told">
        {of.waiting.map((waiting, at) => (
          <li key={at}>
            <strong>{said.waits}</strong> {word(reason, waiting.matter)} → {waiting.sink} ·{" "}
            {waiting.held_by ? said.heldBy(waiting.held_by) : said.due(stamp(waiting.due_at))}
          </li>
        ))}
        {of.notifications.map((notice) => (
          <li key={notice.id}>
            <strong>{word(t().notifications.state, notice.state)}</strong> {word(reason, notice.reason)} →{" "}
            {notice.recipient ?? notice.sink} · <Time at={notice.ended_at ?? notice.created_at} />
            {notice.error && <p class="trouble">{notice.error}</p>}
          </li>
        ))}
      </ul>
    </Panel>
  );
}
