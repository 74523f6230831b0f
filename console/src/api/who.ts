// Where nobody is signed in, people say who they are.
import { settings } from "../settings";
import { session } from "./session";

/** The name that is given where nobody is signed in. */
export const given = (): string | undefined => (session.peekUser() ? undefined : settings.officer.peek() || undefined);

/** An address with that name. */
export function withWho(path: string): string {
  const who = given();
  return who ? `${path}?who=${encodeURIComponent(who)}` : path;
}
