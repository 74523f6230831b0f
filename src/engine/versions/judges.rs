//! What the events of versions are judged by.

use std::collections::HashMap;

use arrow::array::AsArray;
use serde_json::Value;

use super::{
    super::{
        dedup::{Dedup, Sighting},
        lookups,
        plausible::Plausible,
        ports::PortError,
    },
    difference::{StepEvent, VersionDifference},
    occurred_at,
};
use crate::{
    decode::{Decoded, versions::RowVersion},
    event::{Column, Instant, id_hash},
    say,
    stream::RejectReason,
};

/// What the events of a batch are judged by before they are accepted: as they will be then, so that what stands of a record
/// does not depend on what shares a batch with it.
pub struct Judges<'j> {
    known: &'j mut Dedup,
    /// The bound as the events before move it.
    plausible: Option<Plausible>,
    /// The contents of the events before in this batch, by the hashes of their ids; `None` of one that is made here.
    before: HashMap<u64, Option<u64>>,
    /// The latest event time.
    pub(super) latest: Option<Instant>,
}

impl<'j> Judges<'j> {
    /// Before the first event of a batch.
    pub fn new(known: &'j mut Dedup, plausible: Option<&Plausible>) -> Self {
        let latest = known.latest_at();
        Self { known, plausible: plausible.cloned(), before: HashMap::new(), latest }
    }

    /// Goes on after rows that are events as they are.
    pub(super) fn pass(&mut self, decoded: &Decoded, rows: std::ops::Range<usize>) -> Result<(), PortError> {
        for row in rows {
            if self.refuse(decoded, row)?.is_none() {
                self.accept(decoded, &StepEvent::Row(row));
            }
        }
        Ok(())
    }

    /// Goes on after an event that will be accepted.
    pub(super) fn accept(&mut self, decoded: &Decoded, event: &StepEvent) {
        match event {
            StepEvent::Row(row) => {
                self.before.entry(decoded.ids[*row]).or_insert(Some(decoded.contents[*row]));
                self.latest = self.latest.max(Some(occurred_at(&decoded.events, *row)));
                if let Some(plausible) = &mut self.plausible {
                    plausible.observe(&decoded.events, decoded.types[*row], *row);
                }
            }
            StepEvent::Made(fields) => {
                let id = fields.get("event_id").and_then(Value::as_str).unwrap_or_default();
                self.before.entry(id_hash(id)).or_insert(None);
            }
        }
    }

    /// Why one of the events that a version leads to would not be accepted, if so.
    pub(super) fn refuse_any(
        &mut self,
        decoded: &Decoded,
        version: &RowVersion,
        difference: &VersionDifference,
    ) -> Result<Option<(RejectReason, String)>, PortError> {
        if !difference.is_none()
            && version.rows() > 0
            && let Some(detail) = lookups::unknown(decoded, version.row)
        {
            return Ok(Some((RejectReason::UnknownLine, detail)));
        }
        for (event, _) in &difference.steps {
            if let StepEvent::Row(row) = event
                && let Some(fault) = self.refuse(decoded, *row)?
            {
                return Ok(Some(fault));
            }
        }
        Ok(None)
    }

    /// Why an event of a decoded row would not be accepted, if so: then nothing of its version is.
    pub(super) fn refuse(
        &mut self,
        decoded: &Decoded,
        row: usize,
    ) -> Result<Option<(RejectReason, String)>, PortError> {
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
            None => self.known.look(event_id, id, content)? == Sighting::Conflict,
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
