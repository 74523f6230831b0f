//! A test's events through decoding, ledger and evaluation.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use bytes::Bytes;
use serde_json::Value;

use super::read::{RuleTest, Suite, TestEvent};
use crate::{
    alert::Alert,
    decode::Decoder,
    engine::{Committable, EngineError, MemoryAlerts, MemoryTables, Output},
    evaluate::condition::RuleCounts,
    event::{Instant, time::Calendar},
    finding::Finding,
    ledger::Ledger,
    rule::{
        RuleMode, RuleSet,
        compile::{CompiledRule, CompiledView},
    },
    say,
    sql::tables::{ALERTS, FINDINGS},
    stream::{Block, Payload, Reject},
    trial::offline,
};

/// What the events of a test lead to.
pub(crate) struct TestOutcome {
    pub findings: Vec<Finding>,
    /// What the findings were filed in, in the order in which they were opened; nobody works on them.
    pub alerts: Vec<Alert>,
    pub ledger: Ledger,
    pub calendar: Arc<Calendar>,
    pub columns: FindingSchemas,
}

/// The types of the columns that findings show, by rule.
pub(crate) type FindingSchemas = BTreeMap<String, arrow::datatypes::SchemaRef>;

/// Plays a test through the loop that the daemon and backtests run.
///
/// # Errors
/// In words, if an event is refused or a rule fails on one.
pub(crate) fn play(suite: &Suite, case: &RuleTest, rules: &Arc<RuleSet>) -> Result<TestOutcome, String> {
    let (player, ledger) = run(suite, case, rules, Instant::MAX)?;
    let faults = player.faults(case, rules);
    if !faults.is_empty() {
        return Err(faults);
    }
    let tested = |finding: &Finding| is_tested(case, &finding.rule_id);
    let alerts = player.alerts(case);
    let findings = player.findings.into_iter().filter(tested).collect();
    let columns = rules.rules.iter().map(|rule| (rule.rule.id.clone(), Arc::clone(&rule.columns))).collect();
    Ok(TestOutcome { findings, alerts, ledger, calendar: Arc::clone(&suite.calendar), columns })
}

impl TestOutcome {
    /// What was found up to a time; the balances and alerts when the events up to it have come, those later ones that
    /// came before them left out.
    ///
    /// # Errors
    /// In words, if the loop fails.
    pub(crate) fn until(
        &self,
        suite: &Suite,
        case: &RuleTest,
        rules: &Arc<RuleSet>,
        at: Instant,
    ) -> Result<Self, String> {
        let by_then = |finding: &&Finding| self.calendar.parse(&finding.at).is_ok_and(|found| found <= at);
        let (player, ledger) = run(suite, case, rules, at)?;
        Ok(Self {
            findings: self.findings.iter().filter(by_then).cloned().collect(),
            alerts: player.alerts(case),
            ledger,
            calendar: Arc::clone(&self.calendar),
            columns: self.columns.clone(),
        })
    }
}

fn run(
    suite: &Suite,
    case: &RuleTest,
    rules: &Arc<RuleSet>,
    until: Instant,
) -> Result<(Player, Ledger), String> {
    let calendar = &suite.calendar;
    let mut player = Player::new(calendar, until);
    let tables = Arc::clone(&player.tables);
    let ledger = offline::run(
        needed(case, rules),
        Decoder::new(Arc::clone(calendar)),
        suite.lateness,
        block(case, calendar, until),
        (tables, &mut player),
        calendar,
    )?;
    Ok((player, ledger))
}

/// The rules that a test names, with the others at rest: a year of ticks for each of them would take most of the time.
fn needed(case: &RuleTest, rules: &Arc<RuleSet>) -> Arc<RuleSet> {
    let rests = |compiled: &CompiledRule| !is_tested(case, &compiled.rule.id);
    let others_matter = |compiled: &CompiledRule| match &compiled.view {
        CompiledView::Schedule(view) => {
            view.tables.iter().any(|table| [ALERTS, FINDINGS].contains(&table.as_str()))
        }
        _ => false,
    };
    if rules.rules.iter().any(|compiled| !rests(compiled) && others_matter(compiled)) {
        return Arc::clone(rules);
    }
    let mut set = RuleSet::clone(rules);
    for compiled in set.rules.iter_mut().filter(|compiled| rests(compiled)) {
        Arc::make_mut(&mut compiled.rule).mode = RuleMode::Disabled;
    }
    Arc::new(set)
}

