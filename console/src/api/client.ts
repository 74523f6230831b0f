// How the daemon is asked: one place that knows addresses, errors, whether the daemon is there, and who is signed in.
import { signal } from "@preact/signals";
import { settings } from "../settings";

/** What the daemon says is wrong, in its words (RFC 9457). */
export class Problem extends Error {
  constructor(
    readonly status: number,
    detail: string,
    readonly again: number | null = null,
    /** Why in one word, where the status does not say it. */
    readonly reason: string | null = null,
  ) {
    super(detail);
  }
}

/** The daemon did not answer. */
export class Gone extends Error {}

/** Whether the daemon answers; while it does not, when it is tried next. */
export const link = signal<{ up: boolean; nextTry: number; wasDown: boolean }>({
  up: true,
  nextTry: 0,
  wasDown: false,
});
/** Grows when everything is to be read again. */
export const epoch = signal(0);
/** Whether a request was refused because nobody is signed in. */
export const refused = signal(false);
/** The page on which personal data is asked for as a whole; it ends with the page, and the daemon records it. */
export const wholeOn = signal<string | null>(null);
/** What a session wants to see with each change. */
export const csrf = signal<string | null>(null);

const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 10_000;
let wait = FIRST_WAIT;
let timer: ReturnType<typeof setTimeout> | undefined;

function isDown(): void {
  if (timer !== undefined) return;
  link.value = { up: false, nextTry: Date.now() + wait, wasDown: true };
  timer = setTimeout(probe, wait);
  wait = Math.min(LONGEST_WAIT, wait * 2);
}

/** Asks whether the daemon is back. */
export async function probe(): Promise<void> {
  clearTimeout(timer);
  timer = undefined;
  try {
    const answer = await fetch("/-/healthy", { cache: "no-store" });
    if (!answer.ok) throw new Gone();
    wait = FIRST_WAIT;
    link.value = { up: true, nextTry: 0, wasDown: true };
    epoch.value += 1;
  } catch {
    isDown();
  }
}

async function call(path: string, init: RequestInit): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set("Accept-Language", settings.language.peek());
  if (wholeOn.peek() === location.pathname) headers.set("X-Unmasked", "true");
  if (init.method && init.method !== "GET" && csrf.peek()) headers.set("X-CSRF-Token", csrf.peek()!);
  let answer: Response;
  try {
    answer = await fetch(path, { cache: "no-store", credentials: "same-origin", ...init, headers });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    isDown();
    throw new Gone();
  }
  if (answer.status === 502 || answer.status === 504) {
    isDown();
    throw new Gone();
  }
  if (!answer.ok) throw await problem(answer);
  return answer;
}

async function problem(answer: Response): Promise<Problem> {
  if (answer.status === 401 && !answer.url.endsWith("/session")) refused.value = true;
  const again = Number(answer.headers.get("Retry-After")) || null;
  const text = await answer.text().catch(() => "");
  try {
    const { detail, reason } = JSON.parse(text) as { detail?: string; reason?: string };
    return new Problem(answer.status, detail ?? answer.statusText, again, reason ?? null);
  } catch {
    return new Problem(answer.status, text.slice(0, 300) || answer.statusText, again);
  }
}

export type Query = Record<string, string | number | boolean | null | undefined>;

/** An address with its parameters; empty ones are left out. */
export function at(path: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") params.set(name, String(value));
  }
  const text = params.toString();
  return text === "" ? path : `${path}?${text}`;
}

/** Reads something. What a page asks by itself (`isBackground`) keeps no session awake. */
export async function ask<T>(
  path: string,
  query: Query = {},
  { stop, isBackground = false }: { stop?: AbortSignal; isBackground?: boolean } = {},
): Promise<T> {
  const headers: Record<string, string> = isBackground ? { "X-Background": "1" } : {};
  const answer = await call(at(`/api/v1${path}`, query), { headers, ...(stop ? { signal: stop } : {}) });
  return (await answer.json()) as T;
}

/** Fetches a file and has the browser save it: a link could not ask for personal data, nor say why there is none. */
export async function save(path: string, query: Query = {}): Promise<void> {
  const answer = await call(at(`/api/v1${path}`, query), {});
  const name = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "")?.[1] ?? "download";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Sends a file. */
export async function upload<T>(path: string, file: Blob): Promise<T> {
  const headers = { "Content-Type": "application/octet-stream" };
  const answer = await call(`/api/v1${path}`, { method: "POST", headers, body: file });
  const text = await answer.text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

/** Sends a file that is answered with something. */
export async function uploaded<T>(path: string, query: Query, file: Blob): Promise<T> {
  const headers = { "Content-Type": "application/octet-stream" };
  const answer = await call(at(`/api/v1${path}`, query), { method: "POST", headers, body: file });
  return (await answer.json()) as T;
}

/** Changes something. `version` is what was seen of it: if somebody else was faster, it is refused. */
export async function send<T>(
  method: "POST" | "PATCH" | "DELETE",
  path: string,
  body?: unknown,
  version?: number,
): Promise<T> {
  const headers: Record<string, string> = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (version !== undefined) headers["If-Match"] = `"${version}"`;
  const answer = await call(`/api/v1${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}
