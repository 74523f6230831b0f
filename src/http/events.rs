//! Events in: what a request says that its body is, and the records in it.

use std::{
    io::{Read, Write},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json,
    body::{Body as Incoming, BodyDataStream, HttpBody},
    extract::State,
    http::{HeaderMap, StatusCode, header},
};
use bytes::Bytes;
use futures::StreamExt;
use serde::{Deserialize, de::IgnoredAny};

use super::{
    Problem,
    pace::TooSlow,
    refused::{Cause, Refusals},
    request::{Params, at_once},
};
use crate::{
    daemon::{Bodies, Body, Full, IngestError, POSTED, Shared},
    inspect::{self, RecordSyntax},
    map::{self, Map},
    say,
    source::{Encoding, is_whole, mapped_payload, whole_lines},
    stream::{Dialect, Payload, Receipt},
    text::quoted,
};

/// How posted events are to be read.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Posted {
    /// The source whose events these are like: its map, zone, times and words for nothing hold for them
    #[serde(rename = "as")]
    read_as: Option<String>,
}

/// Takes events, and answers after the commit
///
/// One JSON object a line, or CSV with a header (`text/csv`); packed with gzip or zstd if `Content-Encoding` says so.
/// Records that cannot be read are in quarantine then; the answer counts them. A body that is wrong as a whole is
/// refused, and nothing of it is taken. Send again what was not answered: a record that is known changes nothing.
#[utoipa::path(post, path = "/api/v1/events", operation_id = "post_events", tag = "events", params(Posted),
    request_body(content = String, content_type = "application/x-ndjson", description = "One event a line (docs/events.md)"),
    responses((status = 200, description = "Everything is committed", body = Receipt)))]
pub(crate) async fn events(
    State(shared): State<Arc<Shared>>,
    State(refusals): State<Arc<Refusals>>,
    Params(posted): Params<Posted>,
    headers: HeaderMap,
    body: Incoming,
) -> Result<Json<Receipt>, Problem> {
    let said = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let mut parts = body.into_data_stream();
    let read_as = posted.read_as.as_deref().unwrap_or(POSTED);
    let taken = take(&shared, &refusals, (read_as, headers), (said, &mut parts)).await;
    if taken.is_err() {
        hear_out(parts, shared.body_bytes_max).await;
    }
    taken.map(Json)
}

async fn take(
    shared: &Shared,
    refusals: &Arc<Refusals>,
    (read_as, headers): (&str, HeaderMap),
    (said, parts): (usize, &mut BodyDataStream),
) -> Result<Receipt, Problem> {
    if !shared.accept_events {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            say!("events are not taken over HTTP (http.accept_events)"),
        ));
    }
    if let Some(why) = shared.takes_no_more() {
        return Err(no_room(refusals, why));
    }
    let map = shared.maps.get(read_as).cloned().ok_or_else(|| no_source(shared, read_as))?;
    let (said_kind, bodies) = (written(&headers, map.as_deref())?, shared.bodies.clone());
    let into = Into { bodies, bytes_max: shared.body_bytes_max, refusals: Arc::clone(refusals) };
    let again = into.clone();
    let body = into.read(said, parts).await?;
    let body = match headers.contains_key(header::CONTENT_ENCODING) {
        true => at_once(move || unpacked(&headers, body, &into)).await?,
        false => body,
    };
    // Whatever looks at all of a body takes its time.
    let whole = map.as_ref().and_then(|map| map.format).filter(|format| is_whole(*format));
    if let (Some(map), Some(format)) = (map.clone(), whole) {
        let payload = at_once(move || rows_of(&body, format, &map, &again)).await?;
        return submit(shared, refusals, read_as, payload).await;
    }
    let body = match map.clone() {
        Some(map) => at_once(move || in_utf8(body, &map, &again)).await?,
        None => body,
    };
    let written = said_kind.unwrap_or_else(|| seems_written(body.bytes(), map.is_some()));
    let payload = at_once(move || payload(body, written, map.as_deref())).await?;
    submit(shared, refusals, read_as, payload).await
}

async fn submit(
    shared: &Shared,
    refusals: &Refusals,
    read_as: &str,
    payload: Payload,
) -> Result<Receipt, Problem> {
    let taken = shared.submit(read_as, payload, Vec::new()).await;
    taken.map_err(|not_taken| match not_taken {
        // They filled up while the body came.
        IngestError::Full(why) => no_room(refusals, why),
        IngestError::Stopping => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            say!("the daemon is stopping; send the events again later"),
        )
        .again_after(STOPPED),
    })
}

fn no_source(shared: &Shared, name: &str) -> Problem {
    let names: Vec<_> = shared.maps.keys().map(String::as_str).collect();
    Problem::bad_request(say!(
        "there is no source {name} to read the events as; there are {names}",
        name = quoted(name),
        names = names.join(", ")
    ))
}

/// When to try again after the daemon has stopped, in seconds.
const STOPPED: u32 = 10;

fn no_room(refusals: &Refusals, why: String) -> Problem {
    refusals.count(Cause::Windows);
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, why).again_after(30)
}

