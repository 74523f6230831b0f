//! A case that goes on: which payments it has had, and its label when the last one is made.

use super::{
    super::{Event, Label, LabelKey},
    Scheme,
};

pub(super) struct Case {
    scheme: Scheme,
    key: LabelKey,
    left: usize,
    label: Option<Label>,
}

impl Case {
    pub(super) fn new(scheme: Scheme, key: LabelKey, payments: usize) -> Self {
        Self { scheme, key, left: payments, label: None }
    }

    /// Adds a payment; the label, if it was the last.
    pub(super) fn add(&mut self, event: &Event) -> Option<Label> {
        let label = self.label.get_or_insert_with(|| Label {
            kind: self.scheme.kind().into(),
            rule_ids: Vec::new(),
            event_ids: Vec::new(),
            from: event.occurred_at,
            to: event.occurred_at,
            key: self.key.clone(),
            note: self.scheme.note().into(),
        });
        label.event_ids.push(event.event_id.clone());
        label.to = event.occurred_at;
        self.left = self.left.saturating_sub(1);
        if self.left == 0 { self.label.take() } else { None }
    }
}
