//! Records of the quarantine, looked at one by one, corrected, and read again while the daemon goes on.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Problem,
    by::Requester,
    lens::Lens,
    quarantine::RejectView,
    request::{JsonBody, PathId, blocking},
};
use crate::{
    access::{Action, Actor},
    daemon::{IngestError, POSTED, Shared},
    say,
    store::{Accounts, AuditedAction, Reader, RejectFilter, StoredReject},
    stream::{Payload, Receipt},
};

/// The longest record that can be looked at as a whole and corrected, in bytes.
const RECORD_MAX: usize = 32 << 10;
/// Records that are read again at once.
const RECORDS_MAX: usize = 1000;
/// Records that are in quarantine again, and told why.
const TOLD_MAX: u32 = 20;

/// One record of the quarantine, with up to 32 KiB of its text
#[utoipa::path(get, path = "/api/v1/quarantine/{seq}", operation_id = "show_quarantined", tag = "quarantine",
    params(("seq" = i64, Path, description = "Its number")),
    responses(
        (status = 200, description = "The record", body = RejectView),
        (status = 404, description = "There is no such record", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    PathId(seq): PathId<i64>,
) -> Result<Json<RejectView>, Problem> {
    let lens = by.lens();
    blocking(move || {
        let record = Reader::open(&shared.state_dir)?.reject(seq)?.ok_or_else(|| missing(seq))?;
        Ok(Json(RejectView::cut(&record, RECORD_MAX, &shared.calendar, lens)))
    })
    .await
}

fn missing(seq: i64) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, say!("there is no record {seq} in quarantine", seq))
}

/// What is read again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Replay)]
pub(crate) struct ReplayRequest {
    /// The numbers of the records, 1 to 1000.
    seqs: Vec<i64>,
    /// For one record: what it should have been, one JSON object. Whoever corrects has to see it as a whole (`X-Unmasked`).
    record: Option<String>,
    /// Who does it; the proxy in front tells it where `http.user_header` is set.
    who: Option<String>,
}

/// What became of records that were read again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Replayed {
    /// Taken as events.
    accepted: u64,
    /// Known already.
    duplicates: u64,
    /// In quarantine again, under a new number.
    rejected: u64,
    /// Not tried: no JSON, a hole, or more than is taken at once. They stay as they are.
    left: u64,
    /// Why records are in quarantine again; the first 20.
    again: Vec<RejectView>,
}

