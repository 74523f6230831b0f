//! Long work over the API: 调整台账, 预算建议, 决算, 公开, 试运行报告, 备份演练. Each is the command of that name, run in the background;
//! ask again by its number for what came of it.

mod view;

use std::sync::Arc;

use axum::{
    Json,
    body::Body as Incoming,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use view::{NewWork, WorkView, groups, one_of};

use super::{
    Problem,
    by::Requester,
    request::{JsonBody, Params, PathId, blocking},
    saved::saved_as,
};
use crate::{
    access::{Action, Actor},
    daemon::{
        Shared,
        works::{self, ProposalVersions, Task, Work, WorkEnd, WorkRefused},
    },
    evidence::archive,
    say,
    store::{Accounts, AuditedAction},
};

/// Rows that are shown at a time.
const ROWS: usize = 500;
/// The longest table of a bureau, and the largest file that is sent, in bytes.
const TABLE_MAX: usize = 16 << 20;
const FILE_MAX: u64 = 256 << 20;

/// All files of a work as one.
fn archive_of(work: &Work) -> String {
    format!("{}-{}.zip", work.task.word(), work.id)
}

fn internal(error: &std::io::Error) -> Problem {
    let why = crate::diagnostic::os_reason(error);
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, say!("the files of this task cannot be read: {why}", why))
}

/// Works, the latest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WorkList {
    /// The latest 20 since the daemon began, without rows; those that whoever asks may ask for.
    works: Vec<WorkView>,
    /// The versions of proposals that are kept, the latest first.
    proposals: Vec<ProposalVersion>,
    /// The certificate of the last drill of a backup, as `fiscwatch state drill --json` gives it; null if there was none, or it
    /// is not for whoever asks.
    #[schema(value_type = Option<Object>)]
    last_drill: Option<Value>,
}

/// A version of a proposal.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProposalVersion {
    fiscal_year: i32,
    version: u32,
}

/// The latest works, the versions of proposals, and the last drill
#[utoipa::path(get, path = "/api/v1/works", operation_id = "list_works", tag = "works",
    responses((status = 200, description = "Those that whoever asks may see", body = WorkList)))]
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    by: Requester,
) -> Result<Json<WorkList>, Problem> {
    blocking(move || {
        let works = shared.works.all().into_iter().filter(|work| by.may(work.task.action()));
        let works = works.map(|work| WorkView::new(&work, &shared, None)).collect::<Result<_, _>>()?;
        let proposals = match by.may(Action::ExportBudget) {
            true => ProposalVersions::of(&shared.state_dir).map_err(|error| internal(&error))?.0,
            false => Vec::new(),
        };
        let version = |(fiscal_year, version)| ProposalVersion { fiscal_year, version };
        let last_drill = by.may(Action::ReadState).then(|| last_drill(&shared)).flatten();
        Ok(Json(WorkList { works, proposals: proposals.into_iter().map(version).collect(), last_drill }))
    })
    .await
}

fn last_drill(shared: &Shared) -> Option<Value> {
    let text = std::fs::read_to_string(shared.state_dir.join(works::DRILL)).ok()?;
    serde_json::from_str(&text).ok()
}

/// Begins a work in the background
///
/// One runs at a time. What it needs to be allowed is what its command asks for.
#[utoipa::path(post, path = "/api/v1/works", operation_id = "begin_work", tag = "works", request_body = NewWork,
    responses(
        (status = 202, description = "It has begun", body = WorkView),
        (status = 403, description = "This is for others", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Another one runs, or it cannot be done here", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "It makes no sense", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn begin(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    headers: HeaderMap,
    JsonBody(new): JsonBody<NewWork>,
) -> Result<(StatusCode, Json<WorkView>), Problem> {
    start(shared, by, &headers, (new.task()?, None)).await
}

/// What a bureau's own table is compared with.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Against {
    /// The fiscal year
    year: i32,
    /// How lines are put together: `unit`, `function`, `class` or `line`
    by: Option<String>,
    /// What the file is: `csv`, `xlsx` or `xls`
    format: Option<String>,
}

/// Compares the settlement of a year with the bureau's own table, which is the body
#[utoipa::path(post, path = "/api/v1/works/against", operation_id = "begin_comparison_with_table", tag = "works", params(Against),
    request_body(content = String, content_type = "application/octet-stream", description = "The table: CSV or Excel, 16 MiB at most"),
    responses(
        (status = 202, description = "It has begun", body = WorkView),
        (status = 409, description = "Another one runs", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The table is too large", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn against(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    Params(asked): Params<Against>,
    headers: HeaderMap,
    body: Incoming,
) -> Result<(StatusCode, Json<WorkView>), Problem> {
    let ending = one_of("format", asked.format, &["csv", "xlsx", "xls"])?;
    let task = Task::Settlement { year: asked.year, by: groups(asked.by)?, against: true };
    allowed(&by, &task)?;
    let mut parts = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(part) = parts.next().await {
        let part = part.map_err(|_| {
            Problem::bad_request(say!("the body broke off; nothing of it is taken, send it again"))
        })?;
        if bytes.len() + part.len() > TABLE_MAX {
            let mib = TABLE_MAX >> 20;
            return Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                say!("a table has {mib} MiB at most", mib),
            ));
        }
        bytes.extend_from_slice(&part);
    }
    start(shared, by, &headers, (task, Some((format!("against.{ending}"), bytes)))).await
}

