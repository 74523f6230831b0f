//! Parts of a batch that are judged as one. A schedule that is due cuts a batch, because its query sees what was stored up to
//! then. Rules on events and windows need no cut, and to judge a part takes them much the same time whatever its size.

use arrow::record_batch::RecordBatch;

use super::{SavedWatermark, Sequenced};
use crate::{
    evaluate::{Batch, Until, schedule::Due},
    event::EventType,
    ledger::AfterEvent,
};

/// Parts of a batch, one after another, and what they are as one.
pub(crate) struct JoinedParts {
    before: Vec<Sequenced>,
    last: Sequenced,
    /// Where there is more than one part.
    whole: Option<Whole>,
}

struct Whole {
    events: RecordBatch,
    types: Vec<EventType>,
    after: AfterEvent,
    watermarks: Vec<i64>,
}

impl JoinedParts {
    /// A part by itself.
    pub(super) fn single(part: Sequenced) -> Self {
        Self { before: Vec::new(), last: part, whole: None }
    }

    /// The parts of a batch, those joined that can be judged as one.
    pub(super) fn join(parts: Vec<Sequenced>) -> Vec<Self> {
        let mut joined: Vec<Self> = Vec::new();
        for part in parts {
            match joined.last_mut() {
                Some(those) if those.can_take(&part) => {
                    those.before.push(std::mem::replace(&mut those.last, part));
                }
                _ => joined.push(Self::single(part)),
            }
        }
        joined.iter_mut().for_each(Self::put_together);
        joined
    }

    /// Whether nothing happens to windows between these parts and the next one. What their own events pass happens right
    /// after those; a watermark that moves otherwise closes windows at the end of a part.
    fn can_take(&self, next: &Sequenced) -> bool {
        let mut parts = std::iter::once(&self.last).chain(self.before.iter().rev());
        let Some(passed) = parts.find_map(|part| part.watermarks.last()) else { return false };
        let is_still = |part: &Sequenced| Until::in_column(part.watermark.settled()) <= *passed;
        self.last.journal == next.journal
            && is_still(&self.last)
            && (!next.types.is_empty() || is_still(next))
    }

    fn put_together(&mut self) {
        let Some(first) = self.before.first() else { return };
        let ((batch, start), rows) = (first.among.clone(), self.parts().map(|part| part.types.len()).sum());
        let mut whole = Whole {
            events: batch.slice(start, rows),
            types: Vec::with_capacity(rows),
            after: AfterEvent::default(),
            watermarks: Vec::with_capacity(rows),
        };
        for part in self.before.iter_mut().chain([&mut self.last]) {
            whole.types.extend_from_slice(&part.types);
            whole.after.append(std::mem::take(&mut part.after));
            whole.watermarks.append(&mut part.watermarks);
        }
        self.whole = Some(whole);
    }

    fn parts(&self) -> impl Iterator<Item = &Sequenced> {
        self.before.iter().chain([&self.last])
    }

