// The screens that tests and pictures look at.

/** A line that has everything. */
export const LINE = "ZB2026-380100105001-001";

/** Every screen by a name, over what the tests feed. */
export async function screensOf(daemon) {
  const { alerts } = await daemon.get("/alerts?state=active&limit=1&rule=large-cash");
  return {
    today: "/",
    inbox: "/alerts",
    alert: `/alerts/${alerts[0].alert_id}`,
    line: `/budget/${LINE}`,
    silences: '/silences?new=rule%3D"no-budget"',
    nothing: "/alerts?text=nosuch",
    budget: "/budget",
    lines: "/budget?by=line&region=380100000",
    unit: "/units/380100105001",
    payments: "/payments",
    payment: "/payments/C1?rule=large-cash",
    quarantine: "/quarantine?replayed=true",
    payees: "/payees",
    payee: "/payees/P0-0",
    "rule-sets": "/rule-sets",
    approvals: "/approvals?state=all",
    works: "/works",
    drill: "/works?tab=drill",
    routes: "/routes?labels=rule%3Dlarge-cash%0Aseverity%3Dhigh",
    rules: "/rules",
    rule: "/rules/large-cash",
    lab: "/rules/large-cash/lab",
    results: "/results",
    notifications: "/notifications",
    reports: "/reports",
    sources: "/sources",
    "map-editor": "/sources/map",
    map: "/budget?view=map",
    decisions: "/decisions",
    decision: "/decisions/SQ-beyond",
    audit: "/audit",
    users: "/users?tab=tokens",
    unknown: "/alerts/none",
    "no-unit": "/units/none",
    ask: `/ask?q=${encodeURIComponent("各单位的执行率")}`,
    questions: "/ask",
    "asked-back": `/ask?q=${encodeURIComponent("教育局的预警")}`,
    "no-page": "/nonsense",
  };
}
