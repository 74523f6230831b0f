//! A map for files that no map reads: what the columns of one seem to be, the map that follows, and the first rows by it. Nothing
//! is kept: the map is taken away as a text, for the configuration.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{Json, body::Bytes, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use crate::http::{
    Problem,
    by::Requester,
    lens::Lens,
    request::{Params, RawBody, blocking},
};
use crate::{
    config::{Config, Source},
    daemon::Shared,
    decode::Decoded,
    event::{
        Column, EventType,
        schema::{FIELDS, field},
    },
    guess::{self, FirstRows, Guess, Sample},
    personal::PersonalKind,
    private, say,
    sql::value,
    text::quoted,
};

/// The longest file that is sent to be looked at, in bytes; of longer ones the beginning is enough.
pub(crate) const FILE_BYTES_MAX: usize = 4 << 20;
/// Values of a column that are shown.
const EXAMPLES: usize = 3;

/// What is looked at: the file in the body, or one that waits.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct MapQuery {
    /// The name of the file in the body, which tells what kind it is.
    name: Option<String>,
    /// The source, of a file that lies in its directory and is not read.
    source: Option<String>,
    /// The file's name.
    file: Option<String>,
    /// Columns and values of fields, a line each: `amount=@支付金额`, `region_code=330100000`.
    set: Option<String>,
    /// The sheet of a workbook, by its name or number.
    sheet: Option<String>,
}

/// A file, as it is understood.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MapTrial {
    /// The file's name.
    file: String,
    /// Its columns.
    columns: Vec<MapColumn>,
    /// Values that hold for all rows, by field.
    constants: BTreeMap<String, String>,
    /// Fields that a payment must have and that nothing gives.
    missing: Vec<String>,
    /// The fields of events, in their order.
    fields: Vec<MapField>,
    /// What was taken to be so, and may be otherwise.
    notes: Vec<String>,
    /// The map, as it stands in a file.
    map: String,
    /// Events among the first 500 rows.
    events: usize,
    /// Rows that are refused.
    rejected: usize,
    /// Rows that are none.
    skipped: u64,
    /// The first rows as events.
    #[schema(value_type = Vec<Object>)]
    first: Vec<Map<String, Value>>,
    /// What is wrong with the first rows, or with the map.
    faults: Vec<String>,
}

/// A column of a file.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MapColumn {
    name: String,
    /// What stands in its first rows; signs in the place of personal data.
    examples: Vec<String>,
    /// The field that it becomes.
    field: Option<String>,
}

/// A field of events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MapField {
    name: &'static str,
    /// Whether every payment has it.
    required: bool,
}

