//! The rules of a configuration: all of them, or those that a daemon runs with.

use std::sync::Arc;

use super::approval::is_approved;
use crate::{
    config::{
        Config,
        shards::{ShardPart, Spanning},
    },
    diagnostic::Diagnostic,
    lists::Lists,
    rule::{
        self, RuleMode, RuleSet,
        compile::{CompiledRule, CompiledView, Compiler},
        locality::Locality,
        window::View,
    },
    say,
    sql::tables::{ALERTS, FINDINGS},
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
    if problems.is_empty() { Ok(Arc::new(of_part(config, loaded.set, &compiler))) } else { Err(problems) }
}

/// The rules that this process judges: where one reads the whole topic, it has those that span regions, and the shards the others.
fn of_part(config: &Config, set: RuleSet, compiler: &Compiler) -> RuleSet {
    let shards = config.shards.as_ref().filter(|shards| shards.spanning == Spanning::Whole);
    let Some(own) = shards.and_then(|shards| shards.own) else { return set };
    let is_whole = own.part == ShardPart::Whole;
    set.resting(compiler, |rule| (Locality::of(rule) == Locality::Local) == is_whole)
}

/// Live rules that the events of one shard are not enough for, unless the configuration says who judges them.
pub(crate) fn spanning(config: &Config, rules: &[CompiledRule]) -> Vec<Diagnostic> {
    let live = || rules.iter().filter(|rule| rule.rule.mode == RuleMode::Live);
    let problem = |message, hint| Diagnostic::of_file(&config.file, message, hint);
    match config.shards.as_ref().map(|shards| shards.spanning) {
        None | Some(Spanning::Apart) => Vec::new(),
        Some(Spanning::Refuse) => {
            // What can be done is the same for all of them, and said once.
            let mut hint = Some(say!(
                "have a process of its own judge them by the whole topic (shards.spanning: whole); or, if each shard by itself is what you mean, shards.spanning: apart"
            ));
            let message = |rule: &CompiledRule| match Locality::of(rule) {
                Locality::Local => None,
                Locality::Spanning(because) => Some(say!(
                    "rule {rule} is live and needs the events of all regions ({because}), but a shard has only its own",
                    rule = quoted(&rule.rule.id),
                    because = Locality::because(&because)
                )),
            };
            live().filter_map(message).map(|message| problem(message, hint.take())).collect()
        }
        Some(Spanning::Whole) => {
            let message = |rule: &CompiledRule| {
                let others = reads_of_shards(rule, rules)?;
                Some(say!(
                    "rule {rule} needs the events of all regions and reads what other rules found ({others}), but those are judged by shards: it may name rules in its query that need all regions, and those alone",
                    rule = quoted(&rule.rule.id),
                    others
                ))
            };
            live().filter_map(message).map(|message| problem(message, None)).collect()
        }
    }
}

/// What a rule that spans regions reads of findings and alerts that shards have; `None` if it reads nothing of them.
fn reads_of_shards(rule: &CompiledRule, rules: &[CompiledRule]) -> Option<String> {
    let (View::Schedule(schedule), CompiledView::Schedule(query)) = (&rule.rule.view, &rule.view) else {
        return None;
    };
    let read: Vec<&str> =
        [FINDINGS, ALERTS].into_iter().filter(|table| query.tables.contains(*table)).collect();
    if read.is_empty() {
        return None;
    }
    let names = |other: &&CompiledRule| schedule.sql.text.contains(&format!("'{}'", other.rule.id));
    let (local, spanning): (Vec<_>, Vec<_>) =
        rules.iter().filter(names).partition(|other| Locality::of(other) == Locality::Local);
    match (local.is_empty(), spanning.is_empty()) {
        (true, false) => None,
        (true, true) => Some(read.join(", ")),
        (false, _) => Some(local.iter().map(|rule| rule.rule.id.as_str()).collect::<Vec<_>>().join(", ")),
    }
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
    Ok(Arc::new(of_part(config, loaded.set, &compiler)))
}
