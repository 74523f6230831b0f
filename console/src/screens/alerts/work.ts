// What officers do with alerts: one path for one alert and for many, which ends in a list of what failed and why.
import { signal } from "@preact/signals";
import { Gone, Problem, ask, send } from "../../api/client";
import { session } from "../../api/session";
import type { Alert, AlertDetail, TransitionsResult } from "../../api/types";
import { settings } from "../../settings";
import { t, word } from "../../text";
import { update } from "./model";

export type Act =
  | "acknowledge"
  | "confirm"
  | "dismiss"
  | "rectify"
  | "close"
  | "comment"
  | "assign"
  | "postpone"
  | "merge"
  | "withdraw"
  | "approve"
  | "return";
/** What every alert offers. */
export const ACTS: Act[] = [
  "acknowledge",
  "confirm",
  "dismiss",
  "rectify",
  "close",
  "comment",
  "assign",
  "postpone",
  "merge",
];
/** What waits for a second officer offers besides. */
export const REVIEW_ACTS: Act[] = ["approve", "return", "withdraw"];
/** What an order says beside what, who and why. */
export interface Terms {
  to?: string;
  due?: string;
  outcome?: string;
  amount?: string;
  into?: string;
}
export const OUTCOMES = [
  "money_returned",
  "documents_supplied",
  "budget_adjusted",
  "handed_to_audit",
  "handed_to_discipline",
  "no_fault",
] as const;
export const KEYS: Record<Act, string> = {
  acknowledge: "a",
  confirm: "c",
  dismiss: "d",
  rectify: "r",
  close: "e",
  comment: "m",
  assign: "t",
  postpone: "p",
  merge: "b",
  approve: "y",
  return: "u",
  withdraw: "w",
};

/** From which states an action is possible; a verdict on an open alert acknowledges it first. */
const LIVE = ["open", "acknowledged", "confirmed", "rectifying"];
const FROM: Record<Act, string[]> = {
  acknowledge: ["open"],
  confirm: ["open", "acknowledged"],
  dismiss: ["open", "acknowledged"],
  rectify: ["confirmed"],
  close: ["confirmed", "rectifying"],
  comment: ["open", "acknowledged", "confirmed", "rectifying", "closed", "dismissed", "resolved"],
  assign: LIVE,
  postpone: LIVE,
  merge: LIVE,
  approve: LIVE,
  return: LIVE,
  withdraw: LIVE,
};
const WITH_WHY: Act[] = ["dismiss", "close", "comment", "postpone", "return"];
/** What goes on while a second officer has not decided. */
const IN_REVIEW: Act[] = ["comment", "assign", "postpone", "approve", "return", "withdraw"];

export function allows(alert: Alert, act: Act): boolean {
  if (REVIEW_ACTS.includes(act)) {
    const by = session.peekUser() ?? settings.officer.peek();
    return !!alert.review && (act === "withdraw") === (alert.review.by === by);
  }
  return FROM[act].includes(alert.state) && (!alert.review || IN_REVIEW.includes(act));
}
/** What an action asks for by name. */
export const right = (act: Act): string => (act === "approve" || act === "return" ? "alerts.review" : "alerts.work");
export const needsWhy = (act: Act): boolean => WITH_WHY.includes(act);
export const isOver = (alert: Alert): boolean => ["closed", "dismissed", "resolved"].includes(alert.state);

/** What became of one alert. */
export interface Outcome {
  alert: Alert;
  /** Why it failed. */
  why: string | null;
}

/** So many alerts go into one request. */
const TOGETHER = 50;

/** How far an order has come. */
export const progress = signal<{ done: number; all: number } | null>(null);

/** Carries out an order. What fails is an outcome, never an exception. */
export async function carryOut(act: Act, alerts: Alert[], why: string, terms: Terms): Promise<Outcome[]> {
  if (alerts.length === 1) return [await one(act, alerts[0]!, why, terms)];
  const outcomes: Outcome[] = [];
  progress.value = { done: 0, all: alerts.length };
  for (let at = 0; at < alerts.length; at += TOGETHER) {
    outcomes.push(...(await many(act, alerts.slice(at, at + TOGETHER), why, terms)));
    progress.value = { done: outcomes.length, all: alerts.length };
  }
  progress.value = null;
  return outcomes;
}

