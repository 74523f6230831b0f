// What a list of approvals shows: read in blocks, and again when something was proposed or approved meanwhile.
import { useEffect, useRef, useState } from "preact/hooks";
import { Gone, ask, epoch, type Query } from "../../api/client";
import type { Approval, ApprovalPage } from "../../api/types";
import { live } from "../../live";

/** Matters that are read at a time. */
const BLOCK = 50;
/** Matters that are read again at once; what is beyond is read on. */
const AGAIN_MAX = 500;

export interface Matters {
  rows: Approval[];
  total: number | null;
  isMore: boolean;
  busy: boolean;
  error: Error | undefined;
  /** Whether something changed while somebody was writing in the list. */
  isHeld: boolean;
  more: () => void;
  again: () => void;
}

/** The matters of a filter. `isBusy` says whether somebody is at work in the list, so that it must not move. */
export function useMatters(filter: Query, isBusy: () => boolean): Matters {
  const key = JSON.stringify(filter);
  const [page, set] = useState<{ rows: Approval[]; total: number | null; next: string | null }>({
    rows: [],
    total: null,
    next: null,
  });
  const [busy, setBusy] = useState(true);
  const [isHeld, setHeld] = useState(false);
  const [error, setError] = useState<Error>();
  const reading = useRef<AbortController>(undefined);
  const read = (rows: Approval[], before: string | null, limit: number) => {
    reading.current?.abort();
    const stop = (reading.current = new AbortController());
    setBusy(true);
    setError(undefined);
    ask<ApprovalPage>("/approvals", { ...filter, totals: true, before, limit }, { stop: stop.signal }).then(
      (found) => {
        const known = new Set(rows.map((row) => row.approval_id));
        const fresh = found.approvals.filter((row) => !known.has(row.approval_id));
        set({ rows: [...rows, ...fresh], total: found.total ?? null, next: found.next ?? null });
        setBusy(false);
      },
      (trouble: Error) => {
        if (stop.signal.aborted) return;
        // When the daemon is gone the banner says so, and what was read stays.
        if (!(trouble instanceof Gone)) setError(trouble);
        setBusy(false);
      },
    );
  };
  const again = () => {
    setHeld(false);
    read([], null, Math.min(AGAIN_MAX, Math.max(BLOCK, page.rows.length)));
  };
  const latest = useRef(again);
  latest.current = again;
  const round = epoch.value;
  const resets = live.resets.value;
  useEffect(() => {
    read([], null, BLOCK);
    setHeld(false);
    return () => reading.current?.abort();
  }, [key]);
  const first = useRef(true);
  useEffect(() => {
    if (!first.current) latest.current();
    first.current = false;
  }, [round, resets]);
  const news = live.approvals.value;
  useEffect(() => {
    if (news === 0) return;
    // A list must not move under the hand.
    if (isBusy()) setHeld(true);
    else latest.current();
  }, [news]);
  return {
    rows: page.rows,
    total: page.total,
    isMore: page.next !== null,
    busy,
    error,
    isHeld,
    more: () => page.next !== null && !busy && read(page.rows, page.next, BLOCK),
    again,
  };
}
