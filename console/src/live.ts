// What changes by itself: how the daemon is, and which alerts changed. It is asked every ten seconds while the page is seen.
import { effect, signal } from "@preact/signals";
import { ask, epoch, Gone } from "./api/client";
import type { Status } from "./api/types";

const PERIOD = 10_000;

const status = signal<Status | null>(null);
/** Grows when alerts may have changed. */
const alerts = signal(0);

async function look(): Promise<void> {
  try {
    status.value = await ask<Status>("/status");
    alerts.value += 1;
  } catch (error) {
    // The banner says that the daemon is gone; what else may be wrong, each screen says of itself.
    if (!(error instanceof Gone)) status.value = null;
  }
}

export const live = {
  status,
  alerts,
  /** Begins; the answer ends it. */
  start(): () => void {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") void look();
    }, PERIOD);
    const seen = () => {
      if (document.visibilityState === "visible") void look();
    };
    document.addEventListener("visibilitychange", seen);
    // Once now, and whenever the daemon is back.
    const stop = effect(() => {
      epoch.value;
      void look();
    });
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", seen);
      stop();
    };
  },
};
