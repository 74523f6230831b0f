import { type Query, ask } from "../../api/client";
import { useLoad } from "../../api/load";
import type { Alert, AlertPage } from "../../api/types";
import { short } from "../../format/time";
import { to } from "../../router";
import { t } from "../../text";
import { Failed, Panel, Severity, State, Time } from "../../ui/parts";

/** Other alerts of the same unit and of the same line. */
export function Related({ alert }: { alert: Alert }) {
  const said = t().alert;
  const unit = alert.labels["unit_code"]?.[0];
  const line = alert.labels["budget_line_id"]?.[0];
  return (
    <Panel title={said.related}>
      {unit && <Others title={said.relatedUnit} value={unit} query={{ unit }} except={alert.alert_id} />}
      {line && <Others title={said.relatedLine} value={line} query={{ line }} except={alert.alert_id} />}
      {!unit && !line && <p class="faint">{said.relatedNone}</p>}
    </Panel>
  );
}

function Others({ title, value, query, except }: { title: string; value: string; query: Query; except: string }) {
  const { data, error, again } = useLoad(`related ${JSON.stringify(query)}`, (stop) =>
    ask<AlertPage>("/alerts", { ...query, limit: 8 }, { stop }),
  );
  const others = data?.alerts.filter((other) => other.alert_id !== except) ?? [];
  const name = Object.keys(query)[0]!;
  return (
    <section class="others">
      <h3>
        {title} <a href={`/alerts?state=all&${name}=${encodeURIComponent(value)}`}>{value}</a>
      </h3>
      {error && <Failed error={error} again={again} />}
      {data && others.length === 0 && <p class="faint">{t().alert.relatedNone}</p>}
      {others.length > 0 && <AlertLines alerts={others} />}
    </section>
  );
}

/** Alerts as short lines. */
export function AlertLines({ alerts, aside }: { alerts: Alert[]; aside?: (alert: Alert) => string }) {
  return (
    <ul class="alert-lines">
      {alerts.map((alert) => (
        <li key={alert.alert_id}>
          <Severity of={alert.severity} />
          <State of={alert.state} />
          <a href={to("alerts", alert.alert_id)} title={alert.summary}>
            <b>{alert.title}</b>
            <span>{alert.summary}</span>
          </a>
          <span class="figure faint">
            {aside ? aside(alert) : <Time at={alert.last_at} text={short(alert.last_at)} />}
          </span>
        </li>
      ))}
    </ul>
  );
}
