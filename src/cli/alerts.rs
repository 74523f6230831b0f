//! `fiscwatch alerts list|show|ack|confirm|dismiss|rectify|close|comment`

use std::{io::Write, process::ExitCode, sync::Arc};

use clap::{Args, Subcommand, builder::PossibleValuesParser};

use super::{
    ConfigArg,
    officer::{Officer, line, lines, now, pairs, severity, span, wrong_usage},
    problems, table,
};
use crate::{
    alert::{
        Action, Alert, Desk,
        desk::Order,
        inquiry::{self, Stage},
    },
    config::Config,
    diagnostic::Diagnostic,
    evaluate::Finding,
    http::{
        AlertDetail,
        view::{AlertView, ChangeView, DraftView, InquiryView, NoticeView, WaitingView},
    },
    notify::{letter::Drafts, template::Templates, words},
    say,
    store::{ACTIVE, AlertFilter, Cases},
    text::spoken,
};

#[derive(Debug, Subcommand)]
pub enum AlertsCommand {
    /// Show the newest alerts that are not over
    List(ListArgs),
    /// Show one alert with its history, evidence and notifications
    Show(ShowArgs),
    /// 受理: take alerts on; escalation ends
    Ack(ActArgs),
    /// 属实: they are as suspected
    Confirm(ActArgs),
    /// 误报: they were in order; say why
    Dismiss(ActArgs),
    /// 整改: they are being put right
    Rectify(ActArgs),
    /// 办结: they are done; say why
    Close(ActArgs),
    /// 备注: add a remark; the state stays
    Comment(ActArgs),
    /// 发函: send the letter that asks the unit to explain
    Inquire(InquireArgs),
}

#[derive(Debug, Args)]
pub struct ListArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Only in this state; `active` are those that are not over
    #[arg(long, default_value = ACTIVE, value_parser = states())]
    state: String,
    /// Only of this severity
    #[arg(long, value_parser = ["critical", "high", "medium", "low"])]
    severity: Option<String>,
    /// Only of this rule
    #[arg(long)]
    rule: Option<String>,
    /// Only of this unit
    #[arg(long, value_name = "UNIT_CODE")]
    unit: Option<String>,
    /// Only those whose letter to the unit is a draft
    #[arg(long)]
    drafts: bool,
    /// Only those after this one in the list
    #[arg(long, value_name = "ID")]
    before: Option<String>,
    /// At most so many
    #[arg(short = 'n', long, default_value_t = 50)]
    limit: u32,
    /// JSON Lines instead of a table
    #[arg(long)]
    json: bool,
}

/// The word for alerts in any state.
const ALL: &str = "all";

