//! What each route asks for. A route that is not here is nobody's: a test compares the table with what is served. The
//! console's files are everybody's, and stand in `console.rs`.

use super::{console::is_console, oidc};
use crate::access::Action;

/// A route: its method, its path as the router has it, and what it asks for; `None` for what everybody may: supervisors ask
/// how the daemon is, and everybody has a session of their own, or begins one.
pub(crate) type ApiRoute = (&'static str, &'static str, Option<Action>);

/// Every route of the API, with the action that it asks for.
pub const ROUTES: &[ApiRoute] = &[
    ("GET", "/-/healthy", None),
    ("GET", "/-/ready", None),
    ("POST", "/-/reload", Some(Action::ReloadRules)),
    ("GET", "/metrics", Some(Action::ReadMetrics)),
    ("GET", "/answer.css", None),
    ("GET", "/answer/{token}", None),
    ("POST", "/answer/{token}", None),
    ("GET", "/api/v1/alerts", Some(Action::ReadAlerts)),
    ("GET", "/api/v1/alerts/counts", Some(Action::ReadAlerts)),
    ("POST", "/api/v1/alerts/hand-over", Some(Action::WorkAlerts)),
    ("GET", "/api/v1/alerts/register.xlsx", Some(Action::ExportAlerts)),
    ("POST", "/api/v1/alerts/transitions", Some(Action::WorkAlerts)),
    ("GET", "/api/v1/alerts/{id}", Some(Action::ReadAlerts)),
    ("GET", "/api/v1/alerts/{id}/attachments", Some(Action::ReadAlerts)),
    ("POST", "/api/v1/alerts/{id}/attachments", Some(Action::WorkAlerts)),
    ("GET", "/api/v1/alerts/{id}/attachments/{attachment}", Some(Action::ReadFiles)),
    ("GET", "/api/v1/alerts/{id}/evidence", Some(Action::ExportFindings)),
    ("POST", "/api/v1/alerts/{id}/inquire", Some(Action::WorkAlerts)),
    ("GET", "/api/v1/alerts/{id}/related", Some(Action::ReadAlerts)),
    ("POST", "/api/v1/alerts/{id}/review", Some(Action::ReviewAlerts)),
    ("GET", "/api/v1/alerts/{id}/worth", Some(Action::ReadAlerts)),
    ("POST", "/api/v1/alerts/{id}/transitions", Some(Action::WorkAlerts)),
    ("GET", "/api/v1/approvals", Some(Action::ReadMatters)),
    ("POST", "/api/v1/approvals", Some(Action::ProposeMatters)),
    ("GET", "/api/v1/approvals/{id}", Some(Action::ReadMatters)),
    ("POST", "/api/v1/approvals/{id}/judgement", Some(Action::JudgeMatters)),
    ("GET", "/api/v1/approvals/{id}/signed", Some(Action::ExportMatters)),
    ("POST", "/api/v1/approvals/{id}/withdrawal", Some(Action::WithdrawMatters)),
    ("POST", "/api/v1/ask", Some(Action::AskQuestions)),
    ("GET", "/api/v1/audit", Some(Action::ReadAudit)),
    ("GET", "/api/v1/audit/check", Some(Action::ReadAudit)),
    ("GET", "/api/v1/backtests", Some(Action::TryRules)),
    ("POST", "/api/v1/backtests", Some(Action::TryRules)),
    ("DELETE", "/api/v1/backtests/{id}", Some(Action::TryRules)),
    ("GET", "/api/v1/backtests/{id}", Some(Action::TryRules)),
    ("GET", "/api/v1/budget-lines", Some(Action::ReadBudget)),
    ("GET", "/api/v1/budget-lines/{id}", Some(Action::ReadBudget)),
    ("GET", "/api/v1/budget/groups", Some(Action::ReadBudget)),
    ("GET", "/api/v1/budget/totals", Some(Action::ReadBudget)),
    ("GET", "/api/v1/budget-lines/{id}/forecast", Some(Action::ReadBudget)),
    ("GET", "/api/v1/budget-lines/{id}/history", Some(Action::ReadEvents)),
    ("GET", "/api/v1/changes", Some(Action::ReadAlerts)),
    ("GET", "/api/v1/codes", Some(Action::ReadBudget)),
    ("GET", "/api/v1/codes/{column}", Some(Action::ReadBudget)),
    ("GET", "/api/v1/completeness", Some(Action::ReadBudget)),
    ("GET", "/api/v1/events", Some(Action::ReadEvents)),
    ("POST", "/api/v1/decide", Some(Action::Decide)),
    ("GET", "/api/v1/decisions", Some(Action::ReadDecisions)),
    ("GET", "/api/v1/decisions/{event_id}", Some(Action::ReadDecisions)),
    ("POST", "/api/v1/decisions/{event_id}/release", Some(Action::ReleaseDecisions)),
    ("POST", "/api/v1/decisions/{event_id}/overrides", Some(Action::GrantOverrides)),
    ("POST", "/api/v1/events", Some(Action::PostEvents)),
    ("GET", "/api/v1/events/{id}", Some(Action::ReadEvents)),
    ("GET", "/api/v1/explain", Some(Action::ReadEvents)),
    ("GET", "/api/v1/findings", Some(Action::ReadFindings)),
    ("GET", "/api/v1/findings/times", Some(Action::ReadFindings)),
    ("GET", "/api/v1/indicators", Some(Action::ReadBudget)),
    ("GET", "/api/v1/indicators/{id}", Some(Action::ReadBudget)),
    ("GET", "/api/v1/lists", Some(Action::ReadRules)),
    ("POST", "/api/v1/maps/trial", Some(Action::ReadQuarantine)),
    ("GET", "/api/v1/notifications", Some(Action::ReadNotifications)),
    ("POST", "/api/v1/notifications/{id}/retry", Some(Action::RetryNotifications)),
    ("GET", "/api/v1/openapi.json", Some(Action::DescribeApi)),
    ("GET", "/api/v1/overrides", Some(Action::ReadDecisions)),
    ("DELETE", "/api/v1/overrides/{id}", Some(Action::GrantOverrides)),
    ("GET", "/api/v1/overrides/{id}", Some(Action::ReadDecisions)),
    ("POST", "/api/v1/overrides/{id}/confirm", Some(Action::GrantOverrides)),
    ("GET", "/api/v1/payees", Some(Action::ReadEvents)),
    ("GET", "/api/v1/payees/{id}", Some(Action::ReadEvents)),
    ("GET", "/api/v1/quarantine", Some(Action::ReadQuarantine)),
    ("POST", "/api/v1/quarantine/replay", Some(Action::ReplayQuarantine)),
    ("GET", "/api/v1/quarantine/{seq}", Some(Action::ReadQuarantine)),
    ("GET", "/api/v1/questions", Some(Action::AskQuestions)),
    ("GET", "/api/v1/routes", Some(Action::ReadNotifications)),
    ("POST", "/api/v1/routes/trial", Some(Action::ReadNotifications)),
    ("GET", "/api/v1/reports/month", Some(Action::ReadAlerts)),
    ("GET", "/api/v1/reports/month.xlsx", Some(Action::ExportAlerts)),
    ("GET", "/api/v1/reports/service", Some(Action::ReadAlerts)),
    ("GET", "/api/v1/rule-sets", Some(Action::ReadRules)),
    ("POST", "/api/v1/rule-sets", Some(Action::ProposeRules)),
    ("DELETE", "/api/v1/rule-sets/{id}/approval", Some(Action::ApproveRules)),
    ("POST", "/api/v1/rule-sets/{id}/approval", Some(Action::ApproveRules)),
    ("POST", "/api/v1/rule-sets/{id}/force", Some(Action::ReloadRules)),
    ("GET", "/api/v1/rules", Some(Action::ReadRules)),
    ("GET", "/api/v1/rules/{id}", Some(Action::ReadRules)),
    ("POST", "/api/v1/rules/{id}/exceptions", Some(Action::ProposeRules)),
    ("DELETE", "/api/v1/session", None),
    ("GET", "/api/v1/session", None),
    ("POST", "/api/v1/session", None),
    ("GET", "/api/v1/session/oidc", None),
    ("GET", "/api/v1/session/oidc/callback", None),
    ("POST", "/api/v1/session/password", None),
    ("POST", "/api/v1/session/totp", None),
    ("POST", "/api/v1/session/totp/confirm", None),
    ("POST", "/api/v1/session/totp/disable", None),
    ("GET", "/api/v1/sessions", Some(Action::ReadUsers)),
    ("DELETE", "/api/v1/sessions/{id}", Some(Action::ManageUsers)),
    ("GET", "/api/v1/silences", Some(Action::ReadSilences)),
    ("POST", "/api/v1/silences", Some(Action::OrderSilences)),
    ("POST", "/api/v1/silences/preview", Some(Action::ReadAlerts)),
    ("DELETE", "/api/v1/silences/{id}", Some(Action::OrderSilences)),
    ("GET", "/api/v1/silences/{id}", Some(Action::ReadSilences)),
    ("GET", "/api/v1/status", Some(Action::ReadStatus)),
    ("GET", "/api/v1/stream", Some(Action::ReadAlerts)),
    ("GET", "/api/v1/tokens", Some(Action::ReadUsers)),
    ("POST", "/api/v1/tokens", Some(Action::ManageUsers)),
    ("DELETE", "/api/v1/tokens/{id}", Some(Action::ManageUsers)),
    ("GET", "/api/v1/users", Some(Action::ReadUsers)),
    ("POST", "/api/v1/users", Some(Action::ManageUsers)),
    ("PATCH", "/api/v1/users/{name}", Some(Action::ManageUsers)),
    ("GET", "/api/v1/works", Some(Action::RunWorks)),
    ("POST", "/api/v1/works", Some(Action::RunWorks)),
    ("POST", "/api/v1/works/against", Some(Action::RunWorks)),
    ("DELETE", "/api/v1/works/{id}", Some(Action::RunWorks)),
    ("GET", "/api/v1/works/{id}", Some(Action::RunWorks)),
    ("GET", "/api/v1/works/{id}/files/{name}", Some(Action::RunWorks)),
];

