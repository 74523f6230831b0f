//! `fiscwatch alerts show`: one alert with all that an officer looks up to judge it.

use std::{io::Write, process::ExitCode, sync::Arc};

use clap::Args;

use super::{casework, context::AlertContext};
use crate::{
    access::Action as Permit,
    alert::{Alert, State, inquiry::Stage},
    app::JournalEvent,
    cli::{
        ConfigArg,
        notify::{occasion, state_word},
        officer::{line, now},
        persons::PersonsArg,
        runtime,
        socket::Socket,
        table::{Cell, FactSheet, Screen, Table, TableColumn, handling, pairs, plain, title, visible},
    },
    config::Config,
    diagnostic::Diagnostic,
    event::{Instant, time::Calendar},
    finding::Finding,
    http::{
        AlertDetail,
        lens::Lens,
        view::{AlertView, ChangeView, DraftView, InquiryView, NoticeView, WaitingView},
    },
    lists::Lists,
    notify::{letter::Drafts, template::Templates, words},
    say,
    store::Cases,
    text::spoken,
};

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The alert's id, or its beginning
    id: String,
    #[command(flatten)]
    config: ConfigArg,
    #[command(flatten)]
    persons: PersonsArg,
    /// JSON instead of tables
    #[arg(long)]
    json: bool,
}

