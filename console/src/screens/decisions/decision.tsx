import { useState } from "preact/hooks";
import { ask, send } from "../../api/client";
import { useLoad } from "../../api/load";
import { session } from "../../api/session";
import type { Decision, DecisionReason } from "../../api/types";
import { columnName, isMoney, shown } from "../../format/values";
import { span } from "../../format/time";
import { to } from "../../router";
import { t, word } from "../../text";
import { BarLegend, BudgetBar } from "../../ui/bar";
import { Facts, Failed, Heading, Loading, Missing, Money, Panel, Severity, Time, isMissing } from "../../ui/parts";
import { BALANCES } from "../alerts/line";
import { Verdict, beside, standing } from "./list";
import { Overrides } from "./overrides";

/** One decision: what was answered, why, what the line had before and after, and how far behind the sources were. */
export function DecisionScreen({ id }: { id: string }) {
  const said = t().decisions;
  const { data, error, again } = useLoad(`decision ${id}`, (stop) =>
    ask<Decision>(`/decisions/${encodeURIComponent(id)}`, {}, { stop }),
  );
  if (isMissing(error)) return <Missing title={said.missing} id={id} />;
  if (error) return <Failed error={error} again={again} />;
  if (!data) return <Loading rows={10} />;
  return (
    <div>
      <Heading
        title={id}
        lead={
          <>
            <Verdict of={data.decision} /> · <Money of={data.amount} /> · {standing(data)}
          </>
        }
      >
        <a class="button" href={to("payments", id)}>
          {said.toApplication}
        </a>
        {data.reserves && session.may("decisions.release") && <Release of={data} again={again} />}
      </Heading>
      <Panel title={said.reasons} lead={data.decision === "allow" ? said.noReason : null}>
        {beside(data).map((why) => (
          <p key={why} class="trouble">
            {why}
          </p>
        ))}
        {data.overridden && (
          <p class="foot-note">
            {said.overrideNumber(data.overridden.override_id)} ·{" "}
            {said.overridden(data.overridden.granted_by.join("、"), data.overridden.reason)}
          </p>
        )}
        {data.reasons.map((reason) => (
          <Why key={reason.finding_id} of={reason} />
        ))}
        {data.decision === "block" && (
          <p class="foot-note">
            {said.largest} {data.largest_amount ? <Money of={data.largest_amount} /> : said.largestNone}
          </p>
        )}
      </Panel>
      {data.decision === "block" && !data.unchecked && <Overrides of={data} />}
      <Funds of={data} />
      <Groups of={data} />
      <div class="columns is-even">
        <Panel title={said.basis}>
          <Facts
            of={[
              [t().budget.line, <a href={to("budget", data.budget_line_id)}>{data.budget_line_id}</a>],
              [said.occurred, <Time at={data.occurred_at} />],
              [said.decided, <Time at={data.decided_at} />],
              [said.expires, data.expires_at ? <Time at={data.expires_at} /> : said.expiresNever],
              [said.rules, <code title={data.rules_digest}>{data.rules_digest.slice(0, 16)}</code>],
            ]}
          />
          {data.not_evaluated.length > 0 && (
            <details>
              <summary>{said.notEvaluated(data.not_evaluated.length)}</summary>
              <ul class="plain-list">
                {data.not_evaluated.map((rule) => (
                  <li key={rule.rule_id}>
                    <a href={to("rules", rule.rule_id)}>{rule.rule_id}</a>{" "}
                    <span class="faint">{word(said.until, rule.until)}</span>
                  </li>
                ))}
              </ul>
            </details>
          )}
        </Panel>
        <Panel title={said.sources}>
          {data.sources.length === 0 && <p class="faint">{said.sourcesNone}</p>}
          <ul class="plain-list">
            {data.sources.map((source) => (
              <li key={source.source}>
                <strong>{source.source}</strong>{" "}
                {source.behind_seconds === null || source.behind_seconds === undefined
                  ? said.behindUnknown
                  : said.behind(span(source.behind_seconds * 1_000))}{" "}
                <span class="faint">
                  <Time at={source.latest_event_at} />
                </span>
              </li>
            ))}
          </ul>
        </Panel>
      </div>
    </div>
  );
}

