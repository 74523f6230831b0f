//! `fiscwatch generate`

use std::{
    fmt::Write as _,
    fs::File,
    io::{BufWriter, IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context;
use clap::{Args, ValueEnum};
use datafusion::parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::civil::Date;

use crate::{
    decode::Decoder,
    event::{EventType, time::Calendar},
    private, say,
    simulate::{Plan, Treasury},
    source::file::file_block,
    stream::Payload,
};

#[derive(Debug, Args)]
pub(crate) struct GenerateArgs {
    /// How many payments; the other events come on top
    #[arg(long, default_value_t = 100_000)]
    payments: u64,
    /// How many budget units
    #[arg(long, default_value_t = 300)]
    units: u32,
    /// The same seed makes the same events, byte by byte
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The folder to write to
    #[arg(long)]
    out: PathBuf,
    /// The first day
    #[arg(long, default_value = "2025-01-01")]
    start: Date,
    /// How many days
    #[arg(long, default_value_t = 365)]
    days: u32,
    /// Plant anomalies, and write their labels
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "rules", value_name = "KIND")]
    anomalies: Option<Anomalies>,
    /// How offices pay
    #[arg(long, value_enum, default_value = "plain")]
    traffic: Traffic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Traffic {
    /// One bill, one payment, each amount its own
    Plain,
    /// Like a published ledger: amounts that recur, long tails, bills over several lines, placeholders
    Ledger,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Anomalies {
    /// What the shipped rules look for
    Rules,
    /// What auditors report, by a generator that knows no rule
    Independent,
}

/// The configuration that goes with the events.
const CONFIG: &str = "\
# The lists that belong to these events. `backtest` and `tune` take this file if no other is named.
lists:
";
const LINES: &str = "events.jsonl";
const TABLE: &str = "events.parquet";
const LABELS: &str = "labels.jsonl";
/// Events of one Parquet row group.
const ROW_GROUP: usize = 65_536;

pub(crate) fn generate(args: &GenerateArgs) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(args.units > 0, say!("--units must be at least 1"));
    anyhow::ensure!(args.days > 0, say!("--days must be at least 1"));
    let taken = args.traffic == Traffic::Ledger && args.anomalies == Some(Anomalies::Rules);
    anyhow::ensure!(!taken, say!("--traffic ledger goes with --anomalies independent, or without anomalies"));
    let calendar = Arc::new(Calendar::new("Asia/Shanghai", 1, 1)?);
    let plan = Plan {
        payments: args.payments,
        units: args.units,
        seed: args.seed,
        start: args.start,
        days: args.days,
        anomalies: args.anomalies == Some(Anomalies::Rules),
        zone: calendar.zone().clone(),
    };
    let treasury = Treasury::new(&plan);
    let lists = args.out.join("lists");
    private::create_dir_all(&lists)
        .with_context(|| say!("cannot make the folder {folder}", folder = lists.display()))?;
    let mut config = String::from(CONFIG);
    for (name, text) in treasury.lists() {
        write(&lists.join(name), text.as_bytes())?;
        let _ = writeln!(config, "  {}: {{ path: lists/{name} }}", name.trim_end_matches(".csv"));
    }
    write(&args.out.join(super::BESIDE), config.as_bytes())?;
    let mut files = Files::create(&args.out, calendar, args.anomalies.is_some())?;
    let progress =
        if std::io::stderr().is_terminal() { ProgressBar::new(args.payments) } else { ProgressBar::hidden() };
    progress.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len} payments {eta}")?);
    let independent = args.anomalies == Some(Anomalies::Independent);
    for simulated in treasury.events_like(args.traffic == Traffic::Ledger, independent) {
        serde_json::to_writer(&mut files.pending, &simulated.event)?;
        files.pending.push(b'\n');
        files.events += 1;
        files.payments += u64::from(simulated.event.event_type == EventType::Payment);
        if let (Some(label), Some(out)) = (&simulated.label, &mut files.labels) {
            serde_json::to_writer(&mut *out, label)?;
            out.write_all(b"\n")?;
        }
        if files.events.is_multiple_of(ROW_GROUP as u64) {
            files.flush()?;
            progress.set_position(files.payments);
        }
    }
    progress.finish_and_clear();
    let (events, payments) = (files.events, files.payments);
    files.finish()?;
    let out = args.out.display();
    println!("{}", say!("{events} events, {payments} payments among them, in {out}", events, payments, out));
    let labels =
        if args.anomalies.is_some() { format!(" --labels {out}/labels.jsonl") } else { String::new() };
    let command = format!("fiscwatch backtest --rules rules --events {out}/events.jsonl{labels}");
    println!("{}", say!("try: {command}", command));
    Ok(ExitCode::SUCCESS)
}

fn partial(name: &str) -> String {
    format!("{name}.partial")
}

fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    private::write(path, bytes).with_context(|| say!("cannot write {path}", path = path.display()))
}

/// The same events as JSON Lines and as Parquet, and the labels.
///
/// They have other names until all of them are whole, so that nobody takes those of an interrupted run for a year.
struct Files {
    out: PathBuf,
    decoder: Decoder,
    pending: Vec<u8>,
    events: u64,
    payments: u64,
    lines: BufWriter<File>,
    table: ArrowWriter<File>,
    labels: Option<BufWriter<File>>,
}

impl Files {
    fn create(out: &Path, calendar: Arc<Calendar>, labels: bool) -> anyhow::Result<Self> {
        let create = |name: &str| {
            let path = out.join(partial(name));
            private::create(&path).with_context(|| say!("cannot write {path}", path = path.display()))
        };
        let decoder = Decoder::new(calendar);
        let compression = Compression::ZSTD(ZstdLevel::try_new(3)?);
        let properties = WriterProperties::builder().set_compression(compression).build();
        let schema = Arc::clone(decoder.schema());
        Ok(Self {
            table: ArrowWriter::try_new(create(TABLE)?, schema, Some(properties))?,
            lines: BufWriter::new(create(LINES)?),
            labels: labels.then(|| create(LABELS).map(BufWriter::new)).transpose()?,
            out: out.to_owned(),
            decoder,
            pending: Vec::new(),
            events: 0,
            payments: 0,
        })
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.lines.write_all(&self.pending)?;
        let payload = Payload::JsonLines(std::mem::take(&mut self.pending).into());
        let block = file_block(&Arc::from("generate"), Path::new("events.jsonl"), 0, payload, None);
        let decoded = self.decoder.decode(&[block], None);
        if let Some(reject) = decoded.rejects.first() {
            anyhow::bail!(say!(
                "the simulator made a record that breaks the schema ({detail}); please report this",
                detail = reject.detail
            ));
        }
        self.table.write(&decoded.events)?;
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.flush()?;
        self.lines.flush()?;
        self.table.close()?;
        let labels = self.labels.as_ref().map(|_| LABELS);
        self.labels.map_or(Ok(()), |mut out| out.flush())?;
        for name in [LINES, TABLE].into_iter().chain(labels) {
            std::fs::rename(self.out.join(partial(name)), self.out.join(name))
                .with_context(|| say!("cannot rename {file}", file = partial(name)))?;
        }
        Ok(())
    }
}
