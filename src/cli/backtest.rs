//! `fiscwatch backtest`: the loop of the daemon without a store.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, PoisonError, RwLock, atomic::AtomicBool},
    time::Instant,
};

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{ConfigArg, problems, runtime, table};
use crate::{
    app::{load_rules, parallel},
    config::Config,
    decode::Decoder,
    engine::{
        BatchLimits, Committable, Dedup, Engine, EngineError, LATE_WITHOUT_HISTORY, MemoryTables, Output,
        Record, Scheduler, Sequencer, Stages, Watermark, Windowing, batches,
    },
    evaluate::{Evaluator, Finding, row::RuleCounts},
    event::{EventType, money::format_cents, time::Calendar},
    ledger::{Ledger, report::line_object},
    source::{Chunks, Format, file::file_block},
    stream::Block,
};

#[derive(Debug, Args)]
pub struct BacktestArgs {
    /// A rule file or folder
    #[arg(long)]
    rules: Vec<PathBuf>,
    /// Event files in the order to read them: JSON Lines, CSV or Parquet, .gz or .zst; - for standard input
    #[arg(long, required = true, num_args = 1..)]
    events: Vec<PathBuf>,
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
    #[arg(long)]
    batch_rows: Option<usize>,
}

pub fn backtest(args: &BacktestArgs) -> anyhow::Result<ExitCode> {
    let mut config = args.config.load_or_default()?;
    if !args.rules.is_empty() {
        config.rule_paths.clone_from(&args.rules);
        config.overrides.clear();
    }
    config.batch_rows = args.batch_rows.unwrap_or(config.batch_rows).clamp(1, 1 << 20);
    let rules = load_rules(&config).map_err(problems)?;
    for path in args.events.iter().filter(|path| **path != Path::new("-")) {
        // A file that is missing or no Parquet is told before hours of work on those before it.
        Chunks::open(path, Format::of(path, None), 1, (0, 0), false)?;
    }
    let report = Report::new(args, &config)?;
    let ledger = Arc::new(RwLock::new(Ledger::default()));
    let (report, read) = runtime()?.block_on(replay(args, &config, rules, &ledger, report));
    let mut report = report?;
    report.finish()?;
    if let Some(path) = &args.ledger {
        let ledger = ledger.read().unwrap_or_else(PoisonError::into_inner);
        write_ledger(path, &ledger, &config.calendar)?;
    }
    report.print();
    read?;
    Ok(ExitCode::SUCCESS)
}

async fn replay(
    args: &BacktestArgs,
    config: &Config,
    rules: Arc<crate::rule::RuleSet>,
    ledger: &Arc<RwLock<Ledger>>,
    mut report: Report,
) -> (anyhow::Result<Report>, anyhow::Result<()>) {
    let (blocks_in, blocks) = mpsc::channel(parallel());
    let (batches_in, batches_out) = mpsc::channel(parallel());
    let files = args.events.clone();
    let rows = config.batch_rows;
    let reading = tokio::task::spawn_blocking(move || read(&files, rows, &blocks_in));
    let limits = BatchLimits { rows, wait: config.batch_wait };
    tokio::spawn(batches(blocks, batches_in, limits, CancellationToken::new()));
    let evaluator = Arc::new(Evaluator::new(rules, Arc::clone(&config.calendar)));
    let engine = Engine {
        decoder: Arc::new(Decoder::new(Arc::clone(&config.calendar))),
        sequencer: Sequencer::new(
            Arc::clone(ledger),
            Dedup::default(),
            Watermark::new(config.lateness),
            None,
        ),
        windowing: match Windowing::new(&evaluator, None, LATE_WITHOUT_HISTORY, (i64::MIN, i64::MIN)) {
            Ok(windowing) => windowing,
            Err(e) => return (Err(e.into()), Ok(())),
        },
        evaluator: Arc::new(RwLock::new(evaluator)),
        record: Record::Events,
        scheduler: Some(Scheduler { tables: Arc::clone(&report.tables) as _, limits: config.query_limits }),
        time_max: Arc::new(|| None),
        parallel: parallel(),
        bounded: Arc::new(AtomicBool::new(true)),
        silence: None,
    };
    let result = engine.run(batches_out, &mut report).await;
    let read = reading.await.map_err(anyhow::Error::from).and_then(|read| read);
    (result.map(|()| report).map_err(anyhow::Error::from), read)
}

