//! Who comes with an account from elsewhere: a session begins, or they are told why not, and the audit log has either.

use std::sync::Arc;

use super::{Problem, request::blocking};
use crate::{
    access::{Actor, NewToken, Roles, Session},
    daemon::Shared,
    store::{AccountError, Accounts, AuditedAction, External},
};

/// Somebody whom a provider of identities or a directory knows.
pub(super) struct Arrival {
    /// Who they are there.
    pub who: External,
    /// The name that they have there.
    pub name: String,
    /// The roles that their groups have here, or why they have none.
    pub roles: Result<Roles, String>,
    /// Where they come from.
    pub place: String,
}

/// Why a provider or a directory could not be asked, or be believed. It is for the log, as all of that is English.
#[derive(Debug)]
pub(super) struct ProviderError(pub String);

impl std::fmt::Display for ProviderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for ProviderError {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for ProviderError {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Begins their session, or says why not.
pub(super) async fn arrive(
    shared: &Arc<Shared>,
    arrival: Arrival,
) -> Result<Result<(NewToken, Session), String>, Problem> {
    let shared = Arc::clone(shared);
    blocking(move || {
        let Arrival { who, name, roles, place } = arrival;
        let (mut accounts, now) = (Accounts::open(&shared.state_dir)?, shared.clock.now());
        let (user, why) = match roles {
            Err(why) => (accounts.turn_away(&who)?.unwrap_or(name), why),
            Ok(roles) => match accounts.arrive(&who, (&name, &roles), &place, now) {
                Ok(begun) => return Ok(Ok(begun)),
                Err(AccountError::Refused(why)) => (name, why),
                Err(AccountError::Store(error)) => return Err(error.into()),
            },
        };
        let deed =
            AuditedAction { action: "sessions.begin", subject: &user, result: "refused", detail: &why };
        accounts.record(&Actor { who: who.provider.to_owned(), place }, deed, now)?;
        Ok(Err(why))
    })
    .await
}
