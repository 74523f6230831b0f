import { useState } from "preact/hooks";
import { ask, send } from "../../api/client";
import { useLoad } from "../../api/load";
import { session } from "../../api/session";
import type { RuleSetChange, RuleSetEntry, RuleSetList } from "../../api/types";
import { withWho } from "../../api/who";
import { to } from "../../router";
import { t, word } from "../../text";
import { Empty, Failed, Heading, Loading, Panel, Time } from "../../ui/parts";
import { Propose } from "../../ui/propose";
import { Sure } from "../../ui/sure";

/** Changes that are shown before somebody asks for all of them. */
const SHOWN = 12;

/** Sets of rules: proposed by one person, approved by another, and put into force while the daemon goes on. */
export function RuleSets() {
  const said = t().ruleSets;
  const { data, error, again } = useLoad("rule sets", (stop) => ask<RuleSetList>("/rule-sets", {}, { stop }));
  const [proposing, setProposing] = useState(false);
  if (error) return <Failed error={error} again={again} />;
  if (!data) return <Loading rows={8} />;
  return (
    <div>
      <Heading
        title={said.title}
        lead={
          <>
            {said.inForce} <code title={data.in_force}>{data.in_force.slice(0, 12)}</code>
          </>
        }
      >
        {session.may("rules.propose") && (
          <button type="button" class="button" aria-expanded={proposing} onClick={() => setProposing(!proposing)}>
            {proposing ? t().act.cancel : said.proposeFiles}
          </button>
        )}
      </Heading>
      {proposing && (
        <Panel title={said.proposeFiles} lead={said.proposeFilesLead}>
          <Propose
            path="/rule-sets"
            body={{}}
            done={() => {
              setProposing(false);
              again();
            }}
          />
        </Panel>
      )}
      {data.sets.length === 0 && (
        <Empty title={said.empty}>
          <p class="faint">{said.emptyHint}</p>
        </Empty>
      )}
      {data.sets.map((set) => (
        <One key={set.set.digest} of={set} again={again} />
      ))}
    </div>
  );
}

function One({ of, again }: { of: RuleSetEntry; again: () => void }) {
  const said = t().ruleSets;
  const { set } = of;
  const path = `/rule-sets/${set.digest}`;
  const isApproved = set.state === "approved";
  const isOwn = session.user !== null && set.proposed_by === session.user;
  const state = of.is_in_force ? "in_force" : set.state;
  return (
    <Panel
      title={set.reason}
      lead={<em class={`tag set-${state}`}>{word(said.state, state)}</em>}
      aside={<code title={set.digest}>{set.digest.slice(0, 12)}</code>}
      class="rule-set"
    >
      <p class="faint">
        {said.proposed(set.proposed_by)} <Time at={set.proposed_at} />
        {set.approved_by && (
          <>
            {" · "}
            {said.approved(set.approved_by)} <Time at={set.approved_at} />
          </>
        )}
        {" · "}
        {set.params ? said.ofTheLab : said.ofFiles(set.parts)}
      </p>
      {!of.is_in_force && of.changes.length > 0 && <Changes of={of.changes} />}
      <div class="set-tools">
        {!isApproved && session.may("rules.approve") && !isOwn && (
          <Sure
            ask={said.approve}
            sure={said.approveSure}
            isMain
            act={() => send("POST", withWho(`${path}/approval`)).then(again)}
          />
        )}
        {!isApproved && isOwn && <span class="faint">{said.own}</span>}
        {isApproved && !of.is_in_force && session.may("rules.reload") && (
          <Sure
            ask={said.force}
            sure={said.forceSure}
            isMain
            act={() => send("POST", withWho(`${path}/force`)).then(again)}
          />
        )}
        {isApproved && session.may("rules.approve") && (
          <Sure
            ask={said.withdraw}
            sure={said.withdrawSure}
            act={() => send("DELETE", withWho(`${path}/approval`)).then(again)}
          />
        )}
      </div>
    </Panel>
  );
}

/** What would be different from what is in force. */
function Changes({ of }: { of: RuleSetChange[] }) {
  const said = t().ruleSets;
  const [all, setAll] = useState(false);
  const rows = all ? of : of.slice(0, SHOWN);
  return (
    <div class="table-place is-bare" tabIndex={0} role="group" aria-label={said.changes}>
      <table class="table is-cards">
        <thead>
          <tr>
            <th scope="col">{said.part}</th>
            <th scope="col">{said.change}</th>
            <th scope="col" class="figure">
              {said.before}
            </th>
            <th scope="col" class="figure">
              {said.after}
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((change) => (
            <tr key={change.part}>
              <td data-name={said.part} class="wrap is-first">
                <Part of={change.part} />
              </td>
              <td data-name={said.change}>{word(said.kinds, change.change)}</td>
              <td data-name={said.before} class="figure">
                {bare(change.before)}
              </td>
              <td data-name={said.after} class="figure">
                <strong>{bare(change.after)}</strong>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length < of.length && (
        <button type="button" class="plain" onClick={() => setAll(true)}>
          {said.all(of.length)}
        </button>
      )}
    </div>
  );
}

/** A value without the quotes of JSON. */
const bare = (text: string | null | undefined) => text?.replace(/^"(.*)"$/, "$1") ?? "";

/** A constant by its rule and name, or a file by its path. */
function Part({ of }: { of: string }) {
  const exception = /^rules\.lab\.(.+?)\.exceptions\.(.+)$/.exec(of);
  if (exception)
    return (
      <>
        <a href={to("rules", exception[1]!)}>{exception[1]}</a> {t().rules.exceptions}{" "}
        <a href={to("units", exception[2]!)}>{exception[2]}</a>
      </>
    );
  const found = /^rules\.(?:lab|overrides)\.(.+?)\.(?:params\.)?([^.]+)$/.exec(of);
  if (!found) return <code>{of}</code>;
  return (
    <>
      <a href={to("rules", found[1]!)}>{found[1]}</a> <code>${found[2]}</code>
    </>
  );
}
