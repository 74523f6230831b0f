//! Precision, recall and alerts a day of a backtest with labels.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
    sync::Arc,
};

use anyhow::Context;
use serde_json::{Value, json};

use crate::{
    cli::table::{Cell, Screen, Table, TableColumn, handling},
    config::Config,
    event::{Instant, time::Calendar},
    finding::{Finding, Handling, RuleMode},
    say,
    trial::score::{LabelIndex, RuleScore},
};

/// Counts findings against labels. Rules in shadow are scored, and left out of the totals.
pub(crate) struct Scoring {
    labels: LabelIndex,
    calendar: Arc<Calendar>,
    rules: BTreeMap<String, Seen>,
    live: Totals,
    paging: Totals,
}

/// What was seen of a rule.
#[derive(Default)]
struct Seen {
    handling: Option<Handling>,
    shadow: bool,
    /// Its alerts: findings with equal keys are one.
    keys: HashSet<String>,
}

#[derive(Default, Clone, Copy)]
struct Totals {
    right: u64,
    wrong: u64,
    alerts: u64,
}

impl Scoring {
    pub(crate) fn read(path: &Path, config: &Config) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| say!("cannot read {path}", path = path.display()))?;
        let labels =
            LabelIndex::parse(&text, &config.calendar).with_context(|| path.display().to_string())?;
        let calendar = Arc::clone(&config.calendar);
        let (live, paging) = (Totals::default(), Totals::default());
        Ok(Self { labels, calendar, rules: BTreeMap::new(), live, paging })
    }

    /// Counts a finding about the time `at`.
    pub(crate) fn count(&mut self, finding: &Finding, at: Instant) {
        let start = finding.window.as_ref().and_then(|window| self.calendar.parse(&window.start).ok());
        let right = self.labels.count(finding, at, start);
        let seen = self.rules.entry(finding.rule_id.clone()).or_default();
        seen.handling = Some(finding.handling);
        seen.shadow = finding.mode == RuleMode::Shadow;
        let alert = seen.keys.insert(Value::Object(finding.key.clone()).to_string());
        if seen.shadow {
            return;
        }
        self.live.add(right, alert);
        if !matches!(finding.handling, Handling::Record | Handling::Remind) {
            self.paging.add(right, alert);
        }
    }

    /// The table by rule, and the sums.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn print(&self, payments: u64, days: f64) {
        let right = |name: &str, title: String| TableColumn::new(name, title).right();
        let mut table = Table::new([
            TableColumn::new("rule", say!("rule id")).shrinks(16),
            TableColumn::new("handling", say!("handling")).spare(),
            right("findings", say!("findings")),
            right("right", say!("right")),
            right("precision", say!("precision")),
            right("planted", say!("planted")),
            right("found", say!("found")),
            right("recall", say!("recall")),
            right("alerts_a_day", say!("alerts a day")).spare(),
        ]);
        for (rule, score) in self.labels.rules() {
            let seen = self.rules.get(&rule);
            let handling =
                seen.and_then(|seen| seen.handling).map_or_else(String::new, |of| handling(of.word()));
            let shadow = if seen.is_some_and(|seen| seen.shadow) { say!(" (shadow)") } else { String::new() };
            table.row([
                Cell::text(rule),
                Cell::text(format!("{handling}{shadow}")),
                Cell::count(score.right + score.wrong),
                Cell::count(score.right),
                Cell::text(ratio(score.right, score.right + score.wrong)),
                Cell::count(score.planted),
                Cell::count(score.found),
                Cell::text(ratio(score.found, score.planted)),
                Cell::text(format!("{:.2}", seen.map_or(0, |seen| seen.keys.len()) as f64 / days)),
            ]);
        }
        eprint!("{}", table.render(Screen::stderr()));
        let (planted, found) = self.labels.recall();
        let missed: Vec<_> =
            self.labels.missed().iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        let missed = match missed.is_empty() {
            true => String::new(),
            false => say!("; missed: {missed}", missed = missed.join(", ")),
        };
        let recall = ratio(found, planted);
        let text = say!(
            "{found} of {planted} anomalies found, recall {recall}{missed}",
            found,
            planted,
            recall,
            missed
        );
        eprintln!("{text}");
        for (name, totals) in [(say!("all live rules"), self.live), (say!("those that page"), self.paging)] {
            let text = say!(
                "{name}: {findings} findings, {share} for 1,000 payments, precision {precision}; {alerts} alerts a day",
                name,
                findings = totals.right + totals.wrong,
                share = format!("{:.2}", totals.for_1000(payments)),
                precision = ratio(totals.right, totals.right + totals.wrong),
                alerts = format!("{:.1}", totals.alerts as f64 / days)
            );
            eprintln!("{text}");
        }
    }

    /// The same for programs.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn json(&self, payments: u64, days: f64) -> Value {
        let rules = self.labels.rules().into_iter().map(|(rule, score)| {
            let alerts = self.rules.get(&rule).map_or(0, |seen| seen.keys.len());
            let RuleScore { right, wrong, planted, found } = score;
            let row = json!({
                "right": right, "wrong": wrong, "planted": planted, "found": found,
                "precision": share(right, right + wrong), "recall": share(found, planted),
                "alerts_a_day": alerts as f64 / days,
            });
            (rule, row)
        });
        let (planted, found) = self.labels.recall();
        let totals = |totals: Totals| {
            json!({
                "findings": totals.right + totals.wrong, "right": totals.right,
                "precision": share(totals.right, totals.right + totals.wrong),
                "for_1000_payments": totals.for_1000(payments), "alerts_a_day": totals.alerts as f64 / days,
            })
        };
        json!({
            "payments": payments, "planted": planted, "found": found, "recall": share(found, planted),
            "live": totals(self.live), "paging": totals(self.paging), "missed": self.labels.missed(),
            "rules": rules.collect::<serde_json::Map<_, _>>(),
        })
    }
}

impl Totals {
    fn add(&mut self, right: bool, alert: bool) {
        if right {
            self.right += 1;
        } else {
            self.wrong += 1;
        }
        self.alerts += u64::from(alert);
    }

    #[allow(clippy::cast_precision_loss)]
    fn for_1000(self, payments: u64) -> f64 {
        1_000.0 * (self.right + self.wrong) as f64 / payments.max(1) as f64
    }
}

#[allow(clippy::cast_precision_loss)]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn ratio(part: u64, whole: u64) -> String {
    share(part, whole).map_or_else(|| String::from("-"), |share| format!("{share:.3}"))
}
