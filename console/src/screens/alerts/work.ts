// What officers do with alerts: one path for one alert and for many, which ends in a list of what failed and why.
import { signal } from "@preact/signals";
import { Gone, Problem, ask, send } from "../../api/client";
import { session } from "../../api/session";
import type { Alert, AlertDetail } from "../../api/types";
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

/** How far an order has come. */
export const progress = signal<{ done: number; all: number } | null>(null);

/** Carries out an order. What fails is an outcome, never an exception. */
export async function carryOut(act: Act, alerts: Alert[], why: string): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  progress.value = { done: 0, all: alerts.length };
  for (const alert of alerts) {
    outcomes.push(await one(act, alert, why));
    progress.value = { done: outcomes.length, all: alerts.length };
  }
  progress.value = null;
  return outcomes;
}

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
  const who = session.peek().user ? undefined : settings.officer.peek();
  const body = { action, ...(who ? { who } : {}), ...(why ? { why } : {}) };
  // A remark takes nothing away from what others did meanwhile.
  const version = action === "comment" ? undefined : alert.version;
  const now = await send<Alert>("POST", `/alerts/${encodeURIComponent(alert.alert_id)}/transitions`, body, version);
  update(now);
  return now;
}

async function failed(alert: Alert, error: Error): Promise<Outcome> {
  if (error instanceof Gone) return { alert, why: t().link.down };
  if (error instanceof Problem && (error.status === 412 || error.status === 409)) {
    // Somebody was faster: say who, and show what is there now.
    try {
      const { alert: now, history } = await ask<AlertDetail>(`/alerts/${encodeURIComponent(alert.alert_id)}`);
      update(now);
      const last = history[history.length - 1];
      if (last && now.version > alert.version)
        return { alert: now, why: t().act.otherWas(last.who, word(t().state, now.state)) };
      return { alert: now, why: error.message };
    } catch {
      return { alert, why: error.message };
    }
  }
  return { alert, why: error.message };
}
