import { useState } from "preact/hooks";
import type { AlertCounts } from "../../api/types";
import { count } from "../../format/money";
import { go, query, withParams } from "../../router";
import { t, word } from "../../text";
import { Search } from "../../ui/search";
import { DETAILS, SEVERITIES, SORTS, TABS, set } from "./filter";

const change = (changes: Record<string, string | null>) => go(withParams(changes), { replace: true });

/** The tabs, each an address. */
export function Tabs({ counts }: { counts: AlertCounts | null }) {
  const now = query.value.get("state") ?? "active";
  return (
    <nav class="tabs" aria-label={t().inbox.groupsLabel}>
      {TABS.map((tab) => (
        <a
          key={tab}
          href={withParams({ state: tab === "active" ? null : tab })}
          aria-current={now === tab ? "page" : undefined}
        >
          {word(t().state, tab)}
          {counts && <span class="tab-count">{count(numberOf(counts, tab))}</span>}
        </a>
      ))}
    </nav>
  );
}

const OVER = ["closed", "dismissed", "resolved"];

/** How many alerts a tab has. */
function numberOf(counts: AlertCounts, tab: string): number {
  const isIn = (state: string) => tab === "all" || (tab === "active" ? !OVER.includes(state) : state === tab);
  return counts.counts.reduce((sum, one) => sum + (isIn(one.state) ? one.alerts : 0), 0);
}

export function Filters() {
  const said = t().inbox;
  const now = query.value;
  const [open, setOpen] = useState(DETAILS.some((name) => now.get(name)));
  const severities = (now.get("severity") ?? "").split(",").filter(Boolean);
  const flip = (severity: string) => {
    const next = SEVERITIES.filter((one) => (one === severity) !== severities.includes(one));
    change({ severity: next.length === SEVERITIES.length ? null : next.join(",") });
  };
  const isSet = set(now);
  return (
    <div class="filters" role="search" aria-label={said.filters}>
      <div class="filter-line">
        <Search label={said.text} value={now.get("q") ?? ""} onChange={(q) => change({ q })} />
        <div class="segments" role="group" aria-label={said.severity}>
          {SEVERITIES.map((severity) => (
            <button
              key={severity}
              type="button"
              aria-pressed={severities.includes(severity)}
              onClick={() => flip(severity)}
            >
              <span class={`severity severity-${severity}`}>
                <i class="dot" aria-hidden="true" />
                {word(t().severity, severity)}
              </span>
            </button>
          ))}
        </div>
        <div class="segments" role="group" aria-label={t().alert.lastDay}>
          {(["past_due", "review"] as const).map((name) => (
            <button
              key={name}
              type="button"
              aria-pressed={now.get(name) === "true"}
              onClick={() => change({ [name]: now.get(name) === "true" ? null : "true" })}
            >
              {name === "past_due" ? said.pastDue : said.inReview}
            </button>
          ))}
        </div>
        <label class="inline">
          <span>{said.sort}</span>
          <select
            value={now.get("sort") ?? "newest"}
            onChange={(event) =>
              change({ sort: event.currentTarget.value === "newest" ? null : event.currentTarget.value })
            }
          >
            {SORTS.map((sort) => (
              <option key={sort} value={sort}>
                {word(said.sorts, sort)}
              </option>
            ))}
          </select>
        </label>
        <button type="button" class="plain" aria-expanded={open} onClick={() => setOpen(!open)}>
          {open ? said.less : said.more}
        </button>
        {isSet.length > 0 && (
          <button
            type="button"
            class="plain"
            onClick={() => change(Object.fromEntries(isSet.map(({ name }) => [name, null])))}
          >
            {said.clear}
          </button>
        )}
      </div>
      {open && <Details />}
    </div>
  );
}

function Details() {
  const said = t().inbox;
  const now = query.value;
  const names: Record<(typeof DETAILS)[number], string> = {
    rule: said.rule,
    region: t().alert.region,
    unit: said.unit,
    line: said.line,
    payee: said.payee,
    owner: said.owner,
    from: said.from,
    to: said.to,
    min_amount: said.min,
    max_amount: said.max,
  };
  return (
    <form
      class="filter-details"
      onSubmit={(event) => {
        event.preventDefault();
        const given = new FormData(event.currentTarget);
        change(Object.fromEntries(DETAILS.map((name) => [name, String(given.get(name) ?? "").trim()])));
      }}
    >
      {DETAILS.map((name) => (
        <label key={name}>
          <span>{names[name]}</span>
          {name === "from" || name === "to" ? (
            <input key={now.get(name) ?? ""} name={name} type="date" defaultValue={now.get(name) ?? ""} />
          ) : (
            <input
              key={now.get(name) ?? ""}
              name={name}
              type="text"
              inputMode={name.endsWith("amount") ? "decimal" : "text"}
              defaultValue={now.get(name) ?? ""}
            />
          )}
        </label>
      ))}
      <button type="submit" class="button is-main">
        {said.search}
      </button>
    </form>
  );
}
