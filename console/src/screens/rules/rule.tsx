import { ask } from "../../api/client";
import { useLoad } from "../../api/load";
import type { AlertPage, RuleList } from "../../api/types";
import { percent } from "../../format/money";
import { t, word } from "../../text";
import { Count, Empty, Facts, Failed, Heading, Loading, Panel, Severity } from "../../ui/parts";
import { AlertLines } from "../alerts/related";
import { said } from "./list";

/** One rule: what it means, on what basis, how right it is, and its alerts. */
export function RulePage({ id }: { id: string }) {
  const texts = t().rules;
  const { data, error, again } = useLoad("rules", (stop) => ask<RuleList>("/rules", {}, { stop }));
  const alerts = useLoad(`alerts of rule ${id}`, (stop) =>
    ask<AlertPage>("/alerts", { rule: id, limit: 20 }, { stop }),
  );
  const rule = data?.rules.find((one) => one.id === id);
  if (error) return <Failed error={error} again={again} />;
  if (!data) return <Loading />;
  if (!rule) return <Empty title={texts.missing} whole />;
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
            [texts.basis, rule.basis],
            [texts.tags, rule.tags.join("、")],
          ]}
        />
      </Panel>
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
            [texts.columns.errors, <Count of={rule.errors} />],
            ...(rule.last_error
              ? ([[texts.lastError, <span class="trouble">{rule.last_error}</span>]] as [
                  string,
                  preact.ComponentChildren,
                ][])
              : []),
          ]}
        />
        <p class="foot-note">{texts.since}</p>
      </Panel>
      <Panel
        title={texts.alerts}
        aside={<a href={`/alerts?state=all&rule=${encodeURIComponent(id)}`}>{t().today.seeAll}</a>}
      >
        {alerts.error && <Failed error={alerts.error} again={alerts.again} />}
        {alerts.data &&
          (alerts.data.alerts.length === 0 ? (
            <p class="faint">{t().alert.relatedNone}</p>
          ) : (
            <AlertLines alerts={alerts.data.alerts} />
          ))}
      </Panel>
    </div>
  );
}
