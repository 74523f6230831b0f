//! What changes, as it changes: server-sent events whose ids are places in the store, so that a browser that comes back
//! misses nothing; and the same to be asked for, where something in between holds streams back.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{
        IntoResponse, Response, Sse,
        sse::{Event, KeepAlive},
    },
};
use futures::stream;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use utoipa::{IntoParams, ToSchema};

use super::{
    Problem,
    by::Requester,
    refused::{Cause, Refusals},
    request::{Params, blocking},
    standing::Admitted,
};
use crate::{
    access::Action,
    daemon::Shared,
    say,
    store::{Cases, Place, Update},
};

/// The most streams at a time; with few connections, a quarter of them.
const STREAMS_MAX: usize = 64;
/// How often the store is asked.
const POLL: Duration = Duration::from_millis(500);
/// How long nothing is sent at most.
const QUIET: Duration = Duration::from_secs(15);
/// How often it is told how the daemon is, if that has changed.
const STATUS: u32 = 10;
/// Changes that are read at a time, and messages that wait for a reader.
const BATCH: u32 = 200;
const WAITING: usize = 16;
/// How long a reader may take for a message.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a stream lasts: who reads on has to say who they are again.
const LENGTH: Duration = Duration::from_mins(10);
/// How often it is asked whether a reader still may.
const ASKED_AGAIN: Duration = Duration::from_secs(3);

#[derive(Debug, Clone)]
pub(crate) struct Streams {
    room: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Streams {
    /// Room that is all free; all streams end with `stop`.
    pub(crate) fn new(connections: usize, stop: CancellationToken) -> Self {
        Self { room: Arc::new(Semaphore::new(STREAMS_MAX.min(connections / 4))), stop }
    }
}

/// Where a reader is.
#[derive(Debug, Clone, Copy)]
enum Start {
    Now,
    /// It knows everything up to this place.
    After(Place),
    /// It was at a place that is none of this state: it has to read everything again.
    Anew,
}

impl Start {
    fn of(id: Option<&str>) -> Self {
        id.map_or(Self::Now, |id| id.parse().map_or(Self::Anew, Self::After))
    }
}

/// From where on to read.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Since {
    /// The id of the last message, or the `next` of the last answer. Without it, from now on.
    since: Option<String>,
}

/// What changes, as it changes
///
/// Messages are `alert` (an alert as it is now, in short), `finding`, `approval` (something that was proposed, as it stands
/// now), `status` (how the daemon is), and `reset`, after which everything is to be read again. A stream ends after ten minutes, and goes on by its last id.
#[utoipa::path(get, path = "/api/v1/stream", operation_id = "stream_changes", tag = "changes",
    params(Since, ("Last-Event-ID" = Option<String>, Header, description = "The id of the last message")),
    responses(
        (status = 200, description = "Server-sent events", body = String, content_type = "text/event-stream"),
        (status = 503, description = "There are too many streams", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn stream(
    State(shared): State<Arc<Shared>>,
    State(streams): State<Streams>,
    State(refusals): State<Arc<Refusals>>,
    standing: Option<Extension<Admitted>>,
    by: Requester,
    headers: HeaderMap,
    Params(asked): Params<Since>,
) -> Result<Response, Problem> {
    let Ok(place) = Arc::clone(&streams.room).try_acquire_owned() else {
        refusals.count(Cause::Streams);
        let detail = say!("too many screens are open that show what changes; this one asks again by itself");
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).again_after(15));
    };
    // A browser that comes back says what it had last; the address is from when it came first.
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let start = Start::of(last.or(asked.since.as_deref()));
    let (sender, receiver) = mpsc::channel(WAITING);
    let standing = standing.map(|Extension(standing)| standing);
    let feed =
        Feed { shared, by, standing: standing.clone(), sender, refusals, status: Value::Null, _room: place };
    tokio::spawn(async move {
        tokio::select! {
            () = streams.stop.cancelled() => {}
            () = tokio::time::sleep(LENGTH) => {}
            () = loses_standing(standing) => {}
            () = feed.run(start) => {}
        }
    });
    let messages = stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|event| (Ok::<_, Infallible>(event), receiver))
    });
    Ok(Sse::new(messages).keep_alive(KeepAlive::new().interval(QUIET)).into_response())
}

/// Returns when the reader may not read on: logged out, disabled, revoked, or with other roles. Then the stream ends, and
/// who comes back has to say who they are again.
async fn loses_standing(standing: Option<Admitted>) {
    let Some(standing) = standing else { return std::future::pending().await };
    loop {
        tokio::time::sleep(ASKED_AGAIN).await;
        if !standing.holds().await {
            return;
        }
    }
}

/// What one reader is sent.
struct Feed {
    shared: Arc<Shared>,
    by: Requester,
    /// Who is asked again whether they may before anything is told.
    standing: Option<Admitted>,
    sender: mpsc::Sender<Event>,
    refusals: Arc<Refusals>,
    /// What was told last of how the daemon is.
    status: Value,
    _room: OwnedSemaphorePermit,
}

