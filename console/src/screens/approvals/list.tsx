import { useState } from "preact/hooks";
import { ask } from "../../api/client";
import { useLoad } from "../../api/load";
import { session } from "../../api/session";
import type { ApprovalPage } from "../../api/types";
import { go, query, withParams } from "../../router";
import { t } from "../../text";
import { Empty, Failed, Heading, Loading, Panel } from "../../ui/parts";
import { Card } from "./card";
import { ProposeBudget } from "./propose";

const STATES = ["waiting", "approved", "in_force", "failed", "refused", "withdrawn"] as const;
const KINDS = ["budget", "override", "rules", "exception", "list"] as const;

/** What one person proposed and others approve, of every kind. */
export function Approvals() {
  const said = t().approvals;
  const state = query.value.get("state") ?? "waiting";
  const kind = query.value.get("kind");
  const [proposing, setProposing] = useState(false);
  const { data, error, again } = useLoad(`approvals ${state} ${kind}`, (stop) =>
    ask<ApprovalPage>("/approvals", { state: state === "all" ? null : state, kind, limit: 100 }, { stop }),
  );
  return (
    <div>
      <Heading title={said.title}>
        <label class="inline">
          <span class="sr">{said.stateOf}</span>
          <select
            aria-label={said.stateOf}
            value={state}
            onChange={(event) => go(withParams({ state: event.currentTarget.value }), { replace: true })}
          >
            {STATES.map((one) => (
              <option key={one} value={one}>
                {said.state[one]}
              </option>
            ))}
            <option value="all">{said.all}</option>
          </select>
        </label>
        <label class="inline">
          <span class="sr">{said.kindOf}</span>
          <select
            aria-label={said.kindOf}
            value={kind ?? ""}
            onChange={(event) => go(withParams({ kind: event.currentTarget.value }), { replace: true })}
          >
            <option value="">{said.anyKind}</option>
            {KINDS.map((one) => (
              <option key={one} value={one}>
                {said.kind[one]}
              </option>
            ))}
          </select>
        </label>
        {session.may("budget.propose") && (
          <button type="button" class="button" aria-expanded={proposing} onClick={() => setProposing(!proposing)}>
            {proposing ? t().act.cancel : said.propose}
          </button>
        )}
      </Heading>
      {proposing && (
        <Panel title={said.propose}>
          <ProposeBudget
            done={() => {
              setProposing(false);
              again();
            }}
          />
        </Panel>
      )}
      {error && <Failed error={error} again={again} />}
      {!data && !error && <Loading />}
      {data && data.approvals.length === 0 && <Empty title={state === "waiting" ? said.noneWaits : said.none} />}
      {data?.approvals.map((approval) => (
        <Card key={approval.approval_id} of={approval} again={again} />
      ))}
    </div>
  );
}
