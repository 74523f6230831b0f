//! Letters and their drafts, each on its own, and what officers are told of them.

use std::sync::Arc;

use super::{Dispatch, Work};
use crate::{
    access::LimitScope,
    alert::{
        Action, Alert, BY_ITSELF, ChangeFacts, Desk, HistoryEntry, Labels, Reason,
        desk::{EntryTopic, GroupKey},
        inquiry::{self, Stage},
    },
    say,
    store::{DueEntry, DueGroup, RoundResult},
};

impl Work<'_> {
    /// Sends the drafts of a unit that a route lets go out without an officer.
    pub(super) fn send_drafts(&mut self, due: &DueGroup, entries: Vec<DueEntry>) -> RoundResult<()> {
        let policy = Arc::clone(&self.dispatch.policy);
        let workdays = policy.explain.as_ref().map_or(inquiry::DEADLINE, |explain| explain.deadline);
        let until = inquiry::due(self.now, workdays, &policy.calendar, &self.dispatch.lists);
        let desk = Desk::new(policy);
        let mut sent = Vec::new();
        for entry in entries {
            let is_draft = entry.alert.inquiry.as_ref().is_some_and(|letter| letter.stage == Stage::Draft);
            let reachable = self.contact(&entry.alert.labels);
            match reachable.and_then(|_| {
                desk.inquire_by_itself(entry.alert.clone(), until, self.now).map_err(|e| e.to_string())
            }) {
                Ok(step) => {
                    self.round.send_letter(&desk, &step, self.now)?;
                    sent.push(DueEntry { alert: step.alert, ..entry });
                }
                Err(why) => {
                    if is_draft {
                        self.remark(&entry.alert, &why)?;
                    }
                    self.round.take(&[entry.seq])?;
                }
            }
        }
        if sent.is_empty() { Ok(()) } else { self.send_letter(due, &sent) }
    }

    /// Makes the notification of a letter that was sent.
    pub(super) fn send_letter(&mut self, due: &DueGroup, entries: &[DueEntry]) -> RoundResult<()> {
        match self.contact(&due.labels) {
            Ok(contact) => {
                let thread = own_thread(&due.group_key, entries);
                self.notify(due, entries, Reason::Explain, &thread, vec![Some(contact)])?;
            }
            // The list was changed since.
            Err(why) => entries.iter().try_for_each(|entry| self.remark(&entry.alert, &why))?,
        }
        self.round.take(&entries.iter().map(|entry| entry.seq).collect::<Vec<_>>())
    }

    /// Tells an officer what became of a letter. Nothing holds that back: they asked.
    pub(super) fn tell_officer(&mut self, due: &DueGroup, entries: Vec<DueEntry>) -> RoundResult<()> {
        for entry in entries {
            let reason = match entry.matter {
                EntryTopic::Answered => Reason::Answered,
                _ => Reason::Unanswered,
            };
            let recipients = match self.officer(&entry.alert)? {
                Some(address) => vec![Some(address)],
                None => self.dispatch.recipients(&due.sink),
            };
            let (thread, seq) = (entry.alert.alert_id.clone(), entry.seq);
            self.notify(due, &[entry], reason, &thread, recipients)?;
            self.round.take(&[seq])?;
        }
        Ok(())
    }

    /// The address of whoever has an alert, or sent its letter.
    fn officer(&self, alert: &Alert) -> RoundResult<Option<String>> {
        let Some(officers) = self.dispatch.policy.officers.as_ref() else { return Ok(None) };
        let list = self.dispatch.lists.get(&officers.list);
        let Some((list, (column, _))) = list.and_then(|list| Some((list, list.column(&officers.column)?)))
        else {
            return Ok(None);
        };
        let scope = LimitScope { lists: self.dispatch.lists.clone(), ..LimitScope::default() };
        let asked = alert.inquiry.as_ref().and_then(|letter| letter.by.as_deref());
        for name in alert.owner.as_deref().into_iter().chain(asked) {
            // Roles may have been taken away since.
            if let Some(address) = list.value(name, column)
                && self.round.may_hear(name, &alert.alert_id, (&scope, self.now))?
            {
                return Ok(Some(address.to_owned()));
            }
        }
        Ok(None)
    }

    fn contact(&self, labels: &Labels) -> Result<String, String> {
        let Dispatch { policy, lists, .. } = self.dispatch;
        inquiry::contact(labels, policy.explain.as_ref(), lists).map_err(|why| why.to_string())
    }

    fn remark(&self, alert: &Alert, why: &str) -> RoundResult<()> {
        let why = Some(say!("the letter to the unit did not go out: {why}", why));
        let (who, state) = (BY_ITSELF.to_owned(), alert.state);
        let (action, facts) = (Action::Comment, ChangeFacts::default());
        let change = HistoryEntry { at: self.now, who, action, state, why, facts };
        self.round.remark(&alert.alert_id, &change)
    }
}

/// The thread of a notification that no other belongs to. It is not an alert's: one alert can be in several of them, and
/// two mails that begin a thread must not have one `Message-ID`.
pub(super) fn own_thread(group_key: &GroupKey, entries: &[DueEntry]) -> String {
    let cause: Vec<_> = entries.iter().map(|entry| entry.seq.to_string()).collect();
    blake3::hash(format!("{} {}", group_key.text(), cause.join(",")).as_bytes()).to_hex()[..16].to_owned()
}