impl Feed {
    /// Sends until the reader is gone.
    async fn run(mut self, start: Start) {
        if !self.send(Event::default().retry(Duration::from_secs(3)).comment("fiscwatch")).await {
            return;
        }
        let mut at = start;
        for turn in 0_u32.. {
            let Ok(read) = read(&self.shared, &self.by, at).await else { return };
            if !read.changes.is_empty() && !self.may_hear().await {
                return;
            }
            for (number, message) in read.changes.iter().enumerate() {
                let mut event = Event::default().event(message.event);
                // An id says that everything up to it was sent: of several with one, the last has it.
                if read.changes.get(number + 1).is_none_or(|next| next.id != message.id) {
                    event = event.id(message.id.to_string());
                }
                if !self.send(event.data(message.data.to_string())).await {
                    return;
                }
            }
            at = Start::After(read.next);
            if turn.is_multiple_of(STATUS) && !self.tell_status().await {
                return;
            }
            if !read.more {
                tokio::select! {
                    () = tokio::time::sleep(POLL) => {}
                    () = self.sender.closed() => return,
                }
            }
        }
    }

    async fn may_hear(&self) -> bool {
        match &self.standing {
            Some(standing) => standing.holds().await,
            None => true,
        }
    }

    async fn tell_status(&mut self) -> bool {
        let shared = Arc::clone(&self.shared);
        let Ok(status) = blocking(move || status(&shared)).await else { return false };
        if status == self.status {
            return true;
        }
        let event = Event::default().event("status").data(status.to_string());
        self.status = status;
        self.send(event).await
    }

    /// Whether it was taken in time.
    async fn send(&self, event: Event) -> bool {
        match self.sender.send_timeout(event, PATIENCE).await {
            Ok(()) => true,
            Err(mpsc::error::SendTimeoutError::Closed(_)) => false,
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                self.refusals.count(Cause::Answer);
                false
            }
        }
    }
}

/// How the daemon is, in short.
fn status(shared: &Shared) -> Result<Value, Problem> {
    let last = shared.last_event_at.get();
    Ok(json!({
        "ready": shared.ready() && shared.waits_for().is_none(),
        "last_event_at": last.map(|at| shared.calendar.format(at)),
        "alerts": Cases::open_read_only(&shared.state_dir)?.by_state()?,
    }))
}

/// Changes after a place.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChangeList {
    /// In the order in which they happened.
    changes: Vec<Message>,
    /// Give it as `since` to read on.
    #[serde(serialize_with = "text")]
    #[schema(value_type = String)]
    next: Place,
    /// Whether there is more at once.
    more: bool,
}

/// Something that changed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChangeMessage)]
pub(crate) struct Message {
    /// `alert`, `finding`, `approval`, or `reset`: too much has changed, and everything is to be read again.
    event: &'static str,
    /// The place after it.
    #[serde(serialize_with = "text")]
    #[schema(value_type = String)]
    id: Place,
    /// What it is about.
    #[schema(value_type = Object)]
    data: Value,
}

fn text<S: serde::Serializer>(place: &Place, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(place)
}

/// What has changed since a place, for who cannot read a stream
#[utoipa::path(get, path = "/api/v1/changes", operation_id = "list_changes", tag = "changes", params(Since),
    responses((status = 200, description = "What is new; nothing without a place", body = ChangeList)))]
pub(crate) async fn changes(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    Params(asked): Params<Since>,
) -> Result<Json<ChangeList>, Problem> {
    read(&shared, &by, Start::of(asked.since.as_deref())).await.map(Json)
}

async fn read(shared: &Arc<Shared>, by: &Requester, start: Start) -> Result<ChangeList, Problem> {
    let (shared, reads_matters) = (Arc::clone(shared), by.may(Action::ReadMatters));
    blocking(move || {
        let cases = Cases::open_read_only(&shared.state_dir)?;
        let found = match start {
            Start::Now => {
                return Ok(ChangeList { changes: Vec::new(), next: cases.place()?, more: false });
            }
            Start::After(place) => cases.since(place, BATCH)?,
            Start::Anew => None,
        };
        let Some(found) = found else {
            let next = cases.place()?;
            let changes = vec![Message { event: "reset", id: next, data: json!({}) }];
            return Ok(ChangeList { changes, next, more: false });
        };
        let show = |(id, news)| {
            let (event, data) = shown(news, &shared);
            Message { event, id, data }
        };
        let is_theirs = |(_, news): &(Place, Update)| reads_matters || !matches!(news, Update::Matter(_));
        let changes = found.news.into_iter().filter(is_theirs).map(show).collect();
        Ok(ChangeList { changes, next: found.next, more: found.more })
    })
    .await
}

/// What is told of a change: what a list shows and sorts by, and nothing of persons.
fn shown(news: Update, shared: &Shared) -> (&'static str, Value) {
    match news {
        Update::Finding(f, alert) => {
            let data = json!({
                "finding_id": f.finding_id, "rule_id": f.rule_id, "severity": f.severity, "at": f.at,
                "event_id": f.event_id, "alert_id": alert,
            });
            ("finding", data)
        }
        Update::Alert(a) => {
            let data = json!({
                "alert_id": a.alert_id, "rule_id": a.rule_id, "severity": a.severity, "state": a.state,
                "version": a.version, "owner": a.owner, "findings": a.findings,
                "unit_code": a.labels.first("unit_code"), "opened_at": shared.calendar.format(a.opened_at),
                "changed_at": shared.calendar.format(a.changed_at),
            });
            ("alert", data)
        }
        Update::Matter(m) => {
            let state = m.state(shared.clock.now());
            ("approval", json!({ "approval_id": m.id, "kind": m.kind, "state": state, "acts": m.acts.len() }))
        }
    }
}
