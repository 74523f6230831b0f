import { ask } from "../../api/client";
import { useLoad } from "../../api/load";
import type { AlertPage, RuleDetail } from "../../api/types";
import { count, percent } from "../../format/money";
import { columnName } from "../../format/values";
import { day } from "../../format/time";
import { session } from "../../api/session";
import { to } from "../../router";
import { settings } from "../../settings";
import { t, word } from "../../text";
import { Count, Facts, Failed, Heading, Loading, Missing, Panel, Severity, isMissing } from "../../ui/parts";
import { Weeks } from "../../ui/weeks";
import { AlertLines } from "../alerts/related";
import { Lab, numbers } from "./lab";
import { said } from "./list";

/** One rule: what it says and on what basis, how right it is, what it found by week, and its alerts. */
export function RulePage({ id }: { id: string }) {
  const texts = t().rules;
  const { data, error, again } = useLoad(`rule ${id}`, (stop) =>
    ask<RuleDetail>(`/rules/${encodeURIComponent(id)}`, {}, { stop }),
  );
  const alerts = useLoad(`alerts of rule ${id}`, (stop) =>
    ask<AlertPage>("/alerts", { rule: id, limit: 10 }, { stop }),
  );
  if (isMissing(error)) return <Missing title={texts.missing} id={id} />;
  if (error) return <Failed error={error} again={again} />;
  if (!data) return <Loading rows={10} />;
  const { rule } = data;
  return (
    <div>
      <Heading title={said(rule.title)} lead={<code>{rule.id}</code>} />
      <Panel title={texts.description}>
        <p class="prose">{said(rule.description)}</p>
        <Facts
          of={[
            [texts.columns.severity, <Severity of={rule.severity} />],
            [texts.handling, word(t().handling, rule.handling)],
            [texts.columns.mode, `${word(texts.mode, rule.mode)} · ${word(texts.ripeness, rule.status)}`],
            [texts.tags, rule.tags.join("、")],
            [texts.owner, data.owner],
          ]}
        />
        {rule.basis && (
          <p class="prose">
            <span class="faint">{texts.basis}</span> {rule.basis}
          </p>
        )}
      </Panel>
      <div class="columns is-even">
        <Meaning of={data} />
        <Measured of={data} />
      </div>
      {session.may("rules.try") && numbers(data.params as Record<string, unknown>).length > 0 && (
        <Lab key={id} rule={id} params={data.params as Record<string, unknown>} />
      )}
      <Panel
        title={texts.alerts}
        aside={<a href={`/alerts?state=all&rule=${encodeURIComponent(id)}`}>{t().today.seeAll}</a>}
      >
        {alerts.error && <Failed error={alerts.error} again={alerts.again} />}
        {alerts.data && alerts.data.alerts.length === 0 && <p class="faint">{t().alert.relatedNone}</p>}
        {alerts.data && <AlertLines alerts={alerts.data.alerts} />}
      </Panel>
    </div>
  );
}

/** The lab of a rule by itself, to work in. */
export function LabPage({ id }: { id: string }) {
  const texts = t().rules;
  const { data, error, again } = useLoad(`rule ${id}`, (stop) =>
    ask<RuleDetail>(`/rules/${encodeURIComponent(id)}`, {}, { stop }),
  );
  if (isMissing(error)) return <Missing title={texts.missing} id={id} />;
  if (error) return <Failed error={error} again={again} />;
  if (!data) return <Loading rows={10} />;
  const params = data.params as Record<string, unknown>;
  const hasLab = session.may("rules.try") && numbers(params).length > 0;
  return (
    <div>
      <Heading title={said(data.rule.title)} lead={<a href={to("rules", id)}>{data.rule.id}</a>} />
      {hasLab ? <Lab rule={id} params={params} /> : <p class="faint">{texts.noLab}</p>}
    </div>
  );
}

/** What the rule says. */
function Meaning({ of }: { of: RuleDetail }) {
  const texts = t().rules;
  const params = Object.entries(of.params as Record<string, unknown>);
  return (
    <Panel title={texts.text}>
      <dl class="rule-text">
        <Part name={texts.trigger}>
          {of.trigger.map((type) => word(t().eventType, type)).join("、")}
          {of.span && ` · ${of.span}`}
        </Part>
        {of.measures.length > 0 && (
          <Part name={texts.measures}>
            {of.measures.map((measure) => (
              <code key={measure.name}>
                {measure.name} = {measure.expression}
              </code>
            ))}
          </Part>
        )}
        {of.group && (
          <Part name={t().budget.control}>
            {of.group.title[settings.language.value] ?? of.group.group_id}：<code>{of.group.by.join(", ")}</code>
            {of.group.where && (
              <>
                {" "}
                · <code>{of.group.where}</code>
              </>
            )}
          </Part>
        )}
        {of.where && (
          <Part name={texts.where}>
            <code>{of.where}</code>
          </Part>
        )}
        <Part name={texts.when}>
          <code>{of.when}</code>
        </Part>
        {params.length > 0 && (
          <Part name={texts.params}>
            {params.map(([name, value]) => (
              <code key={name}>
                ${name} = {typeof value === "object" ? JSON.stringify(value) : String(value)}
              </code>
            ))}
          </Part>
        )}
        <Part name={texts.key}>{of.key.map(columnName).join("、")}</Part>
        {of.exceptions.map((exception) => (
          <Part key={exception.name} name={texts.exceptions}>
            <code>{exception.when}</code> {exception.reason} {exception.until && texts.until(day(exception.until))}
          </Part>
        ))}
        {of.false_positives.length > 0 && (
          <Part name={texts.falsePositives}>
            <ul>
              {of.false_positives.map((one) => (
                <li key={one}>{one}</li>
              ))}
            </ul>
          </Part>
        )}
      </dl>
    </Panel>
  );
}

function Part({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** How often it found something, and how often officers found it right. */
function Measured({ of }: { of: RuleDetail }) {
  const texts = t().rules;
  const { rule, weeks } = of;
  return (
    <Panel
      title={texts.columns.precision}
      lead={rule.precision === null || rule.precision === undefined ? texts.none : percent(rule.precision)}
    >
      <Facts
        of={[
          [t().state["confirmed"]!, <Count of={rule.confirmed} />],
          [t().state["dismissed"]!, <Count of={rule.dismissed} />],
          [texts.columns.findings, <Count of={rule.findings} />],
          [texts.columns.excepted, <Count of={rule.excepted} />],
          [texts.evaluated, <Count of={rule.evaluated} />],
          [texts.columns.errors, <span class={rule.errors > 0 ? "trouble" : ""}>{count(rule.errors)}</span>],
        ]}
      />
      {rule.last_error && (
        <p class="trouble">
          {texts.lastError} {rule.last_error}
        </p>
      )}
      {weeks.length > 0 && <Weeks of={weeks} label={texts.weeks} />}
      <p class="foot-note">{texts.since}</p>
    </Panel>
  );
}