/** The same for many at once: each is a step of its own, and what fails leaves the others alone. */
async function many(act: Act, alerts: Alert[], why: string, terms: Terms): Promise<Outcome[]> {
  const isVerdict = act === "confirm" || act === "dismiss";
  const first = isVerdict ? alerts.filter((alert) => alert.state === "open") : [];
  const failed: Outcome[] = [];
  const now = new Map(alerts.map((alert) => [alert.alert_id, alert]));
  const step = async (action: Act, some: Alert[], reason: string, said: Terms) => {
    if (some.length === 0) return;
    for (const outcome of await together(action, some, reason, said)) {
      if (outcome.why === null) now.set(outcome.alert.alert_id, outcome.alert);
      else {
        failed.push(outcome);
        now.delete(outcome.alert.alert_id);
      }
    }
  };
  await step("acknowledge", first, "", {});
  await step(act, [...now.values()], why, terms);
  const wrong = new Map(failed.map((outcome) => [outcome.alert.alert_id, outcome]));
  return alerts.map((alert) => wrong.get(alert.alert_id) ?? { alert: now.get(alert.alert_id) ?? alert, why: null });
}

/** One request for many alerts. */
async function together(action: Act, alerts: Alert[], why: string, terms: Terms): Promise<Outcome[]> {
  const seen = alerts.map(({ alert_id, version }) => ({ alert_id, ...(action === "comment" ? {} : { version }) }));
  try {
    const { results } = await send<TransitionsResult>("POST", "/alerts/transitions", {
      action,
      ...by(),
      ...(why ? { why } : {}),
      ...terms,
      alerts: seen,
    });
    return Promise.all(
      results.map(async (result, at) => {
        const alert = result.alert ?? alerts[at]!;
        update(alert);
        if (result.status === 200) return { alert, why: null };
        return { alert, why: await whoWas(alerts[at]!, result.detail ?? "") };
      }),
    );
  } catch (error) {
    const said = error instanceof Gone ? t().link.down : (error as Error).message;
    return alerts.map((alert) => ({ alert, why: said }));
  }
}

/** Who acts, where nobody signs in. */
const by = () => (session.peekUser() ? {} : { who: settings.officer.peek() });

async function one(act: Act, alert: Alert, why: string, terms: Terms): Promise<Outcome> {
  try {
    let now = alert;
    if (now.state === "open" && (act === "confirm" || act === "dismiss"))
      now = await change("acknowledge", now, "", {});
    now = await change(act, now, why, terms);
    return { alert: now, why: null };
  } catch (error) {
    return failed(alert, error as Error);
  }
}

async function change(action: Act, alert: Alert, why: string, terms: Terms): Promise<Alert> {
  const isReview = action === "approve" || action === "return";
  const what = isReview ? { decision: action } : { action, ...terms };
  const body = { ...what, ...by(), ...(why ? { why } : {}) };
  // A remark takes nothing away from what others did meanwhile.
  const version = action === "comment" ? undefined : alert.version;
  const path = `/alerts/${encodeURIComponent(alert.alert_id)}/${isReview ? "review" : "transitions"}`;
  const now = await send<Alert>("POST", path, body, version);
  update(now);
  return now;
}

async function failed(alert: Alert, error: Error): Promise<Outcome> {
  if (error instanceof Gone) return { alert, why: t().link.down };
  if (!(error instanceof Problem) || (error.status !== 412 && error.status !== 409))
    return { alert, why: error.message };
  return { alert, why: await whoWas(alert, error.message) };
}

/** Somebody was faster: who it was, and what there is now. */
async function whoWas(alert: Alert, said: string): Promise<string> {
  try {
    const { alert: now, history } = await ask<AlertDetail>(`/alerts/${encodeURIComponent(alert.alert_id)}`);
    update(now);
    const last = history[history.length - 1];
    return last && now.version > alert.version ? t().act.otherWas(last.who, word(t().state, now.state)) : said;
  } catch {
    return said;
  }
}
