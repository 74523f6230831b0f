// Who is here, as the daemon says it.
import { computed } from "@preact/signals";
import { refused } from "./client";

export interface Session {
  /** Whether somebody has to sign in before anything is shown. */
  must: boolean;
  /** The name that the daemon knows, null where nobody has to say who they are. */
  user: string | null;
}

export const session = computed<Session>(() => ({ must: refused.value, user: null }));
