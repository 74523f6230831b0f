//! `fiscwatch check`

mod feeds;

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use clap::Args;

use super::{
    ConfigArg, problems,
    table::{Cell, Screen, Table, TableColumn},
};
use crate::{
    app,
    clock::SystemClock,
    config::Config,
    daemon,
    diagnostic::Diagnostic,
    event::TimeDelta,
    http, notify,
    rule::{
        self, RuleMode,
        compile::{CompiledRule, Compiler},
        locality::Locality,
    },
    say,
    telemetry::Metrics,
    text::quoted,
};

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Check the rules of this file or folder instead of those of the configuration
    #[arg(long)]
    rules: Vec<PathBuf>,
    /// Say for each rule whether the events of one region are enough to judge it
    #[arg(long)]
    reach: bool,
}

/// What is wrong with the files of the daemon's own TLS.
fn certificates(config: &Config) -> Option<Diagnostic> {
    let why = http::tls::check(config.clients.tls.as_ref()?).err()?;
    Some(Diagnostic::of_file(&config.file, why, None))
}

pub(crate) fn check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let config = if args.rules.is_empty() { args.config.load() } else { args.config.load_or_default() }?;
    // Rules are checked even if a list is missing, so that one run shows everything.
    let (lists, mut found) = config.read_lists_there_are();
    found.extend(sinks(&config));
    found.extend(config.is_closed_enough().err());
    found.extend(certificates(&config));
    found.extend(app::misplaced(&config));
    found.extend(feeds::problems(&config, &app::decoder(&config)));
    let compiler = Compiler::new(&config.calendar, lists, config.language);
    let paths = if args.rules.is_empty() { &config.rule_paths } else { &args.rules };
    let overrides =
        if args.rules.is_empty() { config.overrides.clone() } else { std::collections::BTreeMap::new() };
    let loaded = rule::load(paths, &compiler, &config.calendar, &overrides);
    found.extend(loaded.problems);
    found.extend(daemon::spanning(&config, &loaded.set.rules));
    if !found.is_empty() {
        let count = found.len();
        eprintln!("{}", problems(found));
        match count {
            1 => eprintln!("\n{}", say!("1 problem found")),
            count => eprintln!("\n{}", say!("{count} problems found", count)),
        }
        return Ok(ExitCode::from(1));
    }
    if let Some(retain) = config.retain {
        warn_of_retention(&loaded.set.rules, TimeDelta::of(retain));
    }
    feeds::warn(&config);
    let live = loaded.set.rules.iter().filter(|r| r.rule.mode == RuleMode::Live).count();
    let text = say!(
        "{rules} rules in {files} files are in order: {live} live, {others} shadow or disabled; {sources} sources, {lists} lists",
        rules = loaded.set.rules.len(),
        files = loaded.files.len(),
        live,
        others = loaded.set.rules.len() - live,
        sources = config.sources.len(),
        lists = config.list_specs().count()
    );
    println!("{text}");
    tell_of_years(&loaded.set.rules);
    if args.reach || config.shards.is_some() {
        tell_of_reach(&loaded.set.rules);
    }
    Ok(ExitCode::SUCCESS)
}

/// A journal that begins within a year must not be taken for a year in which nothing happened before.
fn tell_of_years(rules: &[CompiledRule]) {
    let waits = |rule: &&CompiledRule| rule.rule.mode != RuleMode::Disabled && rule.needs_whole_years();
    let n = rules.iter().filter(waits).count();
    if n > 0 {
        let note = say!(
            "note: {n} rules compare with the calendar or judge whole quarters and years; where the journal begins within one, they say nothing of it until openings tell what was executed before (docs/rules.md)",
            n
        );
        println!("{note}");
    }
}

/// What each rule needs of other regions.
fn tell_of_reach(rules: &[CompiledRule]) {
    let mut table = Table::new([
        TableColumn::new("rule", say!("rule")),
        TableColumn::new("reach", say!("reach")),
        TableColumn::new("because", say!("because of")).shrinks(20),
    ]);
    for rule in rules {
        let (word, shown, because) = match Locality::of(rule) {
            Locality::Local => ("local", say!("one region"), Cell::Missing),
            Locality::Spanning(because) => {
                ("spanning", say!("all regions"), Cell::text(Locality::because(&because)))
            }
        };
        table.row([Cell::text(rule.rule.id.clone()), Cell::Word(word.to_owned(), shown), because]);
    }
    print!("{}", table.render(Screen::stdout()));
}

/// What is wrong with templates and sinks; no server is asked.
fn sinks(config: &Config) -> Vec<Diagnostic> {
    let metrics = match Metrics::new() {
        Ok(metrics) => Arc::new(metrics),
        Err(e) => return vec![Diagnostic::of_file(&config.file, e.to_string(), None)],
    };
    let setup = notify::Setup::new(config, Arc::new(SystemClock), metrics);
    setup.and_then(|setup| notify::build(&config.file, &config.sinks, &setup)).err().unwrap_or_default()
}

/// A window is filled from the journal at a start, so what the journal has forgotten is missing there.
fn warn_of_retention(rules: &[CompiledRule], retain: TimeDelta) {
    let days = |length: TimeDelta| (length + TimeDelta::DAY - TimeDelta::MICROSECOND) / TimeDelta::DAY;
    for rule in rules.iter().filter(|rule| rule.rule.mode != RuleMode::Disabled) {
        match rule.horizon() {
            Some(horizon) if horizon > retain => {
                let (rule, back, kept) = (quoted(&rule.rule.id), days(horizon), days(retain));
                eprintln!(
                    "{}",
                    say!(
                        "warning: rule {rule} looks {back} days back, but state.retain keeps {kept}: after a restart its windows lack what is gone. Raise state.retain or shorten the window",
                        rule,
                        back,
                        kept
                    )
                );
            }
            None => {
                let (rule, kept) = (quoted(&rule.rule.id), days(retain));
                eprintln!(
                    "{}",
                    say!(
                        "note: the query of rule {rule} sees the events of the last {kept} days only (state.retain)",
                        rule,
                        kept
                    )
                );
            }
            Some(_) => {}
        }
    }
}
