//! What is to be told of an alert, and when.

use serde::{Deserialize, Serialize};

use super::super::Labels;

use crate::event::{Instant, TimeDelta};

/// What an outbox entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryTopic {
    /// The alert was opened, or became graver.
    Opened,
    /// The alert is over, by somebody or by itself.
    Ended,
    /// Nobody acknowledged it in time.
    Escalated,
    /// The unit is asked to explain.
    Explain,
    /// The unit answered its letter.
    Answered,
    /// Nobody answered the letter in time, or no server takes it.
    Unanswered,
}

impl EntryTopic {
    pub(crate) const ALL: [Self; 6] =
        [Self::Opened, Self::Ended, Self::Escalated, Self::Explain, Self::Answered, Self::Unanswered];

    /// The word in the store.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Ended => "ended",
            Self::Escalated => "escalated",
            Self::Explain => "explain",
            Self::Answered => "answered",
            Self::Unanswered => "unanswered",
        }
    }

    /// The matter of a word in the store.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|matter| matter.word() == word)
    }
}

/// One thing to tell one sink, not yet bundled with others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    pub(crate) matter: EntryTopic,
    pub(crate) route: String,
    pub(crate) sink: String,
    /// The recipient, if it is not for all of the sink's.
    pub recipient: Option<String>,
    /// What it has in common with others that are told together.
    pub group: Labels,
    /// How long it waits: the group's first, and when the group was told of before.
    pub wait: EntryDue,
}

/// When an entry is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryDue {
    /// After `group_wait`, or `group_interval` after the group's last notification.
    Group {
        /// `group_wait`
        first: TimeDelta,
        /// `group_interval`
        next: TimeDelta,
    },
    /// At this instant, whatever else is waiting.
    Until(Instant),
}

/// How what shares a group is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupKind {
    /// As alerts that have something in common.
    Alerts,
    /// At the time of the digest.
    Digest,
    /// As letters to units.
    Letters,
    /// In sum, because there would be too many.
    Storm,
}

impl GroupKind {
    /// What keys of this kind begin with. A route's path, with which the others begin, has no space.
    const fn mark(self) -> &'static str {
        match self {
            Self::Alerts => "",
            Self::Digest => "digest ",
            Self::Letters => "explain ",
            Self::Storm => "storm ",
        }
    }
}

/// What entries that are told together share. The store has it as one text, which begins with its kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupKey {
    kind: GroupKind,
    text: String,
}

impl GroupKey {
    /// The key of a kind of group, told apart from others of it by `own`.
    #[must_use]
    pub fn new(kind: GroupKind, own: &str) -> Self {
        Self { kind, text: format!("{}{own}", kind.mark()) }
    }

    /// A key from the store.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let marked = [GroupKind::Digest, GroupKind::Letters, GroupKind::Storm];
        let kind = marked.into_iter().find(|kind| text.starts_with(kind.mark()));
        Self { kind: kind.unwrap_or(GroupKind::Alerts), text: text.to_owned() }
    }

    /// How it is told.
    #[must_use]
    pub fn kind(&self) -> GroupKind {
        self.kind
    }

    /// As the store has it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl OutboxEntry {
    /// What entries that are told together share.
    #[must_use]
    pub fn group_key(&self) -> GroupKey {
        let kind = match (self.matter, self.wait) {
            (EntryTopic::Explain, _) => GroupKind::Letters,
            (_, EntryDue::Until(_)) => GroupKind::Digest,
            _ => GroupKind::Alerts,
        };
        let recipient = self.recipient.as_deref().unwrap_or_default();
        GroupKey::new(kind, &format!("{} {} {recipient}{{{}}}", self.route, self.sink, self.group))
    }

    /// When it is due: with what waits already in its group, else after the group's wait. `told` is when the group was
    /// last told of.
    #[must_use]
    pub fn due(&self, now: Instant, waiting: Option<Instant>, told: Option<Instant>) -> Instant {
        match self.wait {
            EntryDue::Until(at) => at,
            EntryDue::Group { first, next } => {
                let alone = match told {
                    Some(told) => (told.saturating_add(next)).max(now),
                    None => now.saturating_add(first),
                };
                waiting.map_or(alone, |waiting| waiting.min(alone))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// States have these texts: a key that is written otherwise would be another group after an upgrade.
    #[test]
    fn a_key_is_read_as_it_was_made() {
        let entry = |matter, wait| OutboxEntry {
            matter,
            route: String::from("routes.0"),
            sink: String::from("mail"),
            recipient: None,
            group: Labels::default(),
            wait,
        };
        let group = EntryDue::Group { first: TimeDelta::ZERO, next: TimeDelta::ZERO };
        for (entry, kind, text) in [
            (entry(EntryTopic::Opened, group), GroupKind::Alerts, "routes.0 mail {}"),
            (
                entry(EntryTopic::Opened, EntryDue::Until(Instant::EPOCH)),
                GroupKind::Digest,
                "digest routes.0 mail {}",
            ),
            (entry(EntryTopic::Explain, group), GroupKind::Letters, "explain routes.0 mail {}"),
        ] {
            let key = entry.group_key();
            assert_eq!((key.kind(), key.text()), (kind, text));
            assert_eq!(GroupKey::read(text), key);
        }
        assert_eq!(GroupKey::read("storm mail"), GroupKey::new(GroupKind::Storm, "mail"));
    }
}