/// Reads records of the quarantine again, as they are or corrected
///
/// The answer comes after the commit, which also marks them. A record whose event is known changes nothing.
#[utoipa::path(post, path = "/api/v1/quarantine/replay", operation_id = "replay_quarantine", tag = "quarantine", request_body = ReplayRequest,
    responses(
        (status = 200, description = "What became of them", body = Replayed),
        (status = 403, description = "Events are not taken over HTTP, or the record is only seen masked", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "There is no such record", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "Not one of the records can be read again", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Windows have no room, or the daemon is stopping", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn replay(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    headers: HeaderMap,
    JsonBody(replay): JsonBody<ReplayRequest>,
) -> Result<Json<Replayed>, Problem> {
    if !shared.accept_events {
        let detail = say!("events are not taken over HTTP (http.accept_events)");
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    let actor = match (&by.known, &by.local, &replay.who) {
        (None, None, None) => by.unnamed(),
        _ => by.actor(&headers, replay.who.as_deref())?,
    };
    let lens = by.lens();
    is_possible(&replay, lens)?;
    let asked = Arc::clone(&shared);
    let corrected = replay.record.clone();
    let (records, left, last) = blocking(move || wanted(&asked, &replay)).await?;
    let seqs: Vec<i64> = records.iter().map(|record| record.seq).collect();
    let mut total = Receipt::default();
    // Those of one source are read as that source's are.
    for of in records.chunk_by(|a, b| a.source == b.source) {
        let source = &*of[0].source;
        let read_as = if shared.maps.contains_key(source) { source } else { POSTED };
        let numbers = of.iter().map(|record| record.seq).collect();
        let receipt = shared.submit(read_as, messages(of, corrected.as_deref()), numbers).await;
        total += receipt.map_err(not_taken)?;
    }
    blocking(move || {
        record(&shared, &actor, (&seqs, corrected.as_deref(), total))?;
        let filter = RejectFilter {
            source: Some(String::from(POSTED)),
            after: last,
            limit: Some(TOLD_MAX),
            ..RejectFilter::default()
        };
        let again =
            if total.rejected > 0 { Reader::open(&shared.state_dir)?.rejects(&filter)? } else { Vec::new() };
        let again = again.iter().map(|record| RejectView::cut(record, RECORD_MAX, &shared.calendar, lens));
        let Receipt { accepted, duplicates, rejected, .. } = total;
        Ok(Json(Replayed { accepted, duplicates, rejected, left, again: again.collect() }))
    })
    .await
}

fn is_possible(replay: &ReplayRequest, lens: Lens) -> Result<(), Problem> {
    if !(1..=RECORDS_MAX).contains(&replay.seqs.len()) {
        let most = RECORDS_MAX;
        return Err(Problem::unprocessable(say!(
            "name 1 to {most} records by their numbers in `seqs`",
            most
        )));
    }
    let Some(record) = &replay.record else { return Ok(()) };
    if replay.seqs.len() != 1 || record.len() > RECORD_MAX || record.trim().is_empty() {
        let most = RECORD_MAX;
        return Err(Problem::unprocessable(say!(
            "one record of at most {most} bytes is corrected at a time",
            most
        )));
    }
    if lens == Lens::Masked {
        // A masked record that is corrected and sent would be a payment to nobody.
        let detail =
            say!("look at the record unmasked before you correct it: what was masked would be sent masked");
        return Err(Problem::new(StatusCode::FORBIDDEN, detail));
    }
    Ok(())
}

/// The records that can be read again, by source; how many cannot; and the latest number in quarantine.
fn wanted(shared: &Shared, replay: &ReplayRequest) -> Result<(Vec<StoredReject>, u64, i64), Problem> {
    let reader = Reader::open(&shared.state_dir)?;
    reader.check_rejects()?;
    let (mut records, mut left, mut bytes) = (Vec::new(), 0, 0);
    let mut seqs = replay.seqs.clone();
    seqs.sort_unstable();
    seqs.dedup();
    for seq in seqs {
        let record = reader.reject(seq)?.ok_or_else(|| missing(seq))?;
        bytes += record.raw.len();
        match (record.can_be_read_again() || replay.record.is_some()) && bytes <= shared.body_bytes_max {
            true => records.push(record),
            false => left += 1,
        }
    }
    if records.is_empty() {
        return Err(Problem::unprocessable(say!(
            "not one of these records can be read again as it is: correct it, or send the corrected file again"
        )));
    }
    records.sort_by(|a, b| a.source.cmp(&b.source));
    Ok((records, left, reader.last_reject()?))
}

/// Records as they are, or the one as it was corrected.
fn messages(records: &[StoredReject], corrected: Option<&str>) -> Payload {
    let (mut data, mut ends) = (Vec::new(), Vec::new());
    for record in records {
        data.extend_from_slice(corrected.map_or(&record.raw[..], str::as_bytes));
        ends.push((u32::try_from(data.len()).unwrap_or(u32::MAX), record.seq.unsigned_abs()));
    }
    Payload::Messages { data: data.into(), ends }
}

fn not_taken(why: IngestError) -> Problem {
    let (detail, after) = match why {
        IngestError::Full(why) => (why, 30),
        IngestError::Stopping => (say!("the daemon is stopping; send the events again later"), 10),
    };
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).again_after(after)
}

/// Puts into the audit log who had which records read again, and what a corrected one says by its digest.
fn record(
    shared: &Shared,
    by: &Actor,
    (seqs, corrected, receipt): (&[i64], Option<&str>, Receipt),
) -> Result<(), Problem> {
    let first = seqs.first().map(ToString::to_string).unwrap_or_default();
    let corrected =
        corrected.map(|text| format!(", corrected: {}", blake3::hash(text.as_bytes()))).unwrap_or_default();
    let Receipt { accepted, duplicates, rejected, .. } = receipt;
    let detail = format!(
        "{} records: {accepted} accepted, {duplicates} known, {rejected} rejected{corrected}",
        seqs.len()
    );
    let deed = AuditedAction {
        action: Action::ReplayQuarantine.word(),
        subject: &first,
        result: if rejected > 0 { "refused" } else { "done" },
        detail: &detail,
    };
    Ok(Accounts::open(&shared.state_dir)?.record(by, deed, shared.clock.now())?)
}
