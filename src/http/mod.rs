//! The HTTP server: one file a thing that the API has, and `openapi.rs`, which joins and describes them.

mod alert_lists;
mod alerts;
mod answer;
mod answer_words;
mod answers;
mod api;
mod approvals;
mod arrival;
mod ask;
mod attachments;
mod audit;
mod backtests;
mod bulk;
mod by;
pub(crate) mod casework;
mod codes;
mod completeness;
mod connection;
mod console;
mod cookie;
mod decide;
mod door;
mod entrance;
mod events;
pub(crate) mod evidence;
mod exceptions;
mod explain;
mod finding_times;
mod forwarded;
mod groups;
mod guard;
mod indicators;
mod journal;
mod ldap;
mod ledger;
pub(crate) mod lens;
mod line_filter;
mod line_history;
mod local;
mod logins;
mod notifications;
mod oidc;
mod openapi;
mod outlook;
mod overrides;
mod pace;
mod page;
mod payees;
mod problem;
mod quarantine;
mod reference_lists;
mod refused;
pub(crate) mod register;
mod rejection;
mod replay;
pub(crate) mod reports;
mod request;
mod routes;
mod rule;
mod rule_sets;
mod saved;
mod session;
mod shards;
mod sign_in;
mod silences;
mod standing;
mod stream;
pub(crate) mod tls;
mod tokens;
mod totals;
mod totp;
mod trees;
mod trial;
mod users;
pub(crate) mod view;
mod workbooks;
mod works;

use std::{path::Path, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use crate::{
    clock::SystemClock,
    config::clients::Clients,
    daemon::{Shared, scrape_gauges},
    evaluate::bounded::PendingWork,
    say,
    source::SourceStatus,
    store::Cases,
    telemetry::{CONTENT_TYPE, Metrics},
};

pub use alerts::AlertDetail;
pub(crate) use approvals::ApprovalView;
pub use completeness::{CompletenessView, FigureView, day_span};
pub use console::SCREENS;
pub use decide::by_message as decide_message;
pub(crate) use ldap::check_directory;
pub(crate) use lens::Lens;
pub use local::Local;
pub(crate) use oidc::check_provider;
pub use problem::Problem;
pub use routes::{ROUTES, WITHIN_LIMITS};
pub use rule_sets::RuleSetView;
pub use shards::serve_shards;
pub use tokens::TokenView;
pub use users::UserView;

use answers::{Answers, answers};
use by::Requester;
use connection::Port;
use door::Door;
use entrance::{Doors, Entrance, entrance};
use guard::{Guard, guard};
use logins::Logins;
use oidc::SingleSignOn;
use refused::Refusals;
use sign_in::{SignIn, sign_in};
use stream::Streams;
use tls::ServerTls;
use trees::Trees;

#[derive(Clone)]
struct Served {
    shared: Arc<Shared>,
    refusals: Arc<Refusals>,
    logins: Arc<Logins>,
    single: Arc<SingleSignOn>,
    scrapes: Scrapes,
    streams: Streams,
}

/// One scrape at a time: counters follow what others count, and series are made again.
type Scrapes = Arc<tokio::sync::Mutex<()>>;

/// What a handler may take of it by itself.
macro_rules! parts {
    ($($part:ident: $of:ty,)*) => {
        $(impl axum::extract::FromRef<Served> for $of {
            fn from_ref(served: &Served) -> Self {
                served.$part.clone()
            }
        })*
    };
}
parts! {
    shared: Arc<Shared>,
    refusals: Arc<Refusals>,
    logins: Arc<Logins>,
    single: Arc<SingleSignOn>,
    scrapes: Scrapes,
    streams: Streams,
}

/// Where the daemon listens.
#[derive(Debug)]
pub struct Ports {
    /// `http.listen`.
    pub main: TcpListener,
    /// `http.ingest`.
    pub ingest: Option<TcpListener>,
    /// `http.scrape`.
    pub scrape: Option<TcpListener>,
    /// `http.socket`.
    pub local: Option<UnixListener>,
}

impl Ports {
    /// Each with its TLS; the socket needs none.
    fn with(self, tls: Option<&Arc<ServerTls>>) -> Vec<Port> {
        let Self { main, ingest, scrape, local } = self;
        let tcp = [(Some(main), Entrance::Main), (ingest, Entrance::Ingest), (scrape, Entrance::Scrape)];
        let tcp = tcp.into_iter().filter_map(|(listener, entrance)| Some((listener?, entrance)));
        let tcp = tcp.map(|(listener, entrance)| Port::Tcp(listener, entrance, tls.cloned()));
        tcp.chain(local.map(Port::Local)).collect()
    }
}

/// Serves until asked to stop.
pub async fn serve(ports: Ports, shared: Arc<Shared>, tls: Option<Arc<ServerTls>>, stop: CancellationToken) {
    let door = Arc::new(Door::new(&shared.clients, &shared.metrics));
    let follows = tls.clone().map(|tls| tokio::spawn(follow_reloads(tls, Arc::clone(&shared), stop.clone())));
    let (api, _) = openapi::api();
    let room = Arc::new(Answers::new(&door.refusals));
    let known =
        SignIn::new(&shared.clients, &shared.state_dir, Arc::clone(&shared.clock), (&door.refusals, true))
            .with_trees(Trees::of(&shared));
    let served = Served {
        logins: Arc::new(Logins::new(&door.refusals)),
        single: Arc::new(SingleSignOn::new(&shared.clients)),
        refusals: Arc::clone(&door.refusals),
        scrapes: Scrapes::default(),
        streams: Streams::new(shared.clients.connections, stop.clone()),
        shared,
    };
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/-/healthy", get(|| async { "fiscwatch is running\n" }))
        .route("/-/ready", get(ready))
        .route("/-/reload", post(reload))
        .merge(console::routes())
        .merge(answer::routes())
        .merge(api.layer(from_fn_with_state(room, answers)))
        .fallback(console::nothing)
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, say!("this path takes another method"))
        })
        .with_state(served);
    serve_all(ports.with(tls.as_ref()), &behind_door(router, &door, known), &door, &stop).await;
    if let Some(follows) = follows {
        follows.abort();
    }
}

