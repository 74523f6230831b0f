// What officers do with alerts: one path for one alert and for many, which ends in a list of what failed and why.
import { signal } from "@preact/signals";
import { Gone, Problem, ask, send } from "../../api/client";
import { session } from "../../api/session";
import type { Alert, AlertDetail, TransitionsResult } from "../../api/types";
import { settings } from "../../settings";
import { t, word } from "../../text";
import { update } from "./model";

export type Act = "acknowledge" | "confirm" | "dismiss" | "rectify" | "close" | "comment";
export const ACTS: Act[] = ["acknowledge", "confirm", "dismiss", "rectify", "close", "comment"];
export const KEYS: Record<Act, string> = {
  acknowledge: "a",
  confirm: "c",
  dismiss: "d",
  rectify: "r",
  close: "e",
  comment: "m",
};

/** From which states an action is possible; a verdict on an open alert acknowledges it first. */
const FROM: Record<Act, string[]> = {
  acknowledge: ["open"],
  confirm: ["open", "acknowledged"],
  dismiss: ["open", "acknowledged"],
  rectify: ["confirmed"],
  close: ["confirmed", "rectifying"],
  comment: ["open", "acknowledged", "confirmed", "rectifying", "closed", "dismissed", "resolved"],
};
const WITH_WHY: Act[] = ["dismiss", "close", "comment"];

export const allows = (alert: Alert, act: Act): boolean => FROM[act].includes(alert.state);
export const needsWhy = (act: Act): boolean => WITH_WHY.includes(act);
export const isVerdict = (act: Act): boolean => act !== "comment";
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
export async function carryOut(act: Act, alerts: Alert[], why: string): Promise<Outcome[]> {
  if (alerts.length === 1) return [await one(act, alerts[0]!, why)];
  const outcomes: Outcome[] = [];
  progress.value = { done: 0, all: alerts.length };
  for (let at = 0; at < alerts.length; at += TOGETHER) {
    outcomes.push(...(await many(act, alerts.slice(at, at + TOGETHER), why)));
    progress.value = { done: outcomes.length, all: alerts.length };
  }
  progress.value = null;
  return outcomes;
}

/** The same for many at once: each is a step of its own, and what fails leaves the others alone. */
async function many(act: Act, alerts: Alert[], why: string): Promise<Outcome[]> {
  const isVerdict = act === "confirm" || act === "dismiss";
  const first = isVerdict ? alerts.filter((alert) => alert.state === "open") : [];
  const failed: Outcome[] = [];
  const now = new Map(alerts.map((alert) => [alert.alert_id, alert]));
  const step = async (action: Act, some: Alert[], reason: string) => {
    if (some.length === 0) return;
    for (const outcome of await together(action, some, reason)) {
      if (outcome.why === null) now.set(outcome.alert.alert_id, outcome.alert);
      else {
        failed.push(outcome);
        now.delete(outcome.alert.alert_id);
      }
    }
  };
  await step("acknowledge", first, "");
  await step(act, [...now.values()], why);
  const wrong = new Map(failed.map((outcome) => [outcome.alert.alert_id, outcome]));
  return alerts.map((alert) => wrong.get(alert.alert_id) ?? { alert: now.get(alert.alert_id) ?? alert, why: null });
}

/** One request for many alerts. */
async function together(action: Act, alerts: Alert[], why: string): Promise<Outcome[]> {
  const seen = alerts.map(({ alert_id, version }) => ({ alert_id, ...(action === "comment" ? {} : { version }) }));
  try {
    const { results } = await send<TransitionsResult>("POST", "/alerts/transitions", {
      action,
      ...by(),
      ...(why ? { why } : {}),
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

async function one(act: Act, alert: Alert, why: string): Promise<Outcome> {
  try {
    let now = alert;
    if (now.state === "open" && (act === "confirm" || act === "dismiss")) now = await change("acknowledge", now, "");
    now = await change(act, now, why);
    return { alert: now, why: null };
  } catch (error) {
    return failed(alert, error as Error);
  }
}

async function change(action: Act, alert: Alert, why: string): Promise<Alert> {
  const body = { action, ...by(), ...(why ? { why } : {}) };
  // A remark takes nothing away from what others did meanwhile.
  const version = action === "comment" ? undefined : alert.version;
  const now = await send<Alert>("POST", `/alerts/${encodeURIComponent(alert.alert_id)}/transitions`, body, version);
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
