// Which address shows which screen. A screen that is not here is not linked.
import type { ComponentType } from "preact";
import { t } from "../text";
import { Detail } from "./alerts/detail";
import { Inbox } from "./alerts/inbox";
import { Approvals } from "./approvals/list";
import { LinePage } from "./budget/line";
import { Ask } from "./ask/screen";
import { AuditScreen } from "./audit";
import { Budget } from "./budget/overview";
import { Unit } from "./budget/unit";
import { DecisionScreen } from "./decisions/decision";
import { Decisions } from "./decisions/list";
import { MapEditor } from "./map";
import { NotFound } from "./not-found";
import { Notifications } from "./notifications";
import { EventScreen } from "./payments/event";
import { PayeeScreen } from "./payees/payee";
import { Payees } from "./payees/list";
import { Payments } from "./payments/list";
import { Quarantine } from "./quarantine";
import { Reports } from "./reports";
import { Results } from "./results";
import { Routes } from "./routes";
import { RuleSets } from "./rules/sets";
import { Rules } from "./rules/list";
import { LabPage, RulePage } from "./rules/rule";
import { Silences } from "./silences";
import { Sources } from "./sources";
import { Today } from "./today";
import { Users } from "./users";
import { Works } from "./works/screen";

interface Screen {
  pattern: RegExp;
  title: () => string;
  View: ComponentType<{ id: string }>;
}

const SCREENS: Screen[] = [
  { pattern: /^\/$/, title: () => t().nav.today, View: Today },
  { pattern: /^\/alerts$/, title: () => t().nav.alerts, View: Inbox },
  { pattern: /^\/alerts\/([^/]+)$/, title: () => t().nav.alerts, View: Detail },
  { pattern: /^\/budget$/, title: () => t().nav.budget, View: Budget },
  { pattern: /^\/budget\/([^/]+)$/, title: () => t().nav.budget, View: LinePage },
  { pattern: /^\/units\/([^/]+)$/, title: () => t().nav.budget, View: Unit },
  { pattern: /^\/payments$/, title: () => t().nav.payments, View: Payments },
  { pattern: /^\/payments\/([^/]+)$/, title: () => t().nav.payments, View: EventScreen },
  { pattern: /^\/payees$/, title: () => t().nav.payees, View: Payees },
  { pattern: /^\/payees\/([^/]+)$/, title: () => t().nav.payees, View: PayeeScreen },
  { pattern: /^\/decisions$/, title: () => t().nav.decisions, View: Decisions },
  { pattern: /^\/decisions\/([^/]+)$/, title: () => t().nav.decisions, View: DecisionScreen },
  { pattern: /^\/approvals$/, title: () => t().nav.approvals, View: Approvals },
  { pattern: /^\/works$/, title: () => t().nav.works, View: Works },
  { pattern: /^\/rules$/, title: () => t().nav.rules, View: Rules },
  { pattern: /^\/rules\/([^/]+)$/, title: () => t().nav.rules, View: RulePage },
  { pattern: /^\/rules\/([^/]+)\/lab$/, title: () => t().nav.rules, View: LabPage },
  { pattern: /^\/rule-sets$/, title: () => t().nav.ruleSets, View: RuleSets },
  { pattern: /^\/results$/, title: () => t().nav.results, View: Results },
  { pattern: /^\/reports$/, title: () => t().nav.reports, View: Reports },
  { pattern: /^\/silences$/, title: () => t().nav.silences, View: Silences },
  { pattern: /^\/notifications$/, title: () => t().nav.notifications, View: Notifications },
  { pattern: /^\/routes$/, title: () => t().nav.routes, View: Routes },
  { pattern: /^\/quarantine$/, title: () => t().nav.quarantine, View: Quarantine },
  { pattern: /^\/sources$/, title: () => t().nav.sources, View: Sources },
  { pattern: /^\/sources\/map$/, title: () => t().nav.sources, View: MapEditor },
  { pattern: /^\/ask$/, title: () => t().nav.ask, View: Ask },
  { pattern: /^\/audit$/, title: () => t().nav.audit, View: AuditScreen },
  { pattern: /^\/users$/, title: () => t().nav.users, View: Users },
];

/** What the navigation offers, to those who may: the first three also at the foot of a phone. */
export const NAVIGATION = [
  { to: "/", name: "today", icon: "today", first: true, needs: "alerts.read" },
  { to: "/alerts", name: "alerts", icon: "alerts", first: true, needs: "alerts.read" },
  { to: "/budget", name: "budget", icon: "budget", first: true, needs: "budget.read" },
  { to: "/payments", name: "payments", icon: "payments", first: false, needs: "events.read" },
  { to: "/payees", name: "payees", icon: "payees", first: false, needs: "events.read" },
  { to: "/ask", name: "ask", icon: "ask", first: false, needs: "questions.ask" },
  { to: "/decisions", name: "decisions", icon: "decisions", first: false, needs: "decisions.read" },
  { to: "/approvals", name: "approvals", icon: "approvals", first: false, needs: "approvals.read" },
  { to: "/works", name: "works", icon: "works", first: false, needs: "works.run" },
  { to: "/rules", name: "rules", icon: "rules", first: false, needs: "rules.read" },
  { to: "/rule-sets", name: "ruleSets", icon: "ruleSets", first: false, needs: "rules.read" },
  { to: "/results", name: "results", icon: "results", first: false, needs: "budget.read" },
  { to: "/reports", name: "reports", icon: "reports", first: false, needs: "alerts.read" },
  { to: "/silences", name: "silences", icon: "silences", first: false, needs: "silences.read" },
  { to: "/notifications", name: "notifications", icon: "notifications", first: false, needs: "notifications.read" },
  { to: "/routes", name: "routes", icon: "routes", first: false, needs: "notifications.read" },
  { to: "/quarantine", name: "quarantine", icon: "quarantine", first: false, needs: "quarantine.read" },
  { to: "/sources", name: "sources", icon: "sources", first: false, needs: "status.read" },
  { to: "/audit", name: "audit", icon: "audit", first: false, needs: "audit.read" },
  { to: "/users", name: "users", icon: "users", first: false, needs: "users.read" },
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
