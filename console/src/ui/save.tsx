import { useState } from "preact/hooks";
import { type Query, save } from "../api/client";

/** A button that saves a file which the daemon makes, and says what is wrong if there is none. */
export function Save({
  path,
  query = {},
  plain,
  children,
}: {
  path: string;
  query?: Query;
  /** Whether it looks like a link. */
  plain?: boolean;
  children: string;
}) {
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState("");
  const fetchIt = async () => {
    setBusy(true);
    setTrouble("");
    try {
      await save(path, query);
    } catch (error) {
      setTrouble((error as Error).message);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <button
        type="button"
        class={plain ? "plain" : "button"}
        disabled={busy}
        aria-busy={busy}
        onClick={() => void fetchIt()}
      >
        {children}
      </button>
      {trouble && (
        <span class="trouble" role="alert">
          {trouble}
        </span>
      )}
    </>
  );
}
