import { useEffect, useState } from "preact/hooks";
import { ask, send } from "../../api/client";
import { useLoad } from "../../api/load";
import { session } from "../../api/session";
import type { Work, WorkList } from "../../api/types";
import { query, withParams } from "../../router";
import { t, word } from "../../text";
import { Empty, Failed, Heading, Loading, Panel, Time } from "../../ui/parts";
import { Save } from "../../ui/save";
import { Sure } from "../../ui/sure";
import { Drill } from "./drill";
import { WorkForm } from "./forms";
import { Rows } from "./rows";

/** What each tab needs, and which works belong to it. */
const TABS = [
  { name: "adjustments", needs: "budget.read", kinds: ["adjustments"] },
  { name: "proposal", needs: "budget.export", kinds: ["proposal", "comparison"] },
  { name: "settlement", needs: "budget.export", kinds: ["settlement"] },
  { name: "publication", needs: "budget.export", kinds: ["publication"] },
  { name: "pilot", needs: "findings.read", kinds: ["pilot"] },
  { name: "drill", needs: "state.read", kinds: ["drill"] },
] as const;

/** How often a work that runs is asked about, in milliseconds. */
const OFTEN = 700;

/** Whether two tables were compared: a settlement by itself has files. */
const isCompared = (of: Work) => of.kind === "comparison" || (of.kind === "settlement" && of.files.length === 0);

/** Work around the year: each is a command of its own, run in the background. */
export function Works() {
  const said = t().works;
  const tabs = TABS.filter((tab) => session.may(tab.needs));
  const tab = tabs.find((one) => one.name === query.value.get("tab")) ?? tabs[0];
  const { data, error, again } = useLoad("works", (stop) => ask<WorkList>("/works", {}, { stop }));
  const kinds: readonly string[] = tab?.kinds ?? [];
  const own = data?.works.filter((work) => kinds.includes(work.kind)) ?? [];
  const shown = own.find((work) => String(work.id) === query.value.get("work")) ?? own[0];
  if (!tab) return <Empty title={t().link.forbidden} whole />;
  return (
    <div>
      <Heading title={said.title} />
      <nav class="tabs" aria-label={said.title}>
        {tabs.map((one) => (
          <a
            key={one.name}
            href={withParams({ tab: one.name, work: null })}
            aria-current={one.name === tab.name ? "page" : undefined}
          >
            {said.tab[one.name]}
          </a>
        ))}
      </nav>
      {error && <Failed error={error} again={again} />}
      {!data && !error && <Loading />}
      {data && (
        <Panel title={said.tab[tab.name]}>
          <WorkForm key={tab.name} of={tab.name} versions={data.proposals} begun={again} />
          {tab.name === "drill" && <Drill last={data.last_drill} />}
        </Panel>
      )}
      {shown && <Shown key={shown.id} id={shown.id} ended={again} />}
      {own.length > 1 && (
        <Panel title={said.title}>
          <ul class="plain-list">
            {own.map((work) => (
              <li key={work.id}>
                <a href={withParams({ work: String(work.id) })}>{said.numbered(work.id)}</a>{" "}
                {word(said.state, work.state)} {work.by} <Time at={work.begun_at} />
              </li>
            ))}
          </ul>
        </Panel>
      )}
    </div>
  );
}

/** One work, asked about until it has ended. */
function Shown({ id, ended }: { id: number; ended: () => void }) {
  const said = t().works;
  const [turn, setTurn] = useState(0);
  const { data, error, again } = useLoad(
    `work ${id}`,
    (stop) => ask<Work>(`/works/${id}`, {}, { stop, isBackground: turn > 0 }),
    turn,
  );
  const runs = data?.state === "running";
  useEffect(() => {
    if (!runs) return undefined;
    const timer = setTimeout(() => setTurn(turn + 1), OFTEN);
    return () => clearTimeout(timer);
  }, [runs, turn]);
  if (error) return <Failed error={error} again={again} />;
  if (!data) return <Loading rows={3} />;
  return (
    <Panel
      title={said.numbered(data.id)}
      lead={
        <span role="status">
          {word(said.state, data.state)} · {said.seconds(data.seconds)}
          {data.passed === false && <strong> · {data.kind === "drill" ? said.drillFailed : said.differs}</strong>}
          {data.passed === true && data.kind === "drill" && <strong> · {said.drillPassed}</strong>}
        </span>
      }
      aside={
        runs ? (
          <Sure
            ask={said.stop}
            act={() =>
              send("DELETE", `/works/${id}`).then(() => {
                again();
                ended();
              })
            }
          />
        ) : undefined
      }
    >
      {runs && <progress class="is-wide" aria-label={said.state.running} />}
      {data.error && (
        <p class="trouble wrap" role="alert">
          {data.error}
        </p>
      )}
      {data.state === "done" && data.files.length > 0 && (
        <p class="set-tools">
          {data.files.map((name) => (
            <Save key={name} path={`/works/${id}/files/${encodeURIComponent(name)}`}>
              {name}
            </Save>
          ))}
        </p>
      )}
      {data.state === "done" && data.rows_total === 0 && data.kind !== "publication" && (
        <Empty title={isCompared(data) ? said.nothingDiffers : said.nothing} />
      )}
      {data.rows.length > 0 && <Rows of={data} />}
    </Panel>
  );
}
