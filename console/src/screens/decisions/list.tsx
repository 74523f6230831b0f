import { useState } from "preact/hooks";
import { ask } from "../../api/client";
import { useLoad } from "../../api/load";
import type { Decision, DecisionPage, OverridePage } from "../../api/types";
import { query, to, withParams } from "../../router";
import { t, word } from "../../text";
import { Empty, Failed, Heading, Loading, Money, Panel, Time } from "../../ui/parts";
import { type Column, Table } from "../../ui/table";

const TABS = ["", "block", "explain", "allow"] as const;
const PAGE = 100;

/** What was answered before money moved, the latest first. */
export function Decisions() {
  const said = t().decisions;
  const now = query.value;
  const verdict = now.get("decision") ?? "";
  const line = now.get("line");
  const asked = { decision: verdict, budget_line_id: line, limit: PAGE };
  const key = JSON.stringify(asked);
  const { data, error, again } = useLoad(`decisions ${key}`, (stop) =>
    ask<DecisionPage>("/decisions", asked, { stop }),
  );
  const [more, setMore] = useState<{ key: string; rows: Decision[]; next: string | null } | null>(null);
  const further = more?.key === key ? more : null;
  const rows = [...(data?.decisions ?? []), ...(further?.rows ?? [])];
  const next = further ? further.next : (data?.next ?? null);
  const read = async () => {
    const page = await ask<DecisionPage>("/decisions", { ...asked, after: next });
    setMore({ key, rows: [...(further?.rows ?? []), ...page.decisions], next: page.next ?? null });
  };
  const columns: Column<Decision>[] = [
    { name: "decision", title: said.decision, show: (one) => <Verdict of={one.decision} /> },
    { name: "at", title: said.occurred, show: (one) => <Time at={one.occurred_at} /> },
    {
      name: "event",
      title: said.application,
      show: (one) => <a href={to("decisions", one.event_id)}>{one.event_id}</a>,
    },
    {
      name: "line",
      title: t().budget.line,
      show: (one) => <a href={to("budget", one.budget_line_id)}>{one.budget_line_id}</a>,
    },
    {
      name: "reasons",
      title: said.reasons,
      wraps: true,
      show: (one) => [...one.reasons.map((reason) => reason.title), ...beside(one)].join("；") || said.noReason,
    },
    { name: "amount", title: t().budget.amount, isFigure: true, show: (one) => <Money of={one.amount} /> },
    { name: "stands", title: said.stands, show: (one) => standing(one) },
  ];
  return (
    <div>
      <Heading title={said.title} lead={said.lead}>
        {line && (
          <a class="chip" href={withParams({ line: null })} title={t().inbox.clear}>
            {t().budget.line} {line} ×
          </a>
        )}
      </Heading>
      <Waiting />
      <nav class="tabs" aria-label={said.decision}>
        {TABS.map((name) => (
          <a key={name} href={withParams({ decision: name })} aria-current={verdict === name ? "page" : undefined}>
            {name === "" ? said.all : word(said.verdict, name)}
          </a>
        ))}
      </nav>
      {error && <Failed error={error} again={again} />}
      {!data && !error && <Loading rows={10} />}
      {data && rows.length === 0 && <Empty title={verdict || line ? said.emptyFiltered : said.empty} />}
      {rows.length > 0 && <Table label={said.title} columns={columns} rows={rows} id={(one) => one.event_id} />}
      {next && (
        <div class="foot">
          <button type="button" class="button" onClick={() => void read()}>
            {t().inbox.next}
          </button>
        </div>
      )}
    </div>
  );
}

/** The overrides that wait for a second person; they last days, so the newest tell of all of them. */
function Waiting() {
  const said = t().decisions;
  const { data } = useLoad("overrides", (stop) => ask<OverridePage>("/overrides", { limit: 200 }, { stop }));
  const waiting = data?.overrides.filter((one) => one.state === "waiting") ?? [];
  if (waiting.length === 0) return null;
  return (
    <Panel title={said.overridesWaiting} lead={said.overridesWaitingLead}>
      <ul class="waiting">
        {waiting.map((one) => (
          <li key={one.override_id}>
            <a href={to("decisions", one.application)}>{one.application}</a> <Money of={one.amount} /> {one.reason}{" "}
            <span class="faint">
              {one.granted.map((act) => act.who).join("、")} · {said.overrideUntil} <Time at={one.expires_at} />
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

/** What is answered, with its colour: what is blocked is red, what asks for an explanation yellow. */
export function Verdict({ of }: { of: string }) {
  const colour = of === "block" ? "critical" : of === "explain" ? "medium" : "none";
  return (
    <span class={`severity severity-${colour}`}>
      <i class="dot" aria-hidden="true" />
      {word(t().decisions.verdict, of)}
    </span>
  );
}

/** What is to be said of it beside the rules. */
export function beside(of: Decision): string[] {
  const said = t().decisions;
  return [
    ...(of.unchecked ? [said.unchecked] : []),
    ...(of.also.stale ? [said.stale] : []),
    ...(of.also.together_with ? [said.together(of.also.together_with)] : []),
  ];
}

/** What has become of the money that it reserved. */
export function standing(of: Decision): string {
  const said = t().decisions;
  if (of.reserves) return said.reserves;
  return of.decision === "block" && !of.unchecked ? said.withdrawn : said.settled;
}
