//! What somebody who is known may not do, and the answers to those who may not.

use axum::http::StatusCode;

use super::super::{
    Problem,
    by::Authenticated,
    routes::{Need, keeps_to_limits},
};
use crate::{
    access::{Action, Identity, decide},
    config::clients::Clients,
    say,
};

/// Why somebody may not do what they ask for; `None` if they may.
pub(super) fn forbids(
    known: &Authenticated,
    need: Need,
    (method, path): (&str, &str),
    unmasked: bool,
    clients: &Clients,
) -> Option<Problem> {
    let identity = &known.identity;
    let may = match need {
        Need::Nothing | Need::Own | Need::Anybody => true,
        Need::Act(action) => decide(&identity.roles, action),
        Need::Nobody => false,
    };
    if !may {
        return Some(forbidden(identity, need));
    }
    let acts = matches!(need, Need::Act(_));
    if acts && !identity.roles.limits().is_none() && !keeps_to_limits(method, path) {
        return Some(limited(identity));
    }
    if acts && known.way.lacks_factor(clients) {
        return Some(no_factor());
    }
    (unmasked && !decide(&identity.roles, Action::ShowPersonal))
        .then(|| forbidden(identity, Need::Act(Action::ShowPersonal)))
}

/// Nobody knows who asks.
pub(crate) fn unknown() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        say!(
            "say who you are: log in, or send a token as `Authorization: Bearer …`; whoever manages users makes one with `fiscwatch token add`"
        ),
    )
}

pub(super) fn no_csrf() -> Problem {
    let detail = say!(
        "a change that comes with the cookie of a session has the token of the session too (X-CSRF-Token); `GET /api/v1/session` tells it"
    );
    Problem::new(StatusCode::FORBIDDEN, detail).because("csrf")
}

fn limited(identity: &Identity) -> Problem {
    let detail = say!(
        "the roles of {name} are limited to {limits}, and what is asked for cannot be parted by that",
        name = identity.name,
        limits = identity.roles.limits()
    );
    Problem::new(StatusCode::FORBIDDEN, detail).because("limited")
}

fn no_factor() -> Problem {
    let detail =
        say!("set up a second factor first: `POST /api/v1/session/totp`, and confirm it by its first code");
    Problem::new(StatusCode::FORBIDDEN, detail).because("second_factor")
}

fn forbidden(identity: &Identity, need: Need) -> Problem {
    let roles = match need {
        Need::Act(action) => action.roles_titled(),
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
