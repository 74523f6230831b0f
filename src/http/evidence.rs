//! 取证包 of an alert: what a pack is gathered from, for the API and the command. Each is recorded before it leaves.

use std::{
    io::Read as _,
    sync::{Arc, LazyLock},
};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde_json::{Map, Value};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    AlertDetail, Problem,
    by::Requester,
    lens::Lens,
    request::{PathId, at_once},
    saved::saved_as,
};
use crate::{
    access::Actor,
    config::Config,
    daemon::{Shared, signing_key},
    event::{Instant, time::Calendar},
    evidence,
    finding::Finding,
    rule::RuleSet,
    say,
    store::{CaseError, Cases, StoredFile},
};

/// A pack that is asked for.
pub(crate) struct EvidenceRequest<'a> {
    /// The alert's id, in full.
    pub id: &'a str,
    pub lens: Lens,
    pub actor: &'a Actor,
    pub now: Instant,
    /// Bytes of the case's files that go into it at most.
    pub room: u64,
}

/// Why there is no pack.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoPack {
    /// The alert cannot be read.
    #[error(transparent)]
    Case(#[from] CaseError),
    /// What it was found by cannot be gathered.
    #[error("{0:#}")]
    Gathered(anyhow::Error),
}

/// Makes the pack of an alert, and the record of who takes it out and what it was.
///
/// # Errors
/// If there is no such alert, the rule's text is gone, or the state cannot be read or written.
pub(crate) fn pack(
    (config, rules): (&Config, &RuleSet),
    cases: &mut Cases,
    asked: &EvidenceRequest<'_>,
) -> Result<Vec<u8>, NoPack> {
    let EvidenceRequest { id, lens, actor, now, room } = *asked;
    let most = u32::try_from(evidence::FINDINGS_MAX).unwrap_or(u32::MAX);
    let (_, _, findings) = cases.show(id, most)?;
    let detail = AlertDetail::read(cases, id, &config.calendar, lens, |_, _| None)?;
    let (files, left_out) = handed_in(cases, id, lens, (now, room, &config.calendar))?;
    let seen = |finding: Finding| lens.finding(finding, rules);
    let material = evidence::gather(
        config,
        rules,
        evidence::GatherRequest {
            alert_id: id,
            older: detail.alert.findings.saturating_sub(findings.len() as u64),
            findings,
            case: evidence::CaseFile { files, left_out, ..case(&detail).map_err(NoPack::Gathered)? },
            made: (now, &actor.who),
            masked: (lens == Lens::Masked).then_some(&seen),
        },
    )
    .map_err(NoPack::Gathered)?;
    let key = signing_key(config).map_err(NoPack::Gathered)?;
    let made = evidence::made(&material, &key);
    let bytes = made.map_err(|why| NoPack::Gathered(anyhow::Error::msg(why)))?;
    let shown = if lens == Lens::Masked { "masked" } else { "whole" };
    let detail = format!("{shown}, {} bytes, sha256 {}", bytes.len(), evidence::seal::digest(&bytes));
    cases.record(actor, ("evidence.export", id, &detail), now).map_err(CaseError::from)?;
    Ok(bytes)
}