fn states() -> PossibleValuesParser {
    let words = crate::alert::State::ALL.iter().map(|(_, word, _)| *word);
    PossibleValuesParser::new([ACTIVE, ALL].into_iter().chain(words))
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The alert's id, or its beginning
    id: String,
    #[command(flatten)]
    config: ConfigArg,
    /// JSON instead of tables
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct ActArgs {
    /// The alerts' ids, or their beginnings
    #[arg(required = true)]
    ids: Vec<String>,
    /// Why, for the history
    #[arg(long)]
    why: Option<String>,
    #[command(flatten)]
    officer: Officer,
    /// Only if the alert is still at this version, as `show` told it
    #[arg(long, value_name = "VERSION")]
    if_version: Option<i64>,
    #[command(flatten)]
    config: ConfigArg,
    /// JSON Lines instead of words
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub struct InquireArgs {
    /// The alert's id, or its beginning
    id: String,
    /// Workdays that the unit has for its answer, by the list of holidays; alerts.explain.deadline without it
    #[arg(long, value_name = "WORKDAYS")]
    deadline: Option<u16>,
    /// What is added to the letter, for the unit to read
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Ask a unit again that was asked already
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    officer: Officer,
    /// Only if the alert is still at this version, as `show` told it
    #[arg(long, value_name = "VERSION")]
    if_version: Option<i64>,
    #[command(flatten)]
    config: ConfigArg,
    /// JSON instead of words
    #[arg(long)]
    json: bool,
}

pub fn alerts(command: &AlertsCommand) -> anyhow::Result<ExitCode> {
    match command {
        AlertsCommand::List(args) => list(args),
        AlertsCommand::Show(args) => show(args),
        AlertsCommand::Ack(args) => act(args, Action::Acknowledge),
        AlertsCommand::Confirm(args) => act(args, Action::Confirm),
        AlertsCommand::Dismiss(args) => act(args, Action::Dismiss),
        AlertsCommand::Rectify(args) => act(args, Action::Rectify),
        AlertsCommand::Close(args) => act(args, Action::Close),
        AlertsCommand::Comment(args) => act(args, Action::Comment),
        AlertsCommand::Inquire(args) => inquire(args),
    }
}

fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    let cases = Cases::open_read_only(&config.state_dir)?;
    let before = args.before.as_deref().map(|id| cases.complete(id)).transpose()?;
    let filter = AlertFilter {
        state: Some(args.state.clone()).filter(|state| state != ALL),
        severity: args.severity.clone(),
        rule: args.rule.clone(),
        unit: args.unit.clone(),
        inquiry: args.drafts.then(|| Stage::Draft.word().to_owned()),
        before,
        limit: Some(args.limit),
    };
    let found = cases.list(&filter)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match args.json {
        true => {
            for alert in &found {
                writeln!(out, "{}", serde_json::to_string(&AlertView::new(alert, &config.calendar))?)?;
            }
        }
        false => writeln!(out, "{}", alert_table(&found, now()))?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Characters of an id that a list shows: enough to name it.
const SHORT: usize = 8;

/// Alerts for people.
pub fn alert_table(alerts: &[Alert], now: i64) -> comfy_table::Table {
    let mut table = table(&["alert", "age", "severity", "rule", "key", "findings", "state", "owner"]);
    for alert in alerts {
        table.add_row([
            line(&alert.alert_id, SHORT).trim_end_matches('…').to_owned(),
            span(now.saturating_sub(alert.opened_at)),
            severity(&alert.severity),
            line(&alert.title, 40),
            line(&pairs(&alert.key), 60),
            alert.findings.to_string(),
            format!("{} {}", alert.state.word(), alert.state.zh()),
            line(alert.owner.as_deref().unwrap_or("–"), 20),
        ]);
    }
    table
}

fn show(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    let cases = Cases::open_read_only(&config.state_dir)?;
    let write = |alert: &Alert, findings: &[Finding]| {
        alert.inquiry.as_ref().filter(|letter| letter.stage == Stage::Draft)?;
        drafts(&config).write(alert, findings, now())
    };
    let detail = AlertDetail::read(&cases, &cases.complete(&args.id)?, &config.calendar, write)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match args.json {
        true => writeln!(out, "{}", serde_json::to_string(&detail)?)?,
        false => write_detail(&detail, &mut out)?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn write_detail(detail: &AlertDetail, out: &mut impl Write) -> std::io::Result<()> {
    let AlertDetail { alert, history, findings, waiting, notifications, draft } = detail;
    writeln!(out, "{}", facts(alert))?;
    writeln!(out, "\n{}", history_table(history))?;
    let mut evidence = table(&["at", "subject", "finding", "values"]);
    for finding in findings {
        let (summary, values) = (line(&finding.summary, 100), line(&pairs(&finding.values), 200));
        evidence.add_row([finding.at.clone(), line(finding.subject(), 40), summary, values]);
    }
    writeln!(out, "\n{evidence}")?;
    if let Some(more) = alert.findings.checked_sub(findings.len() as u64).filter(|more| *more > 0) {
        writeln!(
            out,
            "and {more} older findings: fiscwatch findings list --rule {}",
            line(&alert.rule_id, 64)
        )?;
    }
    match waiting.is_empty() && notifications.is_empty() {
        true => writeln!(out, "\nnobody was told: no route leads to a sink")?,
        false => writeln!(out, "\n{}", told_table(waiting, notifications))?,
    }
    draft.as_ref().map_or(Ok(()), |draft| write_draft(draft, &alert.alert_id, out))
}

/// The draft of the letter, and what to do with it.
fn write_draft(draft: &DraftView, id: &str, out: &mut impl Write) -> std::io::Result<()> {
    let next = match (&draft.to, &draft.trouble) {
        (Some(to), _) => say!(
            "draft of a letter to {to}; nobody has sent it. To send it: fiscwatch alerts inquire {id}",
            to = line(to, 100),
            id
        ),
        (None, trouble) => say!(
            "draft of a letter that cannot be sent yet: {why}",
            why = line(trouble.as_deref().unwrap_or_default(), 300)
        ),
    };
    writeln!(out, "\n{next}\n\n{}\n\n{}", line(&draft.subject, 200), lines(&draft.text))
}

/// Who writes drafts; a list or template that cannot be read is told, and does not hide the alert.
fn drafts(config: &Config) -> Drafts {
    let told = |problems: Vec<Diagnostic>| problems.iter().for_each(|p| eprintln!("fiscwatch: {p}"));
    let templates = Templates::load(config.templates.as_deref()).map_err(told).unwrap_or_default();
    let lists = config.read_lists().map_err(told).unwrap_or_default();
    Drafts::new(config, Arc::new(templates), lists)
}

fn facts(a: &AlertView) -> comfy_table::Table {
    let mut table = table(&["alert", &a.alert_id]);
    let mut add = |name: &str, value: String| {
        table.add_row([name.to_owned(), value]);
    };
    add("rule", format!("{} ({})", line(&a.title, 100), line(&a.rule_id, 64)));
    add("severity", format!("{}, {}", severity(&a.severity), line(&a.handling, 20)));
    add("advice", words::advice(&a.handling, a.event_type.as_deref(), spoken()));
    add("state", format!("{} {}, version {}", a.state.word(), a.state.zh(), a.version));
    add("key", line(&pairs(&a.key), 200));
    add("summary", line(&a.summary, 300));
    add("findings", format!("{}, events of {} to {}", a.findings, a.first_at, a.last_at));
    add("opened", a.opened_at.clone());
    if let Some(owner) = &a.owner {
        let since = a.acknowledged_at.as_deref().unwrap_or_default();
        add("owner", format!("{}, since {since}", line(owner, 100)));
    }
    if let Some(at) = &a.ended_at {
        add("ended", at.clone());
    }
    if let Some(at) = &a.escalates_at {
        add("escalates", format!("{at}, if nobody acknowledges it"));
    }
    if let Some(letter) = &a.inquiry {
        add("letter", inquiry_line(letter));
    }
    if let Some(previous) = &a.previous {
        add("previous", previous.clone());
    }
    table
}

/// How far a letter has come.
fn inquiry_line(letter: &InquiryView) -> String {
    let (at, by) = (letter.at.as_str(), line(letter.by.as_deref().unwrap_or("–"), 100));
    match letter.stage {
        Stage::Draft => say!("draft since {at}, nobody has sent it", at),
        Stage::Sent => {
            let due = letter.due.as_deref().unwrap_or("–");
            say!("sent by {by} at {at}, answer due on {due}", by, at, due)
        }
        Stage::Withdrawn => say!("withdrawn at {at}: the alert ended before anybody sent it", at),
    }
}

fn history_table(history: &[ChangeView]) -> comfy_table::Table {
    let mut table = table(&["when", "who", "did", "state", "why"]);
    for change in history {
        table.add_row([
            change.at.clone(),
            line(&change.who, 40),
            format!("{} {}", change.action.word(), change.action.zh()),
            change.state.word().to_owned(),
            lines(change.why.as_deref().unwrap_or_default()),
        ]);
    }
    table
}

fn told_table(waiting: &[WaitingView], notifications: &[NoticeView]) -> comfy_table::Table {
    let mut table = table(&["when", "to", "about", "notification"]);
    for w in waiting {
        let by =
            w.held_by.as_deref().map_or_else(|| String::from("its group"), |by| format!("{by} holds it"));
        table.add_row([w.due_at.clone(), w.sink.clone(), w.matter.clone(), format!("waits: {by}")]);
    }
    for n in notifications {
        let to = n.recipient.as_ref().map_or(n.sink.clone(), |r| format!("{} {}", n.sink, line(r, 60)));
        let error = n.error.as_deref().map_or(String::new(), |e| format!(": {}", line(e, 200)));
        table.add_row([n.created_at.clone(), to, n.reason.clone(), format!("{}{error}", n.state)]);
    }
    table
}

fn act(args: &ActArgs, action: Action) -> anyhow::Result<ExitCode> {
    if args.if_version.is_some() && args.ids.len() > 1 {
        return Ok(wrong_usage("--if-version is of one alert; name only that one"));
    }
    let config = args.config.load_or_default()?;
    let mut cases = Cases::open(&config.state_dir)?;
    let desk = Desk::new(Arc::clone(&config.policy));
    let (who, why) = (args.officer.name()?, args.why.clone());
    let order = Order { action, who, why, version: args.if_version, letter: None };
    let mut code = ExitCode::SUCCESS;
    for id in &args.ids {
        // One alert that cannot be moved on keeps none of the others back.
        match cases.complete(id).and_then(|id| cases.act(&id, &order, &desk, now())) {
            Ok(alert) => println!("{}", done(&alert, args.json, &config)?),
            Err(e) => {
                eprintln!("fiscwatch: {}: {e}", line(id, 64));
                code = ExitCode::from(1);
            }
        }
    }
    Ok(code)
}

fn inquire(args: &InquireArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    if let Some(Err(message)) = args.deadline.map(inquiry::check_deadline) {
        return Ok(wrong_usage(&message));
    }
    let lists = config.read_lists().map_err(problems)?;
    let mut cases = Cases::open(&config.state_dir)?;
    let (desk, now) = (Desk::new(Arc::clone(&config.policy)), now());
    let (alert, ..) = cases.show(&cases.complete(&args.id)?, 0)?;
    let by = (args.officer.name()?, args.note.clone(), args.if_version);
    let order = inquiry::order(&alert, &desk, &lists, by, (args.deadline, args.again), now)?;
    let alert = cases.act(&alert.alert_id, &order, &desk, now)?;
    if args.json {
        println!("{}", done(&alert, true, &config)?);
        return Ok(ExitCode::SUCCESS);
    }
    let to = inquiry::contact(&alert.labels, config.policy.explain.as_ref(), &lists).unwrap_or_default();
    let due = alert.inquiry.as_ref().and_then(|letter| letter.due.as_deref()).unwrap_or("–");
    println!(
        "{}",
        say!(
            "the letter goes out to {to}, within a second if the daemon runs; the answer is due on {due}",
            to = line(&to, 100),
            due
        )
    );
    Ok(ExitCode::SUCCESS)
}

fn done(alert: &Alert, json: bool, config: &Config) -> anyhow::Result<String> {
    if json {
        return Ok(serde_json::to_string(&AlertView::new(alert, &config.calendar))?);
    }
    let (word, zh) = (alert.state.word(), alert.state.zh());
    Ok(format!("{} is {word} {zh}, version {}: {}", alert.alert_id, alert.version, line(&alert.title, 100)))
}
