//! Maps held against a file that is there: its columns, and its first records.

use std::path::PathBuf;

use crate::{
    config::{Config, Source, feeds::MapPlace},
    decode::Decoder,
    diagnostic::Diagnostic,
    map::Map,
    say,
    source::{Chunks, Format, file::file_block, header_of},
    text::{did_you_mean, quoted},
};

/// Records that are looked at.
const RECORDS: usize = 100;

/// What is wrong with the maps of the sources, as far as a file of theirs shows it.
pub(crate) fn problems(config: &Config, decoder: &Decoder) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (name, source) in &config.sources {
        let Some((path, format)) = sample(source) else { continue };
        let (Some(map), Some(place)) =
            (config.readings.get(name).and_then(|reading| reading.map()), config.map_places.get(name))
        else {
            continue;
        };
        let wrong = columns(&path, format, map, place);
        found.extend(if wrong.is_empty() {
            records(name, &path, format, map, place, decoder)
        } else {
            wrong
        });
    }
    found
}

/// Warns of sources whose records can share an `event_id`.
pub(crate) fn warn(config: &Config) {
    for (name, map) in config.readings.iter().filter_map(|(name, reading)| Some((name, reading.map()?))) {
        let beyond = map.keys_beyond_ids();
        if !beyond.is_empty() {
            let text = say!(
                "warning: records of {source} that differ only in {columns} have one event_id, so the second of them is no payment of its own: name the columns of the key under `id` of the map too",
                source = quoted(name),
                columns = beyond.join(", ")
            );
            eprintln!("{text}");
        }
    }
}

/// A file that a source would read.
fn sample(source: &Source) -> Option<(PathBuf, Format)> {
    match source {
        Source::File(file) => file.path.is_file().then(|| (file.path.clone(), file.format)),
        Source::Directory(directory) => {
            directory.sample().map(|path| (path.clone(), Format::of(&path, directory.encoding)))
        }
        Source::Stdin(..) | Source::Kafka(_) | Source::Postgres(_) => None,
    }
}

/// The columns of the map that a header lacks, each where the map names it.
fn columns(path: &std::path::Path, format: Format, map: &Map, place: &MapPlace) -> Vec<Diagnostic> {
    let header = match header_of(path, format, map) {
        Ok(Some(header)) => header,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![place.problem(&[], error.to_string(), None)],
    };
    let missing = map.slots.missing(&header).map(|name| {
        let message = say!("{file} has no column {name}", file = path.display(), name = quoted(name));
        let of_versions = map.upsert.as_ref().is_some_and(|upsert| {
            let slots = upsert.key.iter().chain([&upsert.version]).chain(&upsert.confirmed_at);
            slots.into_iter().any(|slot| map.slots.names()[*slot] == name)
        });
        let near = map.slots.likely(name, &header).map(did_you_mean);
        let hint = near.unwrap_or_else(|| say!("it has {names}", names = header.join(", ")));
        let keys: Vec<&str> = if map.id.iter().any(|slot| map.slots.names()[*slot] == name) {
            vec!["id", name]
        } else if map.fields.iter().any(|f| f.slot.is_some_and(|slot| map.slots.names()[slot] == name)) {
            vec!["columns", name]
        } else if of_versions {
            // They are named at the source, beside the map.
            vec![]
        } else {
            vec!["when"]
        };
        place.problem(&keys, message, Some(hint))
    });
    missing.collect()
}

/// The first records, if none of them is an event.
fn records(
    name: &str,
    path: &std::path::Path,
    format: Format,
    map: &Map,
    place: &MapPlace,
    decoder: &Decoder,
) -> Vec<Diagnostic> {
    let chunk = Chunks::open(path, format, RECORDS, (0, 0), false, Some(map))
        .and_then(|mut chunks| chunks.next_chunk());
    let chunk = match chunk {
        Ok(Some(chunk)) => chunk,
        Ok(None) => return Vec::new(),
        Err(error) => return vec![place.problem(&[], error.to_string(), None)],
    };
    let block = file_block(&name.into(), path, chunk.first_record, chunk.payload, None);
    let decoded = decoder.decode(&[block], None);
    match decoded.rejects.first() {
        Some(first) if decoded.types.is_empty() => {
            let message = say!(
                "none of the first {rejected} records of {file} is an event; the first, row {row}: {detail}",
                rejected = decoded.rejects.len(),
                file = path.display(),
                row = first.record,
                detail = first.detail
            );
            vec![place.problem(&[], message, None)]
        }
        _ => Vec::new(),
    }
}
