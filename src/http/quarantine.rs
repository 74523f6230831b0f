//! 隔离区: records that could not be read, with their bytes and the reason.

pub(crate) mod maps;

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    by::Requester,
    lens::Lens,
    page::Page,
    request::{Params, blocking, page_size},
};
use crate::{
    daemon::Shared,
    event::time::Calendar,
    store::{Overflow, Reader, RejectFilter, StoredReject},
};

/// Bytes that are shown of a record.
const BYTES_MAX: usize = 4 << 10;

/// Which records to list, the oldest first.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct QuarantineFilter {
    /// Only with this reason code.
    reason: Option<String>,
    /// Only of this source.
    source: Option<String>,
    /// Whether those that were read again are listed too.
    #[serde(default)]
    replayed: bool,
    /// Only after this number: the `next` of the page before.
    after: Option<i64>,
    /// At most so many.
    limit: Option<u32>,
}

/// A page of records in quarantine.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QuarantinePage {
    /// The oldest first.
    records: Vec<RejectView>,
    /// Give it as `after` for the next page; null on the last one.
    next: Option<i64>,
    /// How many the filter finds.
    total: u64,
    /// Records that the quarantine had no room for, by partition and reason; 100 at most.
    #[schema(value_type = Vec<Object>)]
    only_counted: Vec<Overflow>,
}

/// A record in quarantine.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuarantinedRecord)]
pub(crate) struct RejectView {
    seq: i64,
    source: String,
    /// The file, or topic and partition.
    partition: String,
    /// The line, row or offset.
    record: i64,
    /// The reason code.
    reason: String,
    /// The reason in words.
    detail: String,
    /// The first 4 KiB of it, as text; what is no UTF-8 is replaced.
    text: String,
    /// How many bytes it has.
    bytes: usize,
    #[schema(format = DateTime)]
    received_at: String,
    /// When it was read again.
    #[schema(format = DateTime)]
    replayed_at: Option<String>,
    /// Whether it can be read again as it is: as JSON.
    can_be_read_again: bool,
}

impl RejectView {
    fn new(record: &StoredReject, calendar: &Calendar, lens: Lens) -> Self {
        Self::cut(record, BYTES_MAX, calendar, lens)
    }

    /// With so many bytes of its text.
    pub(super) fn cut(record: &StoredReject, most: usize, calendar: &Calendar, lens: Lens) -> Self {
        let (mut text, detail) = lens.record(&String::from_utf8_lossy(&record.raw), &record.detail);
        text.truncate(text.floor_char_boundary(most));
        Self {
            seq: record.seq,
            source: record.source.clone(),
            partition: record.partition.clone(),
            record: record.record,
            reason: record.reason.clone(),
            detail,
            text,
            bytes: record.raw.len(),
            received_at: calendar.format(record.received_at),
            replayed_at: record.replayed_at.map(|at| calendar.format(at)),
            can_be_read_again: record.can_be_read_again(),
        }
    }
}

/// The records in quarantine, the oldest first
#[utoipa::path(get, path = "/api/v1/quarantine", operation_id = "list_quarantine", tag = "quarantine", params(QuarantineFilter),
    responses((status = 200, description = "A page", body = QuarantinePage)))]
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    Params(asked): Params<QuarantineFilter>,
) -> Result<Json<QuarantinePage>, Problem> {
    let (limit, lens) = (page_size(asked.limit)?, by.lens());
    blocking(move || {
        let QuarantineFilter { reason, source, replayed, after, .. } = asked;
        let all = RejectFilter { reason, source, replayed, ..RejectFilter::default() };
        let reader = Reader::open(&shared.state_dir)?;
        let wanted = RejectFilter { after: after.unwrap_or(0), limit: Some(limit + 1), ..all.clone() };
        let found = reader.rejects(&wanted)?;
        let page =
            Page::new(limit).fill(found.iter().map(|record| RejectView::new(record, &shared.calendar, lens)));
        let next = page.rows.last().filter(|_| page.is_cut).map(|record| record.seq);
        let only_counted = reader.overflow(&RejectFilter { limit: Some(100), ..all.clone() })?;
        let total = reader.count_rejects(&all)?;
        Ok(Json(QuarantinePage { records: page.rows, next, total, only_counted }))
    })
    .await
}
