//! How much of persons a command shows: what the API shows to the same user, unless they may see more and ask for it.

use clap::Args;

use super::{ConfigArg, local::permit};
use crate::{access::Action, config::Config, http::lens::Lens};

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct PersonsArg {
    /// Show accounts and names of persons as a whole where http.auth has them masked; the audit log tells of it
    #[arg(long)]
    pub unmasked: bool,
}

impl ConfigArg {
    /// The configuration, if whoever runs this command may do that, and how much of persons they are shown.
    pub(super) fn shown(&self, action: Action, persons: PersonsArg) -> anyhow::Result<(Config, Lens)> {
        let config = self.permitted(action)?;
        if config.clients.auth && persons.unmasked {
            permit(&config, Action::ShowPersonal)?;
            return Ok((config, Lens::Whole));
        }
        let lens = unasked(&config);
        Ok((config, lens))
    }
}

/// How much is shown to who does not ask for more. Where nobody is told apart, everything is.
pub(crate) fn unasked(config: &Config) -> Lens {
    if config.clients.auth { Lens::Masked } else { Lens::Whole }
}
