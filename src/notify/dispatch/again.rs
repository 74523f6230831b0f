//! What is told once more: after a storm in sum, and of alerts that nobody has acknowledged.

use super::{CHUNK, Work, letters::own_thread};
use crate::{
    alert::{
        Labels, Reason,
        desk::{EntryTopic, GroupKey, GroupKind},
    },
    store::{DueEntry, DueGroup, RoundResult},
};

impl Work<'_> {
    /// One summary for each sink that would get too much.
    pub(super) fn storms(&mut self) -> RoundResult<()> {
        for (sink, groups) in std::mem::take(&mut self.surplus) {
            let mut all = Vec::new();
            for (due, entries) in groups {
                self.remember(&due, &entries)?;
                self.round.take(&entries.iter().map(|entry| entry.seq).collect::<Vec<_>>())?;
                all.extend(entries);
            }
            let due = DueGroup {
                group_key: GroupKey::new(GroupKind::Storm, &sink),
                route: String::from("alerts.storm"),
                labels: Labels::default(),
                sink,
            };
            let thread = own_thread(&due.group_key, &all);
            let recipients = self.dispatch.recipients(&due.sink);
            self.notify(&due, &all, Reason::Storm, &thread, recipients)?;
        }
        Ok(())
    }
}

impl Work<'_> {
    /// Tells again of alerts that nobody has acknowledged.
    pub(super) fn repeats(&mut self) -> RoundResult<()> {
        for due in self.round.repeats(self.now, CHUNK)? {
            if self.is_over() {
                self.report.more = true;
                break;
            }
            let group = self.round.group(&due.group_key)?.unwrap_or_default();
            let mut entries = Vec::new();
            for id in &group.alerts {
                let Some(alert) = self.round.alert(id)? else { continue };
                if alert.state == crate::alert::State::Open && self.muted(&alert.labels)?.is_none() {
                    let (matter, received_at) = (EntryTopic::Opened, self.now);
                    entries.push(DueEntry { seq: 0, matter, received_at, was_held: false, alert });
                }
            }
            let interval = self.dispatch.route(&due.route).and_then(|route| route.repeat_interval);
            self.round.repeat_at(&due.group_key, interval.map(|i| self.now.saturating_add(i)))?;
            if !entries.is_empty() {
                let recipients = self.dispatch.recipients(&due.sink);
                self.notify(&due, &entries, Reason::Repeat, &group.thread, recipients)?;
            }
        }
        Ok(())
    }
}