/// Routes that keep to the limits of roles. What the others tell cannot be parted by units, so they are not for whoever is
/// limited.
pub const WITHIN_LIMITS: &[(&str, &str)] = &[
    ("GET", "/api/v1/alerts"),
    ("GET", "/api/v1/alerts/counts"),
    ("GET", "/api/v1/alerts/register.xlsx"),
    ("GET", "/api/v1/alerts/{id}"),
    ("GET", "/api/v1/alerts/{id}/attachments"),
    ("POST", "/api/v1/alerts/{id}/attachments"),
    ("GET", "/api/v1/alerts/{id}/attachments/{attachment}"),
    ("POST", "/api/v1/alerts/{id}/inquire"),
    ("GET", "/api/v1/alerts/{id}/related"),
    ("POST", "/api/v1/alerts/{id}/review"),
    ("POST", "/api/v1/alerts/{id}/transitions"),
    ("GET", "/api/v1/alerts/{id}/worth"),
    ("GET", "/api/v1/approvals"),
    ("POST", "/api/v1/approvals"),
    ("GET", "/api/v1/approvals/{id}"),
    ("POST", "/api/v1/approvals/{id}/judgement"),
    ("GET", "/api/v1/approvals/{id}/signed"),
    ("POST", "/api/v1/approvals/{id}/withdrawal"),
    ("POST", "/api/v1/ask"),
    ("GET", "/api/v1/budget-lines"),
    ("GET", "/api/v1/codes"),
    ("GET", "/api/v1/codes/{column}"),
    ("GET", "/api/v1/budget-lines/{id}"),
    ("GET", "/api/v1/findings"),
    ("GET", "/api/v1/indicators"),
    ("GET", "/api/v1/indicators/{id}"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/api/v1/questions"),
    ("GET", "/api/v1/reports/month"),
    ("GET", "/api/v1/reports/month.xlsx"),
    ("GET", "/api/v1/reports/service"),
];

/// Whether a route keeps to the limits of roles.
#[must_use]
pub(crate) fn keeps_to_limits(method: &str, path: &str) -> bool {
    let method = if method == "HEAD" { "GET" } else { method };
    WITHIN_LIMITS.contains(&(method, path))
}

const OWN: &str = "/api/v1/session";

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Nothing,
    /// Nothing, and who is known is told so.
    Own,
    Act(Action),
    /// Somebody who is known: what is their own, or nothing is served there, and only they learn that.
    Anybody,
    /// More than anybody may: it is served, and missing in the table.
    Nobody,
}

