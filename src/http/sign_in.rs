//! Whether the sender of a request may what it asks for: known by a token, by the cookie of a session, or by the name that a
//! proxy gives that is believed. All are asked of the store at each request, so that what is revoked is revoked at once.

mod permit;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use parking_lot::Mutex;

use super::{
    Problem,
    by::{Authenticated, PresentedCredential, Requester, Way, by_session},
    connection::Origin,
    console::is_asked_by_a_person,
    entrance::Entrance,
    forwarded,
    lens::UNMASKED,
    local::Local,
    refused::{Cause, Refusals},
    request::at_once,
    routes::{Need, need},
    standing::Admitted,
    trees::Trees,
};
use crate::{
    access::{Action, Actor, Rates, is_same, network},
    clock::Clock,
    config::clients::Clients,
    event::{Instant, TimeDelta},
    say,
    store::{Accounts, AuditedAction, StoreError, Used},
};

pub(crate) use permit::unknown;
use permit::{forbids, no_csrf};

/// How exactly it is known when somebody was here last, and how often a refusal is recorded of one address.
const MINUTE: TimeDelta = TimeDelta::MINUTE;
/// What a page sends with a change: the token of its session.
const CSRF: &str = "x-csrf-token";
/// What a page sends with what it asks by itself, so that this does not keep a session alive.
const BACKGROUND: &str = "x-background";
/// Characters of a path that are recorded.
const PATH_MAX: usize = 200;
/// Refused addresses and users that are remembered for that.
const REMEMBERED: usize = 4096;
/// Users and tokens whose requests are counted at a time: more than anybody has.
const IDENTITIES: usize = 65_536;

/// Knows who is who.
pub(crate) struct SignIn {
    clients: Clients,
    state_dir: PathBuf,
    clock: Arc<dyn Clock>,
    refusals: Arc<Refusals>,
    /// Whether this process may write to the state.
    writes: bool,
    accounts: Mutex<Option<Accounts>>,
    /// When it was last written what somebody did, by what is written.
    noted: Mutex<BTreeMap<String, Instant>>,
    /// How often those who are known ask, and from where those who are not.
    identities: Rates,
    strangers: Rates,
    begun: std::time::Instant,
    trees: Trees,
}

impl SignIn {
    /// Knows those whom the state knows.
    pub(crate) fn new(
        clients: &Clients,
        state_dir: &Path,
        clock: Arc<dyn Clock>,
        (refusals, writes): (&Arc<Refusals>, bool),
    ) -> Self {
        Self {
            clients: clients.clone(),
            state_dir: state_dir.to_owned(),
            clock,
            refusals: Arc::clone(refusals),
            writes,
            accounts: Mutex::default(),
            noted: Mutex::default(),
            identities: Rates::new(clients.rate, IDENTITIES),
            strangers: Rates::new(clients.rate, REMEMBERED),
            begun: std::time::Instant::now(),
            trees: Trees::default(),
        }
    }

    /// The same, by the trees of codes that a daemon has.
    pub(super) fn with_trees(self, trees: Trees) -> Self {
        Self { trees, ..self }
    }

    /// Time for rates, which no change of the clock makes go back.
    fn pace(&self) -> Instant {
        Instant::EPOCH + TimeDelta::of(self.begun.elapsed())
    }

