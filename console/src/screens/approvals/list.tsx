import { useEffect, useRef, useState } from "preact/hooks";
import { session } from "../../api/session";
import { count } from "../../format/money";
import { go, query, withParams } from "../../router";
import { t } from "../../text";
import { Empty, Failed, Heading, Loading, Panel, Said } from "../../ui/parts";
import { Card } from "./card";
import { useMatters } from "./model";
import { ProposeAny } from "./propose";

const STATES = ["waiting", "approved", "in_force", "failed", "refused", "withdrawn", "expired"] as const;
const KINDS = ["budget", "override", "rules", "exception", "list"] as const;
const SORTS = ["newest", "oldest", "amount", "expires"] as const;

/** What one person proposed and others approve, of every kind. */
export function Approvals() {
  const said = t().approvals;
  const now = query.value;
  const state = now.get("state") ?? "waiting";
  const list = useRef<HTMLDivElement>(null);
  const isAtWork = () => {
    const at = document.activeElement;
    const isTool = at instanceof HTMLInputElement || at instanceof HTMLButtonElement;
    return isTool && !!list.current?.contains(at);
  };
  const mine = now.get("for_me") === "true";
  const filter = {
    state: state === "all" ? null : state,
    kind: now.get("kind"),
    q: now.get("q"),
    sort: now.get("sort"),
    for_me: mine || null,
  };
  const { rows, total, isMore, busy, error, isHeld, more, again } = useMatters(filter, isAtWork);
  const [proposing, setProposing] = useState(now.has("propose"));
  const mayPropose = session.may("budget.propose") || session.may("rules.propose");
  const isNarrowed = mine || now.has("kind") || now.has("q");
  return (
    <div>
      <Heading title={said.title} lead={total !== null && total > 0 && said.counted(count(rows.length), count(total))}>
        {mayPropose && (
          <button type="button" class="button" aria-expanded={proposing} onClick={() => setProposing(!proposing)}>
            {proposing ? t().act.cancel : said.propose}
          </button>
        )}
      </Heading>
      {proposing && (
        <Panel title={said.propose}>
          <ProposeAny
            done={() => {
              setProposing(false);
              go(withParams({ propose: null, list: null, key: null }), { replace: true });
              again();
            }}
          />
        </Panel>
      )}
      <Filters state={state} mine={mine} />
      <div role="status" class="held-place">
        {isHeld && (
          <button type="button" class="held" onClick={again}>
            {said.changed}
          </button>
        )}
      </div>
      {error && <Failed error={error} again={again} />}
      {rows.length === 0 && busy && <Loading />}
      {rows.length === 0 && !busy && !error && (
        <Empty title={state === "waiting" && !isNarrowed ? said.noneWaits : said.none} />
      )}
      <div ref={list}>
        {rows.map((approval) => (
          <Card key={approval.approval_id} of={approval} again={again} />
        ))}
      </div>
      <Foot isMore={isMore} busy={busy} more={more} shown={rows.length} />
      <Said text={total === null ? "" : said.counted(count(rows.length), count(total))} />
    </div>
  );
}

/** What narrows the list; the address has it all. */
function Filters({ state, mine }: { state: string; mine: boolean }) {
  const said = t().approvals;
  const now = query.value;
  const [text, setText] = useState(now.get("q") ?? "");
  const change = (name: string, value: string | null) => go(withParams({ [name]: value || null }), { replace: true });
  const select = (name: string, label: string, value: string, options: [string, string][]) => (
    <label class="inline">
      <span class="sr">{label}</span>
      <select aria-label={label} value={value} onChange={(event) => change(name, event.currentTarget.value)}>
        {options.map(([word, shown]) => (
          <option key={word} value={word}>
            {shown}
          </option>
        ))}
      </select>
    </label>
  );
  return (
    <form
      class="set-tools approvals-filter"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        change("q", text.trim());
      }}
    >
      {select("state", said.stateOf, state, [
        ...STATES.map((one): [string, string] => [one, said.state[one]]),
        ["all", said.all],
      ])}
      {select("kind", said.kindOf, now.get("kind") ?? "", [
        ["", said.anyKind],
        ...KINDS.map((one): [string, string] => [one, said.kind[one]]),
      ])}
      {select(
        "sort",
        said.sortOf,
        now.get("sort") ?? "newest",
        SORTS.map((one): [string, string] => [one, said.sort[one]]),
      )}
      {session.may("approvals.judge") && session.user !== null && (
        <label class="inline">
          <input
            type="checkbox"
            checked={mine}
            onChange={(event) => change("for_me", event.currentTarget.checked ? "true" : null)}
          />
          <span>{said.forMe}</span>
        </label>
      )}
      <label class="inline">
        <span class="sr">{said.find}</span>
        <input
          type="search"
          name="q"
          placeholder={said.find}
          maxLength={100}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onBlur={() => text.trim() !== (now.get("q") ?? "") && change("q", text.trim())}
        />
      </label>
    </form>
  );
}

/** The end of the list, which reads on when it is seen. */
function Foot({ isMore, busy, more, shown }: { isMore: boolean; busy: boolean; more: () => void; shown: number }) {
  const place = useRef<HTMLDivElement>(null);
  const reads = useRef(more);
  reads.current = more;
  useEffect(() => {
    const watch = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && reads.current(), {
      rootMargin: "600px",
    });
    if (place.current) watch.observe(place.current);
    return () => watch.disconnect();
  }, [shown]);
  return (
    <div ref={place} class="foot">
      {isMore && (
        <button type="button" class="button" disabled={busy} onClick={more}>
          {busy ? t().link.loading : t().inbox.next}
        </button>
      )}
    </div>
  );
}
