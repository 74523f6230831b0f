//! A database as a source, as it is written, and what it means.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{resolve::Resolver, sinks::Secret};
use crate::{
    event::duration,
    say,
    source::postgres::{Overlap, PostgresSettings, PostgresSource, PostgresTls, Relation},
    text::quoted,
};

/// A table or query of a PostgreSQL database, or of one that speaks its protocol.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostgresSpec {
    /// Where the database is, without a password: `postgresql://reader@db.example.gov.cn:5432/pay`.
    pub url: String,
    /// A file with the password.
    pub password_file: Option<PathBuf>,
    /// The password; for a variable of the environment, not for the file.
    pub password: Option<Secret>,
    /// How the connection is protected: `verify`, TLS with a certificate that is trusted; `off`, nothing, only for a server
    /// on the same machine or a network of its own.
    #[serde(default)]
    pub tls: PostgresTls,
    /// Certificates to trust beside those of the system, PEM.
    pub ca_file: Option<PathBuf>,
    /// The table or view to read, with its schema: `pay.voucher`. Capitals count.
    pub table: Option<String>,
    /// A query to read, in place of a table. It may not write.
    pub query: Option<String>,
    /// The column that grows with every row: a time of writing, a number, a sequence.
    pub cursor: String,
    /// The columns that tell rows apart, for messages and for the order of rows with equal cursors; `event_id` without it.
    #[serde(default)]
    pub key: Vec<String>,
    /// How far back one reads again if the cursor is a time: rows that were committed later than others with a later time are
    /// found there. Longer than the longest transaction that writes.
    #[serde(default = "ten_minutes")]
    pub overlap: String,
    /// The same if the cursor is a number.
    #[serde(default = "thousand_values")]
    pub overlap_values: u64,
    /// How often one looks for more.
    #[serde(default = "five_seconds")]
    pub every: String,
    /// The most rows that are asked for at once.
    #[serde(default = "thousand")]
    pub page_rows: u32,
    /// How long the database may take for an answer.
    #[serde(default = "thirty_seconds")]
    pub statement_timeout: String,
}

fn ten_minutes() -> String {
    String::from("10m")
}

fn five_seconds() -> String {
    String::from("5s")
}

fn thirty_seconds() -> String {
    String::from("30s")
}

const fn thousand_values() -> u64 {
    1000
}

const fn thousand() -> u32 {
    1000
}

impl Resolver<'_> {
    /// The source, unless something is wrong with it.
    pub(super) fn postgres(&mut self, name: &str, spec: PostgresSpec) -> Option<PostgresSource> {
        let key = |key: &str| say!("source {name}: {key}", name = quoted(name), key);
        let relation = match (spec.table, spec.query) {
            (Some(table), None) => Relation::Table(table),
            (None, Some(query)) => Relation::Query(query),
            _ => {
                let message = say!("give it exactly one of table and query");
                return self.value(&say!("source {name}", name = quoted(name)), Err(message));
            }
        };
        let password_file = spec.password_file.map(|path| self.path(path));
        let password = Secret::of(password_file.as_deref(), spec.password.as_ref(), "password");
        let password = self.value(&say!("source {name}", name = quoted(name)), password);
        let settings = PostgresSettings {
            url: spec.url,
            password: password.map(|secret| secret.reveal().to_owned()),
            tls: spec.tls,
            ca_file: spec.ca_file.map(|path| self.path(path)),
            relation,
            key: spec.key,
            cursor: spec.cursor,
            overlap: Overlap {
                time: self.value(&key("overlap"), duration(&spec.overlap)),
                values: self.within(&key("overlap_values"), spec.overlap_values, (0, 1 << 40)),
            },
            every: self.value(&key("every"), duration(&spec.every)),
            page_rows: self.within(&key("page_rows"), spec.page_rows, (1, 100_000)),
            statement_timeout: self.value(&key("statement_timeout"), duration(&spec.statement_timeout)),
        };
        let source = PostgresSource::new(settings).map(Some);
        self.value(&say!("source {name}", name = quoted(name)), source)
    }
}
