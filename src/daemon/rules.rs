//! The rules of a configuration: all of them, or those that a daemon runs with.

use std::sync::Arc;

use super::approval::is_approved;
use crate::{
    config::{Config, shards::Spanning},
    diagnostic::Diagnostic,
    lists::Lists,
    rule::{
        self, RuleMode, RuleSet,
        compile::{CompiledRule, Compiler},
        locality::Locality,
    },
    say,
    text::quoted,
};

/// All rules of a configuration, with its lists.
///
/// # Errors
/// Everything that is wrong with them.
pub fn load_rules(config: &Config) -> Result<Arc<RuleSet>, Vec<Diagnostic>> {
    all(config, config.read_lists()?)
}

/// The rules that a daemon starts with. Where the configuration says so, it goes on without those with mistakes and tells
/// which.
///
/// # Errors
/// Everything that is wrong with them.
pub fn rules_to_start(config: &Config) -> Result<Arc<RuleSet>, Vec<Diagnostic>> {
    let lists = config.read_lists()?;
    if config.skip_wrong_rules { right_ones(config, lists, &|_| true) } else { all(config, lists) }
}

/// The same, if they may come into force.
///
/// # Errors
/// Everything that is wrong with them, or that nobody has approved them.
pub fn approved_rules_to_start(config: &Config) -> Result<Arc<RuleSet>, Vec<Diagnostic>> {
    let rules = rules_to_start(config)?;
    is_approved(config, &rules)?;
    Ok(rules)
}

/// The rules that take the place of those `in_force`. None of these is left out, nor a file that they may stand in.
///
/// # Errors
/// Everything that is wrong with them.
pub(crate) fn rules_to_reload(
    config: &Config,
    lists: Lists,
    in_force: &RuleSet,
) -> Result<Arc<RuleSet>, Vec<Diagnostic>> {
    if !config.skip_wrong_rules {
        return all(config, lists);
    }
    let runs = |id: &str| in_force.rules.iter().any(|rule| rule.rule.id == id);
    let is_out = |file: &str| in_force.skipped.iter().any(|(known, _)| known == file);
    // An id has neither dots nor slashes; a file has a name that ends with `.yaml`.
    let is_file = |id: &str| id.contains(['.', '/']);
    right_ones(config, lists, &|id| if is_file(id) { is_out(id) } else { !runs(id) })
}

fn all(config: &Config, lists: Lists) -> Result<Arc<RuleSet>, Vec<Diagnostic>> {
    let compiler = Compiler::new(&config.calendar, lists, config.language);
    let loaded = rule::load(&config.rule_paths, &compiler, &config.calendar, &config.overrides);
    let problems = [loaded.problems, spanning(config, &loaded.set.rules)].concat();
    if problems.is_empty() { Ok(Arc::new(loaded.set)) } else { Err(problems) }
}

/// Live rules that the events of one shard are not enough for, unless the configuration says that each shard by itself is meant.
pub(crate) fn spanning(config: &Config, rules: &[CompiledRule]) -> Vec<Diagnostic> {
    if config.shards.as_ref().is_none_or(|shards| shards.spanning == Spanning::Apart) {
        return Vec::new();
    }
    let live = rules.iter().filter(|rule| rule.rule.mode == RuleMode::Live);
    // What can be done is the same for all of them, and said once.
    let mut hint = Some(say!(
        "run it in another fiscwatch without shards that reads the whole topic, and set it to disabled here (rules.overrides); or, if each shard by itself is what you mean, shards.spanning: apart"
    ));
    let problem = |rule: &CompiledRule| match Locality::of(rule) {
        Locality::Local => None,
        Locality::Spanning(because) => {
            let message = say!(
                "rule {rule} is live and needs the events of all regions ({because}), but a shard has only its own",
                rule = quoted(&rule.rule.id),
                because = Locality::because(&because)
            );
            Some(Diagnostic::of_file(&config.file, message, hint.take()))
        }
    };
    live.filter_map(problem).collect()
}

/// All rules but those with mistakes that `may_skip` names.
fn right_ones(
    config: &Config,
    lists: Lists,
    may_skip: &(dyn Fn(&str) -> bool + Sync),
) -> Result<Arc<RuleSet>, Vec<Diagnostic>> {
    let compiler = Compiler::new(&config.calendar, lists, config.language);
    let loaded =
        rule::load_without(&config.rule_paths, &compiler, &config.calendar, &config.overrides, may_skip);
    let problems = [loaded.problems, spanning(config, &loaded.set.rules)].concat();
    if !problems.is_empty() {
        return Err(problems);
    }
    for (rule, problem) in &loaded.set.skipped {
        tracing::error!(rule, "the daemon runs without this rule: {problem}");
    }
    Ok(Arc::new(loaded.set))
}
