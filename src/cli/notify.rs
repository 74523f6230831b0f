//! `fiscwatch notify list|retry|test|preview`

use std::{process::ExitCode, sync::Arc};

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    ConfigArg,
    local::local,
    officer::{line, now},
    problems, remote, runtime,
    socket::Socket,
    table::{Cell, ListFormat, Table, TableColumn, more},
};
use crate::{
    access::Action,
    alert::{Notification, Reason},
    clock::SystemClock,
    event::time::Calendar,
    http::view::NoticeView,
    notify::{
        self, SendError, Setup, Sink,
        render::{Style, render},
        sample::{REASONS, reason_word, sample},
        template::Templates,
    },
    rule::Language,
    say,
    store::{Cases, NoticeFilter},
    telemetry::Metrics,
    text::quoted,
};

#[derive(Debug, Subcommand)]
pub(crate) enum NotifyCommand {
    /// Show the newest notifications
    List(ListArgs),
    /// Send notifications again that are parked or wait for their next attempt
    Retry(RetryArgs),
    /// Send a test to a sink, past routes and outbox
    Test(TestArgs),
    /// Show a made-up notification as its receivers read it
    Preview(PreviewArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    config: ConfigArg,
    /// Only in this state
    #[arg(long, value_parser = ["pending", "sent", "parked"], conflicts_with = "parked")]
    state: Option<String>,
    /// Only those that their sink refused for good
    #[arg(long)]
    parked: bool,
    /// Only of this sink
    #[arg(long)]
    sink: Option<String>,
    /// At most so many
    #[arg(short = 'n', long, default_value_t = 50)]
    limit: u32,
    #[command(flatten)]
    form: ListFormat,
}

#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// The notifications' ids, or their beginnings
    #[arg(required_unless_present_any = ["sink", "all"], conflicts_with_all = ["sink", "all"])]
    ids: Vec<String>,
    /// All of this sink
    #[arg(long, conflicts_with = "all")]
    sink: Option<String>,
    /// All of every sink
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    config: ConfigArg,
}

#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The sink's name
    sink: String,
    #[command(flatten)]
    config: ConfigArg,
}

#[derive(Debug, Args)]
pub(crate) struct PreviewArgs {
    /// Why it is sent
    #[arg(long, default_value = "first", value_parser = reason)]
    reason: Reason,
    /// The reader's language; that of the configuration without it
    #[arg(long, value_parser = ["zh", "en"])]
    language: Option<String>,
    /// The page instead of the text
    #[arg(long)]
    html: bool,
    #[command(flatten)]
    config: ConfigArg,
}

fn reason(word: &str) -> Result<Reason, String> {
    let words: Vec<_> = REASONS.iter().map(|reason| reason_word(*reason)).collect();
    let at = words.iter().position(|known| known == word);
    at.map(|at| REASONS[at]).ok_or_else(|| say!("use one of {known}", known = words.join(", ")))
}

pub(crate) fn notify(command: &NotifyCommand) -> anyhow::Result<ExitCode> {
    match command {
        NotifyCommand::List(args) => list(args),
        NotifyCommand::Retry(args) => retry(args),
        NotifyCommand::Test(args) => test(args),
        NotifyCommand::Preview(args) => preview(args),
    }
}

fn list(args: &ListArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    let state = args.state.clone().or_else(|| args.parked.then(|| String::from("parked")));
    if let Some(socket) = Socket::of(&config)? {
        let query = json!({ "state": state, "sink": args.sink });
        return remote::notifications(&socket, &config, &query, (args.limit, &args.form));
    }
    let config = args.config.permitted(Action::ReadNotifications)?;
    let filter = NoticeFilter { state, sink: args.sink.clone(), before: None, limit: Some(args.limit) };
    let cases = Cases::open_read_only(&config.state_dir)?;
    let found = cases.notifications(&filter)?;
    let left = more(found.len(), cases.count_notifications(&filter)?);
    let found: Vec<_> = found.iter().map(|n| NoticeView::new(n, &config.calendar)).collect();
    args.form.print(&table(&found, &config.calendar), &found, left.as_slice())?;
    Ok(ExitCode::SUCCESS)
}

/// Notifications, a line each.
pub(super) fn table(found: &[NoticeView], calendar: &Calendar) -> Table {
    let mut table = Table::new([
        TableColumn::new("id", say!("notification")),
        TableColumn::new("created_at", say!("made")),
        TableColumn::new("to", say!("to")).shrinks(12),
        TableColumn::new("reason", say!("occasion")),
        TableColumn::new("alerts", say!("alerts")).right().spare(),
        TableColumn::new("state", say!("state")),
        TableColumn::new("attempts", say!("tries")).right().spare(),
        TableColumn::new("error", say!("the sink said")).shrinks(12),
    ]);
    for n in found {
        table.row([
            Cell::Id(n.id.clone()),
            Cell::instant(&n.created_at, calendar),
            Cell::text(n.recipient.as_ref().map_or(n.sink.clone(), |r| format!("{} {r}", n.sink))),
            Cell::Word(n.reason.clone(), occasion(&n.reason)),
            Cell::count(n.alerts),
            Cell::Word(n.state.clone(), state_word(&n.state)),
            Cell::count(n.attempts),
            Cell::maybe(n.error.as_deref()),
        ]);
    }
    table
}

