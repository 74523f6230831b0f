//! `fiscwatch import`: from a file of another system to a map of it.

mod ask;
mod post;
mod show;

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::Args;

use super::{ConfigArg, outputs::check_outputs, problems};
use crate::{
    config::Config,
    guess::{self, FirstRows, Guess, Sample, reading},
    private, say,
};

#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// Files of one kind, as another system writes them; the first is looked at
    #[arg(required = true, num_args = 1.., value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write the map here
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What to do with the files then: `backtest`, or the address of a daemon that takes the events
    #[arg(long, value_name = "backtest|URL")]
    into: Option<String>,
    /// The column of a field, or a value for all rows: `amount=@支付金额`, `region_code=330100000`
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// The sheet of a workbook, by its name or number; the first that is shown without it
    #[arg(long)]
    sheet: Option<String>,
    #[command(flatten)]
    config: ConfigArg,
}

pub(crate) fn import(args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    let first = &args.files[0];
    check_outputs(&[("--out", args.out.as_deref())], args.files.iter().map(PathBuf::as_path))?;
    let sample = Sample::of(first, args.sheet.as_deref())?;
    let mut guess = Guess::of(&sample, &config.calendar.zone_name);
    for set in &args.set {
        guess.put(&sample, set).map_err(anyhow::Error::msg)?;
    }
    println!("{}", show::kind(first, &sample));
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        ask::missing(&sample, &mut guess)?;
    }
    let text = guess::text(&sample, &guess);
    let trial = trial(first, &text, &guess, &config)?;
    tell(&sample, &guess, trial.as_ref(), &config);
    if let Some(out) = &args.out {
        private::write(out, &text).with_context(|| say!("cannot write {path}", path = out.display()))?;
        println!("{}", say!("the map is written to {path}", path = out.display()));
    } else {
        println!("\n{text}");
    }
    if !guess.missing.is_empty() {
        let missing = guess.missing.join(", ");
        eprintln!(
            "{}",
            say!(
                "missing: {missing}. Give each a column or a value: --set FIELD=@COLUMN or --set FIELD=VALUE",
                missing
            )
        );
        return Ok(ExitCode::from(1));
    }
    match args.into.as_deref() {
        None => Ok(ExitCode::SUCCESS),
        Some("backtest") => backtest(args, &text),
        Some(url) => post::events(url, &args.files, &reading(&text).map_err(problems)?, &config),
    }
}

/// The first rows, if the map is whole.
fn trial(path: &Path, text: &str, guess: &Guess, config: &Config) -> anyhow::Result<Option<FirstRows>> {
    if !guess.missing.is_empty() {
        return Ok(None);
    }
    let reading = reading(text).map_err(problems)?;
    let Some(map) = reading.map().cloned() else { return Ok(None) };
    FirstRows::of(path, &map, reading, config).map(Some)
}

fn tell(sample: &Sample, guess: &Guess, trial: Option<&FirstRows>, config: &Config) {
    println!();
    print!("{}", show::columns(sample, guess, trial, &config.calendar));
    let unused = guess.left_out(sample);
    if !unused.is_empty() {
        println!("{}", say!("left out: {columns}", columns = unused.join(", ")));
    }
    for note in guess.notes() {
        println!("{note}");
    }
    let Some(trial) = trial else { return };
    println!();
    print!("{}", show::rows(trial, &config.calendar));
    println!(
        "{}",
        say!(
            "of the first rows {events} are events, {rejected} are refused, {skipped} are skipped",
            events = trial.events,
            rejected = trial.rejected,
            skipped = trial.skipped
        )
    );
}

/// Runs the rules over the files.
fn backtest(args: &ImportArgs, text: &str) -> anyhow::Result<ExitCode> {
    let folder = tempfile::tempdir()?;
    let map = folder.path().join("map.yaml");
    private::write(&map, text)?;
    let mut line: Vec<std::ffi::OsString> = vec!["fiscwatch".into(), "backtest".into(), "--config".into()];
    line.push(args.config.config.clone().into());
    line.push("--map".into());
    line.push(map.into());
    line.push("--events".into());
    line.extend(args.files.iter().map(|file| file.clone().into_os_string()));
    println!();
    super::again(&line)
}
