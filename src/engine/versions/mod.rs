//! Records that come again when they have changed (`mode: upsert`): the difference between a version and the one before
//! becomes events, which go the way of all others. What stands of a record is committed with the events that made it so.

mod difference;
mod kept;
mod state;

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{AsArray, RecordBatch},
    compute::interleave_record_batch,
    datatypes::TimestampMicrosecondType,
};
use serde_json::Value;

pub use self::state::{Kept, VersionChange};
use self::{
    difference::{Difference, Event},
    kept::Records,
    state::Standing,
};
use super::{
    Sequenced,
    dedup::{Dedup, Seen},
    lookups,
    plausible::Plausible,
    ports::{KnownVersions, PortError},
};
use crate::{
    decode::{
        Decoded,
        versions::{RowVersion, RowVersions, Stated},
    },
    event::{Column, Instant, TimeDelta, id_hash},
    say,
    stream::{Reject, RejectReason},
    text::quoted,
};

/// What became of the versions of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum VersionResult {
    /// The record was not known.
    New,
    /// It led to events.
    Changed,
    /// Nothing of interest has changed.
    Same,
    /// A newer one came before.
    Older,
    /// It is none, and was none.
    Void,
    /// It is in quarantine.
    Refused,
}

impl VersionResult {
    /// The word for metrics.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Same => "same",
            Self::Older => "older",
            Self::Void => "void",
            Self::Refused => "refused",
        }
    }
}

/// The last versions of records, and what follows from the next ones.
#[derive(Debug, Default)]
pub struct Versions(Records);

/// What a batch of versions led to.
#[derive(Debug, Default)]
pub struct Resolved {
    /// For each event whether it stands for its record in counts; empty if all do.
    pub leads: Vec<bool>,
    /// For each event whether it is made of a version; empty if none is.
    pub made: Vec<bool>,
    /// What is known of records from now on, each after so many of the events.
    pub changes: Vec<(usize, VersionChange)>,
    /// Versions by block and what became of them.
    pub results: Vec<(usize, VersionResult)>,
}

impl VersionResult {
    /// Whether the record counts as one that came before.
    #[must_use]
    pub const fn is_duplicate(self) -> bool {
        matches!(self, Self::Same | Self::Older)
    }
}

impl Resolved {
    /// Whether an event stands for its record in counts.
    #[must_use]
    pub fn leads(&self, row: usize) -> bool {
        self.leads.get(row).copied().unwrap_or(true)
    }

    /// Whether an event is made of what was accepted before: its time was judged then.
    #[must_use]
    pub fn is_made(&self, row: usize) -> bool {
        self.made.get(row).copied().unwrap_or(false)
    }

    /// Gives each part of a batch what is known of records after it.
    pub fn note(&mut self, parts: &mut [Sequenced], accepted: &[bool]) {
        let mut changes = std::mem::take(&mut self.changes).into_iter().peekable();
        let (mut events, mut taken, mut end) = (0, 0, 0);
        let last = parts.len().saturating_sub(1);
        for (number, part) in parts.iter_mut().enumerate() {
            end += part.types.len();
            while let Some((after, _)) = changes.peek() {
                taken += accepted[events..*after].iter().filter(|yes| **yes).count();
                events = *after;
                if taken > end && number < last {
                    break;
                }
                part.intake.versions.extend(changes.next().map(|(_, change)| change));
            }
        }
    }
}

/// What the events of a batch are judged by before they are accepted: as they will be then, so that what stands of a record
/// does not depend on what shares a batch with it.
pub struct Judges<'j> {
    known: &'j mut Dedup,
    /// The bound as the events before move it.
    plausible: Option<Plausible>,
    /// The contents of the events before in this batch, by the hashes of their ids; `None` of one that is made here.
    before: HashMap<u64, Option<u64>>,
    /// The latest event time.
    latest: Instant,
}

/// Where an event comes from: a decoded row, or one that is made of a version.
type Source = Result<usize, usize>;

/// What is gathered of a batch.
#[derive(Default)]
struct Gathered {
    sources: Vec<Source>,
    lines: Vec<u8>,
    made: usize,
    rejects: Vec<Reject>,
    resolved: Resolved,
}