fn allowed(by: &Requester, task: &Task) -> Result<(), Problem> {
    let action = task.action();
    if by.may(action) {
        return Ok(());
    }
    let roles = action.roles_titled();
    Err(Problem::new(StatusCode::FORBIDDEN, say!("this is for {roles}", roles)))
}

async fn start(
    shared: Arc<Shared>,
    by: Requester,
    headers: &HeaderMap,
    (task, file): (Task, Option<(String, Vec<u8>)>),
) -> Result<(StatusCode, Json<WorkView>), Problem> {
    allowed(&by, &task)?;
    let prefers = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let is_english = prefers.is_some_and(|said| said.trim_start().starts_with("en"));
    let language = if is_english { "en" } else { "zh" };
    let actor = by.unnamed();
    blocking(move || {
        let begun = works::begin(&shared, (task, file), (actor.who.clone(), language));
        let work = begun.map_err(|why| match why {
            WorkRefused::Busy(work) => Problem::new(
                StatusCode::CONFLICT,
                say!(
                    "task {id} ({kind}) still runs: wait for it, or stop it",
                    id = work.id,
                    kind = work.task.word()
                ),
            ),
            WorkRefused::Refused(why) => Problem::new(StatusCode::CONFLICT, why),
            WorkRefused::Failed(why) => Problem::new(StatusCode::INSUFFICIENT_STORAGE, why),
        })?;
        // What nobody can be told to have asked for does not go on.
        record(&shared, &actor, "works.begin", &work, "").inspect_err(|_| work.stop())?;
        Ok((StatusCode::ACCEPTED, Json(WorkView::new(&work, &shared, None)?)))
    })
    .await
}

fn record(shared: &Shared, by: &Actor, action: &str, work: &Work, detail: &str) -> Result<(), Problem> {
    let subject = format!("{} {}", work.task.word(), work.id);
    let deed = AuditedAction { action, subject: &subject, result: "done", detail };
    Ok(Accounts::open(&shared.state_dir)?.record(by, deed, shared.clock.now())?)
}

fn find(shared: &Shared, by: &Requester, id: u64) -> Result<Arc<Work>, Problem> {
    let found = shared.works.one(id).filter(|work| by.may(work.task.action()));
    found.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, say!("there is no task {id}", id)))
}

/// Which rows are shown.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RowRange {
    /// The first row, from 0
    from: Option<usize>,
    /// At most so many, and 500
    limit: Option<usize>,
}

/// A work with some of its rows
#[utoipa::path(get, path = "/api/v1/works/{id}", operation_id = "show_work", tag = "works",
    params(("id" = u64, Path, description = "Its number"), RowRange),
    responses(
        (status = 200, description = "The work", body = WorkView),
        (status = 404, description = "There is no such work", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn show(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    PathId(id): PathId<u64>,
    Params(rows): Params<RowRange>,
) -> Result<Json<WorkView>, Problem> {
    let shown = (rows.from.unwrap_or(0), rows.limit.unwrap_or(ROWS));
    blocking(move || Ok(Json(WorkView::new(&*find(&shared, &by, id)?, &shared, Some(shown))?))).await
}

/// Stops a work
#[utoipa::path(delete, path = "/api/v1/works/{id}", operation_id = "stop_work", tag = "works",
    params(("id" = u64, Path, description = "Its number")),
    responses(
        (status = 200, description = "It stops", body = WorkView),
        (status = 404, description = "There is no such work", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn stop(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    PathId(id): PathId<u64>,
) -> Result<Json<WorkView>, Problem> {
    let actor = by.unnamed();
    blocking(move || {
        let work = find(&shared, &by, id)?;
        work.stop();
        record(&shared, &actor, "works.stop", &work, "")?;
        Ok(Json(WorkView::new(&work, &shared, None)?))
    })
    .await
}

/// A file of a work, to be saved; that it was taken is recorded
#[utoipa::path(get, path = "/api/v1/works/{id}/files/{name}", operation_id = "file_of_work", tag = "works",
    params(("id" = u64, Path, description = "Its number"), ("name" = String, Path, description = "The file's name")),
    responses(
        (status = 200, description = "Its bytes", content_type = "application/octet-stream"),
        (status = 404, description = "There is no such work or file", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn file(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    PathId((id, name)): PathId<(u64, String)>,
) -> Result<Response, Problem> {
    let actor = by.unnamed();
    let (name, bytes) = blocking(move || {
        let work = find(&shared, &by, id)?;
        let Some((_, WorkEnd::Done { files, .. })) = work.end() else {
            return Err(Problem::new(StatusCode::NOT_FOUND, say!("task {id} has no files yet", id)));
        };
        let bytes = match files.iter().find(|(known, _)| *known == name) {
            Some((_, path)) => read(path)?,
            None if name == archive_of(&work) => {
                let all = files.iter().map(|(name, path)| Ok((name.clone(), read(path)?)));
                let all = all.collect::<Result<archive::Files, Problem>>()?;
                archive::write(&all).map_err(|why| Problem::new(StatusCode::CONFLICT, why))?
            }
            None => return Err(Problem::new(StatusCode::NOT_FOUND, say!("task {id} has no such file", id))),
        };
        record(&shared, &actor, "works.file", &work, &name)?;
        Ok((name, bytes))
    })
    .await?;
    let headers = [
        saved_as(&name),
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    Ok((headers, bytes).into_response())
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, Problem> {
    let long = std::fs::metadata(path).map_err(|error| internal(&error))?.len();
    if long > FILE_MAX {
        let path = path.display().to_string();
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            say!("{path} is too large to be sent; take it on the machine", path),
        ));
    }
    std::fs::read(path).map_err(|error| internal(&error))
}
