//! `fiscwatch evidence` and `fiscwatch evidence verify`

use std::{
    fs,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::{ConfigArg, local::local, officer::now, persons::PersonsArg, problems, table::visible};
use crate::{
    access::Action,
    app::audit::signing_key,
    config::Config,
    daemon::load_rules,
    event::time::Calendar,
    evidence::{self, archive, verify::Report},
    finding::Finding,
    http::{AlertDetail, lens::Lens},
    private, say,
    store::{Accounts, Cases, Deed, Stored},
};

/// Bytes of a case's files that go into a pack.
const ROOM: u64 = archive::BYTES_MAX as u64 / 2;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct EvidenceArgs {
    #[command(subcommand)]
    command: Option<EvidenceCommand>,
    /// The alert's id, or its beginning
    #[arg(required = true, value_name = "ALERT")]
    id: Option<String>,
    /// The file to write; it must not exist
    #[arg(short, long, value_name = "FILE", required = true)]
    output: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    persons: PersonsArg,
}

#[derive(Debug, Subcommand)]
pub(crate) enum EvidenceCommand {
    /// Check a pack without a state: every byte, the signature, and the findings made again from it alone
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The pack, or a folder that it was unpacked to
    #[arg(value_name = "FILE")]
    pack: PathBuf,
    /// A public key that may have signed it; several may be named. Without one, any may
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// JSON instead of words
    #[arg(long)]
    json: bool,
}

pub(crate) fn evidence(args: &EvidenceArgs) -> anyhow::Result<ExitCode> {
    match (&args.command, &args.id, &args.output) {
        (Some(EvidenceCommand::Verify(args)), ..) => verify(args),
        (None, Some(id), Some(output)) => pack(args, id, output),
        // Both are required.
        _ => Ok(ExitCode::from(2)),
    }
}

fn pack(args: &EvidenceArgs, id: &str, output: &Path) -> anyhow::Result<ExitCode> {
    let (config, lens) = args.config.shown(Action::ExportFindings, args.persons)?;
    // That files are taken out is recorded.
    let mut cases = Cases::open(&config.state_dir)?.by(local());
    let id = cases.complete(id)?;
    let rules = load_rules(&config).map_err(problems)?;
    let (_, _, findings) = cases.show(&id, evidence::FINDINGS_MAX as u32)?;
    let detail = AlertDetail::read(&cases, &id, &config.calendar, lens, |_, _| None)?;
    let (now, actor) = (now(), local());
    let (files, left_out) = handed_in(&mut cases, &id, lens, (now, &config.calendar))?;
    let seen = |finding: Finding| lens.finding(finding, &rules);
    let asked = evidence::Asked {
        alert_id: &id,
        older: detail.alert.findings.saturating_sub(findings.len() as u64),
        findings,
        case: evidence::Case { files, left_out, ..case(&detail)? },
        made: (now, &actor.who),
        masked: (lens == Lens::Masked).then_some(&seen),
        allows: &|_| true,
    };
    let material = evidence::gather(&config, &rules, asked)?;
    let key = signing_key(&config)?;
    let bytes = evidence::made(&material, &key).map_err(anyhow::Error::msg)?;
    record(&config, &id, &bytes, lens)?;
    private::write_new(output, &bytes).with_context(|| output.display().to_string())?;
    // What it can prove is told by the same check that its reader makes.
    let report = evidence::verify(&bytes, &[key.public()]);
    println!("{}", say!("{path}: {kib} KiB", path = output.display(), kib = bytes.len().div_ceil(1024)));
    tell(&report, true);
    Ok(ExitCode::from(u8::from(!report.problems.is_empty())))
}

/// What officers know of the case.
fn case(detail: &AlertDetail) -> anyhow::Result<evidence::Case> {
    let values = |value: serde_json::Result<Value>| match value {
        Ok(Value::Array(items)) => Ok(items),
        Ok(_) => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    Ok(evidence::Case {
        alert: serde_json::to_value(&detail.alert)?,
        history: values(serde_json::to_value(&detail.history))?,
        notifications: values(serde_json::to_value(&detail.notifications))?,
        ..evidence::Case::default()
    })
}

/// Files with what is known of them.
type Files = Vec<(Map<String, Value>, Vec<u8>)>;

/// The files of the case, and what is left out of them, in words.
fn handed_in(
    cases: &mut Cases,
    id: &str,
    lens: Lens,
    (now, calendar): (i64, &Calendar),
) -> anyhow::Result<(Files, Vec<String>)> {
    let known = cases.attachments(id)?;
    let bytes: u64 = known.iter().map(|one| one.file.bytes).sum();
    let count = known.len();
    if lens == Lens::Masked && count > 0 {
        return Ok((Vec::new(), vec![say!("{count} files of the case, which may name persons", count)]));
    }
    if bytes > ROOM {
        let mib = ROOM >> 20;
        return Ok((
            Vec::new(),
            vec![say!("{count} files of the case, over {mib} MiB together", count, mib)],
        ));
    }
    let mut files = Vec::with_capacity(count);
    for one in known {
        let (attached, mut file) = cases.open_attachment(id, one.seq, now)?;
        let mut data = Vec::new();
        file.read_to_end(&mut data)?;
        let Stored { name, kind, bytes, digest } = attached.file;
        let told: [(&str, Value); 6] = [
            ("at", calendar.format(attached.at).into()),
            ("who", attached.who.into()),
            ("name", name.into()),
            ("kind", kind.into()),
            ("bytes", bytes.into()),
            ("sha256", digest.into()),
        ];
        files.push((told.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(), data));
    }
    Ok((files, Vec::new()))
}

/// Evidence leaves the state: the audit log has who took it, and what it was.
fn record(config: &Config, id: &str, bytes: &[u8], lens: Lens) -> anyhow::Result<()> {
    let shown = if lens == Lens::Masked { "masked" } else { "whole" };
    let detail = format!("{shown}, {} bytes, sha256 {}", bytes.len(), evidence::seal::digest(bytes));
    let deed = Deed { action: "evidence.export", subject: id, result: "done", detail: &detail };
    Accounts::open(&config.state_dir)?.record(&local(), deed, now())?;
    Ok(())
}

fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let path = &args.pack;
    let read = || path.display().to_string();
    let report = if path.is_dir() {
        let files = folder(path).with_context(read)?;
        evidence::verify::check(&files, Vec::new(), &args.keys)
    } else {
        let mut bytes = Vec::new();
        let most = (archive::BYTES_MAX + archive::FILES_MAX * 512 + 1) as u64;
        fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes)).with_context(read)?;
        evidence::verify(&bytes, &args.keys)
    };
    match args.json {
        true => println!("{}", serde_json::to_string(&report)?),
        false => tell(&report, !args.keys.is_empty()),
    }
    Ok(ExitCode::from(u8::from(!report.problems.is_empty())))
}

