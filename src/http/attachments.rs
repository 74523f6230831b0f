//! 附件: the files of a case. They are sent as something to be saved, never shown, and who takes one is recorded.

use std::{io::Read as _, sync::Arc};

use axum::{
    Json,
    body::{Body, HttpBody as _},
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    by::Requester,
    request::{Params, PathId, blocking, hear, hear_out},
};
use crate::{
    alert::attachment::FileKind,
    daemon::Shared,
    event::time::Calendar,
    say,
    store::{Attached, Cases, Upload, UploadError, too_large},
};

/// Bytes of a file that are read at a time.
const PART: usize = 64 << 10;

/// The files of a case.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Attachments {
    /// Oldest first.
    attachments: Vec<AttachmentView>,
}

/// A file of a case.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Attachment)]
pub(crate) struct AttachmentView {
    /// Its number.
    attachment_id: i64,
    /// When it came.
    #[schema(format = DateTime)]
    at: String,
    /// From whom: an officer, or `unit:` and its code for what came by the link of a letter.
    who: String,
    /// Its name, as whoever sent it calls it.
    name: String,
    /// What it is by its content: `pdf`, `png`, `jpeg`, `docx`, `xlsx`, `ofd` or `text`.
    kind: String,
    /// How long it is.
    bytes: u64,
    /// SHA-256 of its bytes, in hexadecimal.
    sha256: String,
}

impl AttachmentView {
    fn new(attached: Attached, calendar: &Calendar) -> Self {
        let Attached { seq, at, who, file } = attached;
        let (attachment_id, at) = (seq, calendar.format(at));
        Self {
            attachment_id,
            at,
            who,
            name: file.name,
            kind: file.kind,
            bytes: file.bytes,
            sha256: file.digest,
        }
    }
}

/// The files of an alert, those that units sent with their answers among them
#[utoipa::path(get, path = "/api/v1/alerts/{id}/attachments", operation_id = "alert_attachments", tag = "alerts",
    params(("id" = String, Path, description = "The alert's id")),
    responses(
        (status = 200, description = "Those files", body = Attachments),
        (status = 404, description = "There is no such alert", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    PathId(id): PathId<String>,
) -> Result<Json<Attachments>, Problem> {
    let limits = by.limits();
    blocking(move || {
        let files = Cases::open_read_only(&shared.state_dir)?.within(&limits).attachments(&id)?;
        let attachments = files.into_iter().map(|file| AttachmentView::new(file, &shared.calendar)).collect();
        Ok(Json(Attachments { attachments }))
    })
    .await
}

/// A file of an alert; that it was taken is recorded
#[utoipa::path(get, path = "/api/v1/alerts/{id}/attachments/{attachment}", operation_id = "alert_attachment", tag = "alerts",
    params(
        ("id" = String, Path, description = "The alert's id"),
        ("attachment" = i64, Path, description = "The file's number")),
    responses(
        (status = 200, description = "Its bytes, to be saved", content_type = "application/octet-stream"),
        (status = 404, description = "There is no such alert, or no such file", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    PathId((id, attachment)): PathId<(String, i64)>,
) -> Result<Response, Problem> {
    let (limits, actor) = (by.limits(), by.unnamed());
    let (attached, mut file) = blocking(move || {
        let mut cases = Cases::open(&shared.state_dir)?.by(actor).within(&limits);
        Ok(cases.open_attachment(&id, attachment, shared.clock.now())?)
    })
    .await?;
    let (parts, read) = tokio::sync::mpsc::channel::<std::io::Result<Bytes>>(2);
    tokio::task::spawn_blocking(move || {
        let mut part = vec![0; PART];
        loop {
            let read = match file.read(&mut part) {
                Ok(0) => return,
                Ok(n) => Ok(Bytes::copy_from_slice(&part[..n])),
                Err(error) => Err(error),
            };
            let failed = read.is_err();
            if parts.blocking_send(read).is_err() || failed {
                return;
            }
        }
    });
    let stream = futures::stream::unfold(read, |mut read| async { Some((read.recv().await?, read)) });
    Ok((saved_as(&attached), Body::from_stream(stream)).into_response())
}

/// What a browser has to know to save a file and do nothing else with it.
fn saved_as(attached: &Attached) -> [(HeaderName, HeaderValue); 4] {
    let encoded: String = attached.file.name.bytes().fold(String::new(), |text, byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => text + &char::from(byte).to_string(),
        byte => text + &format!("%{byte:02X}"),
    });
    let plain = |text: String| HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("attachment"));
    [
        (
            header::CONTENT_DISPOSITION,
            plain(format!(
                "attachment; filename=\"attachment-{}\"; filename*=UTF-8''{encoded}",
                attached.seq
            )),
        ),
        (header::CONTENT_TYPE, HeaderValue::from_static(FileKind::media(&attached.file.kind))),
        (header::CONTENT_LENGTH, HeaderValue::from(attached.file.bytes)),
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'; sandbox; frame-ancestors 'none'"),
        ),
    ]
}

/// What a file that an officer adds is called.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct NewAttachment {
    /// Its name, such as `合同.pdf`; its content decides what it is.
    name: String,
    /// Who adds it; the proxy in front tells it where `http.user_header` is set.
    who: Option<String>,
}

/// Adds a file to an alert
///
/// Its content decides what it is: PDF, OFD, `.docx`, `.xlsx`, PNG, JPEG or text. How large it may be stands in
/// `alerts.files`.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/attachments", operation_id = "attach_to_alert", tag = "alerts",
    params(("id" = String, Path, description = "The alert's id"), NewAttachment),
    request_body(content = String, content_type = "application/octet-stream", description = "The bytes of the file"),
    responses(
        (status = 200, description = "The files of the alert", body = Attachments),
        (status = 404, description = "There is no such alert", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "It is over, or has no room for more", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The file is too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "It is of no kind that is taken", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn add(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    PathId(id): PathId<String>,
    Params(asked): Params<NewAttachment>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Attachments>, Problem> {
    // A page of another site cannot send this type without asking first.
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if kind != Some("application/octet-stream") {
        let detail = say!("send the file as application/octet-stream");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let actor = by.actor(&headers, asked.who.as_deref())?;
    let limits = shared.desk().policy.files;
    if body.size_hint().lower() > limits.file {
        hear_out(body).await;
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, too_large(limits.file)));
    }
    let mut parts = body.into_data_stream();
    let mut incoming = tokio::task::block_in_place(|| Upload::begin(&shared.state_dir, limits.file))?;
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| Problem::bad_request(say!("the upload broke off")))?;
        if let Err(refused) = tokio::task::block_in_place(|| incoming.add(&part)) {
            hear(parts).await;
            return Err(refused.into());
        }
    }
    let of = by.limits();
    blocking(move || {
        let file = incoming.finish(&asked.name)?;
        let (desk, now) = (shared.desk(), shared.clock.now());
        let mut cases = Cases::open(&shared.state_dir)?.by(actor).within(&of);
        cases.attach(&id, file, &desk, now)?;
        let files = cases.attachments(&id)?;
        let attachments = files.into_iter().map(|file| AttachmentView::new(file, &shared.calendar)).collect();
        Ok(Json(Attachments { attachments }))
    })
    .await
}

impl From<UploadError> for Problem {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::TooLarge(why) => Self::new(StatusCode::PAYLOAD_TOO_LARGE, why),
            UploadError::Kind(why) => Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why),
            UploadError::Store(error) => error.into(),
        }
    }
}