/// Each port has places of its own, so that who takes up all of one keeps nobody from the others.
async fn serve_all(ports: Vec<Port>, router: &Router, door: &Arc<Door>, stop: &CancellationToken) {
    let serving = ports.into_iter().map(|port| {
        let door = match port.entrance() {
            Entrance::Main => Arc::clone(door),
            _ => Arc::new(door.beside()),
        };
        connection::serve(port, router.clone(), door, stop.clone())
    });
    futures::future::join_all(serving).await;
}

/// Reads certificates again at each reload.
async fn follow_reloads(tls: Arc<ServerTls>, shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = shared.reloaded.notified() => {
                let tls = Arc::clone(&tls);
                tokio::task::spawn_blocking(move || tls.read_again());
            }
        }
    }
}

/// Serves while another instance has the state, until asked to stop.
pub async fn serve_standby(
    ports: Ports,
    metrics: Arc<Metrics>,
    (clients, state_dir, tls): (Clients, &Path, Option<Arc<ServerTls>>),
    stop: CancellationToken,
) {
    let waits =
        || say!("standby: another fiscwatch has the state directory; this one takes over when it ends");
    metrics.standby.set(1);
    let door = Arc::new(Door::new(&clients, &metrics));
    let clock = Arc::new(SystemClock);
    let known = SignIn::new(&clients, state_dir, clock, (&door.refusals, false));
    let render = move || async move { ([(header::CONTENT_TYPE, CONTENT_TYPE)], metrics.render()) };
    let router = Router::new()
        .route("/metrics", get(render))
        .route("/-/healthy", get(|| async { "fiscwatch is running (standby)\n" }))
        .route("/-/ready", get(move || async move { (StatusCode::SERVICE_UNAVAILABLE, waits() + "\n") }))
        .fallback(
            move || async move { Problem::new(StatusCode::SERVICE_UNAVAILABLE, waits()).again_after(5) },
        );
    serve_all(ports.with(tls.as_ref()), &behind_door(router, &door, known), &door, &stop).await;
}

