//! Versioned records (`mode: upsert`): the difference between a version and the one before
//! becomes events, which go the way of all others. How a record stands is committed with the events that made it so.

mod difference;
mod judges;
mod kept;
mod references;
mod refusals;
mod state;

use std::{ops::Range, sync::Arc};

use arrow::{
    array::{AsArray, RecordBatch},
    compute::interleave_record_batch,
    datatypes::TimestampMicrosecondType,
};

pub(crate) use self::judges::Judges;
pub use self::references::NamedEvent;
pub use self::state::{Kept, VersionChange};
use self::{
    difference::{StepEvent, VersionDifference},
    kept::Records,
    references::Renamed,
    refusals::{cannot_become, contradicts},
    state::StandingEvents,
};
use super::{
    Sequenced,
    ports::{KnownVersions, PortError},
};
use crate::{
    decode::{
        Decoded,
        versions::{RowVersion, RowVersions, Stated},
    },
    event::{Column, Instant, TimeDelta},
    stream::{Reject, RejectReason},
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
pub struct ResolvedVersions {
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

impl ResolvedVersions {
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

/// Where an event comes from: a decoded row, or one that is made of a version.
type Source = Result<usize, usize>;

/// What is gathered of a batch.
#[derive(Default)]
struct Gathered {
    sources: Vec<Source>,
    lines: Vec<u8>,
    made: usize,
    rejects: Vec<Reject>,
    renamed: Renamed,
    resolved: ResolvedVersions,
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
    ) -> Result<(Decoded, ResolvedVersions), PortError> {
        let Some(versions) = decoded.versions.take() else {
            return self.named_anew(decoded, judges.latest);
        };
        let (mut gathered, mut next) = (Gathered::default(), 0);
        for version in &versions.rows {
            self.rows(&decoded, next..version.row, (&mut judges, &mut gathered))?;
            next = version.row + version.rows();
            let result = self.version(version, &decoded, &mut judges, &mut gathered)?;
            gathered.resolved.results.push((version.block(), result));
            if result == VersionResult::Void {
                decoded.skipped[version.block()] += 1;
            }
        }
        let rows = next..decoded.types.len();
        self.rows(&decoded, rows, (&mut judges, &mut gathered))?;
        self.0.let_go(judges.latest)?;
        Ok(gathered.finish(decoded, &versions))
    }

    /// Events that are no versions, and may name records.
    fn named_anew(
        &mut self,
        mut decoded: Decoded,
        latest: Option<Instant>,
    ) -> Result<(Decoded, ResolvedVersions), PortError> {
        let mut renamed = Renamed::default();
        (0..decoded.types.len())
            .try_for_each(|row| renamed.look(&mut self.0, (&decoded, row), row, latest))?;
        decoded.events = renamed.apply(decoded.events);
        Ok((decoded, ResolvedVersions::default()))
    }

    /// Rows that are events as they are.
    fn rows(
        &mut self,
        decoded: &Decoded,
        rows: Range<usize>,
        (judges, gathered): (&mut Judges<'_>, &mut Gathered),
    ) -> Result<(), PortError> {
        judges.pass(decoded, rows.clone())?;
        for row in rows.clone() {
            let place = gathered.sources.len() + row - rows.start;
            gathered.renamed.look(&mut self.0, (decoded, row), place, judges.latest)?;
        }
        gathered.rows(rows);
        Ok(())
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
        let difference = VersionDifference::new(decoded, version, kept.standing.clone());
        if let Some(before) = &kept.version {
            if let Some(fault) = contradicts(before, version, &difference) {
                return Ok(gathered.refuse(decoded, version, fault));
            }
            if version.version < *before {
                return Ok(VersionResult::Older);
            }
        }
        if let Some(detail) = cannot_become(&kept.standing, version, decoded) {
            return Ok(gathered.refuse(decoded, version, (RejectReason::Conflict, detail)));
        }
        if let Some(fault) = judges.refuse_any(decoded, version, &difference)? {
            return Ok(gathered.refuse(decoded, version, fault));
        }
        difference.steps.iter().for_each(|(event, _)| judges.accept(decoded, event));
        let at = time_of(&decoded.events, version).or(judges.latest);
        let at = at.map_or(kept.at, |at| kept.at.max(at));
        let VersionDifference { steps, .. } = difference;
        let (count, unchanged) = (steps.len(), kept.standing.clone());
        for (number, (mut event, standing)) in steps.into_iter().enumerate() {
            match &event {
                StepEvent::Row(row) => {
                    let place = gathered.sources.len();
                    gathered.renamed.look(&mut self.0, (decoded, *row), place, judges.latest)?;
                    gathered.renamed.look_at_version((decoded, *row), place);
                }
                StepEvent::Made(_) => references::follow(&mut self.0, &mut event, judges.latest)?,
            }
            gathered.event(event, number == 0);
            // The version holds when all that it leads to is stored: a part of a batch may be committed by itself.
            let of = if number + 1 == count { Some(&version.version) } else { kept.version.as_ref() };
            self.note(gathered, source, version, Kept { version: of.cloned(), at, standing });
        }
        if count == 0 && kept.version.as_ref() != Some(&version.version) {
            let of = Some(version.version.clone());
            self.note(gathered, source, version, Kept { version: of, at, standing: unchanged });
        }
        Ok(match (count, is_new, kept.standing == StandingEvents::default()) {
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
    fn rows(&mut self, rows: Range<usize>) {
        self.resolved.leads.extend(rows.clone().map(|_| true));
        self.resolved.made.extend(rows.clone().map(|_| false));
        self.sources.extend(rows.map(Ok));
    }

    fn event(&mut self, event: StepEvent, leads: bool) {
        self.resolved.leads.push(leads);
        self.resolved.made.push(matches!(event, StepEvent::Made(_)));
        match event {
            StepEvent::Row(row) => self.sources.push(Ok(row)),
            StepEvent::Made(fields) => {
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
    fn finish(self, mut decoded: Decoded, versions: &RowVersions) -> (Decoded, ResolvedVersions) {
        let Self { sources, lines, made, rejects, renamed, resolved } = self;
        decoded.rejects.extend(rejects);
        let as_it_is = made == 0
            && sources.len() == decoded.types.len()
            && sources.iter().enumerate().all(|(at, source)| *source == Ok(at));
        if as_it_is {
            decoded.events = renamed.apply(decoded.events);
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
        let events = renamed.apply(events.expect("rows of the two batches"));
        (Decoded { events, types, ids, contents, origins, ..decoded }, resolved)
    }
}
