//! `fiscwatch rules status|show|propose|approve|withdraw|sign|verify|pilot`

mod pilot;

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};

use super::{
    ConfigArg,
    local::{local, permit, person},
    officer::{line, now},
    problems,
    table::{Cell, ListFormat, Table, TableColumn},
};
use crate::{
    access::{Action, provider, seal::SealKey},
    config::Config,
    daemon::{load_rules, office, with_adopted},
    http::RuleSetView,
    private,
    rule::{manifest::PartDifference, pack},
    say,
    store::{ProposedSet, RuleSets},
};

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Show which sets of rules were proposed and approved, and whether those of the configuration are
    Status(StatusArgs),
    /// Show what is different in a proposed set of rules
    Show(ShowArgs),
    /// Propose the rules of the configuration, to be approved by somebody else
    Propose(ProposeArgs),
    /// Approve rules that somebody else proposed
    Approve(JudgeArgs),
    /// Take an approval back; what is in force stays until the next start or reload
    Withdraw(JudgeArgs),
    /// Sign a pack: a folder of rules with whatever belongs to them
    Sign(SignArgs),
    /// Check that a pack is as it was signed
    Verify(VerifyArgs),
    /// 试运行报告: show what rules in shadow found, what they would bring, and what is known of it already
    Pilot(pilot::PilotArgs),
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    form: ListFormat,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The digest of the set, or its beginning
    digest: String,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    form: ListFormat,
}

#[derive(Debug, Args)]
pub(crate) struct ProposeArgs {
    /// Why, for whoever approves them
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Rule files and folders that will take the place of those of the configuration
    #[arg(long, value_name = "PATH", num_args = 1..)]
    rules: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigArg,
    /// JSON instead of words
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct JudgeArgs {
    /// The digest of the set, or its beginning
    digest: String,
    #[command(flatten)]
    config: ConfigArg,
    /// JSON instead of words
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SignArgs {
    /// The folder
    folder: PathBuf,
    /// The file of the private key; it is made if it is not there
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The folder
    folder: PathBuf,
    /// The public key that must have signed it; without one, any may
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

pub(crate) fn rules(command: &RulesCommand) -> anyhow::Result<ExitCode> {
    match command {
        RulesCommand::Status(args) => status(args),
        RulesCommand::Show(args) => show(args),
        RulesCommand::Propose(args) => propose(args),
        RulesCommand::Approve(args) => judge(args, true),
        RulesCommand::Withdraw(args) => judge(args, false),
        RulesCommand::Sign(args) => sign(args),
        RulesCommand::Pilot(args) => pilot::pilot(args),
        RulesCommand::Verify(args) => verify(args),
    }
}

fn status(args: &StatusArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::ReadRules)?;
    let sets = RuleSets::open_read_only(&config.state_dir)?.all()?;
    let mut table = Table::new([
        TableColumn::new("digest", say!("digest")),
        TableColumn::new("state", say!("state")),
        TableColumn::new("proposed_at", say!("proposed on")),
        TableColumn::new("proposed_by", say!("by")).shrinks(8),
        TableColumn::new("approved_at", say!("approved on")),
        TableColumn::new("approved_by", say!("by")).shrinks(8),
        TableColumn::new("reason", say!("reason")).shrinks(10),
    ]);
    for set in &sets {
        let (at, who) = set.approved.clone().unzip();
        let state = if at.is_some() { ("approved", "已批准") } else { ("proposed", "待批准") };
        table.row([
            Cell::Id(set.digest.clone()),
            Cell::word(state.0, state.1),
            Cell::time(set.proposed_at, &config.calendar),
            Cell::text(&*set.proposed_by),
            at.map_or(Cell::Missing, |at| Cell::time(at, &config.calendar)),
            Cell::maybe(who.as_deref()),
            Cell::text(&*set.reason),
        ]);
    }
    let views = sets.iter().map(|set| RuleSetView::new(set, &config.calendar));
    args.form.print(&table, views, &[configured(&config, &sets)])?;
    Ok(ExitCode::SUCCESS)
}

/// How the rules of the configuration stand.
fn configured(config: &Config, sets: &[ProposedSet]) -> String {
    let Ok(rules) = with_adopted(config.clone()).and_then(|config| load_rules(&config)) else {
        return say!("the rules of the configuration have mistakes: `fiscwatch check` tells them");
    };
    let digest = rules.manifest.digest();
    let known = sets.iter().find(|set| set.digest == digest);
    let digest = short(&digest);
    match known.map(|set| set.approved.is_some()) {
        Some(true) => say!("the rules of the configuration ({digest}) are approved", digest),
        Some(false) => {
            say!("the rules of the configuration ({digest}) are proposed and not approved", digest)
        }
        None => say!("the rules of the configuration ({digest}) are not proposed", digest),
    }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

fn show(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::ReadRules)?;
    let sets = RuleSets::open_read_only(&config.state_dir)?;
    let set = sets.one(&args.digest)?;
    let others = sets.all()?.into_iter().filter(|other| other.digest != set.digest);
    let before = others.filter(|other| other.approved.is_some()).max_by_key(|other| other.approved.clone());
    let since = before.as_ref().map(|before| before.manifest.clone()).unwrap_or_default();
    let mut table = Table::new([
        TableColumn::new("change", say!("change")),
        TableColumn::new("part", say!("file or setting")).shrinks(20),
    ]);
    let changes = set.manifest.since(&since);
    let rows: Vec<_> = changes.iter().map(|(part, difference)| (word(*difference), *part)).collect();
    for ((word, shown), part) in &rows {
        table.row([Cell::Word((*word).to_owned(), shown.clone()), Cell::text(*part)]);
    }
    let objects = rows.iter().map(|((word, _), part)| serde_json::json!({ "change": word, "part": part }));
    let (parts, digest) = (set.manifest.len(), short(&set.digest));
    let note = match &before {
        Some(before) => say!(
            "{digest} has {parts} parts; this is what is different from the set approved last ({before})",
            digest,
            parts,
            before = short(&before.digest)
        ),
        None => say!("{digest} has {parts} parts; no other set is approved", digest, parts),
    };
    args.form.print(&table, objects, &[note])?;
    Ok(ExitCode::SUCCESS)
}

fn word(difference: PartDifference) -> (&'static str, String) {
    match difference {
        PartDifference::Added => ("added", say!("new")),
        PartDifference::Changed => ("changed", say!("changed")),
        PartDifference::Removed => ("removed", say!("gone")),
    }
}

fn propose(args: &ProposeArgs) -> anyhow::Result<ExitCode> {
    let mut config = args.config.load_or_default()?;
    // Rules may have to be approved before the first start makes a state.
    let sets = RuleSets::open_or_make(&config.state_dir)?;
    permit(&config, Action::ProposeRules)?;
    if !args.rules.is_empty() {
        config.rule_paths.clone_from(&args.rules);
    }
    let config = with_adopted(config).map_err(problems)?;
    let rules = load_rules(&config).map_err(problems)?;
    let mut sets = sets.judged_by(office(&config)?);
    let set = sets.propose((&rules.manifest, None), &args.reason, &local(), now())?;
    if args.json {
        return told(&set, &config);
    }
    let (n, digest) = (rules.rules.len(), short(&set.digest));
    println!(
        "{}",
        say!(
            "{n} rules are proposed as {digest}; an approver who is somebody else runs `fiscwatch rules approve {digest}`",
            n,
            digest
        )
    );
    Ok(ExitCode::SUCCESS)
}

fn judge(args: &JudgeArgs, approves: bool) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::ApproveRules)?;
    let mut sets = RuleSets::open(&config.state_dir)?.judged_by(office(&config)?);
    let (actor, person) = (local(), person(&config, &local())?);
    let set = match approves {
        true => sets.approve_as(&args.digest, &actor, &person, now())?,
        false => sets.withdraw_as(&args.digest, &actor, &person, now())?,
    };
    if args.json {
        return told(&set, &config);
    }
    let (digest, who) = (short(&set.digest), line(&set.proposed_by, 64));
    let text = match approves {
        true => say!(
            "{digest}, proposed by {who}, is approved; it comes into force at the next start or reload of these rules",
            digest,
            who
        ),
        false => say!(
            "{digest} is approved no more; what is in force stays until the next start or reload",
            digest
        ),
    };
    println!("{text}");
    Ok(ExitCode::SUCCESS)
}