/// The same for requests that are for this server, and whose senders may.
fn behind_door(router: Router, door: &Door, known: SignIn) -> Router {
    let by = Arc::new(Guard::new(&door.clients, &door.refusals));
    let doors = Doors { clients: Arc::new(door.clients.clone()), refusals: Arc::clone(&door.refusals) };
    router
        .layer(from_fn_with_state(Arc::new(known), sign_in))
        .layer(from_fn_with_state(doors, entrance))
        .layer(from_fn_with_state(by, guard))
}

async fn metrics(State(scrapes): State<Scrapes>, State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let _alone = scrapes.lock().await;
    scrape_gauges(&shared);
    let asked = Arc::clone(&shared);
    if let Err(problem) = request::at_once(move || count_verdicts(&asked)).await {
        tracing::error!("what officers said of rules cannot be counted: {problem:?}");
    }
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], shared.metrics.render())
}

/// What officers said of the rules in force.
fn count_verdicts(shared: &Shared) -> Result<(), Problem> {
    let verdicts = Cases::open_read_only(&shared.state_dir)?.verdicts()?;
    let metrics = &shared.metrics;
    for rule in &shared.rules_in_force().rules {
        let id = rule.rule.id.as_str();
        let Some(said) = verdicts.get(id) else { continue };
        for (verdict, n) in [("confirmed", said.confirmed), ("dismissed", said.dismissed)] {
            metrics.rule_verdicts.with_label_values(&[id, verdict]).set(n.try_into().unwrap_or(i64::MAX));
        }
        if let Some(precision) = said.precision() {
            metrics.rule_precision.with_label_values(&[id]).set(precision);
        }
    }
    Ok(())
}

async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, String) {
    let unavailable = |why: String| (StatusCode::SERVICE_UNAVAILABLE, why + "\n");
    if let Some(held) = shared.commits_wait() {
        let seconds = held.as_secs();
        return unavailable(say!(
            "another program has held the database for {seconds} seconds; commits wait for it, and nothing is lost. End that program (sqlite3, a backup tool, a check of the disk)",
            seconds
        ));
    }
    if let Some(why) = shared.takes_no_more() {
        return unavailable(why);
    }
    if !shared.ready() {
        return unavailable(say!("fiscwatch is starting or stopping"));
    }
    if let Some(why) = shared.waits_for() {
        return unavailable(why);
    }
    if let Some(due) = shared.busy_with_ticks() {
        return unavailable(say!(
            "fiscwatch is busy with {due} rules on a schedule that are due; events wait",
            due
        ));
    }
    if let Some((work, time)) = shared.busy_with() {
        return unavailable(waits_for(&work, time.as_secs()));
    }
    let troubles: String = shared.sources.iter().flat_map(troubles).collect();
    (StatusCode::OK, say!("fiscwatch is ready") + "\n" + &troubles)
}

/// What the stream waits for.
fn waits_for(work: &PendingWork, seconds: u64) -> String {
    match work {
        PendingWork::Query(rule) => say!(
            "fiscwatch waits for the query of rule {rule}, which has run for {seconds} s; events wait",
            rule,
            seconds
        ),
        PendingWork::Lists(lists) => say!(
            "fiscwatch has judged events again for {seconds} s, because these lists have changed: {lists}; new events wait",
            seconds,
            lists
        ),
        PendingWork::Windows => {
            say!("fiscwatch has filled windows from the journal for {seconds} s; new events wait", seconds)
        }
    }
}

/// What is wrong with a source that was read before: the daemon is ready, and reads it again when it can.
fn troubles((name, status): (&String, &Arc<SourceStatus>)) -> Vec<String> {
    let troubles = status.told().troubles.into_iter();
    let said =
        |(with, trouble)| say!("source {name}: {why}", name, why = format!("{with}: {trouble}")) + "\n";
    troubles.map(said).collect()
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Reload {
    /// Whether lists may lose more than half of their rows.
    #[serde(default)]
    force: bool,
}

async fn reload(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    request::Params(asked): request::Params<Reload>,
) -> Result<String, Response> {
    let reloaded =
        tokio::task::spawn_blocking(move || crate::daemon::reload(&shared, asked.force, by.unnamed())).await;
    match reloaded {
        Ok(Ok(rules)) => Ok(say!("{rules} rules are in force", rules) + "\n"),
        Ok(Err(why)) => Err(problem::not_reloaded(why)),
        Err(e) => Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string()).into_response()),
    }
}
