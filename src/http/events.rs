//! Events in: what a request says that its body is, and the records in it.

use std::{io::Read, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header},
};
use serde::de::IgnoredAny;

use super::{Problem, request::blocking};
use crate::{
    app::{POSTED, Shared},
    inspect::{self, Written},
    say,
    stream::{Payload, Receipt},
};

/// Takes events, and answers after the commit
///
/// One JSON object a line, or CSV with a header (`text/csv`); packed with gzip or zstd if `Content-Encoding` says so.
/// Records that cannot be read are in quarantine then; the answer counts them. A body that is wrong as a whole is
/// refused, and nothing of it is taken. Send again what was not answered: a record that is known changes nothing.
#[utoipa::path(post, path = "/api/v1/events", operation_id = "post_events", tag = "events",
    request_body(content = String, content_type = "application/x-ndjson", description = "One event a line (docs/events.md)"),
    responses((status = 200, description = "Everything is committed", body = Receipt)))]
pub async fn events(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Receipt>, Problem> {
    if !shared.accept_events {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            say!("events are not taken over HTTP (http.accept_events)"),
        ));
    }
    let (written, bytes_max) = (written(&headers)?, shared.body_bytes_max);
    let body = body?;
    let body = match headers.contains_key(header::CONTENT_ENCODING) {
        true => blocking(move || unpacked(&headers, body, bytes_max)).await?,
        false => body,
    };
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::bad_request(say!("the body is empty: send one JSON object a line")));
    }
    let receipt = shared.submit(POSTED, payload(body, written)?, Vec::new()).await;
    receipt.map(Json).ok_or_else(|| {
        Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            say!("the daemon is stopping; send the events again later"),
        )
    })
}

/// How the records are written, by the type that the body is said to have. What programs say that do not know is JSON
/// Lines: curl calls everything a form.
fn written(headers: &HeaderMap) -> Result<Written, Problem> {
    let said = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    let kind = said.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match &*kind {
        "text/csv" | "application/csv" => Ok(Written::Rows),
        "" | "text/plain" | "application/octet-stream" | "application/x-www-form-urlencoded" => {
            Ok(Written::Lines)
        }
        json if json.starts_with("application/") && json.contains("json") => Ok(Written::Lines),
        kind => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            say!("events are JSON Lines (application/x-ndjson) or CSV (text/csv), and not {kind}", kind),
        )),
    }
}

/// The body as it was before it was packed; it may not become longer than one that is sent unpacked.
fn unpacked(headers: &HeaderMap, body: Bytes, bytes_max: usize) -> Result<Bytes, Problem> {
    let said: Vec<_> = headers.get_all(header::CONTENT_ENCODING).iter().collect();
    let said = match &said[..] {
        [] => "",
        [one] => one.to_str().unwrap_or("?").trim(),
        _ => "?",
    };
    let reader: Box<dyn Read> = match said.to_ascii_lowercase().as_str() {
        "" | "identity" => return Ok(body),
        "gzip" | "x-gzip" => Box::new(flate2::read::MultiGzDecoder::new(&body[..])),
        "zstd" => {
            let mut decoder = zstd::Decoder::new(&body[..]).map_err(|e| damaged(said, &e))?;
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
    let mut plain = Vec::new();
    reader.take(bytes_max as u64 + 1).read_to_end(&mut plain).map_err(|e| damaged(said, &e))?;
    if plain.len() > bytes_max {
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            say!(
                "unpacked, the body is longer than {most} bytes (http.body_bytes_max): send it in parts",
                most = bytes_max
            ),
        ));
    }
    Ok(plain.into())
}

/// The largest window of zstd, as a power of two.
const WINDOW_LOG_MAX: u32 = 23;

fn damaged(encoding: &str, error: &std::io::Error) -> Problem {
    Problem::bad_request(say!("the body cannot be unpacked ({encoding}): {error}", encoding, error))
}

/// The records of a body, unless it is wrong as a whole.
fn payload(body: Bytes, written: Written) -> Result<Payload, Problem> {
    let refuse = |fault: String| {
        Problem::bad_request(say!("the body is refused, nothing of it is taken: {fault}", fault))
    };
    inspect::check_text(&body[..], written).map_err(refuse)?;
    match written {
        Written::Rows => rows(&body).map_err(refuse),
        // One object over several lines is one record.
        Written::Lines if is_one_object(&body) => {
            let end = u32::try_from(body.len()).unwrap_or(u32::MAX);
            Ok(Payload::Messages { data: body, ends: vec![(end, 1)] })
        }
        Written::Lines => Ok(Payload::JsonLines(ended_by_lf(body))),
    }
}

/// Lines that end in CR end in LF from here on, unless the CRs lie within one record.
fn ended_by_lf(body: Bytes) -> Bytes {
    let cr_only = !body.contains(&b'\n') && body.contains(&b'\r');
    if !cr_only || serde_json::from_slice::<IgnoredAny>(&body).is_ok() {
        return body;
    }
    body.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte }).collect::<Vec<u8>>().into()
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
    Ok(Payload::Csv { header, rows })
}
