//! Where events come from, as it is written.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{
    config::{feeds::MapSpec, postgres::PostgresSpec},
    event::stamp::StampUnit,
    map::{UpsertMode, UpsertShape},
    source::{Encoding, directory::Afterwards, kafka::KafkaSource},
};

/// One source.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceSpec {
    /// Its name, for positions, messages and metrics. Do not change it: positions belong to it.
    pub name: String,
    /// A file.
    pub file: Option<FileSpec>,
    /// A drop directory.
    pub directory: Option<DirectorySpec>,
    /// Standard input.
    pub stdin: Option<StdinSpec>,
    /// Kafka topics.
    pub kafka: Option<KafkaSource>,
    /// A table or query of a PostgreSQL database, or of one that speaks its protocol.
    pub postgres: Option<PostgresSpec>,
    /// Whether the source brings a history that is loaded with pauses: while it pauses, the watermark waits for it and
    /// does not move with the clock. Take it out when the history is in.
    #[serde(default)]
    pub backfill: bool,
    /// The IANA name of the zone of its times that have none; without it such times are refused.
    pub zone: Option<String>,
    /// What a number counts that is a time: `seconds`, `milliseconds`, `microseconds` or `nanoseconds` since 1970, or
    /// `excel_days`.
    #[serde(default)]
    pub times: StampUnit,
    /// The words that stand for a missing value, in place of the usual ones (docs/events.md).
    pub nulls: Option<Vec<String>>,
    /// How its records become events, if they are none yet (docs/feeds.md): a map, or the file that it is in.
    pub map: Option<MapSpec>,
    /// `append` if a record never changes, `upsert` if it comes again when it has changed (docs/feeds.md#records-that-change).
    #[serde(default)]
    pub mode: UpsertMode,
    /// With `mode: upsert`: what tells records apart, and what orders the versions of one.
    pub upsert: Option<UpsertShape>,
}

/// A file, read once or followed.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileSpec {
    /// The path.
    pub path: PathBuf,
    /// Whether to wait for more at its end, and to go on with the new file when it is rotated.
    #[serde(default)]
    pub follow: bool,
    /// `jsonl`, `csv`, `parquet`, `excel` or `xml`, if the name does not tell.
    pub format: Option<Encoding>,
}

/// A directory whose files are read once.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DirectorySpec {
    /// The path.
    pub path: PathBuf,
    /// The names to read, such as `*.jsonl.gz`.
    #[serde(default = "everything")]
    pub pattern: String,
    /// `jsonl`, `csv`, `parquet`, `excel` or `xml`, if the names do not tell.
    pub format: Option<Encoding>,
    /// `keep`, `move` (into `done`) or `delete` a file after everything in it is committed.
    #[serde(default)]
    pub afterwards: Afterwards,
    /// Whether a file that cannot be read is moved into the folder `refused`; otherwise it stays where it is.
    #[serde(default)]
    pub move_refused: bool,
    /// A file is read when it was not changed for so long.
    #[serde(default = "settle")]
    pub settle: String,
}

fn everything() -> String {
    String::from("*")
}

fn settle() -> String {
    String::from("2s")
}

/// Standard input.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StdinSpec {
    /// `jsonl` (default) or `csv`.
    pub format: Option<Encoding>,
}
