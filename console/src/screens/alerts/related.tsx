import { ask } from "../../api/client";
import { useLoad } from "../../api/load";
import type { Alert, RelatedAlerts } from "../../api/types";
import { short } from "../../format/time";
import { to } from "../../router";
import { t, word } from "../../text";
import { Failed, Panel, Severity, State, Time } from "../../ui/parts";

/** Alerts that are the same matter: merged, before or after, of the same line, payee or unit. */
export function Related({ alert }: { alert: Alert }) {
  const said = t().alert;
  const { data, error, again } = useLoad(`related ${alert.alert_id}`, (stop) =>
    ask<RelatedAlerts>(`/alerts/${encodeURIComponent(alert.alert_id)}/related`, {}, { stop }),
  );
  const kinds = [...new Set(data?.alerts.map((one) => one.by))];
  return (
    <Panel title={said.related}>
      {error && <Failed error={error} again={again} />}
      {data && kinds.length === 0 && <p class="faint">{said.relatedNone}</p>}
      {kinds.map((kind) => (
        <section key={kind} class="others">
          <h3>
            {word(said.relatedBy, kind)} <All alert={alert} kind={kind} />
          </h3>
          <AlertLines alerts={data!.alerts.filter((one) => one.by === kind).map((one) => one.alert)} />
        </section>
      ))}
    </Panel>
  );
}

/** All of a kind, in the inbox. */
function All({ alert, kind }: { alert: Alert; kind: string }) {
  const name = kind === "line" ? "budget_line_id" : kind === "unit" ? "unit_code" : null;
  const value = name && alert.labels[name]?.[0];
  if (!value) return null;
  return <a href={`/alerts?state=all&${kind}=${encodeURIComponent(value)}`}>{value}</a>;
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