fn told(set: &ProposedSet, config: &Config) -> anyhow::Result<ExitCode> {
    println!("{}", serde_json::to_string(&RuleSetView::new(set, &config.calendar))?);
    Ok(ExitCode::SUCCESS)
}

fn sign(args: &SignArgs) -> anyhow::Result<ExitCode> {
    let key = key(&args.key)?;
    let digest = pack::sign(&args.folder, &key).map_err(|why| anyhow!(why))?;
    let (file, public) = (args.folder.join(pack::SIGNATURE), key.public());
    println!(
        "{}",
        say!(
            "{file} signs {digest} with the key {public}; tell that key to whoever checks the pack, by another way than the pack",
            file = file.display(),
            digest = short(&digest),
            public
        )
    );
    Ok(ExitCode::SUCCESS)
}

/// Reads a private key, or makes one where there is none.
fn key(path: &Path) -> anyhow::Result<SealKey> {
    let unreadable = || say!("the key {path} cannot be read or made", path = path.display());
    match std::fs::read_to_string(path) {
        Ok(text) => SealKey::read(&text).ok_or_else(|| {
            anyhow!(say!("{path} holds no private key: 64 hexadecimal digits", path = path.display()))
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = SealKey::make_by(provider::INTERNATIONAL).with_context(unreadable)?;
            private::write_new(path, key.text().as_bytes()).with_context(unreadable)?;
            Ok(key)
        }
        Err(error) => Err(error).with_context(unreadable),
    }
}

fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let (key, digest) = pack::verify(&args.folder, args.key.as_deref()).map_err(|why| anyhow!(why))?;
    let (folder, digest) = (args.folder.display(), short(&digest).to_owned());
    println!("{}", say!("{folder} ({digest}) is as {key} signed it", folder, digest, key));
    if args.key.is_none() {
        eprintln!(
            "{}",
            say!(
                "whether that key is to be trusted is not known: name the one that must have signed it with --key"
            )
        );
    }
    Ok(ExitCode::SUCCESS)
}
