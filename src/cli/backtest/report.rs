//! What a backtest found, and the tables at its end.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufWriter, IsTerminal, Write},
    path::Path,
    sync::Arc,
};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use super::{BacktestArgs, create, scoring::Scoring, times};
use crate::{
    cli::table::{Cell, Screen, Table, TableColumn, separated, title, visible},
    config::Config,
    diagnostic::os_reason,
    engine::{Committable, EngineError, MemoryTables, Output, Stages},
    evaluate::condition::RuleCounts,
    event::{Cents, EventType, Instant, period::JournalStart, time::Calendar},
    finding::Finding,
    rule::RuleMode,
    say,
    source::Format,
};

/// What a backtest found.
pub(crate) struct BacktestReport {
    findings: Option<BufWriter<File>>,
    from: Option<Instant>,
    to: Option<Instant>,
    rules: Vec<(Arc<crate::rule::Rule>, RuleReport)>,
    by_type: BTreeMap<EventType, u64>,
    duplicates: u64,
    /// Rows that are no events.
    skipped: u64,
    rejects: BTreeMap<&'static str, u64>,
    shown_rejects: Vec<String>,
    paid: Cents,
    bytes: u64,
    stages: Stages,
    started: std::time::Instant,
    progress: ProgressBar,
    tables: Arc<MemoryTables>,
    scoring: Option<Scoring>,
    /// The times of the first and the last event.
    span: Option<(Instant, Instant)>,
    calendar: Arc<Calendar>,
    journal_start: Option<JournalStart>,
    rests: u64,
}

#[derive(Default)]
struct RuleReport {
    counts: RuleCounts,
    findings: u64,
    /// Those about a payment, or about no single event.
    of_payments: u64,
    keys: BTreeSet<String>,
    keys_capped: bool,
    cents: Cents,
}

/// Keys of a rule that are told apart; beyond, the table says "more than".
const KEYS_MAX: usize = 1_000_000;
/// Rejected records that are shown one by one.
const REJECTS_SHOWN: usize = 5;

impl BacktestReport {
    pub(crate) fn new(
        args: &BacktestArgs,
        config: &Config,
        tables: Arc<MemoryTables>,
    ) -> anyhow::Result<Self> {
        let (from, to) = times(args, &config.calendar)?;
        let findings = args.findings.as_deref().map(create).transpose()?;
        let size =
            args.events.events.iter().map(|p| std::fs::metadata(p).map_or(0, |m| m.len())).sum::<u64>();
        let plain = args
            .events
            .events
            .iter()
            .all(|p| Format::of(p, None).compression == crate::source::Compression::None);
        let progress = match std::io::stderr().is_terminal() {
            true if plain && size > 0 => ProgressBar::new(size),
            true => ProgressBar::new_spinner(),
            false => ProgressBar::hidden(),
        };
        let style = ProgressStyle::with_template("{bar:30} {bytes}/{total_bytes} {msg} {eta}");
        progress.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Ok(Self {
            findings,
            from,
            to,
            rules: Vec::new(),
            by_type: BTreeMap::new(),
            duplicates: 0,
            skipped: 0,
            rejects: BTreeMap::new(),
            shown_rejects: Vec::new(),
            paid: Cents::ZERO,
            bytes: 0,
            stages: Stages::default(),
            started: std::time::Instant::now(),
            progress,
            tables,
            scoring: args.labels.as_deref().map(|path| Scoring::read(path, config)).transpose()?,
            span: None,
            calendar: Arc::clone(&config.calendar),
            journal_start: None,
            rests: 0,
        })
    }

