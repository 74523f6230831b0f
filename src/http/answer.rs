//! 答复页: where a unit answers the letter that it was sent, without an account. The link's token is all that anybody has to
//! show, and it opens one case, masked. The page is plain HTML that needs no script.

use std::sync::{Arc, LazyLock};

use axum::{
    Router,
    extract::{DefaultBodyLimit, FromRequest, Multipart, Path, Query, Request, State, multipart::Field},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::{
    Served, answer_words as words,
    by::Requester,
    request::{HEARD_FOR, at_once, hear_out},
};
use crate::{
    alert::{Alert, HistoryEntry, policy::FileLimits},
    daemon::Shared,
    finding::Finding,
    store::{Cases, LinkError, StoredFile, Upload, UploadError},
    text::Language,
};

/// Uploads of units that are under way at a time.
static UPLOADS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(4));
/// What a form takes beside its files, in bytes.
const FORM: u64 = 128 << 10;
/// Bytes of the explanation and the name that are read.
const TEXT: usize = 32 << 10;
/// Findings that a letter may name.
const FINDINGS: u32 = 100;

const STYLE: &str = include_str!("answer.css");

/// The routes of the page. They are everybody's: who has no link sees that.
pub(super) fn routes() -> Router<Served> {
    let style = || async {
        ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")], STYLE)
    };
    Router::new()
        .route("/answer.css", get(style))
        .route("/answer/{token}", get(show).post(take).layer(DefaultBodyLimit::disable()))
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    lang: Option<String>,
    done: Option<String>,
}

/// What is asked for, else what the browser prefers, else what the daemon speaks.
fn language(asked: &Asked, headers: &HeaderMap, usual: Language) -> Language {
    let prefers = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let prefers = prefers.and_then(|text| Language::named(text.get(..2)?));
    asked.lang.as_deref().and_then(Language::named).or(prefers).unwrap_or(usual)
}

const fn mib(limits: FileLimits) -> (u64, u64, u32) {
    (limits.file >> 20, limits.case >> 20, limits.files)
}

type Linked = (Alert, Vec<Finding>, Vec<HistoryEntry>);

async fn with_link<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LinkError> + Send + 'static,
) -> Result<T, LinkError> {
    let done = at_once(move || Ok(work())).await;
    done.unwrap_or_else(|_| Err(LinkError::Unknown))
}