    fn too_often(&self, seconds: u32) -> Problem {
        self.refusals.count(Cause::Rate);
        let rate = self.clients.rate;
        let detail = say!(
            "too many requests: {rate} a second are taken of one user, token or address (http.rate). Send this one again in {seconds} s",
            rate,
            seconds
        );
        Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).again_after(seconds)
    }

    /// What a request shows and asks for.
    fn asked(&self, request: &Request) -> Asked {
        let nowhere = || Origin {
            entrance: Entrance::Main,
            peer: IpAddr::from([0, 0, 0, 0]),
            certified: None,
            local: None,
        };
        let origin = request.extensions().get::<Origin>().cloned().unwrap_or_else(nowhere);
        let headers = request.headers();
        let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        let shown = PresentedCredential::of(headers, &self.clients, &origin);
        let has_chosen = !self.clients.offers.is_empty() && matches!(shown, PresentedCredential::Cookie(_));
        let is_page = path.is_none() && is_asked_by_a_person(request.method(), request.uri().path(), headers);
        let need = match self.clients.auth {
            // The page that tells them so holds nothing.
            true if is_page => Need::Nothing,
            true => need(request.method().as_str(), path),
            // Who has chosen to be somebody in a demo may what they may.
            false if has_chosen => need(request.method().as_str(), path),
            false => Need::Nothing,
        };
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        Asked {
            peer: forwarded::client(origin.peer, headers, &self.clients),
            local: origin.local,
            need,
            shown,
            method: request.method().to_string(),
            path: path.unwrap_or_default().to_owned(),
            at: request.uri().path().chars().take(PATH_MAX).collect(),
            // Who logs in has no session yet, or one that ends by it.
            csrf: match need == Need::Own && request.method() == Method::POST {
                true => None,
                false => changes(request.method()).then(|| text(CSRF).unwrap_or_default().to_owned()),
            },
            by_itself: text(BACKGROUND).is_some(),
            unmasked: text(UNMASKED).is_some_and(|given| given == "true" || given == "1"),
        }
    }

    /// Whether a request may pass, and who sends it.
    async fn judge(self: &Arc<Self>, asked: Asked) -> Result<(Requester, Option<PersonalReading>), Problem> {
        let Asked { peer, local, need, shown, method, path, at, csrf, by_itself, unmasked } = asked;
        let trusted_header = self.clients.user_header.clone();
        let place = local.as_ref().map_or_else(|| peer.to_string(), Local::place);
        let by = |known| Requester { known, peer, local, unmasked, trusted_header };
        if need == Need::Nothing {
            return Ok((by(None), None));
        }
        let what = match need {
            Need::Act(action) => action.word(),
            _ => &path,
        };
        let known = self.known(shown, by_itself).await?;
        if need == Need::Own && known.is_none() {
            return Ok((by(None), None));
        }
        // In a demo nobody has to be somebody, and the cookie may be of an earlier one.
        if known.is_none() && !self.clients.auth {
            return Ok((by(None), None));
        }
        let Some(known) = known else {
            self.refusals.count(Cause::Identity);
            self.note_refusal(Actor { who: String::new(), place }, what, "unknown");
            return Err(match self.strangers.ask(&network(peer).to_string(), self.pace()) {
                Ok(()) => unknown(),
                Err(seconds) => self.too_often(seconds),
            });
        };
        let identity = &known.identity;
        let actor = || Actor { who: identity.name.clone(), place: place.clone() };
        if self.clients.auth
            && let Err(seconds) = self.identities.ask(&known.key(), self.pace())
        {
            self.note_refusal(actor(), what, "rate");
            return Err(self.too_often(seconds));
        }
        let refuse = |cause, result, problem| {
            self.refusals.count(cause);
            self.note_refusal(actor(), what, result);
            Err(problem)
        };
        if let (Some(own), Some(given)) = (known.way.csrf(), &csrf)
            && !is_same(own, given)
        {
            return refuse(Cause::Csrf, "csrf", no_csrf());
        }
        if let Some(problem) = forbids(&known, need, (&method, &path), unmasked, &self.clients) {
            return refuse(Cause::Role, "refused", problem);
        }
        let reading = |action| PersonalReading { actor: actor(), action, at, unmasked };
        let reading = match need {
            Need::Act(action) if action.shows() => Some(reading(action)),
            _ => None,
        };
        Ok((by(Some(known)), reading))
    }

    /// Whom the store knows by what was shown.
    pub(super) async fn known(
        self: &Arc<Self>,
        shown: PresentedCredential,
        by_itself: bool,
    ) -> Result<Option<Authenticated>, Problem> {
        let (own, now) = (Arc::clone(self), self.clock.now());
        let found = at_once(move || {
            own.ask(|accounts| {
                let known = |(way, identity)| Authenticated { identity, way };
                Ok(match &shown {
                    PresentedCredential::Nothing => None,
                    PresentedCredential::Token(text) => {
                        accounts.bearer(text, now)?.map(|(id, who)| known((Way::Token(id), who)))
                    }
                    PresentedCredential::Name(name) => accounts
                        .user(name)?
                        .and_then(|user| user.identity())
                        .map(|who| known((Way::Proxy, who))),
                    PresentedCredential::Local(name) => accounts
                        .user(name)?
                        .and_then(|user| user.identity())
                        .map(|who| known((Way::Local, who))),
                    PresentedCredential::Certificate(name) => accounts
                        .certified(name, now)?
                        .map(|(token, who)| known((token.map_or(Way::Certificate, Way::Token), who))),
                    PresentedCredential::Cookie(text) => accounts
                        .session(text, now)?
                        .map(|(session, who, factor)| known((by_session((session, factor), text), who))),
                })
            })
            .map_err(Problem::from)
        })
        .await?;
        let found = found.map(|known| self.trees.extend(known, now));
        if let Some(known) = &found
            && !(by_itself && known.way.csrf().is_some())
        {
            let user = (!known.identity.is_program).then(|| known.identity.name.clone());
            self.note_use(known.way.used(), user, now);
        }
        Ok(found)
    }

    /// Asks the store through one connection that stays open; one that failed is not asked again.
    fn ask<T>(&self, work: impl FnOnce(&Accounts) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut held = self.accounts.lock();
        let accounts = match held.take() {
            Some(accounts) => accounts,
            None => Accounts::open_read_only(&self.state_dir)?,
        };
        let answer = work(&accounts)?;
        *held = Some(accounts);
        Ok(answer)
    }

    /// Whether something is to be written now that is written once a minute.
    fn is_due(&self, what: String, now: Instant, when_full: bool) -> bool {
        let mut noted = self.noted.lock();
        if noted.len() >= REMEMBERED {
            noted.retain(|_, at| now - *at < MINUTE);
        }
        let is_known = noted.get(&what).is_some_and(|at| now - *at < MINUTE);
        if !is_known && noted.len() < REMEMBERED {
            noted.insert(what, now);
            return true;
        }
        // Beyond what is remembered, refusals are counted only; what is read or used is written each time.
        !is_known && when_full
    }

    fn note_use(self: &Arc<Self>, used: Used, user: Option<String>, now: Instant) {
        let what = format!("{used:?} {}", user.as_deref().unwrap_or_default());
        if self.writes && self.is_due(what, now, true) {
            self.write(move |accounts| accounts.used(&used, user.as_deref(), now));
        }
    }

    /// What somebody reads of payments and persons is recorded once a minute for each of it; each time that they have persons
    /// shown as a whole. What is answered with nothing was not read.
    fn note_reading(self: &Arc<Self>, reading: PersonalReading, answered: StatusCode) {
        let PersonalReading { actor, action, at, unmasked } = reading;
        let result = match answered {
            StatusCode::NOT_FOUND | StatusCode::GONE => "missing",
            status if status.is_client_error() || status.is_server_error() => "failed",
            _ => "done",
        };
        let (now, what) = (self.clock.now(), format!("read {} {} {at} {result}", actor.place, actor.who));
        if self.writes && (unmasked || self.is_due(what, now, true)) {
            let action = if unmasked { Action::ShowPersonal } else { action };
            self.write(move |accounts| {
                let deed = AuditedAction { action: action.word(), subject: &at, result, detail: "" };
                accounts.record(&actor, deed, now)
            });
        }
    }

    /// Refusals are recorded once a minute for each address and name, so that nobody can fill the log.
    fn note_refusal(self: &Arc<Self>, actor: Actor, action: &str, result: &'static str) {
        let (now, action) = (self.clock.now(), action.to_owned());
        if self.writes && self.is_due(format!("{result} {} {}", actor.place, actor.who), now, false) {
            self.write(move |accounts| {
                let deed = AuditedAction { action: &action, subject: "", result, detail: "" };
                accounts.record(&actor, deed, now)
            });
        }
    }

    /// Writes beside the request, which does not wait for it.
    fn write(self: &Arc<Self>, work: impl FnOnce(&mut Accounts) -> Result<(), StoreError> + Send + 'static) {
        let own = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = Accounts::open(&own.state_dir).and_then(|mut accounts| work(&mut accounts)) {
                tracing::warn!("what clients did could not be recorded: {error}");
            }
        });
    }
}

