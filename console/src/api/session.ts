// Who is here, as the daemon says it, and what they may.
import { effect, signal } from "@preact/signals";
import { Gone, Problem, ask, csrf, epoch, refused, send } from "./client";
import type { LoggedOut, OwnSession } from "./types";

const own = signal<OwnSession | null>(null);

async function look(): Promise<void> {
  try {
    take(await ask<OwnSession>("/session", {}, { isBackground: true }));
  } catch (error) {
    // The banner says that the daemon is gone.
    if (!(error instanceof Gone)) throw error;
  }
}

function take(now: OwnSession): void {
  csrf.value = now.csrf ?? null;
  refused.value = false;
  own.value = now;
}

export const session = {
  /** Null until the daemon has said it. */
  get own() {
    return own.value;
  },
  /** Whether somebody has to sign in before anything is shown. */
  get must() {
    return own.value !== null && own.value.auth && own.value.user === null;
  },
  /** The name that the daemon knows; null where nobody has to say who they are. */
  get user(): string | null {
    return own.value?.user ?? null;
  },
  /** The same without being told when it changes. */
  peekUser: (): string | null => own.peek()?.user ?? null,
  get canSignOut() {
    return own.value?.by === "session";
  },
  /** Whether an action may be asked for; the daemon has the last word. */
  may: (action: string): boolean =>
    own.value === null || !own.value.auth || (own.value.actions as string[]).includes(action),
  /** Whether a second factor has to be set up before anything is shown. */
  get lacksFactor() {
    return own.value?.second_factor === "missing";
  },
  /** Reads again who is here, and everything with it. */
  async again(): Promise<void> {
    await look();
    epoch.value += 1;
  },
  async signIn(user: string, password: string, totp?: string): Promise<void> {
    take(await send<OwnSession>("POST", "/session", { user, password, ...(totp ? { totp } : {}) }));
    epoch.value += 1;
  },
  async signOut(): Promise<void> {
    const out = await send<LoggedOut | undefined>("DELETE", "/session").catch((error: Error) => {
      if (!(error instanceof Problem)) throw error;
    });
    csrf.value = null;
    // Whoever came by a provider of identities is still logged in there.
    if (out) location.assign(out.log_out_at);
    else await look();
  },
  /** Begins; the answer ends it. */
  start(): () => void {
    return effect(() => {
      epoch.value;
      // A request that was refused for want of a name: is it the session that has ended?
      refused.value;
      void look();
    });
  },
};
