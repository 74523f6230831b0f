//! Where a request comes in, and what is served there. One address serves everything until the configuration parts it: events
//! and applications of programs (`http.ingest`), metrics (`http.scrape`), and the socket for commands on this machine
//! (`http.socket`). What has an address of its own is served nowhere else.

use axum::{
    extract::{MatchedPath, Request, State},
    http::{Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{
    Problem,
    connection::Origin,
    refused::{Cause, Refusals},
};
use crate::{config::clients::Clients, say};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// `http.listen`: API and console, and what has no other.
    Main,
    /// `http.ingest`: what programs send.
    Ingest,
    /// `http.scrape`: metrics.
    Scrape,
    /// `http.socket`: commands on this machine.
    Local,
}

/// What supervisors and balancers ask, at every address.
const EVERYWHERE: [&str; 2] = ["/-/healthy", "/-/ready"];

impl Entrance {
    /// Whether programs alone come in here: no session and no name from a proxy counts.
    #[must_use]
    pub(crate) fn is_for_programs(self) -> bool {
        matches!(self, Self::Ingest | Self::Scrape)
    }

    /// Whether something is served here; `path` as the router has it.
    fn serves(self, method: &Method, path: Option<&str>, clients: &Clients) -> bool {
        let own = match path {
            Some(path) if EVERYWHERE.contains(&path) => return true,
            Some("/metrics") => Self::Scrape,
            Some("/api/v1/events" | "/api/v1/decide") if *method == Method::POST => Self::Ingest,
            _ => Self::Main,
        };
        match (self, own) {
            (Self::Local, _) => true,
            (Self::Main, Self::Ingest) => clients.ingest.is_none(),
            (Self::Main, Self::Scrape) => clients.scrape.is_none(),
            _ => self == own,
        }
    }

    /// What is served here instead.
    fn refusal(self) -> String {
        match self {
            Self::Ingest => say!(
                "this address takes what programs send, and nothing else: POST /api/v1/events and /api/v1/decide (http.ingest)"
            ),
            Self::Scrape => say!("this address answers /metrics, and nothing else (http.scrape)"),
            Self::Main | Self::Local => {
                say!("this is served at an address of its own (http.ingest, http.scrape), and not here")
            }
        }
    }
}

/// Which doors there are, and who was refused at them.
#[derive(Clone)]
pub(crate) struct Doors {
    /// Where the addresses stand.
    pub clients: std::sync::Arc<Clients>,
    /// Counts who was refused.
    pub refusals: std::sync::Arc<Refusals>,
}

/// Lets requests pass that are served where they come in.
pub(crate) async fn entrance(State(doors): State<Doors>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    // Every connection has an origin; a request without one is none of ours.
    let origin = request.extensions().get::<Origin>();
    let refused = match origin {
        Some(origin) if origin.entrance == Entrance::Local && origin.local.is_none() => Some(Problem::new(
            StatusCode::FORBIDDEN,
            say!(
                "the kernel does not say who you are: the daemon runs in a user namespace of its own. Set PrivateUsers=no in its unit (docs/operations.md)"
            ),
        )),
        Some(origin) if !origin.entrance.serves(request.method(), path, &doors.clients) => {
            Some(Problem::new(StatusCode::NOT_FOUND, origin.entrance.refusal()))
        }
        _ => None,
    };
    match refused {
        None => next.run(request).await,
        Some(problem) => {
            doors.refusals.count(Cause::Entrance);
            problem.into_response()
        }
    }
}
