// Which address shows which screen. A screen that is not here is not linked.
import type { ComponentType } from "preact";
import { t } from "../text";
import { Detail } from "./alerts/detail";
import { Inbox } from "./alerts/inbox";
import { LinePage } from "./budget/line";
import { NotFound } from "./not-found";
import { Silences } from "./silences";
import { Today } from "./today";

interface Screen {
  pattern: RegExp;
  title: () => string;
  View: ComponentType<{ id: string }>;
}

const SCREENS: Screen[] = [
  { pattern: /^\/$/, title: () => t().nav.today, View: Today },
  { pattern: /^\/alerts$/, title: () => t().nav.alerts, View: Inbox },
  { pattern: /^\/alerts\/([^/]+)$/, title: () => t().nav.alerts, View: Detail },
  { pattern: /^\/budget\/([^/]+)$/, title: () => t().nav.budget, View: LinePage },
  { pattern: /^\/silences$/, title: () => t().nav.silences, View: Silences },
];

export const NAVIGATION = [
  { to: "/", name: "today", icon: "today", first: true },
  { to: "/alerts", name: "alerts", icon: "alerts", first: true },
  { to: "/silences", name: "silences", icon: "silences", first: false },
] as const;

/** The screen of a path, and what the path names. */
export function screenOf(path: string): Screen & { id: string } {
  for (const screen of SCREENS) {
    const found = screen.pattern.exec(path);
    if (found) return { ...screen, id: named(found[1] ?? "") };
  }
  return { pattern: /^/, title: () => t().notFound.title, View: NotFound, id: "" };
}

function named(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
