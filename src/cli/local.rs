//! Who runs a command, as the kernel knows them, and whether they may: a command on the state directory is asked of the
//! same table as a request.

use std::{fs, path::Path};

use anyhow::anyhow;

use super::{ConfigArg, officer::now};
use crate::{
    access::{Action, Actor, decide},
    approval::Person,
    config::Config,
    http::Local,
    say,
    store::{Accounts, AuditedAction, StoreError},
    text::quoted,
};

impl ConfigArg {
    /// The configuration, if whoever runs this command may do that.
    pub(super) fn permitted(&self, action: Action) -> anyhow::Result<Config> {
        let config = self.load_or_default()?;
        permit(&config, action)?;
        Ok(config)
    }
}

/// Whether whoever runs this command may do that, where `http.auth` says that people are told apart. The system's user
/// that has the state may do everything, unless a user of that name has roles.
///
/// # Errors
/// If they may not.
pub(super) fn permit(config: &Config, action: Action) -> anyhow::Result<()> {
    if !config.clients.auth {
        return Ok(());
    }
    let accounts = match Accounts::open_read_only(&config.state_dir) {
        Ok(accounts) => accounts,
        // Without a state there is nothing to keep from anybody; what is older is refused by its own message.
        Err(StoreError::Missing(_) | StoreError::Older { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let actor = local();
    let user = accounts.user(&actor.who)?;
    // A command reads the whole state: what it shows cannot be parted.
    let may = match &user {
        Some(user) => user
            .identity()
            .is_some_and(|identity| decide(&identity.roles, action) && identity.roles.limits().is_none()),
        None => has_the_state(&config.state_dir),
    };
    let is_personal = action == Action::ShowPersonal;
    if !may || is_personal || action.shows() {
        let deed = AuditedAction {
            action: action.word(),
            subject: "",
            result: if may { "done" } else { "refused" },
            detail: "command",
        };
        let recorded =
            Accounts::open(&config.state_dir).and_then(|mut accounts| accounts.record(&actor, deed, now()));
        if let Err(error) = recorded {
            let unrecorded = say!("this could not be recorded in the audit log: {error}", error);
            // Persons are shown to nobody of whom no record tells.
            anyhow::ensure!(!is_personal, unrecorded);
            eprintln!("{unrecorded}");
        }
    }
    if may {
        return Ok(());
    }
    if let Some(user) = user.as_ref().filter(|user| !user.roles.limits().is_none()) {
        return Err(anyhow!(say!(
            "the roles of {name} are limited to {limits}, and a command reads the whole state; the API keeps to the limits",
            name = quoted(&actor.who),
            limits = user.roles.limits()
        )));
    }
    let has = user.map_or_else(|| say!("nobody that this state knows"), |user| user.roles.to_string());
    let roles = action.roles_titled();
    Err(anyhow!(say!(
        "{name} is {has}, and this is for {roles}; `fiscwatch access show` has the whole table",
        name = quoted(&actor.who),
        has,
        roles
    )))
}

/// Who acts, as somebody who proposes or approves: with the roles that the state knows, or, where people are not told apart
/// and for the system's user that has the state, with all.
///
/// # Errors
/// If the state cannot be read.
pub(super) fn person(config: &Config, actor: &Actor) -> anyhow::Result<Person> {
    if !config.clients.auth {
        return Ok(Person::anybody(&actor.who));
    }
    let user = Accounts::open_read_only(&config.state_dir)?.user(&actor.who)?;
    let roles = user.map(|user| user.identity().map(|identity| identity.roles).unwrap_or_default());
    Ok(match roles {
        Some(roles) => Person::of(&actor.who, &roles),
        None => Person::anybody(&actor.who),
    })
}

/// Who runs this process, as the kernel knows them.
pub(crate) fn local() -> Actor {
    Local::own().actor()
}

/// Whether this process runs as the user that the state belongs to, or as the one who may everything.
pub(super) fn has_the_state(dir: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let uid = rustix::process::geteuid();
    uid.is_root() || fs::metadata(dir).is_ok_and(|metadata| metadata.uid() == uid.as_raw())
}
