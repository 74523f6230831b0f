//! Versioned records: what tells them apart, and what orders their versions.

use serde::{Deserialize, Serialize};

use super::{Map, MapShape, Slots, compile::Mistake};
use crate::{
    event::{Column, EventType, schema::FIELDS},
    say,
    stream::{OP, VERSION},
};

/// What a source does with a record that comes again with other content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Mode")]
pub enum UpsertMode {
    /// It is a conflict: an event does not change.
    #[default]
    Append,
    /// It is another version of the record, and the difference becomes events.
    Upsert,
}

/// What tells the records of a source apart, and what orders the versions of one.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpsertShape {
    /// The columns that stay the same when a record changes, and that no two records have alike.
    pub key: Vec<String>,
    /// The column that grows with each change: a time, a number or a text. Change events of a database, and tables that are
    /// polled, have one without it.
    pub version: Option<String>,
    /// The column with the time of the bank's answer. Without it that is the version, if it is a time, or else `occurred_at`.
    pub confirmed_at: Option<String>,
}

/// The settings of records that come again, with columns resolved.
#[derive(Debug)]
pub struct Upsert {
    /// The columns of the key.
    pub key: Vec<usize>,
    /// The column that grows.
    pub version: usize,
    /// The column with the time of the bank's answer.
    pub confirmed_at: Option<usize>,
    /// Where `delete` stands if the record was deleted.
    pub op: Option<usize>,
    /// Whether a record may be an application first and a payment later: then the application has an id of its own.
    pub applies_first: bool,
}

/// What a source brings by itself.
#[derive(Debug, Clone, Copy)]
pub enum Versioned<'v> {
    /// The record is not one that comes again.
    Not,
    /// Change events, with the place in the log of the database.
    Changes,
    /// A table that is polled by this column.
    Polled(&'v str),
}

impl MapShape {
    /// The map of records that have our names already.
    #[must_use]
    pub fn of_events() -> Self {
        let names = FIELDS.iter().map(|field| field.name.to_owned());
        Self {
            columns: names.clone().map(|name| (name.clone(), name)).collect(),
            optional: names.collect(),
            totals: Vec::new(),
            ..Self::default()
        }
    }
}

impl UpsertShape {
    /// As it may be written.
    pub const EXAMPLE: &str = "upsert: { key: [支付凭证号], version: 更新时间 }";

    /// Finds its columns among those of a map, and adds those that only it names.
    pub(super) fn compile(
        &self,
        versioned: Versioned<'_>,
        slots: &mut Slots,
        mistakes: &mut Vec<Mistake>,
    ) -> Option<Upsert> {
        let mut mistake = |keys: &[&str], message: String, hint: Option<String>| {
            let path = keys.iter().map(|key| (*key).to_owned()).collect();
            mistakes.push(Mistake { path, message, hint });
        };
        if self.key.is_empty() {
            let message = say!("`mode: upsert` needs the columns that tell records apart");
            let hint = String::from(Self::EXAMPLE);
            mistake(&["upsert", "key"], message, Some(hint));
        }
        let by_itself = match versioned {
            Versioned::Not => None,
            Versioned::Changes => Some(VERSION),
            Versioned::Polled(column) => Some(column),
        };
        let Some(version) = self.version.as_deref().or(by_itself) else {
            let message = say!("`mode: upsert` needs the column that grows when a record changes");
            let hint = String::from(Self::EXAMPLE);
            mistake(&["upsert", "version"], message, Some(hint));
            return None;
        };
        if self.key.iter().any(|name| name.trim() == version.trim()) {
            let message =
                say!("{name} cannot be the key and the version: one stays, the other grows", name = version);
            mistake(&["upsert", "version"], message, None);
        }
        let op = matches!(versioned, Versioned::Changes).then(|| slots.slot(OP));
        Some(Upsert {
            key: self.key.iter().map(|name| slots.slot(name)).collect(),
            version: slots.slot(version),
            confirmed_at: self.confirmed_at.as_deref().map(|name| slots.slot(name)),
            op,
            applies_first: true,
        })
    }
}

impl Map {
    /// The columns that tell records apart and are in no `event_id`, where that is made of fewer columns: records that differ
    /// only there share an id.
    #[must_use]
    pub fn keys_beyond_ids(&self) -> Vec<&str> {
        let Some(upsert) = &self.upsert else { return Vec::new() };
        let event_id = self.fields.iter().find(|field| field.column == Column::EventId.index());
        let ids: Vec<_> = self.id.iter().copied().chain(event_id.and_then(|field| field.slot)).collect();
        if upsert.key.len() <= ids.len() {
            return Vec::new();
        }
        let beyond = upsert.key.iter().filter(|slot| !ids.contains(slot));
        beyond.map(|slot| self.slots.names()[*slot].as_str()).collect()
    }

    /// Whether all of its records are applications.
    pub(super) fn only_applies(&self) -> bool {
        let kind = self.fields.iter().find(|field| field.column == Column::Type.index());
        kind.is_some_and(|kind| {
            kind.slot.is_none() && kind.constant.as_deref() == Some(EventType::Application.name())
        })
    }
}
