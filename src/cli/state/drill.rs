//! `fiscwatch state drill`: whether the newest backup can be restored, and gives the findings again.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::{ConfigArg, problems, runtime, verify::print};
use crate::{
    access::{Action, seal::SealKey},
    app,
    clock::{Clock, SystemClock},
    config::Config,
    daemon::{self, works::DRILL},
    decode::Decoder,
    diagnostic::os_reason,
    event::{Instant, TimeDelta},
    private, say,
    store::{self, BackupManifest, Check, CheckOutcome, JournalView, verify_backup},
};

#[derive(Debug, Args)]
pub(crate) struct DrillArgs {
    /// A folder with backups, of which the newest is taken, or a backup
    #[arg(value_name = "DIR", required_unless_present = "store")]
    backups: Option<PathBuf>,
    /// The newest state of a store that one was replicated to, in place of a backup
    #[arg(long = "from", value_name = "URL", conflicts_with = "backups")]
    store: Option<String>,
    #[command(flatten)]
    config: ConfigArg,
    /// Where to restore it for the while; the folder of the system for such files if it is not given
    #[arg(long, value_name = "DIR")]
    scratch: Option<PathBuf>,
    /// Write the certificate to this file: what was restored and checked, signed with the key of the audit log
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Write the result as metrics to this file, for the textfile collector of the node exporter
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,
    /// The certificate as JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// What a drill proves. Its signature is over this as JSON without blanks.
#[derive(Debug, Serialize)]
struct Certificate {
    backup: String,
    backup_made_at: String,
    backup_of: String,
    events: i64,
    findings: i64,
    bytes: u64,
    begun_at: String,
    seconds: i64,
    host: String,
    program: &'static str,
    passed: bool,
    checks: Vec<Check>,
}

/// A certificate with its signature.
#[derive(Debug, Serialize)]
struct Signed {
    certificate: Certificate,
    key: String,
    signature: String,
}

pub(crate) fn drill(args: &DrillArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::BackUpState)?;
    let begun = SystemClock.now();
    let drilled = run(args, &config, begun);
    // A drill that could not even begin is one that failed, and is told so.
    let passed = drilled.as_ref().is_ok_and(|(certificate, _)| certificate.passed);
    if let Some(path) = &args.metrics {
        let made = drilled.as_ref().ok().map(|(_, made)| *made);
        let text = metrics(passed, begun, SystemClock.now(), made);
        replace(path, text.as_bytes()).with_context(|| path.display().to_string())?;
    }
    let (certificate, _) = drilled?;
    if !args.json {
        print(&certificate.checks);
    }
    let signed = sign(certificate, &daemon::signing_key(&config)?)?;
    let text = serde_json::to_string(&signed)?;
    // The console shows the last one.
    let kept = config.state_dir.join(DRILL);
    if config.state_dir.is_dir()
        && let Err(error) = replace(&kept, format!("{text}\n").as_bytes())
    {
        eprintln!("{}: {}", kept.display(), os_reason(&error));
    }
    if let Some(path) = &args.certificate {
        replace(path, format!("{text}\n").as_bytes()).with_context(|| path.display().to_string())?;
    }
    if args.json {
        println!("{text}");
    } else {
        let Certificate { backup, seconds, .. } = &signed.certificate;
        println!(
            "{}",
            match passed {
                true => say!("{backup} can be restored; the drill took {seconds} s", backup, seconds),
                false => say!("{backup} CANNOT be relied on: the drill failed", backup),
            }
        );
    }
    Ok(ExitCode::from(u8::from(!passed)))
}

