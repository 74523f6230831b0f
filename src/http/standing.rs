//! Checks, while a long answer goes on, that who asked for it still may have it.

use std::sync::Arc;

use super::{
    by::{Authenticated, PresentedCredential},
    sign_in::SignIn,
};
use crate::access::Identity;

/// Somebody whose request was let pass.
#[derive(Clone)]
pub(crate) struct Admitted {
    sign_in: Arc<SignIn>,
    shown: PresentedCredential,
    identity: Identity,
}

impl Admitted {
    /// Who was known by what a request shows.
    pub(crate) fn new(sign_in: &Arc<SignIn>, shown: PresentedCredential, known: &Authenticated) -> Self {
        Self { sign_in: Arc::clone(sign_in), shown, identity: known.identity.clone() }
    }

    /// Whether the same is still known by it, with the same roles and limits. It is no sign that somebody sits there.
    pub(crate) async fn holds(&self) -> bool {
        let known = self.sign_in.known(self.shown.clone(), true).await;
        known.is_ok_and(|known| known.is_some_and(|known| known.identity == self.identity))
    }
}
