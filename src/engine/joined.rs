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