async fn show(
    State(shared): State<Arc<Shared>>,
    Path(token): Path<String>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Response {
    let desk = shared.desk();
    let language = language(&asked, &headers, desk.policy.language);
    let (read, key) = (Arc::clone(&shared), token.clone());
    let linked: Result<Linked, _> =
        with_link(move || Cases::open_read_only(&read.state_dir)?.linked(&key, read.clock.now(), FINDINGS))
            .await;
    match linked {
        Ok((alert, findings, answers)) => {
            let drafts = shared.receivers.borrow().drafts.clone();
            let letter =
                drafts.map_or_else(String::new, |drafts| drafts.sent(&alert, &findings, language).text);
            let hint = words::hint(language, mib(desk.policy.files));
            let told = (&*answers, &*shared.calendar);
            words::form((&token, &letter), told, asked.done.is_some(), &hint, language)
        }
        Err(error) => {
            let (status, why) = words::refusal(&error, language);
            words::refused(status, language, (&token, &why))
        }
    }
}

/// Why an answer is not taken.
enum Refused {
    Link(LinkError),
    Page(StatusCode, String),
}

impl Refused {
    fn page(status: StatusCode, both: words::Both, language: Language) -> Self {
        Self::Page(status, words::of(both, language).to_owned())
    }

    fn too_large(limits: FileLimits, language: Language) -> Self {
        Self::Page(StatusCode::PAYLOAD_TOO_LARGE, words::too_large(language, mib(limits)))
    }

    /// What is said of a form that could not be read.
    fn unread(error: Unread, limits: FileLimits, language: Language) -> Self {
        let page = |status, both| Self::page(status, both, language);
        match error {
            Unread::Broken => page(StatusCode::BAD_REQUEST, words::BROKEN),
            Unread::Long => page(StatusCode::UNPROCESSABLE_ENTITY, words::LONG),
            Unread::File(UploadError::TooLarge(_)) => Self::too_large(limits, language),
            Unread::File(UploadError::Kind(_)) => page(StatusCode::UNSUPPORTED_MEDIA_TYPE, words::TYPE),
            Unread::File(UploadError::Store(error)) => Self::Link(error.into()),
        }
    }
}

impl From<LinkError> for Refused {
    fn from(error: LinkError) -> Self {
        Self::Link(error)
    }
}

async fn take(
    State(shared): State<Arc<Shared>>,
    Path(token): Path<String>,
    Query(asked): Query<Asked>,
    by: Requester,
    request: Request,
) -> Response {
    let desk = shared.desk();
    let language = language(&asked, request.headers(), desk.policy.language);
    match answer(&shared, &token, by.place(), request, language).await {
        Ok(()) => {
            shared.wake_dispatch();
            Redirect::to(&format!("/answer/{token}?lang={}&done=1", language.word())).into_response()
        }
        Err(Refused::Page(status, why)) => words::refused(status, language, (&token, &why)),
        Err(Refused::Link(error)) => {
            let (status, why) = words::refusal(&error, language);
            let mut page = words::refused(status, language, (&token, &why));
            if status == StatusCode::TOO_MANY_REQUESTS {
                page.headers_mut().insert(header::RETRY_AFTER, 3600.into());
            }
            page
        }
    }
}

async fn answer(
    shared: &Arc<Shared>,
    token: &str,
    place: String,
    request: Request,
    language: Language,
) -> Result<(), Refused> {
    let limits = shared.desk().policy.files;
    let page = |status, both| Refused::page(status, both, language);
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let Some(refused) = turned_away(shared, token, length, language).await {
        hear_out(request.into_body()).await;
        return Err(refused);
    }
    let Ok(_turn) = UPLOADS.try_acquire() else {
        hear_out(request.into_body()).await;
        return Err(page(StatusCode::SERVICE_UNAVAILABLE, words::BUSY));
    };
    let form = Multipart::from_request(request, &()).await;
    let mut form = form.map_err(|_| page(StatusCode::UNSUPPORTED_MEDIA_TYPE, words::NO_FORM))?;
    let mut files = Vec::new();
    let read = read_form(shared, &mut form, limits, &mut files).await;
    let text = match read {
        Ok(text) => text,
        Err(error) => {
            discard(shared, files).await;
            // It is bounded by its length.
            let rest = async { while let Ok(Some(_)) = form.next_field().await {} };
            let _ = tokio::time::timeout(HEARD_FOR, rest).await;
            return Err(Refused::unread(error, limits, language));
        }
    };
    if text.0.trim().is_empty() && files.is_empty() {
        return Err(page(StatusCode::UNPROCESSABLE_ENTITY, words::EMPTY));
    }
    let (write, key) = (Arc::clone(shared), token.to_owned());
    with_link(move || {
        let actor = crate::access::Actor { who: String::new(), place };
        let (desk, now) = (write.desk(), write.clock.now());
        Cases::open(&write.state_dir)?.by(actor).answer(&key, text, &files, &desk, now).map(|_| ())
    })
    .await?;
    Ok(())
}

/// Why nothing of a body is read: its link is not good, or it is larger than what the case still takes.
async fn turned_away(
    shared: &Arc<Shared>,
    token: &str,
    length: Option<u64>,
    language: Language,
) -> Option<Refused> {
    let limits = shared.desk().policy.files;
    let (read, key) = (Arc::clone(shared), token.to_owned());
    let good = with_link(move || {
        Cases::open_read_only(&read.state_dir)?.takes_answer(&key, limits, read.clock.now())
    });
    match (good.await, length) {
        (Err(error), _) => Some(Refused::Link(error)),
        (Ok(_), None) => Some(Refused::page(StatusCode::LENGTH_REQUIRED, words::NO_LENGTH, language)),
        (Ok(room), Some(bytes)) if bytes > room + FORM => Some(Refused::too_large(limits, language)),
        _ => None,
    }
}

/// Why a form was not read.
enum Unread {
    Broken,
    Long,
    File(UploadError),
}

impl From<UploadError> for Unread {
    fn from(error: UploadError) -> Self {
        Self::File(error)
    }
}

/// Removes what came before something was refused.
async fn discard(shared: &Arc<Shared>, files: Vec<StoredFile>) {
    if files.is_empty() {
        return;
    }
    let shared = Arc::clone(shared);
    let done = with_link(move || Ok(Cases::open(&shared.state_dir)?.discard(&files)?));
    if let Err(error) = done.await {
        tracing::warn!("files of an answer that was refused stay until the next start: {error}");
    }
}

/// The explanation and the name; the files are on disk.
async fn read_form(
    shared: &Shared,
    form: &mut Multipart,
    limits: FileLimits,
    files: &mut Vec<StoredFile>,
) -> Result<(String, String), Unread> {
    let (mut text, mut name) = (String::new(), String::new());
    while let Some(mut field) = form.next_field().await.map_err(|_| Unread::Broken)? {
        match field.name().unwrap_or_default() {
            // A second one would take the place of the first without a word.
            "text" if text.is_empty() => text = words_of(&mut field).await?,
            "name" if name.is_empty() => name = words_of(&mut field).await?,
            "text" | "name" => return Err(Unread::Broken),
            // An empty field of a browser has neither name nor content.
            "files" if field.file_name().is_some_and(|name| !name.is_empty()) => {
                if files.len() as u64 >= u64::from(limits.files) {
                    return Err(UploadError::TooLarge(String::new()).into());
                }
                files.push(file_of(shared, &mut field, limits.file).await?);
            }
            _ => {}
        }
    }
    Ok((text, name))
}

async fn words_of(field: &mut Field<'_>) -> Result<String, Unread> {
    let mut bytes = Vec::new();
    while let Some(part) = field.chunk().await.map_err(|_| Unread::Broken)? {
        bytes.extend_from_slice(&part);
        if bytes.len() > TEXT {
            return Err(Unread::Long);
        }
    }
    String::from_utf8(bytes).map_err(|_| Unread::Broken)
}

/// Writes a file as it comes: no more of it than a part is ever held.
async fn file_of(shared: &Shared, field: &mut Field<'_>, most: u64) -> Result<StoredFile, Unread> {
    let name = field.file_name().unwrap_or_default().to_owned();
    let mut incoming = tokio::task::block_in_place(|| Upload::begin(&shared.state_dir, most))?;
    while let Some(part) = field.chunk().await.map_err(|_| Unread::Broken)? {
        tokio::task::block_in_place(|| incoming.add(&part))?;
    }
    Ok(tokio::task::block_in_place(|| incoming.finish(&name))?)
}