/// Gives the certificate, and when what it is of was made.
fn run(args: &DrillArgs, config: &Config, begun: Instant) -> anyhow::Result<(Certificate, Instant)> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("fiscwatch-drill-");
    let scratch = match &args.scratch {
        Some(dir) => builder.tempdir_in(dir),
        None => builder.tempdir(),
    };
    let scratch = scratch.with_context(|| say!("there is no scratch folder to restore to"))?;
    let state = scratch.path().join("state");
    let (backup, manifest, mut checks) = restored(args, config, &state)?;
    // An older version is brought up to date as a start does it; what is restored is nobody's state.
    drop(store::Store::open(&state)?);
    checks.extend(checked(config, &state)?);
    let passed = checks.iter().all(|check| matches!(check.outcome, CheckOutcome::Ok | CheckOutcome::Skipped));
    let (calendar, made) = (&config.calendar, manifest.made_at);
    let certificate = Certificate {
        backup,
        backup_made_at: calendar.format(manifest.made_at),
        bytes: manifest.bytes(),
        backup_of: manifest.of,
        events: manifest.events,
        findings: manifest.findings,
        begun_at: calendar.format(begun),
        seconds: (SystemClock.now() - begun).max(TimeDelta::ZERO).as_seconds(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        program: concat!("fiscwatch ", env!("CARGO_PKG_VERSION")),
        passed,
        checks,
    };
    Ok((certificate, made))
}

/// Restores what is tried; gives its name, what it says of itself, and what was checked on the way.
fn restored(
    args: &DrillArgs,
    config: &Config,
    to: &Path,
) -> anyhow::Result<(String, BackupManifest, Vec<Check>)> {
    if let Some(url) = &args.store {
        let restored = super::replicate::fetch((url, None), to, config)?;
        return Ok((url.clone(), restored.manifest.state, Vec::new()));
    }
    // One of both is there, or the command line was refused.
    let backups = args.backups.clone().unwrap_or_default();
    let (backup, manifest) = newest(&backups)?;
    let checks = verify_backup(&backup)?.into_iter().collect();
    store::restore(&backup, to)?;
    Ok((backup.display().to_string(), manifest, checks))
}

/// All that `state verify --findings` checks.
fn checked(config: &Config, state: &Path) -> anyhow::Result<Vec<Check>> {
    let schema = Arc::clone(Decoder::new(Arc::clone(&config.calendar)).schema());
    let history = JournalView::open(state, &schema)?;
    history.agrees(&config.calendar)?;
    let mut checks = history.verify(&schema)?;
    if checks.iter().all(|check| check.outcome != CheckOutcome::Failed) {
        let rules = daemon::rules_to_start(config).map_err(problems)?;
        let mut at_scratch = config.clone();
        state.clone_into(&mut at_scratch.state_dir);
        let again = app::recheck(&at_scratch, rules, &history, app::Range::default());
        checks.extend(runtime()?.block_on(again)?);
    }
    Ok(checks)
}

/// The backup that a folder is, or the newest of those in it.
fn newest(folder: &Path) -> anyhow::Result<(PathBuf, BackupManifest)> {
    if let Some(manifest) = BackupManifest::read(folder)? {
        return Ok((folder.to_owned(), manifest));
    }
    let mut newest: Option<(PathBuf, BackupManifest)> = None;
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        // One that is under way has no manifest yet.
        if !path.is_dir() {
            continue;
        }
        let Some(manifest) = BackupManifest::read(&path)? else { continue };
        if newest.as_ref().is_none_or(|(_, known)| known.made_at < manifest.made_at) {
            newest = Some((path, manifest));
        }
    }
    newest.ok_or_else(|| anyhow::anyhow!(say!("there is no backup in {folder}", folder = folder.display())))
}

fn sign(certificate: Certificate, key: &SealKey) -> anyhow::Result<Signed> {
    let signature = key.sign(serde_json::to_string(&certificate)?.as_bytes())?;
    Ok(Signed { certificate, key: key.public(), signature })
}

/// As Prometheus reads it; times in seconds.
fn metrics(passed: bool, begun: Instant, ended: Instant, made: Option<Instant>) -> String {
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, value: i64| {
        text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"));
    };
    gauge("fiscwatch_drill_passed", "Whether the last backup drill passed.", i64::from(passed));
    gauge("fiscwatch_drill_timestamp_seconds", "When the last backup drill ended.", ended.as_seconds());
    gauge("fiscwatch_drill_duration_seconds", "How long it took.", (ended - begun).as_seconds());
    if let Some(made) = made {
        gauge("fiscwatch_drill_backup_timestamp_seconds", "When its backup was made.", made.as_seconds());
    }
    text
}

/// Writes a file at once, so that who reads it never has half of it.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside);
    let mut file = private::create_new(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(beside, path)
}
