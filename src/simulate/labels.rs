//! The labels of planted anomalies: begun when one is planted, completed by its last payment.

use std::collections::{BTreeMap, VecDeque};

use super::voucher::Part;
use super::{AnomalyKind, Event, Label, LabelKey, LocalStamp};

/// Labels that are being written, and those that are complete and wait for an event to go out with.
#[derive(Default)]
pub(super) struct Labels {
    begun: u32,
    open: BTreeMap<u32, (&'static AnomalyKind, Option<Label>)>,
    complete: VecDeque<Label>,
}

impl Labels {
    /// Begins the label of an anomaly that consists of payments; the number goes with each of them.
    pub(super) fn begin(&mut self, anomaly: &'static AnomalyKind) -> u32 {
        self.begun += 1;
        self.open.insert(self.begun, (anomaly, None));
        self.begun
    }

    /// What an anomaly is, as long as it is not complete.
    pub(super) fn anomaly(&self, number: u32) -> Option<&'static AnomalyKind> {
        self.open.get(&number).map(|(anomaly, _)| *anomaly)
    }

    /// Adds a payment to the anomaly that it is a part of.
    pub(super) fn add(&mut self, part: Part, event: &Event) {
        let Some((anomaly, label)) = self.open.get_mut(&part.anomaly) else { return };
        let label = label.get_or_insert_with(|| of_event(anomaly, event));
        label.event_ids.push(event.event_id.clone());
        label.to = event.occurred_at;
        if part.last {
            self.complete.extend(self.open.remove(&part.anomaly).and_then(|(_, label)| label));
        }
    }

    /// Ends an anomaly with an event that is no payment of it.
    pub(super) fn end(&mut self, part: Part, event: &Event) {
        let Some(mut label) = self.open.remove(&part.anomaly).and_then(|(_, label)| label) else { return };
        label.to = event.occurred_at;
        label.key.original_event_id = event.original_event_id.clone().unwrap_or_default();
        self.complete.push_back(label);
    }

    /// An anomaly that consists of one event that is no payment.
    pub(super) fn add_event(&mut self, anomaly: &'static AnomalyKind, event: &Event) {
        let mut label = of_event(anomaly, event);
        label.event_ids.push(event.event_id.clone());
        self.complete.push_back(label);
    }

    /// An anomaly that consists of what does not happen, or of what happens all the time.
    pub(super) fn add_span(
        &mut self,
        anomaly: &'static AnomalyKind,
        key: LabelKey,
        from: LocalStamp,
        to: LocalStamp,
    ) {
        self.complete.push_back(label(anomaly, key, from, to));
    }

    /// A label that is complete.
    pub(super) fn next(&mut self) -> Option<Label> {
        self.complete.pop_front()
    }
}

fn of_event(anomaly: &'static AnomalyKind, event: &Event) -> Label {
    let key = LabelKey {
        unit_code: event.unit_code.clone().unwrap_or_default(),
        region_code: String::new(),
        account: event.account.clone().unwrap_or_default(),
        budget_line_id: event.budget_line_id.clone().unwrap_or_default(),
        payee_account: event.payee_account.clone().unwrap_or_default(),
        economic_code: event.economic_code.clone().unwrap_or_default().into_owned(),
        original_event_id: event.original_event_id.clone().unwrap_or_default(),
    };
    label(anomaly, key, event.occurred_at, event.occurred_at)
}

fn label(anomaly: &'static AnomalyKind, key: LabelKey, from: LocalStamp, to: LocalStamp) -> Label {
    // Several ways to break a rule are kinds of their own, told apart behind a slash.
    let rules = anomaly.rules.iter().filter(|rule| !rule.contains('/'));
    Label {
        kind: anomaly.kind.into(),
        rule_ids: rules.map(|&rule| rule.into()).collect(),
        event_ids: Vec::new(),
        from,
        to,
        key,
        note: anomaly.note.into(),
    }
}
