import { ask, epoch } from "../api/client";
import { useLoad } from "../api/load";
import type { Alert, AlertPage } from "../api/types";
import { since } from "../format/time";
import { live } from "../live";
import { t } from "../text";
import { Count, Empty, Facts, Failed, Heading, Loading, Panel, Severity, Time } from "../ui/parts";
import { SEVERITIES } from "./alerts/filter";
import { AlertLines } from "./alerts/related";

/** What is new, and what we are late with. */
export function Today() {
  const said = t().today;
  const round = `${epoch.value} ${live.alerts.value}`;
  void round;
  const { data, error, again } = useLoad("today", (stop) =>
    ask<AlertPage>("/alerts", { state: "active", limit: 1000 }, { stop }),
  );
  const active = data?.alerts ?? [];
  const open = active.filter((alert) => alert.state === "open");
  const oldest = open.slice(-8).reverse();
  const now = Date.now();
  return (
    <div>
      <Heading title={said.title} />
      {error && <Failed error={error} again={again} />}
      {!data && !error && <Loading />}
      {data && (
        <>
          <Open active={active} />
          <Panel title={said.oldest} lead={oldest[0] && said.oldestSince(since(oldest[0].opened_at, now))}>
            {oldest.length === 0 ? (
              <Empty title={said.oldestNone} />
            ) : (
              <AlertLines alerts={oldest} aside={(alert) => since(alert.opened_at, now)} />
            )}
          </Panel>
        </>
      )}
      <Service />
    </div>
  );
}

function Open({ active }: { active: Alert[] }) {
  const said = t().today;
  const of = (severity: string, isOpen: boolean) =>
    active.filter((alert) => alert.severity === severity && (alert.state === "open") === isOpen).length;
  return (
    <Panel title={said.open}>
      <ul class="tiles">
        {SEVERITIES.map((severity) => (
          <li key={severity}>
            <a href={`/alerts?severity=${severity}`}>
              <Severity of={severity} />
              <b class="figure">{of(severity, true)}</b>
              <span>
                {said.openOnly} · {said.inWork} {of(severity, false)}
              </span>
            </a>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Service() {
  const said = t().today;
  const status = live.status.value;
  if (!status) return null;
  return (
    <Panel title={said.service} lead={status.ready ? said.ready : said.notReady}>
      <Facts
        of={[
          [said.accepted, <Count of={status.since_start.accepted} />],
          [said.rejected, <Count of={status.since_start.rejected} />],
          [said.findings, <Count of={status.since_start.findings} />],
          [said.journal, <Count of={status.journal_events} />],
          [said.lines, <Count of={status.budget_lines} />],
          [t().sources.started, <Time at={status.started_at} />],
        ]}
      />
      {Object.keys(status.sources).length === 0 && <p class="faint">{said.sourcesNone}</p>}
    </Panel>
  );
}
