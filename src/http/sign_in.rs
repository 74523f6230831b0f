//! Who sends a request, and whether they may: by a token, or by the name that a proxy gives that is believed. Both are
//! asked of the store at each request, so that what is revoked is revoked at once.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    Problem,
    connection::Peer,
    refused::{Cause, Refusals},
    request::{blocking, officer},
    routes::{Need, need},
};
use crate::{
    access::{Action, Actor, Identity, decide},
    clock::Clock,
    config::clients::Clients,
    say,
    store::{Accounts, Deed, StoreError},
};

/// How exactly it is known when somebody was here last, and how often a refusal is recorded of one address.
const MINUTE: i64 = 60_000_000;
/// Characters of a path that are recorded.
const PATH_MAX: usize = 200;
/// Refused addresses and users that are remembered for that.
const REMEMBERED: usize = 4096;

/// Knows who is who.
pub struct SignIn {
    clients: Clients,
    state_dir: PathBuf,
    clock: Arc<dyn Clock>,
    refusals: Arc<Refusals>,
    /// Whether this process may write to the state.
    writes: bool,
    accounts: Mutex<Option<Accounts>>,
    /// When it was last written what somebody did, by what is written.
    noted: Mutex<BTreeMap<String, i64>>,
}

/// Who sends a request.
#[derive(Debug, Clone)]
pub struct By {
    known: Option<Identity>,
    peer: IpAddr,
    trusted_header: Option<String>,
}

impl By {
    /// Who acts: the one who is known, or else, where nobody has to say who they are, the name that is given.
    ///
    /// # Errors
    /// If they are known under another name, or no name is given.
    pub fn actor(&self, headers: &HeaderMap, given: Option<&str>) -> Result<Actor, Problem> {
        let who = match &self.known {
            Some(identity) => officer(headers, Some(&identity.name), None, given)?,
            None => officer(headers, None, self.trusted_header.as_deref(), given)?,
        };
        Ok(Actor { who, place: self.peer.to_string() })
    }

    /// Who acts where no name is asked for.
    pub fn unnamed(&self) -> Actor {
        let who = self.known.as_ref().map_or_else(String::new, |identity| identity.name.clone());
        Actor { who, place: self.peer.to_string() }
    }
}

impl<S: Sync> FromRequestParts<S> for By {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Every request passes `sign_in`; one that did not is nobody's.
        parts.extensions.get().cloned().ok_or_else(unknown)
    }
}