/// What a method of a route asks for; `path` as the router has it, `None` where it has none.
#[must_use]
pub(crate) fn need(method: &str, path: Option<&str>) -> Need {
    let Some(path) = path else { return Need::Anybody };
    let method = if method == "HEAD" { "GET" } else { method };
    let mut of_path = ROUTES.iter().filter(|(_, known, _)| *known == path).peekable();
    if of_path.peek().is_none() {
        if is_console(path) {
            return Need::Nothing;
        }
        return Need::Nobody;
    }
    // Another method of a path that is known is answered 405.
    of_path.find(|(known, ..)| *known == method).map_or(Need::Anybody, |(.., action)| match action {
        Some(action) => Need::Act(*action),
        None if path == OWN => Need::Own,
        // Who logs in there is nobody yet.
        None if path.starts_with(oidc::BEGIN) => Need::Nothing,
        None if path.starts_with(OWN) => Need::Anybody,
        None => Need::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_route_of_the_api() {
        let (_, description) = super::super::openapi::api();
        let mut served: Vec<(&str, String)> = Vec::new();
        for (path, item) in &description.paths.paths {
            let methods = [
                ("GET", &item.get),
                ("POST", &item.post),
                ("DELETE", &item.delete),
                ("PUT", &item.put),
                ("PATCH", &item.patch),
            ];
            served.extend(methods.into_iter().filter(|(_, o)| o.is_some()).map(|(m, _)| (m, path.clone())));
        }
        let mut known: Vec<_> =
            ROUTES.iter().map(|(method, path, _)| (*method, (*path).to_owned())).collect();
        known.retain(|(_, path)| path.starts_with("/api/"));
        served.sort();
        known.sort();
        assert_eq!(known, served);
    }

    #[test]
    fn what_is_not_in_the_table_is_nobodys() {
        assert_eq!(need("GET", Some("/api/v1/new")), Need::Nobody);
        assert_eq!(need("GET", None), Need::Anybody);
        assert_eq!(need("PUT", Some("/metrics")), Need::Anybody);
        assert_eq!(need("HEAD", Some("/metrics")), Need::Act(Action::ReadMetrics));
        assert_eq!(need("GET", Some("/-/ready")), Need::Nothing);
        assert_eq!(need("POST", Some("/api/v1/session")), Need::Own);
        assert_eq!(need("POST", Some("/api/v1/session/password")), Need::Anybody);
        assert_eq!(need("GET", Some("/alerts/{id}")), Need::Nothing);
    }
}
