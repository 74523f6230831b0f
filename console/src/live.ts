// What changes by itself. One tab listens to the daemon's stream and tells the others; where no stream comes through, it asks
// every ten seconds. The page that shows something reads it itself: here is only told that it changed.
import { batch, effect, signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { Gone, ask, epoch, link, probe } from "./api/client";
import type { ChangeList, Status } from "./api/types";

/** An alert that changed, in short. */
export interface AlertNews {
  alert_id: string;
  state: string;
  severity: string;
  version: number;
  owner: string | null;
  findings: number;
  changed_at: string;
}

type News =
  | { event: "alert"; data: AlertNews }
  | { event: "approval" }
  | { event: "reset" }
  | { event: "status"; data: Partial<Status> };

const POLL = 10_000;
const STATUS = 30_000;
/** Changes that come close together are told once. */
const REST = 800;
const STREAM = "/api/v1/stream";

const status = signal<Status | null>(null);
/** The alerts that changed since the last time it was told. */
const alerts = signal<AlertNews[]>([]);
/** Grows when something was proposed, approved or came into force. */
const approvals = signal(0);
/** Grows when everything is to be read again. */
const resets = signal(0);

let waiting = new Map<string, AlertNews>();
let timer: ReturnType<typeof setTimeout> | undefined;
let approved: ReturnType<typeof setTimeout> | undefined;

function take(news: News): void {
  if (news.event === "status") {
    if (status.value) status.value = { ...status.value, ...news.data };
  } else if (news.event === "reset") {
    resets.value += 1;
  } else if (news.event === "approval") {
    approved ??= setTimeout(() => {
      approved = undefined;
      approvals.value += 1;
    }, REST);
  } else {
    waiting.set(news.data.alert_id, news.data);
    timer ??= setTimeout(() => {
      const told = [...waiting.values()];
      waiting = new Map();
      timer = undefined;
      batch(() => (alerts.value = told));
    }, REST);
  }
}

/** Listens until it is stopped; the browser itself goes on after the last message that it had. */
function listen(tell: (news: News) => void): () => void {
  let source: EventSource | undefined;
  let poll: ReturnType<typeof setInterval> | undefined;
  let place: string | null = null;
  const open = () => {
    source?.close();
    source = new EventSource(place ? `${STREAM}?since=${encodeURIComponent(place)}` : STREAM);
    const on = (event: "alert" | "approval" | "status" | "reset") =>
      source!.addEventListener(event, (message) => {
        if (message.lastEventId) place = message.lastEventId;
        tell({ event, data: JSON.parse(message.data) } as News);
      });
    (["alert", "approval", "status", "reset"] as const).forEach(on);
    source.onopen = () => {
      clearInterval(poll);
      poll = undefined;
    };
    source.onerror = () => {
      if (source?.readyState === EventSource.CLOSED) poll ??= setInterval(() => void change(), POLL);
      // Whether it is the stream or the daemon that is away.
      else if (link.peek().up) void probe();
    };
  };
  const change = async () => {
    try {
      const list = await ask<ChangeList>("/changes", { since: place }, { isBackground: true });
      place = list.next;
      list.changes.forEach((one) => {
        if (["alert", "approval", "reset"].includes(one.event))
          tell({ event: one.event, data: one.data } as unknown as News);
      });
    } catch {
      // It is asked again.
    }
  };
  open();
  // The daemon is back: a stream that was given up is opened again.
  const stop = effect(() => {
    if (epoch.value > 0 && source?.readyState === EventSource.CLOSED) open();
  });
  return () => {
    stop();
    source?.close();
    clearInterval(poll);
  };
}

/** Listens as the one tab that does, and tells the others. Without locks (no secure context) each tab listens. */
function share(): () => void {
  const locks = (navigator as { locks?: LockManager }).locks;
  if (!locks || typeof BroadcastChannel === "undefined") return listen(take);
  const channel = new BroadcastChannel("fiscwatch.stream");
  channel.onmessage = (message) => take(message.data as News);
  const ended = new AbortController();
  let stop: (() => void) | undefined;
  locks
    .request("fiscwatch.stream", { signal: ended.signal }, () => {
      stop = listen((news) => {
        take(news);
        channel.postMessage(news);
      });
      return new Promise<void>((done) => ended.signal.addEventListener("abort", () => done()));
    })
    .catch(() => undefined);
  return () => {
    stop?.();
    ended.abort();
    channel.close();
  };
}

async function look(): Promise<void> {
  try {
    status.value = await ask<Status>("/status", {}, { isBackground: true });
  } catch (error) {
    // The banner says that the daemon is gone; what else may be wrong, each screen says of itself.
    if (!(error instanceof Gone)) status.value = null;
  }
}

export const live = {
  status,
  alerts,
  approvals,
  resets,
  /** Begins; the answer ends it. */
  start(): () => void {
    const isSeen = () => document.visibilityState === "visible";
    const clock = setInterval(() => isSeen() && void look(), STATUS);
    const seen = () => isSeen() && void look();
    document.addEventListener("visibilitychange", seen);
    // Once now, and whenever the daemon is back.
    const stop = effect(() => {
      epoch.value;
      void look();
    });
    const silent = share();
    return () => {
      clearInterval(clock);
      document.removeEventListener("visibilitychange", seen);
      stop();
      silent();
    };
  },
};

/** How long a screen rests that reads sums whenever something changed. */
const SUMS = 5_000;

/** A number that grows when alerts changed, but not more often than every five seconds. */
export function useRest(): number {
  const [turn, setTurn] = useState(0);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const news = alerts.value;
  const all = resets.value;
  useEffect(() => {
    if (news.length === 0 && all === 0) return;
    timer.current ??= setTimeout(() => {
      timer.current = undefined;
      setTurn((n) => n + 1);
    }, SUMS);
  }, [news, all]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return turn;
}
