// The inbox as data. A list must not move under the hand: rows are known by id, and what is new waits while somebody works.
import { batch, computed, signal } from "@preact/signals";
import { type Query, ask } from "../../api/client";
import type { Alert, AlertCounts, AlertPage } from "../../api/types";
import type { AlertNews } from "../../live";

const PAGE = 200;

/** The rows in the order of the list. */
export const rows = signal<Alert[]>([]);
/** Rows that are new and wait to be shown. */
export const held = signal<Alert[]>([]);
export const selected = signal<ReadonlySet<string>>(new Set());
/** The row that keys act on. */
export const cursor = signal<string | null>(null);
export const next = signal<string | null>(null);
/** How many the filter finds; null until it is known. */
export const total = signal<number | null>(null);
/** How many there are by state and severity. */
export const counts = signal<AlertCounts | null>(null);
export const busy = signal(false);
export const failure = signal<Error | null>(null);
/** Whether the list has the focus: then nothing new moves into it. */
export const focused = signal(false);
/** Where the list is, with its filters: the way back from an alert. */
export const address = signal("/alerts");
/** What the rows were asked for. */
const wanted = signal<{ key: string; query: Query }>({ key: "", query: {} });

/** Rows that are drawn together. */
export const BLOCK = 100;
/** The rows in blocks; one that holds the same rows stays the same. */
export const blocks = computed<Alert[][]>(() => {
  const known = lastBlocks;
  const all = rows.value;
  lastBlocks = Array.from({ length: Math.ceil(all.length / BLOCK) }, (_, at) => {
    const block = all.slice(at * BLOCK, (at + 1) * BLOCK);
    const before = known[at];
    return before && before.length === block.length && block.every((row, i) => row === before[i]) ? before : block;
  });
  return lastBlocks;
});
let lastBlocks: Alert[][] = [];

export const byId = computed(() => new Map(rows.value.map((alert) => [alert.alert_id, alert])));
export const cursorAt = computed(() => rows.value.findIndex((alert) => alert.alert_id === cursor.value));

let round = 0;
/** Whether something changed while the list was being read. */
let isStale = false;

/** A page is read; what changed meanwhile is looked at. */
function settled(): void {
  busy.value = false;
  if (!isStale) return;
  isStale = false;
  void refresh();
}

/** Shows what a filter finds. The same filter again keeps rows, selection and cursor. */
export async function show(query: Query): Promise<void> {
  const key = JSON.stringify(query);
  if (key === wanted.peek().key && rows.peek().length > 0) return refresh();
  batch(() => {
    wanted.value = { key, query };
    rows.value = [];
    held.value = [];
    selected.value = new Set();
    cursor.value = null;
    next.value = null;
  });
  return load();
}

/** Reads the first page anew. */
export async function load(): Promise<void> {
  const mine = ++round;
  busy.value = true;
  try {
    const page = await ask<AlertPage>("/alerts", { ...wanted.peek().query, limit: PAGE, totals: true });
    if (mine !== round) return;
    void countAll();
    batch(() => {
      rows.value = page.alerts;
      total.value = page.total ?? null;
      held.value = [];
      next.value = page.next ?? null;
      failure.value = null;
      selected.value = new Set([...selected.value].filter((id) => page.alerts.some((alert) => alert.alert_id === id)));
      if (!page.alerts.some((alert) => alert.alert_id === cursor.value))
        cursor.value = page.alerts[0]?.alert_id ?? null;
    });
  } catch (error) {
    if (mine === round) failure.value = error as Error;
  } finally {
    if (mine === round) settled();
  }
}

/** Reads the page after the last row. */
export async function more(): Promise<void> {
  if (busy.peek() || next.peek() === null) return;
  const mine = round;
  busy.value = true;
  try {
    const page = await ask<AlertPage>("/alerts", { ...wanted.peek().query, limit: PAGE, before: next.peek() });
    if (mine !== round) return;
    const known = byId.peek();
    batch(() => {
      rows.value = [...rows.value, ...page.alerts.filter((alert) => !known.has(alert.alert_id))];
      next.value = page.next ?? null;
    });
  } catch (error) {
    failure.value = error as Error;
  } finally {
    if (mine === round) settled();
  }
}