/// How long the rest of a refused body is heard out.
const HEARD: Duration = Duration::from_secs(10);

/// Reads the rest of a body that is refused, and forgets it: most clients look for an answer only when they have sent
/// everything, and would see a broken connection instead.
async fn hear_out(mut parts: BodyDataStream, bytes_max: usize) {
    let mut left = bytes_max;
    let rest = async {
        while let Some(Ok(part)) = parts.next().await {
            match left.checked_sub(part.len()) {
                Some(less) => left = less,
                None => break,
            }
        }
    };
    let _ = tokio::time::timeout(HEARD, rest).await;
}

/// How records seem to be written of which nothing is said: as JSON Lines, but by a map also as CSV.
fn seems_written(body: &[u8], mapped: bool) -> RecordSyntax {
    let text = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii_start();
    if mapped && !text.starts_with(b"{") { RecordSyntax::Rows } else { RecordSyntax::Lines }
}

/// How the records are written, by the type that the body is said to have. What programs say that do not know tells
/// nothing: curl calls everything a form.
fn written(headers: &HeaderMap, map: Option<&Map>) -> Result<Option<RecordSyntax>, Problem> {
    match map.and_then(|map| map.format) {
        Some(Encoding::Csv) => return Ok(Some(RecordSyntax::Rows)),
        // A workbook or an XML document is what the map says, whatever the client says that it is.
        Some(Encoding::Jsonl | Encoding::Excel | Encoding::Xml) => return Ok(Some(RecordSyntax::Lines)),
        Some(Encoding::Parquet) | None => {}
    }
    let said = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    let kind = said.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match &*kind {
        "text/csv" | "application/csv" => Ok(Some(RecordSyntax::Rows)),
        "" | "text/plain" | "application/octet-stream" | "application/x-www-form-urlencoded" => Ok(None),
        json if json.starts_with("application/") && json.contains("json") => Ok(Some(RecordSyntax::Lines)),
        kind => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            say!("events are JSON Lines (application/x-ndjson) or CSV (text/csv), and not {kind}", kind),
        )),
    }
}

/// A body in the encoding that a map names, as UTF-8.
fn in_utf8(body: Body, map: &Map, into: &Into) -> Result<Body, Problem> {
    let refuse = |fault: String| {
        Problem::bad_request(say!("the body is refused, nothing of it is taken: {fault}", fault))
    };
    map::look_at_encoding(body.bytes(), map.charset).map_err(refuse)?;
    let Some(text) = map::utf8(body.bytes(), map.charset) else { return Ok(body) };
    let mut plain = into.bodies.begin();
    into.add(&mut plain, &text)?;
    Ok(plain)
}

/// The rows of a workbook or a document.
fn rows_of(body: &Body, format: Encoding, map: &Map, into: &Into) -> Result<Payload, Problem> {
    let mut room = Room { into, body: into.bodies.begin(), problem: None };
    let read = whole_lines(body.bytes(), format, Some(map), &mut room);
    match (read, room.problem) {
        (_, Some(problem)) => Err(problem),
        (Err(fault), None) => {
            Err(Problem::bad_request(say!("the body is refused, nothing of it is taken: {fault}", fault)))
        }
        (Ok(()), None) => Ok(Payload::JsonLines(room.body.into_bytes())),
    }
}

/// Rows that are made of a body, which take up room like it.
struct Room<'i> {
    into: &'i Into,
    body: Body,
    problem: Option<Problem>,
}

