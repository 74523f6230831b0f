import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { send } from "../api/client";
import { session } from "../api/session";
import { given } from "../api/who";
import { settings } from "../settings";
import { t } from "../text";

/** What is to come into force when others approve it, and why: asked of whoever proposes it. What else is asked are the `children`. */
export function Propose({
  path,
  body,
  suggested = "",
  done,
  children,
}: {
  path: string;
  body: Record<string, unknown>;
  /** A reason to begin with. */
  suggested?: string;
  done: () => void;
  children?: ComponentChildren;
}) {
  const said = t().ruleSets;
  const [reason, setReason] = useState(suggested);
  const [trouble, setTrouble] = useState("");
  const propose = async () => {
    setTrouble("");
    try {
      const who = given();
      await send("POST", path, { ...body, reason, ...(who ? { who } : {}) });
      done();
    } catch (error) {
      setTrouble((error as Error).message);
    }
  };
  return (
    <form
      class="form propose"
      onSubmit={(event) => {
        event.preventDefault();
        void propose();
      }}
    >
      {children}
      <label class="is-wide">
        <span>{said.reason}</span>
        <textarea
          name="reason"
          rows={2}
          required
          maxLength={500}
          value={reason}
          onInput={(event) => setReason(event.currentTarget.value)}
        />
      </label>
      {session.user === null && (
        <label>
          <span>{t().act.name}</span>
          <input
            name="who"
            required
            maxLength={100}
            autoComplete="name"
            value={settings.officer.value}
            onInput={(event) => (settings.officer.value = event.currentTarget.value)}
          />
        </label>
      )}
      <div class="form-foot">
        {trouble && (
          <span class="trouble" role="alert">
            {trouble}
          </span>
        )}
        <button type="submit" class="button is-main">
          {said.propose}
        </button>
      </div>
    </form>
  );
}
