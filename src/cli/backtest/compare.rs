//! `backtest --compare OLD NEW`: what a change of rules adds and takes away.

use std::{path::Path, process::ExitCode, sync::Arc};

use super::BacktestArgs;
use crate::{
    app::load_rules,
    cli::{problems, runtime, table},
    config::Config,
    engine::{Committable, EngineError, MemoryTables, Output},
    evaluate::Finding,
    trial::compare::{Change, Comparison},
};

/// Findings of each side and rule that are shown.
const SHOWN: usize = 5;

pub fn compare(args: &BacktestArgs, mut config: Config, old: &Path, new: &Path) -> anyhow::Result<ExitCode> {
    config.overrides.clear();
    let mut sides = Vec::new();
    for rules in [old, new] {
        config.rule_paths = vec![rules.to_owned()];
        sides.push(findings(args, &config)?);
    }
    let (Some(new), Some(old)) = (sides.pop(), sides.pop()) else { return Ok(ExitCode::SUCCESS) };
    print(&Comparison::new(old, new));
    Ok(ExitCode::SUCCESS)
}

/// All findings of one set of rules, within `--from` and `--to`.
fn findings(args: &BacktestArgs, config: &Config) -> anyhow::Result<Vec<Finding>> {
    let time = |text: &Option<String>| text.as_ref().map(|text| config.calendar.parse(text)).transpose();
    let (from, to) = (time(&args.from)?, time(&args.to)?);
    let rules = load_rules(config).map_err(problems)?;
    let replay = args.events.replay(config)?;
    let mut kept = Kept { tables: Arc::clone(&replay.tables), findings: Vec::new() };
    let (judged, read) = runtime()?.block_on(replay.run(config, rules, &mut kept));
    judged?;
    read?;
    let wanted = |at: i64| from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to);
    Ok(kept.findings.into_iter().filter(|(at, _)| wanted(*at)).map(|(_, finding)| finding).collect())
}

/// Keeps findings with their times.
struct Kept {
    tables: Arc<MemoryTables>,
    findings: Vec<(i64, Finding)>,
}

impl Output for Kept {
    async fn commit(&mut self, batches: Vec<Committable>) -> Result<(), EngineError> {
        for mut batch in batches {
            self.tables.keep(&batch);
            self.findings.extend(batch.evaluation.take_findings().map(|(at, _, finding)| (at, finding)));
        }
        Ok(())
    }
}

fn print(comparison: &Comparison) {
    let mut table = table(&["rule", "before", "after", "kept", "added", "removed"]);
    let changed = || comparison.rules.iter().filter(|(_, change)| change.is_any());
    for (rule, Change { kept, added, removed }) in changed() {
        let (added, removed) = (added.len() as u64, removed.len() as u64);
        let row = [kept + removed, kept + added, *kept, added, removed].map(|count| count.to_string());
        table.add_row(std::iter::once(rule.clone()).chain(row));
    }
    if changed().next().is_none() {
        println!("both find the same: {} rules with findings", comparison.rules.len());
        return;
    }
    println!("{table}");
    for (rule, change) in changed() {
        for (sign, findings) in [('+', &change.added), ('-', &change.removed)] {
            for finding in findings.iter().take(SHOWN) {
                println!("{sign} {rule} {} {}", finding.at, finding.summary);
            }
            if findings.len() > SHOWN {
                println!("{sign} {rule} and {} more", findings.len() - SHOWN);
            }
        }
    }
    let same = comparison.rules.len() - changed().count();
    println!("{same} more rules find the same as before");
}
