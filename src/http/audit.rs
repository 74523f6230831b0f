//! 审计日志 over the API: who did what, and whether the log is whole.

use std::{collections::BTreeSet, sync::Arc};

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    page::Page,
    request::{Params, blocking, page_size},
};
use crate::{
    daemon::Shared,
    event::{Instant, time::Calendar},
    store::{Audit, AuditEntry, AuditFilter, AuditListing, AuditReport, Seal, filter},
};

/// Which records to list, the latest first. Several values are parted by commas.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Only what these did, by their names.
    who: Option<String>,
    /// Only these actions, or those that begin so: `alerts.*`.
    action: Option<String>,
    /// Only what was done to these.
    subject: Option<String>,
    /// Only what came to this, such as `refused`.
    result: Option<String>,
    /// Only where any of it has this text.
    q: Option<String>,
    /// Only from this time on: a local date, or RFC 3339.
    from: Option<String>,
    /// Only before this time; a date counts whole.
    to: Option<String>,
    /// Only those before this number: the `next` of the page before.
    before: Option<i64>,
    /// At most so many.
    limit: Option<u32>,
}

impl AuditQuery {
    fn filter(self, calendar: &Calendar, limit: u32) -> Result<AuditFilter, String> {
        let time = |text: Option<String>, read: &dyn Fn(&str) -> Result<Instant, String>| {
            text.as_deref().map(read).transpose()
        };
        Ok(AuditFilter {
            who: self.who,
            action: self.action,
            subject: self.subject,
            result: self.result,
            text: self.q,
            from: time(self.from, &|text| filter::instant("from", text, calendar))?,
            to: time(self.to, &|text| filter::end("to", text, calendar))?,
            before: self.before,
            limit,
        })
    }
}

/// A record of the audit log.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct AuditEntryView {
    /// Its number.
    seq: i64,
    /// When it was done, by the clock.
    #[schema(format = DateTime)]
    done_at: String,
    /// Who; empty where nobody is known.
    who: String,
    /// From where.
    place: String,
    /// Did what.
    action: String,
    /// To whom or what.
    subject: String,
    /// What came of it.
    result: String,
    /// What else is known.
    detail: String,
    /// The digest that ties it to the one before, in hexadecimal.
    digest: String,
}

impl AuditEntryView {
    fn new(entry: AuditEntry, calendar: &Calendar) -> Self {
        let AuditEntry { seq, at, who, place, action, subject, result, detail, digest } = entry;
        Self { seq, done_at: calendar.format(at), who, place, action, subject, result, detail, digest }
    }
}

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditPage {
    /// The latest first. A page of a search that went through many files may have few, or none, and a `next`.
    entries: Vec<AuditEntryView>,
    /// Give it as `before` for the next page; null on the last one.
    next: Option<i64>,
    /// How many records the whole log has.
    records: i64,
    /// How many of them the last seal covers.
    sealed: i64,
    /// When it was made; null before the first one.
    #[schema(format = DateTime)]
    sealed_at: Option<String>,
}

/// Who did what
#[utoipa::path(get, path = "/api/v1/audit", operation_id = "list_audit", tag = "audit", params(AuditQuery),
    responses((status = 200, description = "A page", body = AuditPage)))]
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Params(listed): Params<AuditQuery>,
) -> Result<Json<AuditPage>, Problem> {
    let limit = page_size(listed.limit)?;
    let wanted = listed.filter(&shared.calendar, limit + 1).map_err(Problem::bad_request)?;
    blocking(move || {
        let audit = Audit::open_read_only(&shared.state_dir)?;
        let AuditListing { entries, goes_on_before } = audit.list(&wanted)?;
        let page =
            Page::new(limit).fill(entries.into_iter().map(|e| AuditEntryView::new(e, &shared.calendar)));
        let next = page.rows.last().filter(|_| page.is_cut).map(|last| last.seq).or(goes_on_before);
        let (records, seal) = (audit.records()?, audit.last_seal()?);
        let sealed = seal.as_ref().map_or(0, |seal| seal.records);
        let sealed_at = seal.map(|Seal { at, .. }| shared.calendar.format(at));
        Ok(Json(AuditPage { entries: page.rows, next, records, sealed, sealed_at }))
    })
    .await
}

/// What a check of the audit log found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditReport)]
pub(crate) struct ReportView {
    /// Whether nothing is wrong.
    whole: bool,
    /// How many records there are.
    records: i64,
    /// The digest of the last one.
    head: String,
    /// How many files hold the older part of it.
    files: usize,
    /// How many seals there are.
    seals: usize,
    /// How many records the last one covers.
    sealed: i64,
    /// The public keys that sealed, in hexadecimal.
    #[schema(value_type = Vec<String>)]
    keys: BTreeSet<String>,
    /// What is wrong.
    problems: Vec<String>,
}

/// Follows the whole log, and compares it with its seals. Seals that are kept outside of the state are not looked at
#[utoipa::path(get, path = "/api/v1/audit/check", operation_id = "check_audit", tag = "audit",
    responses((status = 200, description = "What was found", body = ReportView)))]
pub(crate) async fn check(State(shared): State<Arc<Shared>>) -> Result<Json<ReportView>, Problem> {
    blocking(move || {
        let AuditReport { records, head, files, seals, sealed, keys, problems } =
            Audit::open_read_only(&shared.state_dir)?.verify(None, &[])?;
        Ok(Json(ReportView {
            whole: problems.is_empty(),
            records,
            head,
            files,
            seals,
            sealed,
            keys,
            problems,
        }))
    })
    .await
}
