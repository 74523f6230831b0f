// Who is here. The daemon says who may do what; the console learns it by being refused.
import { refused } from "./client";

export const session = {
  /** Whether somebody has to be known before anything is shown. */
  get must() {
    return refused.value;
  },
  /** The name that the daemon knows; null where nobody has to say who they are. */
  user: null as string | null,
  peekUser: (): string | null => null,
  /** Whether an action may be asked for; the daemon has the last word. */
  may: (_action: string): boolean => true,
};
