//! Constants of rules that two people agreed on in the rule lab: they stand in the state, beside the configuration, and come
//! into force without anybody editing a file.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value};

use super::{
    NotReloaded, Shared,
    lab::{BacktestRefused, others},
    reload::{configured_rules_with, reload},
};
use crate::{
    access::Actor,
    config::Config,
    diagnostic::Diagnostic,
    event::Instant,
    rule::{RuleSet, agreed::Agreed},
    say,
    store::{AccountError, Cases, LabParams, ProposedSet, RuleSets, StoreError},
    text::quoted,
};

/// A configuration with the constants in force that came from the rule lab.
///
/// # Errors
/// If the state cannot be read.
pub fn with_adopted(mut config: Config) -> Result<Config, Vec<Diagnostic>> {
    let params = match RuleSets::open_read_only(&config.state_dir) {
        Ok(sets) => sets.adopted(),
        // Nothing was adopted in a state that is not there.
        Err(StoreError::Missing(_)) => return Ok(config),
        // One of an older version is brought up to date first, or what was adopted in it would be forgotten.
        Err(StoreError::Older { .. }) => {
            RuleSets::open_or_make(&config.state_dir).and_then(|sets| sets.adopted())
        }
        Err(error) => Err(error),
    };
    let wrong = |error: StoreError| vec![Diagnostic::of_itself(error.to_string())];
    set_adopted(&mut config, &params.map_err(wrong)?);
    set_agreed_rows(&mut config).map_err(wrong)?;
    Ok(config)
}

/// Takes the rows of lists that people agreed on.
pub(super) fn set_agreed_rows(config: &mut Config) -> Result<(), StoreError> {
    let agreed = Cases::open_read_only(&config.state_dir)?.agreed_rows()?;
    config.take_agreed_rows(agreed);
    Ok(())
}

/// Puts constants of the rule lab in the place of those that a configuration has.
pub(super) fn set_adopted(config: &mut Config, params: &LabParams) {
    config.overrides.values_mut().for_each(|changes| changes.adopted.clear());
    for (rule, params) in params {
        config.overrides.entry(rule.clone()).or_default().adopted.clone_from(params);
    }
}

/// The rules that the configuration names now with other constants of the rule lab beside those adopted, and all of these.
///
/// # Errors
/// If there is no such rule or constant, or something is wrong with the files.
pub(crate) fn changed_rules(
    shared: &Shared,
    changes: &BTreeMap<String, Map<String, Value>>,
) -> Result<(Arc<RuleSet>, LabParams), BacktestRefused> {
    let failed = |error: StoreError| BacktestRefused::Failed(error.to_string());
    let mut params =
        RuleSets::open_read_only(&shared.state_dir).and_then(|sets| sets.adopted()).map_err(failed)?;
    let in_force = shared.rules_in_force();
    for (rule, changes) in changes {
        let present = in_force.rules.iter().find(|compiled| compiled.rule.id == *rule);
        let present = present
            .ok_or_else(|| BacktestRefused::Missing(say!("there is no rule {id}", id = quoted(rule))))?;
        let changes = others(present, changes)?.into_iter().map(|(name, value)| (name, value.to_json()));
        params.entry(rule.clone()).or_default().extend(changes);
    }
    compiled(shared, params)
}

/// The rules that the configuration names now with one more exception beside what was adopted, and all of that.
///
/// # Errors
/// If there is no such rule, it judges nothing that has a unit, or something is wrong with the files.
pub(crate) fn excepted_rules(
    shared: &Shared,
    rule: &str,
    exception: &Agreed,
) -> Result<(Arc<RuleSet>, LabParams), BacktestRefused> {
    let failed = |error: StoreError| BacktestRefused::Failed(error.to_string());
    let mut params =
        RuleSets::open_read_only(&shared.state_dir).and_then(|sets| sets.adopted()).map_err(failed)?;
    let (name, value) = exception.entry();
    params.entry(rule.to_owned()).or_default().insert(name, value);
    let (rules, params) = compiled(shared, params)?;
    let of_rule = rules.rules.iter().find(|compiled| compiled.rule.id == rule);
    let of_rule =
        of_rule.ok_or_else(|| BacktestRefused::Missing(say!("there is no rule {id}", id = quoted(rule))))?;
    let fits = of_rule.rule.exceptions.iter().any(|known| known.agreed.as_ref() == Some(exception));
    match fits {
        true => Ok((rules, params)),
        false => Err(BacktestRefused::Wrong(vec![Diagnostic::of_file(
            rule,
            say!("the rule judges nothing that has a unit, so no unit can be left out of it"),
            Some(say!("write the exception into the rule's file")),
        )])),
    }
}

fn compiled(shared: &Shared, params: LabParams) -> Result<(Arc<RuleSet>, LabParams), BacktestRefused> {
    // Rules are compiled for one at a time.
    let _alone = shared.reloads.alone();
    let rules = configured_rules_with(shared, &params).map_err(BacktestRefused::Wrong)?;
    Ok((rules, params))
}

/// Why a set of rules does not come into force; what was in force stays.
#[derive(Debug)]
pub(crate) enum NotInForce {
    /// It is not approved, or no longer what the files say.
    Refused(String),
    /// The state cannot be read or written.
    Account(AccountError),
    /// The rules could not be read again.
    Reload(NotReloaded),
}

impl From<AccountError> for NotInForce {
    fn from(error: AccountError) -> Self {
        Self::Account(error)
    }
}

/// Puts an approved set into force: the files must still be those that were proposed. How many rules it has.
///
/// # Errors
/// If it is not approved, the files are others now, or something is wrong with them.
pub(crate) fn put_into_force(
    shared: &Shared,
    id: &str,
    by: &Actor,
) -> Result<(ProposedSet, usize), NotInForce> {
    let mut sets = RuleSets::open(&shared.state_dir).map_err(AccountError::from)?;
    let set = sets.one(id)?;
    if set.approved.is_none() {
        return Err(NotInForce::Refused(say!("these rules are not approved")));
    }
    let params = match &set.params {
        Some(params) => params.clone(),
        None => sets.adopted().map_err(AccountError::from)?,
    };
    let now_named = {
        let _alone = shared.reloads.alone();
        configured_rules_with(shared, &params)
            .map_err(|wrong| NotInForce::Reload(NotReloaded::Wrong(wrong)))?
    };
    if now_named.manifest.digest() != set.digest {
        return Err(NotInForce::Refused(say!(
            "the files of rules or the configuration are no longer those that were proposed: propose again what is to come into force"
        )));
    }
    let now = shared.clock.now();
    let before = match set.params {
        Some(_) => sets.adopt(&set.digest, Some(now), by, now)?,
        None => None,
    };
    match reload(shared, false, by.clone()) {
        Ok(rules) => {
            if set.params.is_none() {
                sets.took_effect(&set.digest, now).map_err(AccountError::from)?;
            }
            Ok((set, rules))
        }
        Err(why) => {
            if set.params.is_some() {
                sets.adopt(&set.digest, before.map(Instant::from_micros), by, now)?;
            }
            Err(NotInForce::Reload(why))
        }
    }
}