    /// What rules judge.
    pub(super) fn batch(&self) -> Batch<'_> {
        let (last, attributes) = (&self.last, &self.last.attributes);
        match &self.whole {
            Some(Whole { events, types, after, .. }) => Batch { events, types, after, attributes },
            None => Batch { events: &last.events, types: &last.types, after: &last.after, attributes },
        }
    }

    /// What windows are closed up to after each event, in microseconds.
    pub(super) fn watermarks(&self) -> &[i64] {
        self.whole.as_ref().map_or(&self.last.watermarks, |whole| &whole.watermarks)
    }

    /// The last part, after which time and journal are as it says.
    pub(super) fn last(&self) -> &Sequenced {
        &self.last
    }

    /// How many events there are up to the end of each part.
    pub(super) fn ends(&self) -> Vec<usize> {
        let count = |end: &mut usize, part: &Sequenced| {
            *end += part.types.len();
            Some(*end)
        };
        self.parts().scan(0, count).collect()
    }

    /// The rules that are due after each part, with the watermark there.
    pub(super) fn take_due(&mut self) -> Vec<(Vec<Due>, SavedWatermark)> {
        let parts = self.before.iter_mut().chain([&mut self.last]);
        parts.map(|part| (std::mem::take(&mut part.due), part.watermark.save())).collect()
    }

    /// The parts, to be committed one after another.
    pub(super) fn into_parts(self) -> impl Iterator<Item = Sequenced> {
        self.before.into_iter().chain([self.last])
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        decode::Decoder,
        engine::{Dedup, SequenceCause, Sequencer, Ticker, Watermark},
        event::{Instant, TimeDelta, time::Calendar},
        lists::Lists,
        rule::{RuleSet, compile::Compiler},
        stream::{Block, Payload},
        text::Language,
    };

    /// Three days of payments, and a rule that is due every day between them.
    fn parts() -> Vec<Sequenced> {
        let calendar = Arc::new(Calendar::new("UTC", 1, 1).unwrap());
        let compiler = Compiler::new(&calendar, Lists::default(), Language::En);
        let rule = "rules: [{ id: r, severity: low, trigger: schedule, every: 1d, sql: SELECT unit_code FROM payments, key: [unit_code] }]";
        let rules = RuleSet::from_text(rule, &compiler, &calendar).unwrap();
        let payment = |n: usize| {
            let day = n / 2 + 2;
            format!(
                r#"{{"event_id":"p{n}","type":"payment","occurred_at":"2026-03-{day:02}T10:00:00Z","budget_line_id":"L","amount":"1.00","fiscal_year":2026,"region_code":"3301","unit_code":"101","function_code":"205","economic_code":"302","payment_mode":"direct","settlement":"transfer","payee_name":"x","payee_account":"1","payee_type":"entity"}}"#
            )
        };
        let lines: Vec<String> = (0..6).map(payment).collect();
        let block = Block::new("s".into(), "p".into(), 0, Payload::JsonLines(lines.join("\n").into()));
        let decoded = Decoder::new(Arc::clone(&calendar)).decode(std::slice::from_ref(&block), None);
        let mut sequencer =
            Sequencer::new(Arc::default(), Dedup::default(), Watermark::new(TimeDelta::ZERO, None), None);
        let (now, mut ticker) = ((Instant::EPOCH, TimeDelta::MAX), Ticker::new(&rules, &calendar));
        sequencer.sequence(&[block], decoded, SequenceCause::Events, now, &mut ticker).unwrap()
    }

    #[test]
    fn parts_between_which_nothing_happens_to_windows_are_judged_as_one() {
        let (expected, joined) = (parts(), JoinedParts::join(parts()));
        assert!(expected.len() > 2, "it is cut where the rule is due");
        let [whole] = &joined[..] else { panic!("{} groups of {} parts", joined.len(), expected.len()) };
        assert_eq!((whole.batch().types.len(), whole.ends().len()), (6, expected.len()));
        assert_eq!(whole.ends().last(), Some(&6));
        let batch = whole.batch();
        let mut start = 0;
        for (part, end) in expected.iter().zip(whole.ends()) {
            assert_eq!(batch.events.slice(start, end - start), part.events);
            assert_eq!(whole.watermarks()[start..end], part.watermarks);
            assert_eq!(batch.after.executed[start..end], part.after.executed);
            start = end;
        }
    }

    /// Time that has passed beyond what events say closes windows at the end of a part, before the rules that are due then.
    #[test]
    fn a_part_that_moves_windows_at_its_end_is_the_last_of_those_judged_as_one() {
        let mut apart = parts();
        let mut later = Watermark::new(TimeDelta::ZERO, None);
        let block = Block::new("s".into(), "p".into(), 0, Payload::JsonLines(Vec::new().into()));
        let place = later.place(&block, Instant::EPOCH);
        for _ in 0..2 {
            later.observe(place, Instant::from_micros(1_900_000_000_000_000), Instant::EPOCH);
        }
        apart[0].watermark = later;
        let count = apart.len();
        let joined = JoinedParts::join(apart);
        assert_eq!(joined.iter().map(|group| group.ends().len()).collect::<Vec<_>>(), [1, count - 1]);
    }
}
