import { ask } from "../api/client";
import { useLoad } from "../api/load";
import type { Status } from "../api/types";
import { count } from "../format/money";
import { session } from "../api/session";
import { live } from "../live";
import { t } from "../text";
import { Waiting } from "./map";
import { Count, Empty, Facts, Failed, Heading, Loading, Panel, Time } from "../ui/parts";

/** What a source tells; only what is read here. */
interface Told {
  started?: boolean;
  waits_for?: string[];
  troubles?: Record<string, string>;
  errors?: number;
  partitions?: Record<string, unknown>;
  losses?: string[];
  files_read?: number;
  files_refused?: number;
  left?: { unmatched: number; folders: number; refused: number; names: string[] };
  files?: {
    file: string;
    seen: number;
    accepted?: number;
    duplicates?: number;
    rejected?: number;
    fault?: string | null;
  }[];
}

/** Whether it runs, and whether anything is missing. */
export function Sources() {
  const said = t().sources;
  const { data, error, again } = useLoad("status", (stop) => ask<Status>("/status", {}, { stop }));
  const status = live.status.value ?? data;
  if (error && !status) return <Failed error={error} again={again} />;
  if (!status) return <Loading />;
  const sources = Object.entries(status.sources as Record<string, Told>);
  const quarantine = status.quarantine as Record<string, number>;
  return (
    <div>
      <Heading title={said.title} lead={status.ready ? t().today.ready : t().today.notReady} />
      <Panel title={t().today.service}>
        <Facts
          of={[
            [said.version, status.version],
            [said.started, <Time at={status.started_at} />],
            [t().alert.last, <Time at={status.last_event_at} />],
            [said.journalFrom, <Time at={status.journal_from} />],
            [t().today.journal, <Count of={status.journal_events} />],
            [t().today.lines, <Count of={status.budget_lines} />],
            [said.applications, <Count of={status.open_applications} />],
            [said.awaited, <Count of={status.payments_awaited} />],
            [t().today.accepted, <Count of={status.since_start.accepted} />],
            [said.duplicates, <Count of={status.since_start.duplicates} />],
            [t().today.rejected, <Count of={status.since_start.rejected} />],
            [said.commits, <Count of={status.since_start.commits} />],
            [said.store, `${count(Math.ceil(status.store_bytes / 1_048_576))} MiB`],
            [
              t().today.quarantined,
              quarantine["bytes"] === undefined ? null : `${count(Math.ceil(quarantine["bytes"] / 1024))} KiB`,
            ],
          ]}
        />
        {status.query_running && <p class="foot-note">{said.query(status.query_running.rule_id)}</p>}
      </Panel>
      <Panel
        title={t().today.sources}
        aside={session.may("quarantine.read") && <a href="/sources/map">{t().map.open}</a>}
      >
        {sources.length === 0 && <Empty title={said.none} />}
        {sources.map(([name, told]) => (
          <Source key={name} name={name} of={told} />
        ))}
      </Panel>
      <Trouble of={status} />
    </div>
  );
}

function Source({ name, of }: { name: string; of: Told }) {
  const said = t().sources;
  const troubles = [
    ...Object.entries(of.troubles ?? {}).map(([what, why]) => `${what}: ${why}`),
    ...(of.waits_for ?? []),
    ...(of.losses ?? []),
  ];
  return (
    <section class="source">
      <h3>
        {name} <span class="faint">{of.started ? t().today.ready : t().today.notReady}</span>
      </h3>
      {troubles.map((trouble) => (
        <p key={trouble} class="trouble">
          {trouble}
        </p>
      ))}
      {(of.files ?? []).length > 0 && (
        <ul class="files">
          {of.files!.map((file) => (
            <li key={file.file}>
              <span>{file.file}</span>
              <span class="figure">{count(file.seen)}</span>
              {file.fault && <span class="trouble">{file.fault}</span>}
            </li>
          ))}
        </ul>
      )}
      <Waiting
        source={name}
        names={of.left?.names ?? []}
        refused={(of.files ?? []).filter((file) => file.fault).map((file) => file.file)}
      />
      {(of.errors ?? 0) > 0 && (
        <p class="faint">
          {said.troubles} {of.errors}
        </p>
      )}
    </section>
  );
}

/** Rules that failed or are left out, and checks that were passed without an answer. */
function Trouble({ of }: { of: Status }) {
  const errors = Object.entries(of.rule_errors);
  return (
    <>
      {errors.length > 0 && (
        <Panel title={t().today.ruleErrors}>
          <Facts
            of={errors.map(([rule, error]) => [
              rule,
              <span class="trouble">{`${error.errors} · ${error.last_error ?? ""}`}</span>,
            ])}
          />
        </Panel>
      )}
      {of.rules_skipped.length > 0 && (
        <Panel title={t().rules.skipped}>
          <Facts
            of={of.rules_skipped.map((skipped) => [skipped.rule_id, <pre class="problem">{skipped.problem}</pre>])}
          />
        </Panel>
      )}
      {of.ticks_passed.length > 0 && (
        <Panel title={t().sources.passed}>
          <ul>
            {of.ticks_passed.map((tick, at) => (
              <li key={at}>
                <Time at={tick.tick} /> {tick.rule_id} <span class="faint">{tick.why}</span>
              </li>
            ))}
          </ul>
        </Panel>
      )}
    </>
  );
}