/// What a request asks for, and what it shows of its sender.
struct Asked {
    peer: IpAddr,
    local: Option<Local>,
    need: Need,
    shown: PresentedCredential,
    method: String,
    /// The path as the router has it, and as it was asked for.
    path: String,
    at: String,
    /// What it sends as the token of its session, if it changes something.
    csrf: Option<String>,
    /// Whether a page asks by itself.
    by_itself: bool,
    /// Whether personal data is asked for as a whole.
    unmasked: bool,
}

/// Somebody asks for what tells of payments and persons.
struct PersonalReading {
    actor: Actor,
    action: Action,
    at: String,
    unmasked: bool,
}

fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Lets requests pass whose senders may.
pub(crate) async fn sign_in(State(by): State<Arc<SignIn>>, mut request: Request, next: Next) -> Response {
    let asked = by.asked(&request);
    let shown = asked.shown.clone();
    match by.judge(asked).await {
        Ok((sender, reading)) => {
            if let Some(known) = &sender.known {
                request.extensions_mut().insert(Admitted::new(&by, shown, known));
            }
            request.extensions_mut().insert(sender);
            let answer = next.run(request).await;
            if let Some(reading) = reading {
                by.note_reading(reading, answer.status());
            }
            answer
        }
        Err(problem) => problem.into_response(),
    }
}
