//! Who sends a request: what it shows of its sender, and who that is.

use std::net::IpAddr;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
};

use zeroize::Zeroizing;

use super::{
    Problem, connection::Origin, cookie, entrance::Entrance, lens::Lens, local::Local, request::officer,
    sign_in::unknown,
};
use crate::{
    access::{Action, Actor, Identity, Limits, Session, decide, session},
    approval::Person,
    config::clients::Clients,
    store::{Factor, Used},
};

/// Who sends a request.
#[derive(Debug, Clone)]
pub(crate) struct Requester {
    pub known: Option<Authenticated>,
    pub peer: IpAddr,
    /// The user of this machine, for who comes through the socket: the kernel says so, whether anybody is asked or not.
    pub local: Option<Local>,
    /// Whether personal data is asked for as a whole, and they may see it.
    pub unmasked: bool,
    pub(super) trusted_header: Option<String>,
}

/// Somebody who is known, and by what.
#[derive(Debug, Clone)]
pub(crate) struct Authenticated {
    pub identity: Identity,
    pub way: Way,
}

impl Authenticated {
    /// What tells whoever asks from all others: two programs may have tokens of one name.
    pub(crate) fn key(&self) -> String {
        match (&self.way, self.identity.is_program) {
            (Way::Token(id), true) => format!("token {id}"),
            _ => self.identity.key(),
        }
    }
}

/// By what somebody is known.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// The name that a proxy gives.
    Proxy,
    /// The name in the certificate of the connection.
    Certificate,
    /// The name of the system's user at the socket.
    Local,
    /// A token, by its id.
    Token(String),
    Session {
        session: Session,
        /// What its pages send with changes.
        csrf: String,
        /// How its user stands with a second factor.
        factor: Factor,
    },
}

impl Way {
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Certificate => "certificate",
            Self::Local => "local",
            Self::Token(_) => "token",
            Self::Session { .. } => "session",
        }
    }

    pub(crate) fn used(&self) -> Used {
        match self {
            Self::Proxy | Self::Certificate | Self::Local => Used::Name,
            Self::Token(id) => Used::Token(id.clone()),
            Self::Session { session, .. } => Used::Session(session.id.clone()),
        }
    }

    /// Whether a second factor must be set up before anything else.
    pub(crate) fn lacks_factor(&self, clients: &Clients) -> bool {
        matches!(self, Self::Session { factor, .. } if factor.is_missing(clients.second_factor))
    }

    /// What a page has to send with a change, because the browser sends the cookie by itself.
    pub(crate) fn csrf(&self) -> Option<&str> {
        match self {
            Self::Session { csrf, .. } => Some(csrf),
            _ => None,
        }
    }
}

impl Requester {
    /// Who acts: the one who is known, or else, where nobody has to say who they are, the name that is given.
    ///
    /// # Errors
    /// If they are known under another name, or no name is given.
    pub(crate) fn actor(&self, headers: &HeaderMap, given: Option<&str>) -> Result<Actor, Problem> {
        let known = self.known.as_ref().map(|known| known.identity.name.as_str());
        let who = match known.or(self.local.as_ref().map(|local| local.name.as_str())) {
            Some(name) => officer(headers, Some(name), None, given)?,
            None => officer(headers, None, self.trusted_header.as_deref(), given)?,
        };
        Ok(Actor { who, place: self.place() })
    }

    /// Whoever acts, as somebody who proposes or approves. Where nobody is asked who they are, anybody has every role.
    pub(crate) fn person(&self, actor: &Actor) -> Person {
        match &self.known {
            Some(known) => Person::of(&actor.who, &known.identity.roles),
            None => Person::anybody(&actor.who),
        }
    }

    /// Whether they may do something beside what the route asks for.
    pub(crate) fn may(&self, action: Action) -> bool {
        self.known.as_ref().is_none_or(|known| decide(&known.identity.roles, action))
    }

    /// From where, for what is recorded.
    pub(crate) fn place(&self) -> String {
        self.local.as_ref().map_or_else(|| self.peer.to_string(), Local::place)
    }

    /// What is there for whoever asks.
    pub(crate) fn limits(&self) -> Limits {
        self.known.as_ref().map_or_else(Limits::default, |known| known.identity.roles.limits().clone())
    }

    /// How much of persons is shown in findings, alerts and what came as it came: all of it where nobody is asked who they are.
    pub(crate) fn lens(&self) -> Lens {
        if self.unmasked || self.known.is_none() { Lens::Whole } else { Lens::Masked }
    }

    /// How much of persons is shown in events that are looked up.
    pub(crate) fn lens_on_events(&self) -> Lens {
        if self.unmasked { Lens::Whole } else { Lens::Masked }
    }

    /// Who acts where no name is asked for.
    pub(crate) fn unnamed(&self) -> Actor {
        let local = || self.local.as_ref().map_or_else(String::new, |local| local.name.clone());
        let who = self.known.as_ref().map_or_else(local, |known| known.identity.name.clone());
        Actor { who, place: self.place() }
    }
}

impl<S: Sync> FromRequestParts<S> for Requester {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Every request passes `sign_in`; one that did not is nobody's.
        parts.extensions.get().cloned().ok_or_else(unknown)
    }
}

/// What a request shows of its sender; secrets are wiped when it goes.
#[derive(Clone)]
pub(crate) enum PresentedCredential {
    Nothing,
    Token(Zeroizing<String>),
    /// A name, from a proxy.
    Name(String),
    /// A name, from a certificate.
    Certificate(String),
    /// A name, from the kernel.
    Local(String),
    /// The cookie of a session.
    Cookie(Zeroizing<String>),
}

impl PresentedCredential {
    /// A token goes first. A name counts only from a proxy that is believed. A certificate comes last: it says whose the
    /// machine is, and a session who sits there. At the socket the kernel says it, and nothing else counts; where programs
    /// come in, neither names nor sessions do.
    pub(crate) fn of(headers: &HeaderMap, clients: &Clients, origin: &Origin) -> Self {
        if origin.entrance == Entrance::Local {
            return origin.local.as_ref().map_or(Self::Nothing, |local| Self::Local(local.name.clone()));
        }
        let certified = || origin.certified.clone().map_or(Self::Nothing, Self::Certificate);
        let text =
            |name: &str| headers.get(name).and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        if let Some(value) = text(header::AUTHORIZATION.as_str()) {
            let token = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            return token
                .map_or(Self::Nothing, |(_, token)| Self::Token(Zeroizing::new(token.trim().to_owned())));
        }
        if origin.entrance.is_for_programs() {
            return certified();
        }
        let name = clients.user_header.as_deref().filter(|_| clients.is_proxy(origin.peer)).and_then(text);
        match name.map(str::trim).filter(|name| !name.is_empty()) {
            Some(name) => Self::Name(name.to_owned()),
            None => cookie::shown(headers, clients).map(Zeroizing::new).map_or_else(certified, Self::Cookie),
        }
    }
}

/// A session by its cookie.
pub(crate) fn by_session((session, factor): (Session, Factor), cookie: &str) -> Way {
    Way::Session { session, csrf: session::csrf(cookie), factor }
}
