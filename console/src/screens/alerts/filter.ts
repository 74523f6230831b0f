// The filters of the inbox, as they stand in the address and as the daemon is asked.
import type { Query } from "../../api/client";
import { t, word } from "../../text";

export const SEVERITIES = ["critical", "high", "medium", "low"] as const;
/** The tabs: what is not over, each state of it, and what is over. */
export const TABS = [
  "active",
  "open",
  "acknowledged",
  "confirmed",
  "rectifying",
  "closed",
  "dismissed",
  "resolved",
  "all",
] as const;
export const SORTS = [
  "newest",
  "oldest",
  "severity",
  "occurred",
  "changed",
  "findings",
  "last_day",
  "amount",
  "worth",
] as const;
/** Filters that stand behind "more". */
export const DETAILS = [
  "rule",
  "region",
  "unit",
  "line",
  "payee",
  "owner",
  "from",
  "to",
  "min_amount",
  "max_amount",
] as const;
const PLAIN = [
  "severity",
  "q",
  "text",
  "event",
  "inquiry",
  "handling",
  "past_due",
  "review",
  "mentions",
  "outcome",
  ...DETAILS,
] as const;

/** What the daemon is asked for an address. The list shows alerts that are not over unless it says otherwise. */
export function asked(query: URLSearchParams): Query {
  const state = query.get("state") ?? "active";
  const all: Query = { state: state === "all" ? null : state, sort: query.get("sort") };
  for (const name of PLAIN) all[name] = query.get(name);
  return all;
}

/** The filters that are set, each with its name and words, the tab left out. */
export function set(query: URLSearchParams): { name: string; words: string }[] {
  const said = t().inbox;
  const names: Record<string, string> = {
    severity: said.severity,
    q: said.search,
    text: said.search,
    handling: t().alert.advice,
    region: t().alert.region,
    rule: said.rule,
    unit: said.unit,
    line: said.line,
    payee: said.payee,
    owner: said.owner,
    from: said.from,
    to: said.to,
    min_amount: said.min,
    max_amount: said.max,
    event: t().alert.event,
    inquiry: t().alert.letter,
    past_due: said.pastDue,
    review: said.inReview,
    mentions: "@",
    outcome: t().alert.outcome,
  };
  return PLAIN.filter((name) => query.get(name)).map((name) => {
    const value = query.get(name)!;
    return { name, words: `${names[name]} ${shown(name, value)}` };
  });
}

/** The value of a filter in words. */
function shown(name: string, value: string): string {
  const words = (table: Record<string, string>) =>
    value
      .split(",")
      .map((one) => word(table, one))
      .join("、");
  if (name === "severity") return words(t().severityLong);
  if (name === "handling") return words(t().handling);
  if (name === "past_due" || name === "review") return value === "true" ? "" : "✕";
  if (name === "outcome") return words(t().outcome);
  if (name === "inquiry") return words(t().alert.letterStage);
  return name === "owner" && value === "-" ? t().inbox.ownerNone : value;
}
