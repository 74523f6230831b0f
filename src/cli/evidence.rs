//! `fiscwatch evidence` and `fiscwatch evidence verify`

use std::{
    fs,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context;
use clap::{Args, Subcommand};

use super::{ConfigArg, local::local, officer::now, persons::PersonsArg, problems, table::visible};
use crate::{
    access::Action,
    daemon::{load_rules, signing_key, with_adopted},
    evidence::{self, archive, verify::PackReport},
    http::evidence as packs,
    private, say,
    store::Cases,
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
    let config = with_adopted(config).map_err(problems)?;
    let rules = load_rules(&config).map_err(problems)?;
    let asked = packs::EvidenceRequest { id: &id, lens, actor: &local(), now: now(), room: ROOM };
    let bytes = packs::pack((&config, &rules), &mut cases, &asked)?;
    let key = signing_key(&config)?;
    private::write_new(output, &bytes).with_context(|| output.display().to_string())?;
    // What it can prove is told by the same check that its reader makes.
    let report = evidence::verify(&bytes, &[key.public()]);
    println!("{}", say!("{path}: {kib} KiB", path = output.display(), kib = bytes.len().div_ceil(1024)));
    tell(&report, true);
    Ok(ExitCode::from(u8::from(!report.problems.is_empty())))
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

fn tell(report: &PackReport, is_key_named: bool) {
    if let Some(facts) = &report.facts {
        let evidence::pack::PackManifest { alert_id, rule_id, made_at, made_by, events, .. } = facts;
        let shown = |text: &str| visible(text).into_owned();
        // Where nobody is asked who they are, a pack over the API is made by somebody without a name.
        let who = if made_by.is_empty() { String::from("–") } else { shown(made_by) };
        println!(
            "{}",
            say!(
                "alert {alert} of the rule {rule}, {events} events, packed by {who} at {at}",
                alert = shown(alert_id),
                rule = shown(rule_id),
                events,
                who,
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
