//! What other events name of a record that has changed since: a payment names the application and a refund the payment by the
//! id of the record, and what stands of it may have another.

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringViewArray},
    compute::kernels::zip::zip,
};

use super::{
    Records,
    difference::StepEvent,
    state::{Issued, StandingEvents},
};
use crate::{
    decode::{
        Decoded,
        versions::{APPLICATION_TAIL, application_id},
    },
    engine::ports::PortError,
    event::{Column, EventType, Instant},
};

/// What an event names of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedEvent {
    /// 支付申请
    Application,
    /// 支付
    Payment,
}

impl NamedEvent {
    /// The ids that such an event of a record may have had first.
    fn first_ids(self, record: &str) -> Vec<String> {
        match self {
            Self::Application => vec![application_id(record), record.to_owned()],
            Self::Payment => vec![record.to_owned()],
        }
    }

    pub(crate) fn of(self, standing: &StandingEvents) -> Option<&Issued> {
        match self {
            Self::Application => standing.application.as_ref(),
            Self::Payment => standing.payment.as_ref(),
        }
    }

    /// What events of a type name, and in which column.
    fn by(event_type: EventType) -> Option<(Self, Column)> {
        match event_type {
            EventType::Payment => Some((Self::Application, Column::ApplicationId)),
            EventType::Withdrawal => Some((Self::Application, Column::OriginalEventId)),
            EventType::Refund | EventType::Confirmation | EventType::Correction => {
                Some((Self::Payment, Column::OriginalEventId))
            }
            _ => None,
        }
    }
}

/// Names that are to be others, each of an event by its place among those of the batch.
#[derive(Debug, Default)]
pub(super) struct Renamed(Vec<(usize, Column, String)>);

impl Renamed {
    /// Looks at the row of a version: an application says by which name others know its record.
    pub(super) fn look_at_version(&mut self, (decoded, row): (&Decoded, usize), place: usize) {
        let ids = decoded.events.column(Column::EventId.index()).as_string_view();
        if decoded.types[row] == EventType::Application
            && let Some(record) = ids.value(row).strip_suffix(APPLICATION_TAIL)
        {
            self.0.push((place, Column::ApplicationId, record.to_owned()));
        }
    }

    /// Looks at a row as it will stand at a place.
    pub(super) fn look(
        &mut self,
        records: &mut Records,
        (decoded, row): (&Decoded, usize),
        place: usize,
        latest: Option<Instant>,
    ) -> Result<(), PortError> {
        let Some((named, column)) = NamedEvent::by(decoded.types[row]).filter(|_| records.are_any()) else {
            return Ok(());
        };
        let names = decoded.events.column(column.index()).as_string_view();
        if names.is_valid(row)
            && let Some(id) = standing_id(records, named, names.value(row), latest)?
        {
            self.0.push((place, column, id));
        }
        Ok(())
    }

    /// The events with their names as they are now.
    pub(super) fn apply(self, events: RecordBatch) -> RecordBatch {
        if self.0.is_empty() {
            return events;
        }
        let mut columns = events.columns().to_vec();
        for column in [Column::ApplicationId, Column::OriginalEventId] {
            let of_column = self.0.iter().filter(|(_, of, _)| *of == column);
            let mut ids = vec![None; events.num_rows()];
            of_column.for_each(|(place, _, id)| ids[*place] = Some(id.as_str()));
            if ids.iter().all(Option::is_none) {
                continue;
            }
            let renamed: BooleanArray = ids.iter().map(|id| Some(id.is_some())).collect();
            let ids: ArrayRef = std::sync::Arc::new(StringViewArray::from(ids));
            let own = &mut columns[column.index()];
            *own = zip(&renamed, &ids, own).expect("two columns of one type");
        }
        RecordBatch::try_new(events.schema(), columns).expect("columns of the same types")
    }
}

/// The event as a version makes it, with the application that it names as it stands now.
pub(super) fn follow(
    records: &mut Records,
    event: &mut StepEvent,
    latest: Option<Instant>,
) -> Result<(), PortError> {
    if let StepEvent::Made(fields) = event
        && let Some(name) = fields.get(Column::ApplicationId.spec().name).and_then(|name| name.as_str())
        && let Some(id) = standing_id(records, NamedEvent::Application, name, latest)?
    {
        fields.insert(Column::ApplicationId.spec().name.to_owned(), id.into());
    }
    Ok(())
}

/// The id of what stands of a record, if it is another than the one that it is named by.
fn standing_id(
    records: &mut Records,
    named: NamedEvent,
    record: &str,
    latest: Option<Instant>,
) -> Result<Option<String>, PortError> {
    for first in named.first_ids(record) {
        if let Some(standing) = records.standing(named, &first, latest)?
            && let Some(issued) = named.of(&standing)
        {
            return Ok(Some(issued.id.clone()).filter(|id| id != record));
        }
    }
    Ok(None)
}
