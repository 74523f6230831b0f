//! `fiscwatch backtest`: the loop of the daemon without a store.

mod compare;
mod report;
mod scoring;

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::Args;

use super::{ConfigArg, EventsArg, outputs::check_outputs, problems, runtime, usage::WrongUsage};
use crate::{
    daemon::load_rules,
    event::{Instant, time::Calendar},
    ledger::{Ledger, report::line_object},
    private, say,
    text::quoted,
};
use report::BacktestReport;
pub(crate) use report::{days, span_with};

#[derive(Debug, Args)]
pub(crate) struct BacktestArgs {
    /// A rule file or folder
    #[arg(long)]
    rules: Vec<PathBuf>,
    #[command(flatten)]
    events: EventsArg,
    #[command(flatten)]
    config: ConfigArg,
    /// Write the findings here, as JSON Lines
    #[arg(long)]
    findings: Option<PathBuf>,
    /// Write the balances of every budget line here, as JSON Lines sorted by `budget_line_id`
    #[arg(long)]
    ledger: Option<PathBuf>,
    /// Report findings from this time on (a date, or RFC 3339)
    #[arg(long)]
    from: Option<String>,
    /// Report findings before this time
    #[arg(long)]
    to: Option<String>,
    /// The most records of a batch
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    batch_rows: Option<u32>,
    /// Known anomalies (`generate --anomalies` writes them): precision, recall and alerts a day of each rule
    #[arg(long)]
    labels: Option<PathBuf>,
    /// Write what `--labels` measures here, as JSON
    #[arg(long, requires = "labels")]
    scores: Option<PathBuf>,
    /// Two rule files or folders: what the second finds and the first does not, and the other way round
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"], conflicts_with_all = ["rules", "labels", "ledger", "findings"])]
    compare: Vec<PathBuf>,
}

pub(crate) fn backtest(args: &BacktestArgs) -> anyhow::Result<ExitCode> {
    let mut config = args.config.load_beside(&args.events)?;
    config.batch_rows = args.batch_rows.map_or(config.batch_rows, |rows| rows as usize);
    if let [old, new] = &args.compare[..] {
        return compare::compare(args, config, old, new);
    }
    if !args.rules.is_empty() {
        config.rule_paths.clone_from(&args.rules);
        config.overrides.clear();
    }
    let outputs = [
        ("--findings", args.findings.as_deref()),
        ("--ledger", args.ledger.as_deref()),
        ("--scores", args.scores.as_deref()),
    ];
    let configuration = PathBuf::from(&config.file);
    let read =
        args.events.events.iter().chain(&config.rule_paths).chain(&args.labels).chain([&configuration]);
    check_outputs(&outputs, read.map(PathBuf::as_path))?;
    let rules = load_rules(&config).map_err(problems)?;
    let replay = args.events.replay(&config)?;
    let mut report = BacktestReport::new(args, &config, replay.tables.clone())?;
    let (judged, read) = runtime()?.block_on(replay.run(&config, rules, &mut report));
    judged?;
    report.finish()?;
    if let Some(path) = &args.ledger {
        let ledger = replay.ledger.read();
        write_ledger(path, &ledger, &config.calendar)?;
    }
    report.print();
    if let Some(path) = &args.scores {
        report.write_scores(path)?;
    }
    read?;
    Ok(ExitCode::SUCCESS)
}

/// From when on and until when findings are reported.
fn times(args: &BacktestArgs, calendar: &Calendar) -> Result<(Option<Instant>, Option<Instant>), WrongUsage> {
    let time = |text: &Option<String>, flag| {
        let parse =
            |t: &String| calendar.parse(t).map_err(|e| WrongUsage(format!("{flag} {}: {e}", quoted(t))));
        text.as_ref().map(parse).transpose()
    };
    let (from, to) = (time(&args.from, "--from")?, time(&args.to, "--to")?);
    match from.is_some_and(|from| to.is_some_and(|to| to <= from)) {
        true => Err(WrongUsage(say!("--to is not after --from: nothing is between them"))),
        false => Ok((from, to)),
    }
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    let file = private::create(path).with_context(|| say!("cannot write {path}", path = path.display()))?;
    Ok(BufWriter::with_capacity(1 << 18, file))
}

fn write_ledger(path: &Path, ledger: &Ledger, calendar: &Calendar) -> anyhow::Result<()> {
    let mut out = create(path)?;
    let mut lines: Vec<_> = ledger.lines().collect();
    lines.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
    for (line, attributes) in lines {
        let object = serde_json::Value::Object(line_object(line, attributes, calendar));
        writeln!(out, "{object}").with_context(|| say!("cannot write the ledger"))?;
    }
    out.flush().with_context(|| say!("cannot write the ledger"))
}
