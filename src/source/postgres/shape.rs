//! The columns of what is read, and the query that reads them as text: nothing passes through a number on its way.

use std::fmt::Write as _;

use tokio_postgres::{
    Client,
    types::{Kind as TypeKind, Type},
};

use super::{PostgresSource, settings::identifier, trouble::within};
use crate::{
    diagnostic::nearest,
    event::{Column as Field, schema::FIELDS},
    say,
    stream::RECORD_BYTES_MAX,
    text::quoted,
};

/// Columns that a message lists.
const LISTED: usize = 40;
/// What a value of the cursor is called in the query.
const VALUE: &str = "($1::text)";

/// How a value stands in the text that the server makes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnText {
    Plain,
    /// An instant in UTC.
    Zoned,
    /// A floating-point number, which holds so many digits.
    Float(usize),
    /// JSON, or a list of texts as JSON.
    Json,
}

#[derive(Debug)]
pub(crate) struct SourceColumn {
    pub name: String,
    pub kind: ColumnText,
}

/// What is read, and how it is asked for.
#[derive(Debug)]
pub(crate) struct TableShape {
    pub columns: Vec<SourceColumn>,
    /// The columns that tell rows apart, by their places.
    pub key: Vec<usize>,
    /// The query from a value of the cursor on (its parameter), and the one for everything.
    pub from_value: String,
    pub from_start: String,
}

impl TableShape {
    /// Asks the server for the columns. The names in the configuration have to be among them.
    pub(crate) async fn ask(client: &Client, source: &PostgresSource) -> Result<Self, String> {
        let probe = format!("SELECT * FROM {} AS t LIMIT 0", source.relation.sql());
        let statement = within(source.statement_timeout, client.prepare(&probe)).await?;
        let columns: Vec<(&str, &Type)> =
            statement.columns().iter().map(|column| (column.name(), base(column.type_()))).collect();
        Self::of(&columns, source)
    }

    fn of(columns: &[(&str, &Type)], source: &PostgresSource) -> Result<Self, String> {
        let place = |name: &str| columns.iter().position(|(column, _)| *column == name);
        let twice = columns.iter().enumerate().find(|(at, (name, _))| place(name) != Some(*at));
        if let Some((_, (name, _))) = twice {
            return Err(say!(
                "two columns are named {column}: give each a name of its own, with AS in the query",
                column = quoted(name)
            ));
        }
        let find = |name: &str| place(name).ok_or_else(|| unknown(name, columns, source));
        let cursor = find(&source.cursor)?;
        let mut key = source.key.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
        if key.is_empty() {
            key.extend(place(FIELDS[Field::EventId.index()].name));
        }
        let texts = columns.iter().fold(String::new(), |mut sql, (name, kind)| {
            let _ = write!(sql, "{}, ", text(name, kind));
            sql
        });
        let order = key.iter().filter(|at| **at != cursor).fold(String::new(), |mut sql, at| {
            let _ = write!(sql, ", t.{}", identifier(columns[*at].0));
            sql
        });
        let (name, relation) = (format!("t.{}", identifier(&source.cursor)), source.relation.sql());
        let (value, floor) = value_and_floor(&source.cursor, columns[cursor].1, source)?;
        let query = |beyond: &str, which: &str| {
            format!(
                "SELECT {texts}{name}::text, {beyond} FROM {relation} AS t WHERE {name} {which} ORDER BY {name}{order}"
            )
        };
        Ok(Self {
            from_value: query(&format!("({name} > {value})::text"), &format!(">= {floor}")),
            from_start: query("'true'", "IS NOT NULL"),
            key,
            columns: columns
                .iter()
                .map(|(name, kind)| SourceColumn { name: (*name).to_owned(), kind: shown(kind) })
                .collect(),
        })
    }
}

/// A query for the number of rows without a value of the cursor, up to `most`: they are never read.
pub(crate) fn rows_without(source: &PostgresSource, most: usize) -> String {
    format!(
        "SELECT count(*)::text FROM (SELECT 1 FROM {} AS t WHERE t.{} IS NULL LIMIT {most}) AS n",
        source.relation.sql(),
        identifier(&source.cursor)
    )
}

/// A type without the names that were given to it.
fn base(kind: &Type) -> &Type {
    match kind.kind() {
        TypeKind::Domain(inner) => base(inner),
        _ => kind,
    }
}

fn shown(kind: &Type) -> ColumnText {
    match *kind {
        Type::TIMESTAMPTZ => ColumnText::Zoned,
        Type::FLOAT4 => ColumnText::Float(6),
        Type::FLOAT8 => ColumnText::Float(15),
        Type::JSON | Type::JSONB | Type::TEXT_ARRAY | Type::VARCHAR_ARRAY => ColumnText::Json,
        _ => ColumnText::Plain,
    }
}

/// A column as text. What has no bound of its own is cut where no record can be any more.
fn text(name: &str, kind: &Type) -> String {
    let name = format!("t.{}", identifier(name));
    match *kind {
        Type::INT2
        | Type::INT4
        | Type::INT8
        | Type::NUMERIC
        | Type::FLOAT4
        | Type::FLOAT8
        | Type::BOOL
        | Type::DATE
        | Type::TIMESTAMP
        | Type::TIMESTAMPTZ
        | Type::UUID => format!("{name}::text"),
        // Written as the country of the server does it.
        Type::MONEY => format!("{name}::numeric::text"),
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY => {
            format!("left(array_to_json({name})::text, {})", RECORD_BYTES_MAX + 1)
        }
        _ => format!("left({name}::text, {})", RECORD_BYTES_MAX + 1),
    }
}

/// The value of the cursor with its type, and where reading begins again for it.
fn value_and_floor(name: &str, kind: &Type, source: &PostgresSource) -> Result<(String, String), String> {
    let numbers = |cast: &str| {
        let value = format!("{VALUE}::{cast}");
        let floor = format!("{value} - {}", source.overlap.values);
        (value, floor)
    };
    let times = |cast: &str| {
        let value = format!("{VALUE}::{cast}");
        let floor = format!("{value} - interval '{:.6} seconds'", source.overlap.time.as_secs_f64());
        (value, floor)
    };
    match *kind {
        Type::INT2 | Type::INT4 | Type::INT8 => Ok(numbers("int8")),
        Type::NUMERIC => Ok(numbers("numeric")),
        Type::TIMESTAMPTZ => Ok(times("timestamptz")),
        Type::TIMESTAMP => Ok(times("timestamp")),
        Type::DATE => Ok(times("date")),
        Type::FLOAT4 | Type::FLOAT8 => Err(say!(
            "the column {column} holds floating-point numbers, which are not exact: take another one as cursor",
            column = quoted(name)
        )),
        // What is between two texts nobody can say, so nothing is read again but what is equal.
        _ => {
            let value = format!("{VALUE}::{}.{}", identifier(kind.schema()), identifier(kind.name()));
            Ok((value.clone(), value))
        }
    }
}

fn unknown(name: &str, columns: &[(&str, &Type)], source: &PostgresSource) -> String {
    let names = || columns.iter().map(|(name, _)| *name);
    let (column, relation) = (quoted(name), source.relation.name());
    match nearest(name, names()) {
        Some(near) => say!(
            "{relation} has no column {column}; did you mean {near}?",
            relation,
            column,
            near = quoted(near)
        ),
        None => say!(
            "{relation} has no column {column}; its columns are {columns}",
            relation,
            column,
            columns = names().take(LISTED).collect::<Vec<_>>().join(", ")
        ),
    }
}