impl Versions {
    /// Versions that are stored.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn stored(store: impl KnownVersions + 'static) -> Result<Self, PortError> {
        Records::stored(store).map(Self)
    }

    /// The same, which do not know records any more whose events are not kept.
    #[must_use]
    pub fn within(self, retain: Option<TimeDelta>) -> Self {
        Self(self.0.within(retain))
    }

    /// Puts events in the place of versions.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn resolve(
        &mut self,
        mut decoded: Decoded,
        mut judges: Judges<'_>,
    ) -> Result<(Decoded, Resolved), PortError> {
        let Some(versions) = decoded.versions.take() else { return Ok((decoded, Resolved::default())) };
        let (mut gathered, mut next) = (Gathered::default(), 0);
        for version in &versions.rows {
            judges.pass(&decoded, next..version.row)?;
            gathered.rows(next..version.row);
            next = version.row + version.rows();
            let result = self.version(version, &decoded, &mut judges, &mut gathered)?;
            gathered.resolved.results.push((version.block(), result));
            if result == VersionResult::Void {
                decoded.skipped[version.block()] += 1;
            }
        }
        // Nothing is judged after these.
        gathered.rows(next..decoded.types.len());
        self.0.let_go(judges.latest)?;
        Ok(gathered.finish(decoded, &versions))
    }

    /// What one version leads to.
    fn version(
        &mut self,
        version: &RowVersion,
        decoded: &Decoded,
        judges: &mut Judges<'_>,
        gathered: &mut Gathered,
    ) -> Result<VersionResult, PortError> {
        if version.stated == Stated::Refused {
            return Ok(VersionResult::Refused);
        }
        let source = decoded.origins.source(version.block());
        let known = self.0.find(source, &version.key, judges.latest)?;
        let is_new = known.is_none();
        let kept = known.unwrap_or_default();
        let difference = Difference::new(decoded, version, kept.standing.clone());
        if let Some(before) = &kept.version {
            if !before.is_like(&version.version) {
                let shown = quoted(&version.shown);
                let detail = say!(
                    "the version {shown} cannot be compared with the one before: one is a time, a number or a text, and the other is not",
                    shown
                );
                return Ok(gathered.refuse(decoded, version, (RejectReason::WrongType, detail)));
            }
            if version.version < *before {
                return Ok(VersionResult::Older);
            }
            if version.version == *before && !difference.is_none() {
                let shown = quoted(&version.shown);
                let detail = say!(
                    "the version {shown} came before with other content: name as `version` a column that grows with every change",
                    shown
                );
                return Ok(gathered.refuse(decoded, version, (RejectReason::Conflict, detail)));
            }
        }
        if !difference.is_none()
            && version.rows() > 0
            && let Some(detail) = lookups::unknown(decoded, version.row)
        {
            return Ok(gathered.refuse(decoded, version, (RejectReason::UnknownLine, detail)));
        }
        for (event, _) in &difference.steps {
            if let Event::Row(row) = event
                && let Some(fault) = judges.refuse(decoded, *row)?
            {
                return Ok(gathered.refuse(decoded, version, fault));
            }
        }
        difference.steps.iter().for_each(|(event, _)| judges.accept(decoded, event));
        let at = kept.at.max(time_of(&decoded.events, version).unwrap_or(judges.latest));
        let Difference { steps, .. } = difference;
        let (count, unchanged) = (steps.len(), kept.standing.clone());
        for (number, (event, standing)) in steps.into_iter().enumerate() {
            gathered.event(event, number == 0);
            // The version holds when all that it leads to is stored: a part of a batch may be committed by itself.
            let of = if number + 1 == count { Some(&version.version) } else { kept.version.as_ref() };
            self.note(gathered, source, version, Kept { version: of.cloned(), at, standing });
        }
        if count == 0 && kept.version.as_ref() != Some(&version.version) {
            let of = Some(version.version.clone());
            self.note(gathered, source, version, Kept { version: of, at, standing: unchanged });
        }
        Ok(match (count, is_new, kept.standing == Standing::default()) {
            (0, _, true) if version.stated == Stated::Void => VersionResult::Void,
            (0, ..) => VersionResult::Same,
            (_, true, _) => VersionResult::New,
            _ => VersionResult::Changed,
        })
    }

    fn note(&mut self, gathered: &mut Gathered, source: &Arc<str>, version: &RowVersion, kept: Kept) {
        let change = self.0.put(source, &version.key, kept);
        gathered.resolved.changes.push((gathered.sources.len(), change));
    }
}

impl<'j> Judges<'j> {
    /// Before the first event of a batch.
    pub fn new(known: &'j mut Dedup, plausible: Option<&Plausible>) -> Self {
        let latest = known.latest_at();
        Self { known, plausible: plausible.cloned(), before: HashMap::new(), latest }
    }

    /// Goes on after rows that are events as they are.
    fn pass(&mut self, decoded: &Decoded, rows: std::ops::Range<usize>) -> Result<(), PortError> {
        for row in rows {
            if self.refuse(decoded, row)?.is_none() {
                self.accept(decoded, &Event::Row(row));
            }
        }
        Ok(())
    }