fn is_tested(case: &RuleTest, rule: &str) -> bool {
    case.only.is_empty() || case.only.iter().any(|only| only.text == rule)
}

/// The last stage of the loop: it keeps what comes.
struct Player {
    tables: Arc<MemoryTables>,
    alerts: MemoryAlerts,
    /// The last time whose findings are filed: the end of the events closes windows that are still open then.
    until: Instant,
    findings: Vec<Finding>,
    rejects: Vec<Reject>,
    counts: Vec<RuleCounts>,
}

impl Player {
    fn new(calendar: &Arc<Calendar>, until: Instant) -> Self {
        let tables = Arc::new(MemoryTables::new(calendar));
        let alerts = MemoryAlerts::new(calendar);
        Self { tables, alerts, until, findings: Vec::new(), rejects: Vec::new(), counts: Vec::new() }
    }

    fn file(&mut self, batch: &mut Committable) {
        let evaluation = &mut batch.evaluation;
        let by_then: Vec<bool> = evaluation.found.iter().map(|found| found.at <= self.until).collect();
        let mut kept = by_then.iter();
        evaluation.findings.retain(|_| kept.next().is_none_or(|kept| *kept));
        evaluation.found.retain(|found| found.at <= self.until);
        self.alerts.file(batch);
    }

    /// The alerts of the rules that are tested, in the order in which they were opened.
    fn alerts(&self, case: &RuleTest) -> Vec<Alert> {
        let tested = self.alerts.all().filter(|alert| is_tested(case, &alert.rule_id));
        let mut alerts: Vec<_> = tested.cloned().collect();
        alerts.sort_by_cached_key(|a| {
            (a.first_at, a.rule_id.clone(), Value::Object(a.key.clone()).to_string())
        });
        alerts
    }
}

impl Output for Player {
    async fn commit(&mut self, batches: Vec<Committable>) -> Result<(), EngineError> {
        for mut batch in batches {
            self.tables.keep(&batch);
            self.rejects.append(&mut batch.intake.rejects);
            self.counts.resize(batch.evaluation.counts.len().max(self.counts.len()), RuleCounts::default());
            self.counts.iter_mut().zip(&batch.evaluation.counts).for_each(|(all, more)| all.add(more));
            self.findings.extend(batch.evaluation.findings.iter().cloned());
            self.file(&mut batch);
        }
        Ok(())
    }
}

impl Player {
    /// What must not happen in a test, in words.
    fn faults(&self, case: &RuleTest, rules: &RuleSet) -> String {
        let mut faults = String::new();
        for reject in &self.rejects {
            let event = usize::try_from(reject.record).ok().and_then(|n| case.events.get(n.checked_sub(1)?));
            let place = event
                .map_or(String::new(), |event| say!("{id} (line {line})", id = event.id, line = event.line));
            let (code, detail) = (reject.reason.code(), &reject.detail);
            let _ = writeln!(
                faults,
                "{}",
                say!("the event {place} is refused: {code}: {detail}", place, code, detail)
            );
        }
        for (rule, counts) in rules.rules.iter().zip(&self.counts) {
            if let Some(error) = counts.last_error.as_ref().filter(|_| is_tested(case, &rule.rule.id)) {
                let (id, n) = (&rule.rule.id, counts.errors);
                let _ =
                    writeln!(faults, "{}", say!("the rule {id} fails on {n} events: {error}", id, n, error));
            }
        }
        faults
    }
}

/// The events up to a time, in the order in which they come. One without a readable time is left for decoding to refuse.
fn block(case: &RuleTest, calendar: &Calendar, until: Instant) -> Block {
    let mut lines = String::new();
    let time = |event: &TestEvent| match event.record.get("occurred_at")? {
        Value::String(text) => calendar.parse(text).ok(),
        number => Some(Instant::from_micros(number.as_i64()? * 1_000)),
    };
    for event in case.events.iter().filter(|event| time(event).is_none_or(|at| at <= until)) {
        let _ = writeln!(lines, "{}", Value::Object(event.record.clone()));
    }
    let partition = Arc::from(case.name.text.as_str());
    Block::new(Arc::from("test"), partition, 0, Payload::JsonLines(Bytes::from(lines)))
}