/// What officers know of the case.
fn case(detail: &AlertDetail) -> anyhow::Result<evidence::CaseFile> {
    let values = |value: serde_json::Result<Value>| match value {
        Ok(Value::Array(items)) => Ok(items),
        Ok(_) => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    Ok(evidence::CaseFile {
        alert: serde_json::to_value(&detail.alert)?,
        history: values(serde_json::to_value(&detail.history))?,
        notifications: values(serde_json::to_value(&detail.notifications))?,
        ..evidence::CaseFile::default()
    })
}

/// Files with what is known of them.
type Files = Vec<(Map<String, Value>, Vec<u8>)>;

/// The files of the case, and what is left out of them, in words.
fn handed_in(
    cases: &mut Cases,
    id: &str,
    lens: Lens,
    (now, room, calendar): (Instant, u64, &Calendar),
) -> Result<(Files, Vec<String>), NoPack> {
    let known = cases.attachments(id)?;
    let bytes: u64 = known.iter().map(|one| one.file.bytes).sum();
    let count = known.len();
    if lens == Lens::Masked && count > 0 {
        return Ok((Vec::new(), vec![say!("{count} files of the case, which may name persons", count)]));
    }
    if bytes > room {
        let mib = room >> 20;
        return Ok((
            Vec::new(),
            vec![say!("{count} files of the case, over {mib} MiB together", count, mib)],
        ));
    }
    let mut files = Vec::with_capacity(count);
    for one in known {
        let (attached, mut file) = cases.open_attachment(id, one.seq, now)?;
        let mut data = Vec::new();
        file.read_to_end(&mut data).map_err(|error| NoPack::Gathered(error.into()))?;
        let StoredFile { name, kind, bytes, digest } = attached.file;
        let told: [(&str, Value); 6] = [
            ("at", calendar.format(attached.at).into()),
            ("who", attached.who.into()),
            ("name", name.into()),
            ("kind", kind.into()),
            ("bytes", bytes.into()),
            ("sha256", digest.into()),
        ];
        files.push((told.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(), data));
    }
    Ok((files, Vec::new()))
}

/// Packs that are made or on their way at a time: each is held in memory until it is sent.
static AT_WORK: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(2)));
/// Bytes of the case's files in a pack over the API.
const ROOM: u64 = 32 << 20;
/// Whoever finds no room may come again after so many seconds.
const AGAIN: u32 = 30;

impl From<NoPack> for Problem {
    fn from(why: NoPack) -> Self {
        match why {
            NoPack::Case(error) => error.into(),
            NoPack::Gathered(_) => Self::new(StatusCode::CONFLICT, why.to_string()),
        }
    }
}

/// The evidence pack of an alert, to be saved
///
/// A ZIP file that `fiscwatch evidence verify` checks without a state. Persons are masked, and then its findings cannot be made
/// again from it, unless personal data is asked for as a whole. That it was taken out is recorded, with its digest. The
/// rule's lists go along whole, so this is not for whoever is limited to units or regions. Two are made at a time.
#[utoipa::path(get, path = "/api/v1/alerts/{id}/evidence", operation_id = "evidence_of_alert", tag = "alerts",
    params(("id" = String, Path, description = "The alert's id")),
    responses(
        (status = 200, description = "The pack", content_type = "application/zip"),
        (status = 404, description = "There is no such alert", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "What it was found by cannot be gathered, and why", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Others are being made; try again later", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    PathId(id): PathId<String>,
) -> Result<Response, Problem> {
    let Ok(turn) = Arc::clone(&AT_WORK).try_acquire_owned() else {
        let detail = say!("other evidence packs are being made; try again in a moment");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).again_after(AGAIN));
    };
    let (limits, lens, actor) = (by.limits(), by.lens(), by.unnamed());
    let (id, bytes, turn) = at_once(move || {
        let config = shared.config();
        let mut cases = Cases::open(&shared.state_dir)?.by(actor.clone()).within(&limits);
        let asked = EvidenceRequest { id: &id, lens, actor: &actor, now: shared.clock.now(), room: ROOM };
        let bytes = pack((&config, &shared.rules_in_force()), &mut cases, &asked)?;
        Ok((id, bytes, turn))
    })
    .await?;
    Ok((headers(&id, bytes.len()), sent(bytes, turn)).into_response())
}

/// What a browser has to know to save it. Ids are hexadecimal.
fn headers(id: &str, bytes: usize) -> [(HeaderName, HeaderValue); 3] {
    [
        saved_as(&format!("evidence-{}.zip", id.get(..8).unwrap_or(id))),
        (header::CONTENT_TYPE, HeaderValue::from_static("application/zip")),
        (header::CONTENT_LENGTH, HeaderValue::from(bytes)),
    ]
}

/// Bytes that are handed to the connection at a time.
const PART: usize = 256 << 10;

/// The bytes in parts; its turn ends with the last of them, or when whoever asked is gone.
fn sent(bytes: Vec<u8>, turn: OwnedSemaphorePermit) -> Body {
    let parts = futures::stream::unfold((Bytes::from(bytes), turn), |(mut rest, turn)| async {
        let part = (!rest.is_empty()).then(|| rest.split_to(rest.len().min(PART)))?;
        Some((Ok::<_, std::convert::Infallible>(part), (rest, turn)))
    });
    Body::from_stream(parts)
}
