// Something that is read while a screen shows it: what was read before stays until the new is there.
import { useEffect, useRef, useState } from "preact/hooks";
import { epoch, Gone } from "./client";

export interface Load<T> {
  data: T | undefined;
  error: Error | undefined;
  busy: boolean;
  /** Reads it again. */
  again: () => void;
}

/** Reads when `key` or `turn` changes, when the daemon comes back, and when asked to; null reads nothing. */
export function useLoad<T>(key: string | null, read: (stop: AbortSignal) => Promise<T>, turn = 0): Load<T> {
  const [state, set] = useState<{ key: string | null; data: T | undefined; error: Error | undefined; busy: boolean }>({
    key,
    data: undefined,
    error: undefined,
    busy: key !== null,
  });
  const [asked, askAgain] = useState(0);
  const reading = useRef(read);
  reading.current = read;
  const round = epoch.value;
  useEffect(() => {
    if (key === null) return undefined;
    const stop = new AbortController();
    set((before) => ({ key, data: before.key === key ? before.data : undefined, error: undefined, busy: true }));
    reading.current(stop.signal).then(
      (data) => set({ key, data, error: undefined, busy: false }),
      (error: Error) => {
        // When the daemon is gone the banner says so, and what was read stays.
        if (!stop.signal.aborted)
          set((before) => ({
            ...before,
            error: error instanceof Gone ? before.error : error,
            busy: error instanceof Gone,
          }));
      },
    );
    return () => stop.abort();
  }, [key, asked, round, turn]);
  const isOld = state.key !== key;
  return {
    data: isOld ? undefined : state.data,
    error: isOld ? undefined : state.error,
    busy: isOld || state.busy,
    again: () => askAgain((n) => n + 1),
  };
}
