// A button that is asked twice: what it ends, grants or sends cannot be taken back by another click.
import { useState } from "preact/hooks";
import { t } from "../text";

export function Sure({
  ask,
  sure = t().act.sure,
  act,
  isMain = false,
}: {
  /** What it says first. */
  ask: string;
  /** What it says before it does it. */
  sure?: string;
  act: () => Promise<unknown>;
  isMain?: boolean;
}) {
  const [asked, setAsked] = useState(false);
  const [trouble, setTrouble] = useState("");
  const click = async () => {
    if (!asked) return setAsked(true);
    setAsked(false);
    setTrouble("");
    try {
      await act();
    } catch (error) {
      setTrouble((error as Error).message);
    }
  };
  return (
    <>
      <button
        type="button"
        class={`button${isMain ? " is-main" : ""}`}
        onClick={() => void click()}
        onBlur={() => setAsked(false)}
      >
        {asked ? sure : ask}
      </button>
      {trouble && (
        <span class="trouble" role="alert">
          {trouble}
        </span>
      )}
    </>
  );
}
