//! `fiscwatch approvals list|show|propose|approve|refuse|withdraw|verify`

mod propose;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context as _, anyhow};
use clap::{Args, Subcommand};

use super::{
    ConfigArg,
    local::person,
    officer::{Officer, line, now},
    table::{Cell, ListFormat, Table, TableColumn},
};
use crate::{
    access::{Action, Role},
    approval::{Kind, Matter, MatterState, Verb, check_signed},
    config::Config,
    daemon::office,
    http::{ApprovalView, Lens},
    lists::Lists,
    say,
    store::{Cases, Judgement, MatterFilter, MatterSort},
};

#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalsCommand {
    /// Show what was proposed, the newest first
    List(ListArgs),
    /// Show one proposal with what was done with it; as JSON, with its signatures
    Show(ShowArgs),
    /// Propose budget actions or rows of a list, to be approved by others
    Propose(propose::ProposeArgs),
    /// 同意: approve what somebody else proposed
    Approve(JudgeArgs),
    /// 不同意: refuse what somebody else proposed
    Refuse(RefuseArgs),
    /// 撤回: take a proposal back before it is in force
    Withdraw(JudgeArgs),
    /// Check a proposal that `show --json` wrote: content, signatures and approvers, on any machine
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Only those of this kind: budget, override, rules, exception or list
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<Kind>,
    /// Only those that stand so, such as waiting or refused
    #[arg(long, value_name = "STATE", value_parser = state)]
    state: Option<MatterState>,
    /// Only those with all of these words, in number, subject, reason, proposer or content; rows of lists are not looked into
    #[arg(long, value_name = "WORDS", default_value = "")]
    text: String,
    /// What comes first: newest, oldest, amount (the largest) or expires (the one that expires next)
    #[arg(long, value_name = "ORDER", default_value = "newest", value_parser = MatterSort::parse)]
    sort: MatterSort,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    form: ListFormat,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Its number
    id: i64,
    #[command(flatten)]
    config: ConfigArg,
    /// JSON instead of words, with the signatures, as `verify` checks it
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct JudgeArgs {
    /// Its number
    id: i64,
    /// Why
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
    #[command(flatten)]
    officer: Officer,
    #[command(flatten)]
    config: ConfigArg,
}

#[derive(Debug, Args)]
pub(crate) struct RefuseArgs {
    /// Its number
    id: i64,
    /// Why, for whoever proposed it
    #[arg(long, value_name = "TEXT")]
    why: String,
    #[command(flatten)]
    officer: Officer,
    #[command(flatten)]
    config: ConfigArg,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The file that `show --json` wrote; - for standard input
    file: PathBuf,
    /// The public key that must have signed it; without one, any may
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

fn kind(word: &str) -> Result<Kind, String> {
    let words = Kind::ALL.map(Kind::word).join(", ");
    Kind::parse(word).ok_or_else(|| say!("{text} is none of {words}", text = word, words))
}

fn state(word: &str) -> Result<MatterState, String> {
    let words = MatterState::ALL.map(MatterState::word).join(", ");
    MatterState::parse(word).ok_or_else(|| say!("{text} is none of {words}", text = word, words))
}

pub(crate) fn approvals(command: &ApprovalsCommand) -> anyhow::Result<ExitCode> {
    match command {
        ApprovalsCommand::List(args) => list(args),
        ApprovalsCommand::Show(args) => show(args),
        ApprovalsCommand::Propose(args) => propose::propose(args),
        ApprovalsCommand::Approve(args) => judge(args, Verb::Approve),
        ApprovalsCommand::Withdraw(args) => judge(args, Verb::Withdraw),
        ApprovalsCommand::Refuse(args) => {
            let RefuseArgs { id, why, officer, config } = args;
            act((*id, Verb::Refuse, why), officer, config)
        }
        ApprovalsCommand::Verify(args) => verify(args),
    }
}

fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::ReadMatters)?;
    let cases = Cases::open_read_only(&config.state_dir)?;
    let (kinds, states) = (args.kind.into_iter().collect(), args.state.into_iter().collect());
    let filter = MatterFilter { kinds, states, text: args.text.clone(), sort: args.sort, after: None };
    let matters: Vec<Matter> = cases
        .matters(&filter, (now(), args.limit as usize), None)?
        .into_iter()
        .map(|(_, matter)| matter)
        .collect();
    let total = cases.matters_total(&filter, now(), None)?;
    let mut table = Table::new([
        TableColumn::new("approval_id", say!("number")).right(),
        TableColumn::new("kind", say!("kind")),
        TableColumn::new("state", say!("state")),
        TableColumn::new("amount", say!("amount")).right(),
        TableColumn::new("subject", say!("about")).shrinks(10),
        TableColumn::new("proposed_by", say!("by")).shrinks(6),
        TableColumn::new("proposed_at", say!("proposed on")).spare(),
        TableColumn::new("missing", say!("waits for")),
        TableColumn::new("reason", say!("reason")).shrinks(10),
    ]);
    for matter in &matters {
        let state = matter.state(now());
        let waits = state == MatterState::Waiting;
        let missing = if waits { matter.missing() } else { Vec::new() };
        table.row([
            Cell::text(matter.id.to_string()),
            Cell::word(matter.kind.word(), matter.kind.zh()),
            Cell::word(state.word(), state.zh()),
            matter.cents.map_or(Cell::Missing, Cell::money),
            Cell::text(&*matter.subject),
            Cell::text(&*matter.proposed_by),
            Cell::time(matter.proposed_at, &config.calendar),
            match missing[..] {
                [] => Cell::Missing,
                _ => Cell::word(&words(&missing, Role::word), &words(&missing, Role::zh)),
            },
            Cell::text(&*matter.reason),
        ]);
    }
    let is_cut = total > matters.len() as u64;
    let more = || say!("{n} of {total}: --limit shows more", n = matters.len(), total);
    let notes: Vec<String> = is_cut.then(more).into_iter().collect();
    let lens = if config.clients.auth { Lens::Masked } else { Lens::Whole };
    let lists = Lists::default();
    let views =
        matters.iter().map(|matter| ApprovalView::new(matter, (&config.calendar, now()), lens, &lists));
    args.form.print(&table, views, &notes)?;
    Ok(ExitCode::SUCCESS)
}

