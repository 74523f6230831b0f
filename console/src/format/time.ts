// Times come as RFC 3339 in the daemon's zone, and are shown in it: the text says what the clock on the wall there said.
import { t } from "../text";

/** `2026-01-20 13:32:32`. */
export const stamp = (at: string | null | undefined): string => (at ? at.slice(0, 19).replace("T", " ") : t().empty);
/** `01-20 13:32`. */
export const short = (at: string | null | undefined): string => (at ? at.slice(5, 16).replace("T", " ") : t().empty);
/** `2026-01-20`. */
export const day = (at: string | null | undefined): string => (at ? at.slice(0, 10) : t().empty);
/** `UTC+08:00`. */
export const zone = (at: string | null | undefined): string => {
  const offset = /([+-]\d\d:\d\d|Z)$/.exec(at ?? "")?.[1];
  return offset ? `UTC${offset === "Z" ? "" : offset}` : "";
};

/** How long something has lasted, in words. */
export function span(milliseconds: number): string {
  const minutes = Math.floor(Math.max(0, milliseconds) / 60_000);
  const said = t().time;
  if (minutes < 1) return said.now;
  if (minutes < 60) return said.minutes(minutes);
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return said.hours(hours, minutes % 60);
  return said.days(Math.floor(hours / 24), hours % 24);
}

/** How long ago that was. */
export const since = (at: string, now: number): string => span(now - Date.parse(at));

/** The elapsed share of the calendar year of an instant, by the clock of its zone. */
export function yearElapsed(at: string): number {
  const local = Date.parse(`${at.slice(0, 19)}Z`);
  const year = Number(at.slice(0, 4));
  const start = Date.UTC(year, 0, 1);
  return (local - start) / (Date.UTC(year + 1, 0, 1) - start);
}