/// Try a map on a file that no map reads
///
/// What the file's columns seem to be, corrected by `set`; the map that follows, and the first rows by it. The body is the file, or
/// its beginning; without one `source` and `file` name one that lies in the directory of a source and is not read. Nothing is kept.
#[utoipa::path(post, path = "/api/v1/maps/trial", operation_id = "try_map", tag = "quarantine", params(MapQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The file; at most 4 MiB"),
    responses(
        (status = 200, description = "The file as it is understood", body = MapTrial),
        (status = 404, description = "There is no such file that waits", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The file cannot be understood", body = Problem, content_type = "application/problem+json")))]
pub(crate) async fn trial(
    State(shared): State<Arc<Shared>>,
    by: Requester,
    Params(asked): Params<MapQuery>,
    body: Result<RawBody, Problem>,
) -> Result<Json<MapTrial>, Problem> {
    let RawBody(body) = body.map_err(|problem| match problem.status() {
        large @ StatusCode::PAYLOAD_TOO_LARGE => Problem::new(
            large,
            say!("the file is too large: send its beginning, some hundred lines are enough"),
        ),
        _ => problem,
    })?;
    let lens = by.lens_on_events();
    blocking(move || {
        let config = shared.config();
        // Who sends a file knows what is in it.
        let lens = if body.is_empty() { lens } else { Lens::Whole };
        let looked = Looked::at(&shared, &config, &asked, &body)?;
        looked.told(&asked, &config, lens).map(Json)
    })
    .await
}

/// The file that is looked at.
struct Looked {
    path: PathBuf,
    name: String,
    /// What is deleted when it was looked at.
    _folder: Option<tempfile::TempDir>,
}

impl Looked {
    fn at(shared: &Shared, config: &Config, asked: &MapQuery, body: &Bytes) -> Result<Self, Problem> {
        match (&asked.source, &asked.file) {
            (Some(source), Some(file)) => Self::waiting(shared, config, source, file),
            _ if body.is_empty() => Err(match &asked.name {
                Some(name) => Problem::unprocessable(say!("{file}: it is empty", file = quoted(name))),
                None => Problem::bad_request(say!("send the file, or name a source and a file")),
            }),
            _ => Self::sent(asked.name.as_deref().unwrap_or("export.csv"), body),
        }
    }

    /// A file that lies in the directory of a source and is not read, or was refused: only those that the source tells of.
    fn waiting(shared: &Shared, config: &Config, source: &str, file: &str) -> Result<Self, Problem> {
        let missing = || {
            let (source, file) = (quoted(source), quoted(file));
            Problem::new(
                StatusCode::NOT_FOUND,
                say!("no file {file} waits at the source {source}", file, source),
            )
        };
        let told = shared.sources.get(source).ok_or_else(missing)?.told();
        let refused = told.files.iter().filter(|one| one.fault.is_some()).map(|one| one.file.as_str());
        let known = refused.chain(told.left.names.iter().map(String::as_str)).any(|known| known == file);
        let own = config.sources.iter().find(|(name, _)| name == source).map(|(_, source)| source);
        let (Some(Source::Directory(directory)), true) = (own, known) else { return Err(missing()) };
        let name = Path::new(file).file_name().ok_or_else(missing)?;
        let places = [directory.path.join(name), directory.path.join("refused").join(name)];
        let path = places.into_iter().find(|path| path.is_file()).ok_or_else(missing)?;
        Ok(Self { path, name: name.to_string_lossy().into_owned(), _folder: None })
    }

    fn sent(name: &str, body: &Bytes) -> Result<Self, Problem> {
        let failed = |e: std::io::Error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, e.to_string());
        let folder = tempfile::tempdir().map_err(failed)?;
        let name = Path::new(name).file_name().map_or_else(|| "export".into(), |name| name.to_string_lossy());
        // The kind is told by the end of the name; the rest of it may be anything.
        let end = Path::new(&*name).extension().map_or_else(|| "csv".into(), |end| end.to_string_lossy());
        let plain = end.chars().filter(char::is_ascii_alphanumeric).take(10).collect::<String>();
        let path = folder.path().join(format!("file.{plain}"));
        private::write(&path, body).map_err(failed)?;
        Ok(Self { path, name: name.into_owned(), _folder: Some(folder) })
    }

    fn told(&self, asked: &MapQuery, config: &Config, lens: Lens) -> Result<MapTrial, Problem> {
        // Where it lies is nobody's matter.
        let wrong = |e: anyhow::Error| {
            let told = format!("{e:#}").replace(&self.path.display().to_string(), &self.name);
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, told)
        };
        let sample = Sample::of(&self.path, asked.sheet.as_deref()).map_err(wrong)?;
        let mut guess = Guess::of(&sample, &config.calendar.zone_name);
        for set in asked.set.iter().flat_map(|set| set.lines()).filter(|line| !line.trim().is_empty()) {
            guess.put(&sample, set.trim()).map_err(Problem::bad_request)?;
        }
        let map = guess::text(&sample, &guess);
        let mut told = MapTrial {
            file: self.name.clone(),
            columns: columns(&sample, &guess, lens),
            constants: guess
                .constants
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            missing: guess.missing.iter().map(|name| (*name).to_owned()).collect(),
            fields: fields(),
            notes: guess.notes(),
            map,
            events: 0,
            rejected: 0,
            skipped: 0,
            first: Vec::new(),
            faults: Vec::new(),
        };
        if guess.missing.is_empty() {
            match guess::reading(&told.map) {
                Err(problems) => told.faults = problems.iter().map(ToString::to_string).collect(),
                Ok(reading) => {
                    let Some(map) = reading.map().cloned() else { return Ok(told) };
                    let trial = FirstRows::of(&self.path, &map, reading, config).map_err(wrong)?;
                    (told.events, told.rejected, told.skipped) =
                        (trial.events, trial.rejected, trial.skipped);
                    told.first = trial.first.iter().flat_map(|read| events(read, config, lens)).collect();
                    let rejects = trial.first.iter().flat_map(|read| &read.rejects);
                    told.faults =
                        rejects.map(|reject| lens.record("", &FirstRows::fault(reject)).1).collect();
                }
            }
        }
        Ok(told)
    }
}

fn fields() -> Vec<MapField> {
    let payment = EventType::Payment.bit();
    FIELDS.iter().map(|spec| MapField { name: spec.name, required: spec.required & payment != 0 }).collect()
}

fn columns(sample: &Sample, guess: &Guess, lens: Lens) -> Vec<MapColumn> {
    let of = |(at, name): (usize, &String)| {
        let field = guess.columns.iter().find(|(column, _)| *column == at).map(|(_, field)| *field);
        let field = field.or_else(|| guess.id.contains(&at).then_some("event_id"));
        // What a column holds that nobody knows may be anything.
        let is_plain =
            field.is_some_and(|field| PersonalKind::of_column(field).is_none_or(PersonalKind::is_ordinary));
        let shown = |text: &str| match lens {
            Lens::Masked if !is_plain => String::from("****"),
            _ => text.to_owned(),
        };
        let examples = sample.values(at).take(EXAMPLES).map(shown).collect();
        MapColumn { name: name.clone(), examples, field: field.map(str::to_owned) }
    };
    let named = sample.columns.iter().enumerate().filter(|(_, name)| !name.is_empty());
    named.map(of).collect()
}

/// The first rows as events, of which only what is there is shown.
fn events(read: &Decoded, config: &Config, lens: Lens) -> Vec<Map<String, Value>> {
    let row = |row: usize| {
        let shown = Column::ALL.iter().filter_map(|column| {
            let name = column.spec().name;
            let (at, _) = field(name)?;
            let value = value(read.events.column(at), row, &config.calendar);
            (!value.is_null()).then(|| (name.to_owned(), value))
        });
        let mut event: Map<String, Value> = shown.collect();
        lens.event(&mut event);
        event
    };
    (0..read.types.len()).map(row).collect()
}