fn show(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let action = if args.json { Action::ExportMatters } else { Action::ReadMatters };
    let config = args.config.permitted(action)?;
    let matter = Cases::open_read_only(&config.state_dir)?.matter(args.id)?;
    if args.json {
        println!("{}", serde_json::to_string(&matter)?);
        return Ok(ExitCode::SUCCESS);
    }
    let state = matter.state(now());
    let (id, kind, subject) = (matter.id, matter.kind.word(), line(&matter.subject, 80));
    println!("{}", say!("approval {id}, {kind} {subject}: {state}", id, kind, subject, state = state.word()));
    if let Some(cents) = matter.cents {
        println!("{}", say!("amount: {amount}", amount = cents));
    }
    println!("{}", say!("reason: {reason}", reason = line(&matter.reason, 500)));
    println!("{}", line(&crate::approval::canonical(&matter.content), 2000));
    for act in &matter.acts {
        let (verb, who, at) = (act.verb.word(), line(&act.who, 64), config.calendar.format(act.at));
        println!("{at}  {verb}  {who}  {}", line(&act.why, 200));
    }
    if !matter.outcome.is_empty() {
        println!("{}", line(&matter.outcome, 500));
    }
    Ok(ExitCode::SUCCESS)
}

fn judge(args: &JudgeArgs, verb: Verb) -> anyhow::Result<ExitCode> {
    act((args.id, verb, &args.why), &args.officer, &args.config)
}

fn act(
    (id, verb, why): (i64, Verb, &str),
    officer: &Officer,
    config: &ConfigArg,
) -> anyhow::Result<ExitCode> {
    let action = if verb == Verb::Withdraw { Action::WithdrawMatters } else { Action::JudgeMatters };
    let config = config.permitted(action)?;
    let actor = officer.actor(&config)?;
    let person = person(&config, &actor)?;
    // Where there is no state, that is told, and not that it has no key.
    let mut cases = Cases::open(&config.state_dir)?.by(actor);
    let office = office(&config)?;
    let judgement = Judgement { verb, person: &person, why: why.trim(), seen: None };
    let matter = cases.judge_matter(id, &judgement, now(), &office)?;
    println!("{}", told(&matter, &config));
    Ok(ExitCode::SUCCESS)
}

/// What is to be done with a matter next.
fn told(matter: &Matter, config: &Config) -> String {
    let id = matter.id;
    match matter.state {
        MatterState::Waiting => {
            let roles: Vec<_> = matter.missing().into_iter().map(Role::titled).collect();
            say!("approval {id} waits for {roles}", id, roles = roles.join(" + "))
        }
        MatterState::Approved if matches!(matter.kind, Kind::Budget | Kind::List) => say!(
            "approval {id} is approved, and comes into force by itself while the daemon of {state} runs",
            id,
            state = config.state_dir.display()
        ),
        MatterState::Approved => say!("approval {id} is approved", id),
        other => say!("approval {id}: {state}", id, state = other.word()),
    }
}

fn verify(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let shown = args.file.display().to_string();
    let text = match shown.as_str() {
        "-" => std::io::read_to_string(std::io::stdin())?,
        _ => std::fs::read_to_string(&args.file).with_context(|| shown.clone())?,
    };
    let matter: Matter = serde_json::from_str(&text).map_err(|_| {
        anyhow!(say!("{file} is no proposal as `approvals show --json` writes it", file = shown))
    })?;
    let key = check_signed(&matter, args.key.as_deref()).map_err(|why| anyhow!(why))?;
    let people: Vec<String> = matter.approvals().map(|act| line(&act.who, 64)).collect();
    let (id, who) = (matter.id, line(&matter.proposed_by, 64));
    let by = if people.is_empty() { say!("nobody yet") } else { people.join(", ") };
    println!(
        "{}",
        say!(
            "approval {id}, proposed by {who} and approved by {by}, is as {key} signed it",
            id,
            who,
            by,
            key
        )
    );
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

/// Roles that are all needed.
fn words(roles: &[Role], of: impl Fn(Role) -> &'static str) -> String {
    roles.iter().map(|role| of(*role)).collect::<Vec<_>>().join(" + ")
}