/** Looks what is new: rows that are known change in place, new ones wait while somebody works. */
export async function refresh(): Promise<void> {
  if (busy.peek()) {
    isStale = true;
    return;
  }
  const mine = round;
  try {
    const page = await ask<AlertPage>(
      "/alerts",
      { ...wanted.peek().query, limit: PAGE, totals: true },
      { isBackground: true },
    );
    if (mine !== round) return;
    void countAll();
    total.value = page.total ?? null;
    const known = byId.peek();
    page.alerts.forEach((alert) => known.has(alert.alert_id) && update(alert));
    const fresh = page.alerts.filter((alert) => !known.has(alert.alert_id));
    // Whoever works in the list is told; otherwise the list is what the filter finds now.
    if (focused.peek() || selected.peek().size > 0) held.value = fresh;
    else batch(() => place(page));
  } catch {
    // The banner says that the daemon is gone; the rows stay.
  }
}

/** The first page takes its place; what was listed after its last row stays. */
function place(page: AlertPage): void {
  const isIn = new Set(page.alerts.map((alert) => alert.alert_id));
  const old = rows.value;
  let end = old.length;
  while (end > 0 && !isIn.has(old[end - 1]!.alert_id)) end -= 1;
  // Without a row in common, or on the last page, there is nothing after it.
  const beyond = end === 0 || page.next === null || page.next === undefined ? [] : old.slice(end);
  rows.value = [...page.alerts, ...beyond];
  held.value = [];
  if (beyond.length === 0) next.value = page.next ?? null;
  if (cursor.value === null || !byId.value.has(cursor.value)) cursor.value = page.alerts[0]?.alert_id ?? null;
}

/** How many there are, for the tabs. */
async function countAll(): Promise<void> {
  const { sort: _, ...filter } = wanted.peek().query;
  const mine = round;
  try {
    const found = await ask<AlertCounts>("/alerts/counts", filter, { isBackground: true });
    if (mine === round) counts.value = found;
  } catch {
    // The list itself says what is wrong.
  }
}

/** What the stream tells: rows that are listed change at once, and whether there are others is asked. */
export function hear(news: AlertNews[]): void {
  const known = byId.peek();
  for (const { alert_id, changed_at, ...now } of news) {
    const row = known.get(alert_id);
    if (row && row.version < now.version) update({ ...row, ...now, changed_at, state: now.state as Alert["state"] });
  }
  if (news.length > 0) void refresh();
}

/** Shows what waits. */
export async function showHeld(): Promise<void> {
  if (held.peek().length === 0) return;
  const first = held.peek()[0]!.alert_id;
  await load();
  cursor.value = first;
}

/** An alert as it is now, wherever it is listed; an older state never replaces a newer one. */
export function update(alert: Alert): void {
  const at = rows.peek().findIndex((row) => row.alert_id === alert.alert_id);
  const row = rows.peek()[at];
  if (!row || row.version >= alert.version) return;
  const changed = rows.peek().slice();
  changed[at] = alert;
  rows.value = changed;
}

/** Moves the cursor by so many rows. */
export function move(by: number): void {
  const list = rows.peek();
  if (list.length === 0) return;
  const at = Math.min(list.length - 1, Math.max(0, (cursorAt.peek() < 0 ? (by > 0 ? -1 : 0) : cursorAt.peek()) + by));
  cursor.value = list[at]!.alert_id;
  if (at > list.length - 10) void more();
}

/** Moves the cursor to the next row that fits, after the cursor and then from the top. */
export function moveTo(fits: (alert: Alert) => boolean): Alert | undefined {
  const list = rows.peek();
  const at = cursorAt.peek();
  const found = [...list.slice(at + 1), ...list.slice(0, Math.max(0, at))].find(fits);
  if (found) cursor.value = found.alert_id;
  return found;
}

export function toggle(id: string): void {
  const now = new Set(selected.peek());
  if (!now.delete(id)) now.add(id);
  selected.value = now;
}
