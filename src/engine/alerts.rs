//! What a batch brings to alerts, and the alerts of a run that keeps nothing on disk, where nobody works on them.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use datafusion::catalog::TableProvider;

use super::Committable;
use crate::{
    alert::{self, Alert, Cleared, Desk, Filing, Policy},
    evaluate::{
        Evaluation,
        auto_resolve::{LapsedCondition, Watched},
    },
    event::time::Calendar,
    rule::Language,
    sql::tables::{self, ALERTS},
};

/// The conditions that stopped being true in a batch, each with the number of findings before it.
pub fn cleared(batch: &Committable, watched: &mut Watched) -> Vec<Cleared> {
    let Evaluation { findings, found, standings, .. } = &batch.evaluation;
    let lost = standings.lost(watched, findings, found);
    let before = |row: usize| found.partition_point(|found| found.row <= row);
    lost.into_iter()
        .map(|LapsedCondition { row, rule_id, line, event_id }| Cleared {
            before: before(row),
            rule_id,
            line,
            event_id,
        })
        .collect()
}

/// Alerts in memory, filed as the store files them.
#[derive(Debug)]
pub struct MemoryAlerts {
    desk: Desk,
    watched: Watched,
    /// Findings that were filed: each is filed once.
    filed: HashSet<String>,
    /// Those that are not over, by rule and key.
    current: BTreeMap<(String, String), Alert>,
    /// The others, with their rule and key.
    over: Vec<Alert>,
    /// The last that is over, by rule and key.
    last: BTreeMap<(String, String), String>,
}

impl MemoryAlerts {
    /// Nothing is filed yet; quiet hours are those of the calendar.
    pub fn new(calendar: &Arc<Calendar>) -> Self {
        let desk = Desk::new(Arc::new(Policy::silent(Language::default(), calendar)));
        let (watched, filed) = (Watched::new(), HashSet::new());
        Self { desk, watched, filed, current: BTreeMap::new(), over: Vec::new(), last: BTreeMap::new() }
    }

    /// All alerts, in no particular order.
    pub fn all(&self) -> impl Iterator<Item = &Alert> {
        self.over.iter().chain(self.current.values())
    }

    /// All alerts as the table of schedules, in the order of their ids.
    ///
    /// # Errors
    /// In words, if they do not fit their table.
    pub fn table(&self, zone: &str) -> Result<Arc<dyn TableProvider>, String> {
        let mut alerts: Vec<_> = self.all().collect();
        alerts.sort_by(|a, b| a.alert_id.cmp(&b.alert_id));
        let schema = tables::schema(ALERTS, zone).ok_or("the table of alerts has no columns")?;
        let rows = alert::rows(alerts.into_iter(), zone).into_iter().collect();
        tables::in_memory(schema, rows).ok_or_else(|| String::from("rows do not fit their table"))
    }

    /// Files the findings of a batch, and clears what is not so any more, in the order in which it happened.
    pub fn file(&mut self, batch: &Committable) {
        let cleared = cleared(batch, &mut self.watched);
        let mut cleared = cleared.iter().peekable();
        let evaluation = &batch.evaluation;
        for (number, (finding, found)) in evaluation.findings.iter().zip(&evaluation.found).enumerate() {
            while let Some(next) = cleared.next_if(|next| next.before <= number) {
                self.clear(next);
            }
            let Some(rule) = batch.rules.rules.iter().find(|rule| rule.rule.id == finding.rule_id) else {
                continue;
            };
            let (clears, personal) = (rule.clears.is_some(), Arc::clone(&rule.personal));
            let (finding, at, rule) = (finding.clone(), found.at, Arc::clone(&rule.rule));
            let filing = Filing { finding, at, rule, personal, clears };
            if filing.is_live() && self.filed.insert(filing.finding.finding_id.clone()) {
                self.place(&filing);
            }
        }
        cleared.for_each(|next| self.clear(next));
    }

    fn place(&mut self, filing: &Filing) {
        let finding = &filing.finding;
        let key = (finding.rule_id.clone(), serde_json::Value::Object(finding.key.clone()).to_string());
        let current = self.current.remove(&key);
        let previous = self.last.get(&key).cloned().filter(|_| current.is_none());
        self.current.insert(key, self.desk.file(current, previous, filing, filing.at).alert);
    }

    fn clear(&mut self, cleared: &Cleared) {
        let watched = |alert: &Alert| alert.rule_id == cleared.rule_id && alert.lines.contains(&cleared.line);
        let keys: Vec<_> =
            self.current.iter().filter(|(_, a)| watched(a)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            let Some(alert) = self.current.remove(&key) else { continue };
            let now = alert.last_at;
            let alert = self.desk.clear(alert, cleared, now).alert;
            if alert.state.is_over() {
                self.last.insert(key, alert.alert_id.clone());
                self.over.push(alert);
            } else {
                self.current.insert(key, alert);
            }
        }
    }
}