/// What a notification is made for, as its reason is called.
pub(crate) fn occasion(reason: &str) -> String {
    match reason {
        "first" => say!("first alert"),
        "new" => say!("new alerts"),
        "some_ended" => say!("some ended"),
        "all_ended" => say!("all ended"),
        "escalated" => say!("overdue"),
        "repeat" => say!("still open"),
        "digest" => say!("daily digest"),
        "storm" => say!("many alerts"),
        "explain" => say!("letter to the unit"),
        "answered" => say!("answer of the unit"),
        "unanswered" => say!("no answer to the letter"),
        "daemon" => say!("the daemon itself"),
        "test" => say!("test"),
        other => other.to_owned(),
    }
}

/// What the state of a notification is called.
pub(crate) fn state_word(state: &str) -> String {
    match state {
        "pending" => say!("pending"),
        "sent" => say!("sent"),
        "parked" => say!("parked"),
        other => other.to_owned(),
    }
}

fn retry(args: &RetryArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::RetryNotifications)?;
    let mut cases = Cases::open(&config.state_dir)?.by(local());
    if args.ids.is_empty() {
        if let Some(sink) = args.sink.as_deref().filter(|sink| config.sinks.iter().all(|s| s.name != *sink)) {
            anyhow::bail!(say!(
                "there is no sink {sink} in the configuration; what waits for it cannot be sent",
                sink = quoted(sink)
            ));
        }
        let count = cases.retry(None, args.sink.as_deref(), now())?;
        println!(
            "{}",
            say!("{count} notifications are tried again, within a second if the daemon runs", count)
        );
        return Ok(ExitCode::SUCCESS);
    }
    let mut code = ExitCode::SUCCESS;
    for id in &args.ids {
        match cases.retry_one(id, now()) {
            Ok(notice) => {
                println!(
                    "{}",
                    say!("{id} is tried again, within a second if the daemon runs", id = notice.id)
                );
            }
            Err(e) => {
                eprintln!("fiscwatch: {e}");
                code = ExitCode::from(1);
            }
        }
    }
    Ok(code)
}

fn test(args: &TestArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.permitted(Action::TestSinks)?;
    let setup = Setup::new(&config, Arc::new(SystemClock), Arc::new(Metrics::new()?)).map_err(problems)?;
    let sinks = notify::build(&config.file, &config.sinks, &setup).map_err(problems)?;
    let Some(sink) = sinks.get(&args.sink) else {
        let known: Vec<_> = sinks.keys().map(String::as_str).collect();
        anyhow::bail!(say!(
            "there is no sink {sink}; there are: {known}",
            sink = quoted(&args.sink),
            known = known.join(", ")
        ));
    };
    let recipients: Vec<Option<String>> = match sink.recipients() {
        [] => vec![None],
        several => several.iter().cloned().map(Some).collect(),
    };
    let mut code = ExitCode::SUCCESS;
    for recipient in recipients {
        let to = recipient.as_ref().map_or(args.sink.clone(), |r| format!("{} {r}", args.sink));
        let notification = trial(&args.sink, recipient, config.language);
        match send(sink, &notification) {
            Ok(()) => println!("{}", say!("{sink} accepted it", sink = line(&to, 100))),
            Err(e) => {
                let (sink, reason) = (line(&to, 100), line(&e.to_string(), 500));
                eprintln!("fiscwatch: {}", say!("{sink} did not accept it: {reason}", sink, reason));
                if matches!(e, SendError::Temporary(_)) {
                    let hint = say!(
                        "check the address of the sink in {file}, whether the server runs, and whether a firewall lets this machine through",
                        file = config.file
                    );
                    eprintln!("    {}", say!("hint: {hint}", hint));
                }
                code = ExitCode::from(1);
            }
        }
    }
    Ok(code)
}

/// A test that no receiver takes for a repetition.
fn trial(sink: &str, recipient: Option<String>, language: Language) -> Notification {
    let now = now();
    let mut id = blake3::hash(format!("test {sink} {recipient:?} {}", now.as_micros()).as_bytes())
        .to_hex()
        .to_string();
    id.truncate(32);
    let thread = id.clone();
    let (created_at, received_at) = (now, now);
    let sink = sink.to_owned();
    Notification { id, sink, recipient, thread, created_at, received_at, ..sample(Reason::Test, language) }
}

fn send(sink: &Arc<dyn Sink>, notification: &Notification) -> Result<(), SendError> {
    let runtime = runtime().map_err(|e| SendError::Permanent(e.to_string()))?;
    runtime.block_on(sink.send(notification))
}

fn preview(args: &PreviewArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    let language = match args.language.as_deref() {
        Some("zh") => Language::Zh,
        Some(_) => Language::En,
        None => config.language,
    };
    let templates = Templates::load(config.templates.as_deref()).map_err(problems)?;
    let style = Style {
        office: &config.office,
        external_url: config.external_url.as_deref(),
        ..Style::new(language, &config.calendar)
    };
    let rendered = render(&templates, &sample(args.reason, language), &style);
    match args.html {
        true => println!("{}", rendered.html),
        false => println!("{}\n\n{}", rendered.subject, rendered.text),
    }
    for attachment in &rendered.attachments {
        let (file, bytes) = (&attachment.name, attachment.content.len());
        eprintln!("{}", say!("attached: {file} ({bytes} bytes)", file, bytes));
    }
    match rendered.trouble {
        Some(trouble) => {
            anyhow::bail!(say!(
                "the template cannot be used, the built-in text took its place: {trouble}",
                trouble
            ))
        }
        None => Ok(ExitCode::SUCCESS),
    }
}