/// Reads all files in order. A file that breaks off ends the run after what could be read of it.
fn read(files: &[PathBuf], rows: usize, blocks: &mpsc::Sender<Block>) -> anyhow::Result<()> {
    let source: Arc<str> = Arc::from("backtest");
    for path in files {
        let mut chunks = if path == Path::new("-") {
            let format = Format::of(Path::new("stdin.jsonl"), None);
            Chunks::pipe(Path::new("stdin"), Box::new(std::io::stdin()), format, rows)?
        } else {
            Chunks::open(path, Format::of(path, None), rows, (0, 0), false)?
        };
        while let Some(chunk) = chunks.next_chunk()? {
            if blocks
                .blocking_send(file_block(&source, path, chunk.first_record, chunk.payload, None))
                .is_err()
            {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// What a backtest found.
struct Report {
    findings: Option<BufWriter<File>>,
    from: Option<i64>,
    to: Option<i64>,
    rules: Vec<(Arc<crate::rule::Rule>, RuleReport)>,
    by_type: BTreeMap<EventType, u64>,
    duplicates: u64,
    rejects: BTreeMap<&'static str, u64>,
    shown_rejects: Vec<String>,
    paid: i128,
    bytes: u64,
    stages: Stages,
    started: Instant,
    progress: ProgressBar,
    /// What schedules query.
    tables: Arc<MemoryTables>,
}

#[derive(Default)]
struct RuleReport {
    counts: RuleCounts,
    findings: u64,
    keys: BTreeSet<String>,
    keys_capped: bool,
    cents: i128,
}

/// Keys of a rule that are told apart; beyond, the table says "more than".
const KEYS_MAX: usize = 1_000_000;
/// Rejected records that are shown one by one.
const REJECTS_SHOWN: usize = 5;

impl Report {
    fn new(args: &BacktestArgs, config: &Config) -> anyhow::Result<Self> {
        let time = |text: &Option<String>, flag| -> anyhow::Result<Option<i64>> {
            text.as_ref()
                .map(|t| config.calendar.parse(t).map_err(|e| anyhow::anyhow!("{flag} {t:?}: {e}")))
                .transpose()
        };
        let findings = args.findings.as_deref().map(create).transpose()?;
        let size = args.events.iter().map(|p| std::fs::metadata(p).map_or(0, |m| m.len())).sum::<u64>();
        let plain =
            args.events.iter().all(|p| Format::of(p, None).compression == crate::source::Compression::None);
        let progress = match std::io::stderr().is_terminal() {
            true if plain && size > 0 => ProgressBar::new(size),
            true => ProgressBar::new_spinner(),
            false => ProgressBar::hidden(),
        };
        let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {msg} {eta}");
        progress.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Ok(Self {
            findings,
            from: time(&args.from, "--from")?,
            to: time(&args.to, "--to")?,
            rules: Vec::new(),
            by_type: BTreeMap::new(),
            duplicates: 0,
            rejects: BTreeMap::new(),
            shown_rejects: Vec::new(),
            paid: 0,
            bytes: 0,
            stages: Stages::default(),
            started: Instant::now(),
            progress,
            tables: Arc::new(MemoryTables::new(&config.calendar)),
        })
    }

    fn take(&mut self, mut batch: Committable) -> Result<(), EngineError> {
        if self.rules.is_empty() {
            let rules = batch.rules.rules.iter().map(|r| (Arc::clone(&r.rule), RuleReport::default()));
            self.rules = rules.collect();
        }
        self.tables.keep(&batch);
        for (_, event_type, n) in &batch.accepted {
            *self.by_type.entry(*event_type).or_default() += n;
        }
        self.duplicates += batch.duplicates;
        self.paid += batch.paid;
        self.bytes += batch.bytes;
        self.stages.add(batch.stages);
        for reject in &batch.rejects {
            *self.rejects.entry(reject.reason.code()).or_default() += 1;
            if self.shown_rejects.len() < REJECTS_SHOWN {
                let text = format!(
                    "{}:{}: {}: {}",
                    reject.partition,
                    reject.record,
                    reject.reason.code(),
                    reject.detail
                );
                self.shown_rejects.push(text);
            }
        }
        for ((_, report), counts) in self.rules.iter_mut().zip(&batch.evaluation.counts) {
            report.counts.add(counts);
        }
        let (from, to) = (self.from, self.to);
        let wanted = |at: i64| from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to);
        for (_, cents, finding) in batch.evaluation.take_findings().filter(|(at, ..)| wanted(*at)) {
            if let Some(out) = &mut self.findings {
                let line = serde_json::to_string(&finding).map_err(|e| EngineError::Output(e.to_string()))?;
                writeln!(out, "{line}")
                    .map_err(|e| EngineError::Output(format!("cannot write the findings: {e}")))?;
            }
            self.count(&finding, cents);
        }
        let events: u64 = self.by_type.values().sum();
        self.progress.set_position(self.bytes);
        self.progress.set_message(format!("{events} events"));
        Ok(())
    }

    fn count(&mut self, finding: &Finding, cents: i128) {
        let Some((_, report)) = self.rules.iter_mut().find(|(rule, _)| rule.id == finding.rule_id) else {
            return;
        };
        report.findings += 1;
        if report.keys.len() < KEYS_MAX {
            report.keys.insert(serde_json::Value::Object(finding.key.clone()).to_string());
        } else {
            report.keys_capped = true;
        }
        report.cents += cents;
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        self.progress.finish_and_clear();
        match &mut self.findings {
            Some(out) => out.flush().context("cannot write the findings"),
            None => Ok(()),
        }
    }

    fn print(&self) {
        let payments = self.by_type.get(&EventType::Payment).copied().unwrap_or(0);
        let mut table = table(&[
            "rule",
            "severity",
            "mode",
            "findings",
            "keys",
            "amount",
            "of payments",
            "excepted",
            "errors",
        ]);
        for (rule, report) in &self.rules {
            #[allow(clippy::cast_precision_loss)]
            let share = 100.0 * report.findings as f64 / payments.max(1) as f64;
            table.add_row([
                rule.id.clone(),
                rule.severity.word().to_owned(),
                rule.mode.word().to_owned(),
                report.findings.to_string(),
                format!("{}{}", if report.keys_capped { ">" } else { "" }, report.keys.len()),
                format_cents(report.cents),
                format!("{share:.3} %"),
                report.counts.excepted.to_string(),
                report.counts.errors.to_string(),
            ]);
        }
        eprintln!("{table}");
        for (rule, report) in &self.rules {
            if let Some(error) = &report.counts.last_error {
                eprintln!(
                    "rule {}: {} events could not be evaluated, the last because: {error}",
                    rule.id, report.counts.errors
                );
            }
            if report.counts.beyond > 0 {
                eprintln!(
                    "rule {}: {} events came more than 400 days late, and parts of their windows were gone",
                    rule.id, report.counts.beyond
                );
            }
        }
        for reject in &self.shown_rejects {
            eprintln!("rejected: {reject}");
        }
        let events: u64 = self.by_type.values().sum();
        let rejected: u64 = self.rejects.values().sum();
        let reasons: Vec<_> = self.rejects.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
        let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
        let seconds = self.started.elapsed().as_secs_f64();
        #[allow(clippy::cast_precision_loss)]
        let rate = events as f64 / seconds.max(1e-9);
        eprintln!(
            "{events} events ({payments} payments of {}), {} duplicates, {rejected} rejected{reasons}; {seconds:.2} s, {rate:.0} events/s",
            format_cents(self.paid),
            self.duplicates
        );
        let Stages { decode, sequence, windows, evaluate } = self.stages;
        eprintln!(
            "time in the stages: decode {decode:.2?}, ledger {sequence:.2?}, windows {windows:.2?}, rules {evaluate:.2?}"
        );
    }
}

impl Output for Report {
    async fn commit(&mut self, batches: Vec<Committable>) -> Result<(), EngineError> {
        batches.into_iter().try_for_each(|batch| self.take(batch))
    }
}

fn create(path: &Path) -> anyhow::Result<BufWriter<File>> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(BufWriter::with_capacity(1 << 18, file))
}

fn write_ledger(path: &Path, ledger: &Ledger, calendar: &Calendar) -> anyhow::Result<()> {
    let mut out = create(path)?;
    let mut lines: Vec<_> = ledger.lines().collect();
    lines.sort_by(|(a, _), (b, _)| a.id.cmp(&b.id));
    for (line, attributes) in lines {
        let object = serde_json::Value::Object(line_object(line, attributes, calendar));
        writeln!(out, "{object}").context("cannot write the ledger")?;
    }
    out.flush().context("cannot write the ledger")
}