pub(crate) fn show(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_or_default()?;
    if let Some(socket) = Socket::of(&config)? {
        return remote(&socket, &config, args);
    }
    let (config, lens) = args.config.shown(Permit::ReadAlerts, args.persons)?;
    let cases = Cases::open_read_only(&config.state_dir)?;
    let draft = |alert: &Alert, findings: &[Finding]| {
        alert.inquiry.as_ref().filter(|letter| letter.stage == Stage::Draft)?;
        drafts(&config).write(alert, findings, now())
    };
    let id = cases.complete(&args.id)?;
    // What is around it is found by whole accounts and names, whatever is shown of them.
    let mut detail = AlertDetail::read(&cases, &id, &config.calendar, Lens::Whole, draft)?;
    let runtime = runtime()?;
    let context = runtime.block_on(AlertContext::read(&config, &cases, &detail, lens));
    // What still reads when the time is over must not keep the process.
    runtime.shutdown_background();
    let context = context?;
    if lens == Lens::Masked {
        detail = AlertDetail::read(&cases, &id, &config.calendar, lens, draft)?;
    }
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    if args.json {
        let mut object = serde_json::to_value(&detail)?;
        object["context"] = serde_json::to_value(&context)?;
        writeln!(out, "{object}")?;
    } else {
        let codes = config.code_tables();
        let page = Page { screen: Screen::stdout(), calendar: &config.calendar, codes: &codes };
        page.write(&detail, Some(&context), &mut out)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The same through the daemon's socket, without what is around it, which is read from the state itself.
fn remote(socket: &Socket, config: &Config, args: &ShowArgs) -> anyhow::Result<ExitCode> {
    let id = socket.alert_id(&args.id)?;
    let answer = socket.read(&["alerts", &id], &serde_json::json!({}), args.persons.unmasked)?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    if args.json {
        writeln!(out, "{answer}")?;
    } else {
        let codes = config.code_tables();
        let page = Page { screen: Screen::stdout(), calendar: &config.calendar, codes: &codes };
        page.write(&serde_json::from_value(answer)?, None, &mut out)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// How it is shown.
struct Page<'p> {
    screen: Screen,
    calendar: &'p Calendar,
    /// What codes are called.
    codes: &'p Lists,
}

impl Page<'_> {
    fn write(
        &self,
        detail: &AlertDetail,
        context: Option<&AlertContext>,
        out: &mut impl Write,
    ) -> std::io::Result<()> {
        let AlertDetail { alert, history, history_left_out: left, findings, waiting, notifications, draft } =
            detail;
        write!(out, "{}", self.facts(alert).render(self.screen))?;
        self.part(out, &say!("history"), &self.history(history))?;
        if *left > 0 {
            writeln!(out, "{}", say!("and {left} older changes before these", left))?;
        }
        self.part(out, &say!("findings"), &self.evidence(findings))?;
        if let Some(older) = alert.findings.checked_sub(findings.len() as u64).filter(|older| *older > 0) {
            let rule = &alert.rule_id;
            writeln!(
                out,
                "{}",
                say!("and {older} older findings: fiscwatch findings list --rule {rule}", older, rule)
            )?;
        }
        context.map_or(Ok(()), |context| self.context(context, out))?;
        match waiting.is_empty() && notifications.is_empty() {
            true => writeln!(out, "\n{}", say!("nobody was told: no route leads to a sink"))?,
            false => self.part(out, &say!("notifications"), &self.told(waiting, notifications))?,
        }
        draft.as_ref().map_or(Ok(()), |draft| write_draft(draft, &alert.alert_id, out))
    }

    fn part(&self, out: &mut impl Write, title: &str, table: &Table) -> std::io::Result<()> {
        if table.is_empty() {
            return Ok(());
        }
        writeln!(out, "\n{}", self.screen.paint(title, Some("1;4")))?;
        out.write_all(table.render(self.screen).as_bytes())
    }

    fn context(&self, context: &AlertContext, out: &mut impl Write) -> std::io::Result<()> {
        if !context.lines.is_empty() {
            self.part(out, &say!("budget lines"), &context.lines_table())?;
        }
        if let Some(behind) = &context.behind {
            self.part(out, &say!("events behind the latest finding"), &self.deeds(&behind.events))?;
            if behind.more {
                writeln!(out, "{}", say!("there are more; these are the latest"))?;
            }
        }
        if let Some(payee) = &context.payee {
            let name =
                [&payee.name, &payee.account].map(|text| text.as_deref().unwrap_or_default()).join(" ");
            let title = say!("other payments to {payee}", payee = visible(name.trim()));
            self.part(out, &title, &self.deeds(&payee.payments))?;
            if payee.more {
                writeln!(out, "{}", say!("there are more; these are the latest"))?;
            }
        }
        if let Some(unit) = &context.unit {
            self.part(out, &say!("other alerts of the unit"), &self.others(&unit.alerts))?;
            if let Some(left) = unit.count.checked_sub(unit.alerts.len() as u64).filter(|left| *left > 0) {
                let unit = visible(&unit.code);
                writeln!(
                    out,
                    "{}",
                    say!("{left} more: fiscwatch alerts list --state all --unit {unit}", left, unit)
                )?;
            }
        }
        if let Some(trouble) = &context.trouble {
            writeln!(out, "\n{}", say!("what is around it cannot all be shown: {trouble}", trouble))?;
        }
        Ok(())
    }

    fn time(&self, text: &str) -> Cell {
        Cell::instant(text, self.calendar)
    }

    fn facts(&self, a: &AlertView) -> FactSheet {
        let mut sheet = FactSheet::default();
        sheet.add(say!("alert"), Cell::text(&*a.alert_id));
        sheet.add(say!("rule"), Cell::text(say!("{title} ({id})", title = a.title, id = a.rule_id)));
        sheet.add(say!("severity"), Cell::Severity(a.severity.clone()));
        sheet.add(say!("handling"), Cell::text(handling(&a.handling)));
        sheet.add(
            say!("advice"),
            Cell::text(words::advice_of(&a.handling, a.event_type.as_deref(), spoken())),
        );
        let state = Cell::word(a.state.word(), a.state.zh());
        sheet.add(
            say!("state"),
            Cell::text(say!("{state}, version {version}", state = state.shown(), version = a.version)),
        );
        let at = self.calendar.parse(&a.last_at).unwrap_or(Instant::MAX);
        for (name, value) in &a.key {
            let called = value.as_str().and_then(|code| self.codes.code_name(name, code, at));
            let shown = plain(value);
            sheet.add(
                title(name),
                Cell::text(called.map_or(shown.clone(), |called| format!("{shown} {called}"))),
            );
        }
        sheet.add(say!("summary"), Cell::text(&*a.summary));
        sheet.add(say!("findings"), Cell::count(a.findings));
        sheet.add(say!("first event time"), self.time(&a.first_at));
        sheet.add(say!("last event time"), self.time(&a.last_at));
        sheet.add(say!("opened"), self.time(&a.opened_at));
        for (name, at) in [(say!("acknowledged"), &a.acknowledged_at), (say!("ended"), &a.ended_at)] {
            at.iter().for_each(|at| sheet.add(name.clone(), self.time(at)));
        }
        if let Some(owner) = &a.owner {
            sheet.add(say!("officer"), Cell::text(&**owner));
        }
        if let Some(at) = &a.escalates_at {
            let why = match a.state {
                State::Open => say!("escalates, if nobody acknowledges it"),
                _ => say!("escalates, if it is not over"),
            };
            sheet.add(why, self.time(at));
        }
        casework::facts(a, &mut sheet);
        if let Some(letter) = &a.inquiry {
            sheet.add(say!("letter"), Cell::text(self.letter(letter)));
        }
        if let Some(previous) = &a.previous {
            sheet.add(say!("previous alert"), Cell::text(&**previous));
        }
        sheet
    }

    /// How far a letter has come.
    fn letter(&self, letter: &InquiryView) -> String {
        let at = self.time(&letter.at).shown().into_owned();
        match letter.stage {
            Stage::Draft => say!("draft since {at}, nobody has sent it", at),
            Stage::Sent => {
                let (by, due) = (letter.by.as_deref().unwrap_or("–"), letter.due.as_deref().unwrap_or("–"));
                let sent = say!("sent by {by} at {at}, answer due on {due}", by, at, due);
                match &letter.undelivered {
                    Some(why) => sent + &say!("; it was refused for good: {why}", why),
                    None => sent,
                }
            }
            Stage::Answered => {
                let answered = letter
                    .answered_at
                    .as_deref()
                    .map_or_else(String::new, |answered| self.time(answered).shown().into_owned());
                say!("sent at {at}, answered at {answered}", at, answered)
            }
            Stage::Withdrawn => say!("withdrawn at {at}: the alert ended before anybody sent it", at),
        }
    }

    fn history(&self, history: &[ChangeView]) -> Table {
        let mut table = Table::new([
            TableColumn::new("done_at", say!("done")),
            TableColumn::new("who", say!("who")).shrinks(8),
            TableColumn::new("action", say!("action")),
            TableColumn::new("state", say!("state")),
            TableColumn::new("why", say!("why")).shrinks(12),
        ]);
        for change in history {
            table.row([
                self.time(&change.done_at),
                Cell::text(&*change.who),
                Cell::word(change.action.word(), change.action.zh()),
                Cell::word(change.state.word(), change.state.zh()),
                Cell::maybe(casework::words(change).as_deref()),
            ]);
        }
        table
    }

    fn evidence(&self, findings: &[Finding]) -> Table {
        let mut table = Table::new([
            TableColumn::new("at", say!("event time")),
            TableColumn::new("subject", say!("event")).shrinks(10),
            TableColumn::new("summary", say!("summary")).shrinks(16),
            TableColumn::new("values", say!("values")).shrinks(12).spare(),
        ]);
        for finding in findings {
            table.row([
                self.time(&finding.at),
                Cell::maybe(finding.event_id.as_deref()),
                Cell::text(&*finding.summary),
                Cell::text(pairs(&finding.values)),
            ]);
        }
        table
    }

    fn deeds(&self, deeds: &[JournalEvent]) -> Table {
        let mut table = Table::new([
            TableColumn::new("occurred_at", say!("event time")),
            TableColumn::new("event_id", say!("event")).shrinks(8),
            TableColumn::new("unit_code", say!("unit")).shrinks(8).spare(),
            TableColumn::new("budget_line_id", title("budget_line_id")).shrinks(8).spare(),
            TableColumn::new("amount", say!("amount")).right(),
            TableColumn::new("payee_name", say!("payee")).shrinks(10),
            TableColumn::new("purpose", say!("purpose")).shrinks(8),
        ]);
        for deed in deeds {
            table.row([
                self.time(&deed.occurred_at),
                Cell::text(&*deed.event_id),
                Cell::maybe(deed.unit_name.as_deref().or(deed.unit_code.as_deref())),
                Cell::maybe(deed.budget_line_id.as_deref()),
                deed.amount.clone().map_or(Cell::Missing, Cell::Money),
                Cell::maybe(deed.payee_name.as_deref()),
                Cell::maybe(deed.purpose.as_deref()),
            ]);
        }
        table
    }

    fn others(&self, alerts: &[AlertView]) -> Table {
        let mut table = Table::new([
            TableColumn::new("alert_id", say!("alert")),
            TableColumn::new("severity", say!("severity")),
            TableColumn::new("state", say!("state")),
            TableColumn::new("last_at", say!("event time")),
            TableColumn::new("title", say!("rule")).shrinks(10),
            TableColumn::new("summary", say!("summary")).shrinks(10),
        ]);
        for alert in alerts {
            table.row([
                Cell::Id(alert.alert_id.clone()),
                Cell::Severity(alert.severity.clone()),
                Cell::word(alert.state.word(), alert.state.zh()),
                self.time(&alert.last_at),
                Cell::text(&*alert.title),
                Cell::text(&*alert.summary),
            ]);
        }
        table
    }

    fn told(&self, waiting: &[WaitingView], notifications: &[NoticeView]) -> Table {
        let mut table = Table::new([
            TableColumn::new("at", say!("made or due")),
            TableColumn::new("to", say!("to")).shrinks(12),
            TableColumn::new("about", say!("about")),
            TableColumn::new("state", say!("notification")).shrinks(16),
        ]);
        for w in waiting {
            let by = w.held_by.clone().unwrap_or_else(|| say!("its group"));
            let about = Cell::text(&*w.matter);
            table.row([
                self.time(&w.due_at),
                Cell::text(&*w.sink),
                about,
                Cell::text(say!("waits for {by}", by)),
            ]);
        }
        for n in notifications {
            let error = n.error.as_deref().map_or(String::new(), |e| format!(": {e}"));
            let to =
                n.recipient.as_ref().map_or(n.sink.clone(), |recipient| format!("{} {recipient}", n.sink));
            let state = format!("{}{error}", state_word(&n.state));
            table.row([
                self.time(&n.created_at),
                Cell::text(to),
                Cell::Word(n.reason.clone(), occasion(&n.reason)),
                Cell::text(state),
            ]);
        }
        table
    }
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
    writeln!(out, "\n{next}\n\n{}\n", line(&draft.subject, 200))?;
    draft.text.lines().try_for_each(|line| writeln!(out, "{}", visible(line)))
}

/// Who writes drafts; a list or template that cannot be read is told, and does not hide the alert.
fn drafts(config: &Config) -> Drafts {
    let told = |problems: Vec<Diagnostic>| problems.iter().for_each(|p| eprintln!("fiscwatch: {p}"));
    let templates = Templates::load(config.templates.as_deref()).map_err(told).unwrap_or_default();
    let lists = config.read_lists().map_err(told).unwrap_or_default();
    Drafts::new(config, Arc::new(templates), lists)
}
