//! `backtest --compare OLD NEW`: what a change of rules adds and takes away.

use std::{path::Path, process::ExitCode, sync::Arc};

use super::{BacktestArgs, times};
use crate::{
    cli::{
        problems, runtime,
        table::{Cell, Screen, Table, TableColumn, visible},
    },
    config::Config,
    daemon::load_rules,
    engine::{Committable, EngineError, MemoryTables, Output},
    event::{Instant, time::Calendar},
    finding::Finding,
    say,
    trial::compare::{Comparison, RuleDifference},
};

/// Findings of each side and rule that are shown.
const SHOWN: usize = 5;

pub(crate) fn compare(
    args: &BacktestArgs,
    mut config: Config,
    old: &Path,
    new: &Path,
) -> anyhow::Result<ExitCode> {
    config.overrides.clear();
    let mut sides = Vec::new();
    for rules in [old, new] {
        config.rule_paths = vec![rules.to_owned()];
        sides.push(findings(args, &config)?);
    }
    let (Some(new), Some(old)) = (sides.pop(), sides.pop()) else { return Ok(ExitCode::SUCCESS) };
    print(&Comparison::new(old, new), &config.calendar);
    Ok(ExitCode::SUCCESS)
}

/// All findings of one set of rules, within `--from` and `--to`.
fn findings(args: &BacktestArgs, config: &Config) -> anyhow::Result<Vec<Finding>> {
    let (from, to) = times(args, &config.calendar)?;
    let rules = load_rules(config).map_err(problems)?;
    let replay = args.events.replay(config)?;
    let mut kept = Kept { tables: Arc::clone(&replay.tables), findings: Vec::new() };
    let (judged, read) = runtime()?.block_on(replay.run(config, rules, &mut kept));
    judged?;
    read?;
    let wanted = |at: Instant| from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to);
    Ok(kept.findings.into_iter().filter(|(at, _)| wanted(*at)).map(|(_, finding)| finding).collect())
}

/// Keeps findings with their times.
struct Kept {
    tables: Arc<MemoryTables>,
    findings: Vec<(Instant, Finding)>,
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

fn print(comparison: &Comparison, calendar: &Calendar) {
    let mut table = Table::new([
        TableColumn::new("rule", say!("rule id")).shrinks(16),
        TableColumn::new("before", say!("before")).right(),
        TableColumn::new("after", say!("after")).right(),
        TableColumn::new("kept", say!("kept")).right(),
        TableColumn::new("added", say!("added")).right(),
        TableColumn::new("removed", say!("removed")).right(),
    ]);
    let changed = || comparison.rules.iter().filter(|(_, change)| change.is_any());
    for (rule, RuleDifference { kept, added, removed }) in changed() {
        let (added, removed) = (added.len() as u64, removed.len() as u64);
        let counts = [kept + removed, kept + added, *kept, added, removed].map(Cell::count);
        table.row(std::iter::once(Cell::text(rule.as_str())).chain(counts));
    }
    if table.is_empty() {
        let count = comparison.rules.len();
        println!("{}", say!("both find the same: {count} rules with findings", count));
        return;
    }
    print!("{}", table.render(Screen::stdout()));
    for (rule, change) in changed() {
        for (sign, findings) in [('+', &change.added), ('-', &change.removed)] {
            for finding in findings.iter().take(SHOWN) {
                let at = Cell::instant(&finding.at, calendar);
                println!("{sign} {rule} {} {}", at.shown(), visible(&finding.summary));
            }
            if let Some(left) = findings.len().checked_sub(SHOWN).filter(|left| *left > 0) {
                println!("{sign} {rule} {}", say!("and {left} more", left));
            }
        }
    }
    let same = comparison.rules.len() - changed().count();
    println!("{}", say!("{same} more rules find the same as before", same));
}