impl SignIn {
    /// Knows those whom the state knows.
    pub fn new(
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
        }
    }

    /// What a request shows and asks for.
    fn asked(&self, request: &Request) -> Asked {
        let peer = request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0);
        let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        let need = match self.clients.auth {
            true => need(request.method().as_str(), path),
            false => Need::Nothing,
        };
        let shown = Shown::of(request.headers(), &self.clients, peer);
        let at = request.uri().path().chars().take(PATH_MAX).collect();
        Asked { peer, need, shown, path: path.unwrap_or_default().to_owned(), at }
    }

    /// Whether a request may pass, and who sends it.
    async fn judge(self: &Arc<Self>, asked: Asked) -> Result<By, Problem> {
        let Asked { peer, need, shown, path, at } = asked;
        let by = |known| By { known, peer, trusted_header: self.clients.user_header.clone() };
        if need == Need::Nothing {
            return Ok(by(None));
        }
        let what = match need {
            Need::Act(action) => action.word(),
            _ => &path,
        };
        let Some(identity) = self.identity(shown).await? else {
            self.refusals.count(Cause::Identity);
            self.note_refusal(Actor { who: String::new(), place: peer.to_string() }, what, "unknown");
            return Err(unknown());
        };
        let may = match need {
            Need::Nothing | Need::Anybody => true,
            Need::Act(action) => decide(&identity.roles, action),
            Need::Nobody => false,
        };
        if !may {
            self.refusals.count(Cause::Role);
            let actor = Actor { who: identity.name.clone(), place: peer.to_string() };
            self.note_refusal(actor, what, "refused");
            return Err(forbidden(&identity, need));
        }
        if let Need::Act(action) = need
            && action.shows()
        {
            self.note_reading(&identity, peer, action, at);
        }
        Ok(by(Some(identity)))
    }

    /// Whom the store knows by what was shown.
    async fn identity(self: &Arc<Self>, shown: Shown) -> Result<Option<Identity>, Problem> {
        let (own, now) = (Arc::clone(self), self.clock.now());
        let found = blocking(move || {
            own.ask(|accounts| match &shown {
                Shown::Nothing => Ok(None),
                Shown::Token(text) => Ok(accounts.bearer(text, now)?.map(|(id, known)| (Some(id), known))),
                Shown::Name(name) => {
                    let known = accounts.user(name)?.and_then(|user| user.identity());
                    Ok(known.map(|known| (None, known)))
                }
            })
            .map_err(Problem::from)
        })
        .await?;
        let Some((token, identity)) = found else { return Ok(None) };
        let user = (!identity.is_program).then(|| identity.name.clone());
        self.note_use(token, user, now);
        Ok(Some(identity))
    }

    /// Asks the store through one connection that stays open; one that failed is not asked again.
    fn ask<T>(&self, work: impl FnOnce(&Accounts) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut held = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let accounts = match held.take() {
            Some(accounts) => accounts,
            None => Accounts::open_read_only(&self.state_dir)?,
        };
        let answer = work(&accounts)?;
        *held = Some(accounts);
        Ok(answer)
    }

    /// Whether something is to be written now that is written once a minute.
    fn is_due(&self, what: String, now: i64, when_full: bool) -> bool {
        let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
        if noted.len() >= REMEMBERED {
            noted.retain(|_, at| now - *at < MINUTE);
        }
        let is_known = noted.get(&what).is_some_and(|at| now - at < MINUTE);
        if !is_known && noted.len() < REMEMBERED {
            noted.insert(what, now);
            return true;
        }
        // Beyond what is remembered, refusals are counted only; what is read is recorded each time.
        !is_known && when_full
    }

    fn note_use(self: &Arc<Self>, token: Option<String>, user: Option<String>, now: i64) {
        let what =
            format!("{} {}", token.as_deref().unwrap_or_default(), user.as_deref().unwrap_or_default());
        if self.writes && self.is_due(what, now, false) {
            self.write(move |accounts| accounts.used(token.as_deref(), user.as_deref(), now));
        }
    }

    /// What somebody reads of payments and persons is recorded once a minute for each of it.
    fn note_reading(self: &Arc<Self>, identity: &Identity, peer: IpAddr, action: Action, at: String) {
        let (now, actor) = (self.clock.now(), Actor { who: identity.name.clone(), place: peer.to_string() });
        if self.writes && self.is_due(format!("read {} {} {at}", actor.place, actor.who), now, true) {
            self.write(move |accounts| {
                let deed = Deed { action: action.word(), subject: &at, result: "done", detail: "" };
                accounts.record(&actor, deed, now)
            });
        }
    }

    /// Refusals are recorded once a minute for each address and name, so that nobody can fill the log.
    fn note_refusal(self: &Arc<Self>, actor: Actor, action: &str, result: &'static str) {
        let (now, action) = (self.clock.now(), action.to_owned());
        if self.writes && self.is_due(format!("{result} {} {}", actor.place, actor.who), now, false) {
            self.write(move |accounts| {
                let deed = Deed { action: &action, subject: "", result, detail: "" };
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
    need: Need,
    shown: Shown,
    /// The path as the router has it, and as it was asked for.
    path: String,
    at: String,
}

/// What a request shows of its sender.
enum Shown {
    Nothing,
    Token(String),
    Name(String),
}

impl Shown {
    /// A token goes first. A name counts only from a proxy that is believed.
    fn of(headers: &HeaderMap, clients: &Clients, peer: IpAddr) -> Self {
        let text =
            |name: &str| headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        if let Some(value) = text(header::AUTHORIZATION.as_str()) {
            let token = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            return token.map_or(Self::Nothing, |(_, token)| Self::Token(token.trim().to_owned()));
        }
        let name = clients.user_header.as_deref().filter(|_| clients.is_proxy(peer)).and_then(text);
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        name.map_or(Self::Nothing, |name| Self::Name(name.to_owned()))
    }
}

fn unknown() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        say!(
            "say who you are: send a token as `Authorization: Bearer …`; whoever manages users makes one with `fiscwatch token add`"
        ),
    )
}

fn forbidden(identity: &Identity, need: Need) -> Problem {
    let roles = match need {
        Need::Act(action) => words(action),
        _ => String::new(),
    };
    let detail = say!(
        "{name} is {has}, and this is for {roles}; `fiscwatch access show` has the whole table",
        name = identity.name,
        has = identity.roles,
        roles
    );
    Problem::new(StatusCode::FORBIDDEN, detail)
}

fn words(action: Action) -> String {
    action.roles().iter().map(|role| role.word()).collect::<Vec<_>>().join(", ")
}

/// Lets requests pass whose senders may.
pub async fn sign_in(State(by): State<Arc<SignIn>>, mut request: Request, next: Next) -> Response {
    let asked = by.asked(&request);
    match by.judge(asked).await {
        Ok(by) => {
            request.extensions_mut().insert(by);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}