    fn take(&mut self, mut batch: Committable) -> Result<(), EngineError> {
        if self.rules.is_empty() {
            let rules = batch.rules.rules.iter().map(|r| (Arc::clone(&r.rule), RuleReport::default()));
            self.rules = rules.collect();
        }
        self.tables.keep(&batch);
        self.span = span_with(self.span, &batch);
        for (_, event_type, n) in &batch.accepted {
            *self.by_type.entry(*event_type).or_default() += n;
        }
        self.duplicates += batch.intake.duplicates;
        self.skipped += batch.receipts.iter().map(|(_, _, receipt)| receipt.skipped).sum::<u64>();
        self.journal_start = batch.journal_start.or(self.journal_start);
        self.rests += batch.rests;
        self.paid += batch.paid;
        self.bytes += batch.bytes;
        self.stages.add(batch.stages);
        for reject in &batch.intake.rejects {
            *self.rejects.entry(reject.reason.code()).or_default() += 1;
            if self.shown_rejects.len() < REJECTS_SHOWN {
                let text = format!(
                    "{}:{}: {}: {}",
                    reject.partition,
                    reject.record,
                    reject.reason.code(),
                    reject.detail
                );
                self.shown_rejects.push(text);
            }
        }
        for ((_, report), counts) in self.rules.iter_mut().zip(&batch.evaluation.counts) {
            report.counts.add(counts);
        }
        let (from, to) = (self.from, self.to);
        let wanted = |at: Instant| from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to);
        for (at, cents, finding) in batch.evaluation.take_findings().filter(|(at, ..)| wanted(*at)) {
            if let Some(out) = &mut self.findings {
                let line = serde_json::to_string(&finding).map_err(|e| EngineError::Output(e.to_string()))?;
                writeln!(out, "{line}").map_err(|e| {
                    EngineError::Output(say!("cannot write the findings: {reason}", reason = os_reason(&e)))
                })?;
            }
            self.count(&finding, cents);
            if let Some(scoring) = &mut self.scoring {
                scoring.count(&finding, at);
            }
        }
        let events: u64 = self.by_type.values().sum();
        self.progress.set_position(self.bytes);
        self.progress.set_message(say!("{events} events", events));
        Ok(())
    }

    fn count(&mut self, finding: &Finding, cents: Cents) {
        let Some((_, report)) = self.rules.iter_mut().find(|(rule, _)| rule.id == finding.rule_id) else {
            return;
        };
        report.findings += 1;
        let is_of_another = finding.labels.get("type").is_some_and(|of| of != EventType::Payment.name());
        report.of_payments += u64::from(!is_of_another);
        if report.keys.len() < KEYS_MAX {
            report.keys.insert(serde_json::Value::Object(finding.key.clone()).to_string());
        } else {
            report.keys_capped = true;
        }
        report.cents += cents;
    }

    pub(crate) fn finish(&mut self) -> anyhow::Result<()> {
        self.progress.finish_and_clear();
        match &mut self.findings {
            Some(out) => out.flush().map_err(|e| {
                anyhow::anyhow!("{}", say!("cannot write the findings: {reason}", reason = os_reason(&e)))
            }),
            None => Ok(()),
        }
    }

    /// What became of time: where the events begin within a year, and where schedules rested.
    fn print_time(&self) {
        let within = |start: &JournalStart| {
            self.calendar.fiscal_year(start.year).is_some_and(|year| start.at < year.start)
        };
        if let Some(start) = self.journal_start.filter(within) {
            let day = self.calendar.local(start.at).date();
            let note = say!(
                "note: the events begin on {day}, within a fiscal year. Quarters and years that begin before are not judged, and nothing is compared with the calendar until budget actions `opening` tell what was executed before (docs/events.md)",
                day
            );
            eprintln!("{note}");
        }
        if self.rests > 0 {
            let n = self.rests;
            eprintln!(
                "{}",
                say!(
                    "note: {n} stretches without any event are longer than a year; schedules rested in them after a year",
                    n
                )
            );
        }
    }

    /// Writes what was measured against labels.
    pub(crate) fn write_scores(&self, path: &Path) -> anyhow::Result<()> {
        let Some(scoring) = &self.scoring else { return Ok(()) };
        let payments = self.by_type.get(&EventType::Payment).copied().unwrap_or(0);
        let text = serde_json::to_string_pretty(&scoring.json(payments, days(self.span, &self.calendar)))?;
        crate::private::write(path, text + "\n")
            .with_context(|| say!("cannot write {path}", path = path.display()))
    }

    /// The rules that found something, or could not.
    fn by_rule(&self, payments: u64) -> Table {
        let mut table = Table::new([
            TableColumn::new("rule", say!("rule id")).shrinks(16),
            TableColumn::new("severity", say!("severity")),
            TableColumn::new("mode", say!("mode")).spare(),
            TableColumn::new("findings", say!("findings")).right(),
            TableColumn::new("keys", say!("keys")).right(),
            TableColumn::new("amount", title("amount")).right(),
            TableColumn::new("share", say!("of payments")).right(),
            TableColumn::new("excepted", say!("excepted")).right().spare(),
            TableColumn::new("errors", say!("errors")).right().spare(),
        ]);
        for (rule, report) in self.rules.iter().filter(|(_, report)| report.is_worth_a_line()) {
            #[allow(clippy::cast_precision_loss)]
            let share = 100.0 * report.of_payments as f64 / payments.max(1) as f64;
            let keys = separated(&report.keys.len().to_string());
            table.row([
                Cell::text(&*rule.id),
                Cell::Severity(rule.severity.word().to_owned()),
                Cell::Word(rule.mode.word().to_owned(), mode_word(rule.mode)),
                Cell::count(report.findings),
                Cell::text(format!("{}{keys}", if report.keys_capped { ">" } else { "" })),
                Cell::money(report.cents),
                Cell::text(format!("{share:.3} %")),
                Cell::count(report.counts.excepted),
                Cell::count(report.counts.errors),
            ]);
        }
        table
    }

    /// The table by rule, and what there was of events.
    pub(crate) fn print(&self) {
        let payments = self.by_type.get(&EventType::Payment).copied().unwrap_or(0);
        eprint!("{}", self.by_rule(payments).render(Screen::stderr()));
        self.print_silent();
        self.rules.iter().for_each(|(rule, report)| print_unjudged(&rule.id, &report.counts));
        for reject in &self.shown_rejects {
            eprintln!("{}", say!("rejected: {reject}", reject = visible(reject)));
        }
        self.print_time();
        self.print_events(payments);
        self.print_stages();
        if let Some(scoring) = &self.scoring {
            scoring.print(payments, days(self.span, &self.calendar));
        }
    }

    /// How many rules found nothing, and have no line in the table.
    fn print_silent(&self) {
        let silent = self.rules.iter().filter(|(_, report)| !report.is_worth_a_line()).count();
        match (silent, self.rules.len()) {
            (0, _) => {}
            (silent, all) if silent == all => {
                eprintln!("{}", say!("none of {all} rules found anything", all));
            }
            (silent, _) => eprintln!("{}", say!("{silent} more rules found nothing", silent)),
        }
    }

    /// How many records there were, what became of them, and how fast.
    fn print_events(&self, payments: u64) {
        let events: u64 = self.by_type.values().sum();
        let rejected: u64 = self.rejects.values().sum();
        let reasons: Vec<_> = self.rejects.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
        let reasons = if reasons.is_empty() {
            String::new()
        } else {
            say!(" ({reasons})", reasons = reasons.join(", "))
        };
        let seconds = self.started.elapsed().as_secs_f64();
        #[allow(clippy::cast_precision_loss)]
        let rate = events as f64 / seconds.max(1e-9);
        let text = say!(
            "{events} events ({payments} payments of {paid}), {duplicates} duplicates, {rejected} rejected{reasons}; {seconds} s, {rate} events/s",
            events,
            payments,
            paid = separated(&self.paid.to_string()),
            duplicates = self.duplicates,
            rejected,
            reasons,
            seconds = format!("{seconds:.2}"),
            rate = format!("{rate:.0}")
        );
        eprintln!("{text}");
        if self.skipped > 0 {
            let text = say!(
                "{skipped} rows are no events and were skipped: empty ones, totals, headers once more, and those that `when` leaves out",
                skipped = self.skipped
            );
            eprintln!("{text}");
        }
    }

    fn print_stages(&self) {
        let Stages { decode, sequence, windows, evaluate } = self.stages;
        let [decode, ledger, windows, rules] =
            [decode, sequence, windows, evaluate].map(|stage| format!("{stage:.2?}"));
        let text = say!(
            "time in the stages: decode {decode}, ledger {ledger}, windows {windows}, rules {rules}",
            decode,
            ledger,
            windows,
            rules
        );
        eprintln!("{text}");
    }
}