    /// Goes on after an event that will be accepted.
    fn accept(&mut self, decoded: &Decoded, event: &Event) {
        match event {
            Event::Row(row) => {
                self.before.entry(decoded.ids[*row]).or_insert(Some(decoded.contents[*row]));
                self.latest = self.latest.max(occurred_at(&decoded.events, *row));
                if let Some(plausible) = &mut self.plausible {
                    plausible.observe(&decoded.events, decoded.types[*row], *row);
                }
            }
            Event::Made(fields) => {
                let id = fields.get("event_id").and_then(Value::as_str).unwrap_or_default();
                self.before.entry(id_hash(id)).or_insert(None);
            }
        }
    }

    /// Why an event of a decoded row would not be accepted, if so: then nothing of its version is.
    fn refuse(&mut self, decoded: &Decoded, row: usize) -> Result<Option<(RejectReason, String)>, PortError> {
        if let Some(detail) = lookups::unknown(decoded, row) {
            return Ok(Some((RejectReason::UnknownLine, detail)));
        }
        let at = occurred_at(&decoded.events, row);
        if let Some(detail) = self.plausible.as_ref().and_then(|plausible| plausible.refuses(at)) {
            return Ok(Some((RejectReason::BadTime, detail)));
        }
        let event_id = decoded.events.column(Column::EventId.index()).as_string_view().value(row);
        let (id, content) = (decoded.ids[row], decoded.contents[row]);
        let is_conflict = match self.before.get(&id) {
            Some(before) => *before != Some(content),
            None => self.known.look(event_id, id, content)? == Seen::Conflict,
        };
        Ok(is_conflict.then(|| {
            let detail = say!(
                "the event_id {event_id} is known with other content, and not from this record: it came from another source, or before the source had `mode: upsert`, or so long ago that its versions are no longer kept",
                event_id
            );
            (RejectReason::Conflict, detail)
        }))
    }
}

/// The event time of a version.
fn time_of(events: &RecordBatch, version: &RowVersion) -> Option<Instant> {
    if version.rows() > 0 { Some(occurred_at(events, version.row)) } else { version.changed_at }
}

/// The time of an event.
fn occurred_at(events: &RecordBatch, row: usize) -> Instant {
    Instant::from_micros(
        events.column(Column::OccurredAt.index()).as_primitive::<TimestampMicrosecondType>().value(row),
    )
}

impl Gathered {
    /// Rows that are events as they are.
    fn rows(&mut self, rows: std::ops::Range<usize>) {
        self.resolved.leads.extend(rows.clone().map(|_| true));
        self.resolved.made.extend(rows.clone().map(|_| false));
        self.sources.extend(rows.map(Ok));
    }

    fn event(&mut self, event: Event, leads: bool) {
        self.resolved.leads.push(leads);
        self.resolved.made.push(matches!(event, Event::Made(_)));
        match event {
            Event::Row(row) => self.sources.push(Ok(row)),
            Event::Made(fields) => {
                self.sources.push(Err(self.resolved.results.len()));
                // Writing to memory cannot fail.
                let _ = serde_json::to_writer(&mut self.lines, &fields);
                self.lines.push(b'\n');
                self.made += 1;
            }
        }
    }

    fn refuse(
        &mut self,
        decoded: &Decoded,
        version: &RowVersion,
        (reason, detail): (RejectReason, String),
    ) -> VersionResult {
        self.rejects.push(decoded.origins.reject_version(version, reason, detail));
        VersionResult::Refused
    }

    /// The events in their order.
    fn finish(self, mut decoded: Decoded, versions: &RowVersions) -> (Decoded, Resolved) {
        let Self { sources, lines, made, rejects, resolved } = self;
        decoded.rejects.extend(rejects);
        let as_it_is = made == 0
            && sources.len() == decoded.types.len()
            && sources.iter().enumerate().all(|(at, source)| *source == Ok(at));
        if as_it_is {
            return (decoded, resolved);
        }
        let others = versions.make(lines);
        debug_assert_eq!((others.types.len(), others.rejects.as_slice()), (made, &[][..]));
        let mut made = 0..;
        let places: Vec<_> = sources
            .iter()
            .map(|source| source.map_or_else(|_| (1, made.next().unwrap_or(0)), |row| (0, row)))
            .collect();
        let events = interleave_record_batch(&[&decoded.events, &others.events], &places);
        let of = |batch: usize| if batch == 0 { &decoded } else { &others };
        let types = places.iter().map(|(batch, row)| of(*batch).types[*row]).collect();
        let ids = places.iter().map(|(batch, row)| of(*batch).ids[*row]).collect();
        let contents = places.iter().map(|(batch, row)| of(*batch).contents[*row]).collect();
        let from = |source: &Source| source.map_err(|version| &versions.rows[version]);
        let origins = decoded.origins.rearranged(sources.iter().map(from));
        let events = events.expect("rows of the two batches");
        (Decoded { events, types, ids, contents, origins, ..decoded }, resolved)
    }
}
