//! `lists:`: reference lists by name, beside two keys about all of them.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, Visitor},
    ser::SerializeMap,
};

use super::Config;
use crate::{
    approval::rows::ListAmendment,
    lists::{CodeColumns, ColumnKind},
};

const SETTLE: &str = "settle";
const REJUDGE: &str = "rejudge";

/// All of `lists:`.
#[derive(Debug, Clone)]
pub struct ListSpecs {
    /// How long the file of a list must have been left alone before it is read again.
    pub settle: String,
    /// How far back payments are judged again by a list that has changed.
    pub rejudge: String,
    pub named: BTreeMap<String, ListSpec>,
}

/// A reference list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListSpec {
    /// A CSV, JSON Lines or Excel file (`.xlsx`, `.xls`).
    pub path: PathBuf,
    /// The column that is looked up; the first one by default.
    pub key: Option<String>,
    /// What columns hold, where their names do not say it: `text`, `code`, `account`, `name`, `money` or `decimal`.
    #[serde(default)]
    pub columns: BTreeMap<String, ColumnKind>,
    /// Whether the list may lose more than half of its rows at once without being asked.
    #[serde(default)]
    pub shrink: bool,
    /// The sheet of a workbook; the first one that is not hidden by default.
    pub sheet: Option<String>,
    /// What makes it a table of codes, of `codes:`.
    #[serde(skip)]
    pub codes: Option<CodeColumns>,
    /// Rows that people agreed on beside the file, the oldest first.
    #[serde(skip)]
    pub agreed: Vec<ListAmendment>,
}

impl Default for ListSpecs {
    fn default() -> Self {
        Self { settle: String::from("2s"), rejudge: String::from("1d"), named: BTreeMap::new() }
    }
}

impl<'de> Deserialize<'de> for ListSpecs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = ListSpecs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("lists by name")
            }

            // Entry by entry, so that a mistake keeps its place.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ListSpecs, A::Error> {
                let mut specs = ListSpecs::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        SETTLE => specs.settle = map.next_value()?,
                        REJUDGE => specs.rejudge = map.next_value()?,
                        _ => {
                            let spec = map.next_value()?;
                            specs.named.insert(key, spec);
                        }
                    }
                }
                Ok(specs)
            }

            fn visit_unit<E>(self) -> Result<ListSpecs, E> {
                Ok(ListSpecs::default())
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

impl Serialize for ListSpecs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.named.len() + 2))?;
        map.serialize_entry(SETTLE, &self.settle)?;
        map.serialize_entry(REJUDGE, &self.rejudge)?;
        self.named.iter().try_for_each(|(name, spec)| map.serialize_entry(name, spec))?;
        map.end()
    }
}

impl JsonSchema for ListSpecs {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ListSpecs".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let defaults = Self::default();
        json_schema!({
            "type": "object",
            "description": "All entries but these two are lists by name.",
            "properties": {
                "settle": {
                    "type": "string",
                    "default": defaults.settle,
                    "description": "How long the file of a list must have been left alone before it is read again.",
                },
                "rejudge": {
                    "type": "string",
                    "default": defaults.rejudge,
                    "description": "How far back, by event time, events are judged again by a list that has changed; `0s` is not at all.",
                },
            },
            "additionalProperties": generator.subschema_for::<ListSpec>(),
        })
    }
}

impl Config {
    /// Takes the rows of lists that people agreed on: they hold beside what the files say.
    pub fn take_agreed_rows(&mut self, mut agreed: BTreeMap<String, Vec<ListAmendment>>) {
        for (name, spec) in &mut self.lists {
            spec.agreed = agreed.remove(name).unwrap_or_default();
        }
    }
}