impl RuleReport {
    /// Whether there is something to see of the rule.
    fn is_worth_a_line(&self) -> bool {
        self.findings > 0 || self.counts.excepted > 0 || self.counts.errors > 0
    }
}

/// The span of event times with those of a batch.
pub(crate) fn span_with(span: Option<(Instant, Instant)>, batch: &Committable) -> Option<(Instant, Instant)> {
    match (span, batch.last_at) {
        (Some((from, to)), Some(last)) => Some((from, to.max(last))),
        (None, Some(last)) => Some((batch.first_at.unwrap_or(last), last)),
        (span, None) => span,
    }
}

/// The days of the calendar that a span touches, at least one.
pub(crate) fn days(span: Option<(Instant, Instant)>, calendar: &Calendar) -> f64 {
    let day = |at: Instant| calendar.local(at).date();
    span.map_or(1.0, |(from, to)| f64::from((day(to) - day(from)).get_days() + 1))
}

/// What a mode is called.
fn mode_word(mode: RuleMode) -> String {
    match mode {
        RuleMode::Live => say!("live"),
        RuleMode::Shadow => say!("shadow"),
        RuleMode::Disabled => say!("disabled"),
    }
}

impl Output for BacktestReport {
    async fn commit(&mut self, batches: Vec<Committable>) -> Result<(), EngineError> {
        batches.into_iter().try_for_each(|batch| self.take(batch))
    }
}

/// The events that a rule could not judge, or not by the whole of their windows.
fn print_unjudged(rule: &str, counts: &RuleCounts) {
    if let Some(error) = &counts.last_error {
        let (count, error) = (counts.errors, visible(error));
        let text = say!(
            "rule {rule}: {count} events could not be evaluated, the last because: {error}",
            rule,
            count,
            error
        );
        eprintln!("{text}");
    }
    if counts.beyond > 0 {
        let text = say!(
            "rule {rule}: {count} events came more than 400 days late, and parts of their windows were gone",
            rule,
            count = counts.beyond
        );
        eprintln!("{text}");
    }
}