impl Write for Room<'_> {
    fn write(&mut self, part: &[u8]) -> std::io::Result<usize> {
        match self.into.add(&mut self.body, part) {
            Ok(()) => Ok(part.len()),
            Err(problem) => {
                self.problem = Some(problem);
                Err(std::io::ErrorKind::OutOfMemory.into())
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Where a body is read into: it has a length of its own, and room with all others.
#[derive(Clone)]
struct Into {
    bodies: Bodies,
    bytes_max: usize,
    refusals: Arc<Refusals>,
}

impl Into {
    async fn read(&self, said: usize, parts: &mut BodyDataStream) -> Result<Body, Problem> {
        if said > self.bytes_max {
            return Err(self.too_long());
        }
        if !self.bodies.has_room(said) {
            return Err(self.full());
        }
        let mut body = self.bodies.begin();
        while let Some(part) = parts.next().await {
            self.add(&mut body, &part.map_err(|e| broken_off(&e))?)?;
        }
        Ok(body)
    }

    fn add(&self, body: &mut Body, part: &[u8]) -> Result<(), Problem> {
        if body.bytes().len() + part.len() > self.bytes_max {
            return Err(self.too_long());
        }
        body.add(part).map_err(|Full| self.full())
    }

    fn too_long(&self) -> Problem {
        let most = self.bytes_max;
        let detail =
            say!("the body is longer than {most} bytes (http.body_bytes_max): send it in parts", most);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    fn full(&self) -> Problem {
        self.refusals.count(Cause::Bytes);
        let room = self.bodies.room() >> 20;
        let detail = say!(
            "{room} MiB of posted events are being processed already (http.bodies_mib); nothing of this body is taken, send it again in a few seconds",
            room
        );
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).again_after(2)
    }
}

/// A body that did not come whole.
fn broken_off(error: &axum::Error) -> Problem {
    let source = std::error::Error::source(error);
    match source.is_some_and(<dyn std::error::Error>::is::<TooSlow>) {
        true => Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            say!("the body did not come in time (http.body_time); nothing of it is taken, send it again"),
        ),
        false => Problem::bad_request(say!("the body broke off; nothing of it is taken, send it again")),
    }
}

/// The body as it was before it was packed; it may not become longer than one that is sent unpacked.
fn unpacked(headers: &HeaderMap, packed: Body, into: &Into) -> Result<Body, Problem> {
    let said: Vec<_> = headers.get_all(header::CONTENT_ENCODING).iter().collect();
    let said = match &said[..] {
        [] => "",
        [one] => one.to_str().unwrap_or("?").trim(),
        _ => "?",
    };
    let mut reader: Box<dyn Read> = match said.to_ascii_lowercase().as_str() {
        "" | "identity" => return Ok(packed),
        "gzip" | "x-gzip" => Box::new(flate2::read::MultiGzDecoder::new(packed.bytes())),
        "zstd" => {
            let mut decoder = zstd::Decoder::new(packed.bytes()).map_err(|e| damaged(said, &e))?;
            // What a frame may ask for to be unpacked: 8 MiB, as RFC 8878 has it.
            decoder.window_log_max(WINDOW_LOG_MAX).map_err(|e| damaged(said, &e))?;
            Box::new(decoder)
        }
        _ => {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                say!("a body can be packed with gzip or zstd, and not with {encoding}", encoding = said),
            ));
        }
    };
    let mut plain = into.bodies.begin();
    let mut part = vec![0; PART];
    loop {
        let n = reader.read(&mut part).map_err(|e| damaged(said, &e))?;
        if n == 0 {
            break;
        }
        if plain.bytes().len() + n > into.bytes_max {
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                say!(
                    "unpacked, the body is longer than {most} bytes (http.body_bytes_max): send it in parts",
                    most = into.bytes_max
                ),
            ));
        }
        into.add(&mut plain, &part[..n])?;
    }
    drop(reader);
    Ok(plain)
}

/// How much is unpacked at a time, in bytes.
const PART: usize = 64 << 10;
/// The largest window of zstd, as a power of two.
const WINDOW_LOG_MAX: u32 = 23;

fn damaged(encoding: &str, error: &std::io::Error) -> Problem {
    Problem::bad_request(say!("the body cannot be unpacked ({encoding}): {error}", encoding, error))
}

/// The records of a body, unless it is wrong as a whole.
fn payload(mut body: Body, written: RecordSyntax, map: Option<&Map>) -> Result<Payload, Problem> {
    let refuse = |fault: String| {
        Problem::bad_request(say!("the body is refused, nothing of it is taken: {fault}", fault))
    };
    if body.bytes().iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::bad_request(say!("the body is empty: send one JSON object a line")));
    }
    match map {
        Some(_) => inspect::check_kind(body.bytes()),
        None => inspect::check_text(body.bytes(), written),
    }
    .map_err(refuse)?;
    match (written, map) {
        (RecordSyntax::Rows, Some(map)) => mapped_payload(&body.into_bytes(), map).map_err(refuse),
        (RecordSyntax::Rows, None) => rows(&body.into_bytes()).map_err(refuse),
        // One object over several lines is one record.
        (RecordSyntax::Lines, _) if is_one_object(body.bytes()) => {
            let data = body.into_bytes();
            let end = u32::try_from(data.len()).unwrap_or(u32::MAX);
            Ok(Payload::Messages { data, ends: vec![(end, 1)] })
        }
        (RecordSyntax::Lines, _) => {
            end_by_lf(body.bytes_mut());
            Ok(Payload::JsonLines(body.into_bytes()))
        }
    }
}

/// Lines that end in CR end in LF from here on, unless the CRs lie within one record.
fn end_by_lf(body: &mut [u8]) {
    let cr_only = !body.contains(&b'\n') && body.contains(&b'\r');
    if cr_only && serde_json::from_slice::<IgnoredAny>(body).is_err() {
        body.iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
    }
}

fn is_one_object(body: &[u8]) -> bool {
    let first = inspect::lines(body).find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    let is_json = |text: &[u8]| serde_json::from_slice::<IgnoredAny>(text).is_ok();
    first.trim_ascii_start().starts_with(b"{") && !is_json(first) && is_json(body)
}

/// CSV with its header.
fn rows(body: &Bytes) -> Result<Payload, String> {
    let end = memchr::memchr2(b'\n', b'\r', body).unwrap_or(body.len());
    let line = String::from_utf8_lossy(&body[..end]);
    let header = inspect::read_header(&line, &[])?;
    let both = body[end..].starts_with(b"\r\n");
    let rows = body.slice((end + 1 + usize::from(both)).min(body.len())..);
    if rows.iter().all(u8::is_ascii_whitespace) {
        return Err(say!("a header without rows"));
    }
    Ok(Payload::Csv { header, rows, dialect: Dialect::default() })
}
