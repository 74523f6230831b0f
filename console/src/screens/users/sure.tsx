import { useState } from "preact/hooks";
import { send } from "../../api/client";
import { t } from "../../text";

/** A button that ends something, asked twice. */
export function Sure({ ask, path, again }: { ask: string; path: string; again: () => void }) {
  const [sure, setSure] = useState(false);
  const [trouble, setTrouble] = useState("");
  const end = async () => {
    if (!sure) return setSure(true);
    try {
      await send("DELETE", path);
      again();
    } catch (error) {
      setTrouble((error as Error).message);
    }
  };
  return (
    <>
      <button type="button" class="button" onClick={() => void end()} onBlur={() => setSure(false)}>
        {sure ? t().users.sure : ask}
      </button>
      {trouble && (
        <span class="trouble" role="alert">
          {trouble}
        </span>
      )}
    </>
  );
}