/// The files of a folder; more than a pack may have is none.
fn folder(root: &Path) -> std::io::Result<archive::Files> {
    let (mut files, mut bytes, mut waiting) = (archive::Files::new(), 0, vec![root.to_owned()]);
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() {
                waiting.push(path);
                continue;
            }
            bytes += usize::try_from(entry.metadata()?.len()).unwrap_or(usize::MAX);
            // A link may lead anywhere.
            if !kind.is_file() || bytes > archive::BYTES_MAX || files.len() >= archive::FILES_MAX {
                return Err(ErrorKind::InvalidData.into());
            }
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            files.insert(name, fs::read(&path)?);
        }
    }
    Ok(files)
}

fn tell(report: &Report, is_key_named: bool) {
    if let Some(facts) = &report.facts {
        let evidence::pack::Facts { alert_id, rule_id, made_at, made_by, events, .. } = facts;
        let shown = |text: &str| visible(text).into_owned();
        println!(
            "{}",
            say!(
                "alert {alert} of the rule {rule}, {events} events, packed by {who} at {at}",
                alert = shown(alert_id),
                rule = shown(rule_id),
                events,
                who = shown(made_by),
                at = shown(made_at)
            )
        );
        facts
            .not_carried
            .iter()
            .for_each(|what| println!("{}", say!("not in the pack: {what}", what = shown(what))));
    }
    if let Some(key) = &report.key {
        println!("{}", say!("signed by {key}", key));
    }
    if !is_key_named && report.key.is_some() {
        println!(
            "{}",
            say!(
                "note: no key was named, so the pack may be anybody's; compare the key with the treasury's (--key)"
            )
        );
    }
    report
        .same
        .iter()
        .for_each(|id| println!("{}", say!("the finding {id} was made again and is the same", id)));
    for (id, why) in &report.not_made_again {
        println!(
            "{}",
            say!("the finding {id} cannot be made again from this pack: {why}", id, why = visible(why))
        );
    }
    match report.problems.as_slice() {
        [] => println!("{}", say!("the pack is whole")),
        problems => problems.iter().for_each(|problem| println!("{}", visible(problem))),
    }
}
