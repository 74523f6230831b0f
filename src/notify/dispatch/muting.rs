//! What is not told now: silenced, inhibited, or in quiet hours.

use super::Work;
use crate::{
    alert::{Labels, desk::EntryTopic},
    event::{Instant, TimeDelta},
    store::{DueEntry, RoundResult},
};

impl Work<'_> {
    /// The entry, or nothing if it waits or is not worth telling any more.
    pub(super) fn unless_muted(&mut self, entry: DueEntry) -> RoundResult<Option<DueEntry>> {
        let is_over = entry.alert.state.is_over();
        let Some((kind, held_by, until)) = self.muted(&entry.alert.labels)? else {
            if is_over && entry.was_held {
                self.leave_untold(&[entry])?;
                return Ok(None);
            }
            return Ok(Some(entry));
        };
        *self.report.held.entry(kind).or_default() += 1;
        if is_over {
            // It began and ended while nobody was to hear of it.
            self.leave_untold(&[entry])?;
        } else {
            self.round.hold(&[entry.seq], &held_by, until)?;
        }
        Ok(None)
    }

    /// Takes out what is not told, because its alert ended first.
    pub(super) fn leave_untold(&mut self, entries: &[DueEntry]) -> RoundResult<()> {
        self.report.untold += entries.iter().filter(|entry| entry.matter != EntryTopic::Ended).count() as u64;
        self.round.take(&entries.iter().map(|entry| entry.seq).collect::<Vec<_>>())
    }

    /// What mutes an alert: the kind, which one, and until when.
    pub(super) fn muted(&mut self, labels: &Labels) -> RoundResult<Option<(&'static str, String, Instant)>> {
        if let Some(silence) = self.silences.iter().find(|s| s.matchers.matches(labels)) {
            return Ok(Some(("silence", format!("silence {}", silence.silence_id), silence.ends_at)));
        }
        if let Some(name) = self.dispatch.policy.quiet(labels, self.now) {
            return Ok(Some(("quiet_hours", format!("quiet hours {name}"), self.now + QUIET)));
        }
        let by = self.gravers.of(&self.dispatch.policy, labels).next();
        Ok(by.map(|by| ("inhibition", format!("alert {by}"), self.now + INHIBITED)))
    }
}

/// How long an inhibited alert waits before it is looked at again.
const INHIBITED: TimeDelta = TimeDelta::MINUTE;

/// The same for quiet hours.
const QUIET: TimeDelta = TimeDelta::MINUTE;