/** A rule that holds, and the values that it read. */
function Why({ of }: { of: DecisionReason }) {
  const said = t().decisions;
  return (
    <details class="finding" open>
      <summary>
        <Severity of={of.severity} />
        <span>{of.summary}</span>
      </summary>
      <p>
        <a href={to("rules", of.rule_id)}>{of.title}</a> · {word(t().handling, of.handling)}
        {of.basis && <span class="faint"> · {of.basis}</span>}
      </p>
      <Conditions of={of} />
      <div class="values">
        <table>
          <caption class="sr">{said.values}</caption>
          <tbody>
            {Object.entries(of.values as Record<string, unknown>).map(([column, value]) => (
              <tr key={column}>
                <th scope="row">
                  {columnName(column)} <code>{column}</code>
                </th>
                <td class={isMoney(column) ? "money" : ""}>{shown(column, value)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

/** What the condition joins, each part with what it compared; answers of an earlier version have only the whole. */
function Conditions({ of }: { of: DecisionReason }) {
  const said = t().decisions;
  const parts = of.conjuncts ?? [];
  if (parts.length === 0) {
    return (
      <p>
        <span class="faint">{said.conditions}</span> <code>{of.when}</code>
      </p>
    );
  }
  return (
    <div class="conditions">
      <span class="faint">{said.conditions}</span>
      <ul class="plain-list">
        {parts.map((part) => (
          <li key={part.text}>
            <code>{part.text}</code>{" "}
            {Object.entries(part.values as Record<string, unknown>).map(([name, value]) => (
              <span key={name} class="compared">
                {columnName(name)} <strong>{shown(name, value)}</strong>{" "}
              </span>
            ))}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** The line before and after. */
function Funds({ of }: { of: Decision }) {
  const said = t().decisions;
  const rows = [
    [said.before, of.before],
    [of.decision === "block" && !of.unchecked ? said.afterBlocked : said.after, of.after],
  ] as const;
  return (
    <Panel title={said.funds}>
      {rows.map(([name, funds]) => (
        <section key={name} class="funds">
          <h3>{name}</h3>
          <BudgetBar of={funds} />
          <dl class="balances">
            {BALANCES.map((sum) => (
              <div key={sum}>
                <dt>{t().money[sum]}</dt>
                <dd>
                  <Money of={funds[sum]} sign />
                </dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
      <BarLegend calendar={false} />
    </Panel>
  );
}

/** What the groups of its line have after it. */
function Groups({ of }: { of: Decision }) {
  const said = t().decisions;
  if (!of.groups?.length) return null;
  return (
    <Panel title={said.groups} lead={said.groupsLead}>
      {of.groups.map((group) => (
        <section key={`${group.group_id} ${group.key}`} class="funds">
          <h3>
            {group.key} <span class="faint">{t().budget.linesOf(group.lines)}</span>
          </h3>
          <BudgetBar of={group.after} />
          <dl class="balances">
            {BALANCES.map((sum) => (
              <div key={sum}>
                <dt>{t().money[sum]}</dt>
                <dd>
                  <Money of={group.after[sum]} sign />
                </dd>
              </div>
            ))}
          </dl>
        </section>
      ))}
      <BarLegend calendar={false} />
    </Panel>
  );
}

/** Gives back what it reserves: asked twice, because the application is withdrawn by it. */
function Release({ of, again }: { of: Decision; again: () => void }) {
  const said = t().decisions;
  const [sure, setSure] = useState(false);
  const [trouble, setTrouble] = useState("");
  const release = async () => {
    if (!sure) return setSure(true);
    setSure(false);
    try {
      await send("POST", `/decisions/${encodeURIComponent(of.event_id)}/release`);
      again();
    } catch (error) {
      setTrouble((error as Error).message);
    }
  };
  return (
    <>
      <button type="button" class="button" onClick={() => void release()} onBlur={() => setSure(false)}>
        {sure ? said.releaseSure : said.release}
      </button>
      {trouble && (
        <span class="trouble" role="alert">
          {trouble}
        </span>
      )}
    </>
  );
}
