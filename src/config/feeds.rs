//! Maps of sources: written where the source is, or in a file of their own.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use saphyr::YamlData;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor, value::MapAccessDeserializer},
};

use super::{resolve::Resolver, shape, shape::syntax};
use crate::{
    decode::Reading,
    diagnostic::{Diagnostic, read_text},
    event::stamp::StampUnit,
    map::{Map, MapShape, Mistake, UpsertMode, UpsertShape, Versioned},
    say,
    yaml::{Document, Node},
};

/// A map, or the file that it is in.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum MapSpec {
    /// A file.
    File(PathBuf),
    /// The map itself.
    Inline(Box<MapShape>),
}

/// By hand, so that keys which look like numbers stay texts, and a mistake is told where it stands.
impl<'de> Deserialize<'de> for MapSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = MapSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map, or the name of its file")
            }

            fn visit_str<E>(self, path: &str) -> Result<MapSpec, E> {
                Ok(MapSpec::File(PathBuf::from(path)))
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<MapSpec, M::Error> {
                MapShape::deserialize(MapAccessDeserializer::new(map))
                    .map(|shape| MapSpec::Inline(Box::new(shape)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// How posted events are written.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PostedSpec {
    /// The IANA name of the zone of times that have none; without it such times are refused.
    pub zone: Option<String>,
    /// What a number counts that is a time, as at a source.
    pub times: StampUnit,
    /// The words that stand for a missing value, in place of the usual ones (docs/events.md).
    pub nulls: Option<Vec<String>>,
    /// How they become events, if they are none yet, as at a source.
    pub map: Option<MapSpec>,
}

/// Where the map of a source is written, to say where a mistake in it stands.
#[derive(Debug, Clone)]
pub struct MapPlace {
    pub(crate) file: String,
    /// The keys that lead to the map in it.
    path: Vec<String>,
}

/// What is said of the values of a source besides its map.
#[derive(Default)]
pub(super) struct Said<'s> {
    pub mode: UpsertMode,
    pub upsert: Option<&'s UpsertShape>,
    pub versioned: Option<Versioned<'s>>,
    pub zone: Option<&'s str>,
    pub times: StampUnit,
    pub nulls: Option<&'s [String]>,
}

impl MapPlace {
    /// A problem with what stands below the map under these keys.
    #[must_use]
    pub fn problem(&self, keys: &[&str], message: String, hint: Option<String>) -> Diagnostic {
        let path: Vec<String> =
            self.path.iter().cloned().chain(keys.iter().map(|key| (*key).to_owned())).collect();
        let text = read_text(Path::new(&self.file)).unwrap_or_default();
        place(&self.file, &text, &path, message, hint)
    }
}

/// Reads a map from its file.
///
/// # Errors
/// Every mistake in it.
pub fn read(path: &Path) -> Result<Map, Vec<Diagnostic>> {
    let (text, shape) = read_shape(path)?;
    Map::compile(&shape).map_err(|mistakes| placed(&path.display().to_string(), &text, &[], mistakes))
}

/// A map as its file has it, with the text.
fn read_shape(path: &Path) -> Result<(String, MapShape), Vec<Diagnostic>> {
    let file = path.display().to_string();
    let text = read_text(path).map_err(|(reason, hint)| {
        vec![Diagnostic::of_file(&file, say!("the map cannot be read: {reason}", reason), hint)]
    })?;
    let shape: MapShape = serde_saphyr::from_str(&text).map_err(|e| {
        let problems = shape::problems_of::<MapShape>(&file, &text, &say!("the map"));
        if problems.is_empty() { vec![syntax(&file, &e)] } else { problems }
    })?;
    Ok((text, shape))
}

/// The reading of a map's records, where nothing else is said of them.
///
/// # Errors
/// If the map names a zone that there is not.
pub fn reading(map: Map) -> Result<Reading, String> {
    let zone = map.zone.as_deref().map(super::resolve::zone_named).transpose()?;
    let reading = Reading::new(zone, map.times.unwrap_or_default(), map.nulls.as_deref());
    Ok(reading.mapped(Arc::new(map)))
}

fn placed(file: &str, text: &str, path: &[String], mistakes: Vec<Mistake>) -> Vec<Diagnostic> {
    let diagnostic = |mistake: Mistake| {
        let path = [path, &mistake.path].concat();
        place(file, text, &path, mistake.message, mistake.hint)
    };
    mistakes.into_iter().map(diagnostic).collect()
}

/// A problem at the end of a path of keys, or as near to it as there is something.
fn place(file: &str, text: &str, path: &[String], message: String, hint: Option<String>) -> Diagnostic {
    let (_, root) = Document::parse(file, text);
    let mark = root.and_then(|root| {
        let mut node = &root;
        let mut mark = path.is_empty().then_some(node.span.start);
        for key in path {
            let Some((at, next)) = below(node, key) else { break };
            (mark, node) = (Some(at), next);
        }
        mark.map(|mark| (mark.line(), mark.col() + 1))
    });
    let (line, column) = mark.unwrap_or((0, 0));
    Diagnostic { file: file.to_owned(), line, column, message, hint }
}

/// What stands under a key, under an entry of that name, or is that word; with its place.
fn below<'n, 't>(node: &'n Node<'t>, key: &str) -> Option<(saphyr_parser::Marker, &'n Node<'t>)> {
    let is = |node: &Node<'t>| matches!(&node.data, YamlData::Representation(text, ..) if text.trim() == key.trim());
    match &node.data {
        YamlData::Mapping(entries) => {
            entries.iter().find(|(name, _)| is(name)).map(|(name, value)| (name.span.start, value))
        }
        YamlData::Sequence(items) => {
            let named = |item: &Node<'t>| is(item) || below(item, "name").is_some_and(|(_, name)| is(name));
            items.iter().find(|item| named(item)).map(|item| (item.span.start, item))
        }
        _ => None,
    }
}

impl Resolver<'_> {
    /// How the values of a source are written, and how its records become events.
    pub(super) fn feed(
        &mut self,
        (key, path): (&str, &[&str]),
        said: &Said<'_>,
        map: Option<&MapSpec>,
    ) -> Reading {
        let upsert = self.upsert(path, said, map.is_some());
        let of_events = || MapSpec::Inline(Box::new(MapShape::of_events()));
        let own = upsert.and_then(|_| map.is_none().then(of_events));
        let (map, place) = match map.or(own.as_ref()).map(|spec| self.map(path, spec, upsert)) {
            Some(Some((map, place))) => (Some(map), Some(place).filter(|_| own.is_none())),
            _ => (None, None),
        };
        let zone = map.as_ref().and_then(|map| map.zone.as_deref()).or(said.zone);
        let times = map.as_ref().and_then(|map| map.times).unwrap_or(said.times);
        let nulls = map.as_ref().and_then(|map| map.nulls.as_deref()).or(said.nulls);
        let reading = self.reading(key, zone, times, nulls);
        if let (Some(place), [.., name, _]) = (place, path) {
            self.map_places.insert((*name).to_owned(), place);
        }
        match map {
            Some(map) => reading.mapped(Arc::new(map)),
            None => reading,
        }
    }

    /// What tells the records of a source apart, if they may come again when they have changed.
    fn upsert<'s>(
        &mut self,
        path: &[&str],
        said: &Said<'s>,
        has_map: bool,
    ) -> Option<(&'s UpsertShape, Versioned<'s>)> {
        let versioned = said.versioned.unwrap_or(Versioned::Not);
        match (said.mode, said.upsert) {
            (UpsertMode::Append, None) => None,
            (UpsertMode::Append, Some(_)) => {
                let hint = Some(say!("write mode: upsert beside it, or take it out"));
                self.of_source(path, &["upsert"], say!("`upsert` says nothing without `mode: upsert`"), hint);
                None
            }
            (UpsertMode::Upsert, _) if !has_map && matches!(versioned, Versioned::Not) => {
                let message = say!("`mode: upsert` needs a `map` at the source");
                let hint = say!(
                    "only change events of Debezium and tables of PostgreSQL can be without one (docs/feeds.md)"
                );
                self.of_source(path, &["mode"], message, Some(hint));
                None
            }
            (UpsertMode::Upsert, None) => {
                let message = say!("`mode: upsert` needs the columns that tell records apart");
                self.of_source(path, &["mode"], message, Some(UpsertShape::EXAMPLE.to_owned()));
                None
            }
            (UpsertMode::Upsert, Some(shape)) => Some((shape, versioned)),
        }
    }

    /// A problem with what stands below a source, whose map would stand at `path`.
    fn of_source(&mut self, path: &[&str], keys: &[&str], message: String, hint: Option<String>) {
        let source = path.split_last().map_or(path, |(_, source)| source);
        let path: Vec<String> = source.iter().chain(keys).map(|key| (*key).to_owned()).collect();
        self.problems.push(place(self.file, self.text, &path, message, hint));
    }

    fn map(
        &mut self,
        path: &[&str],
        spec: &MapSpec,
        upsert: Option<(&UpsertShape, Versioned<'_>)>,
    ) -> Option<(Map, MapPlace)> {
        let source = path;
        let path: Vec<String> = path.iter().map(|key| (*key).to_owned()).collect();
        // What is wrong with `upsert` stands at the source, wherever the map is.
        let apart = |resolver: &mut Self, mistakes: Vec<Mistake>| -> Vec<Mistake> {
            let (at_source, of_map): (Vec<_>, Vec<_>) = mistakes
                .into_iter()
                .partition(|mistake| mistake.path.first().is_some_and(|key| key == "upsert"));
            for Mistake { path, message, hint } in at_source {
                let keys: Vec<&str> = path.iter().map(String::as_str).collect();
                resolver.of_source(source, &keys, message, hint);
            }
            of_map
        };
        match spec {
            MapSpec::File(file) => {
                let file = self.path(file.clone());
                let compiled = read_shape(&file).and_then(|(text, shape)| {
                    Map::compile_versions(&shape, upsert).map_err(|mistakes| {
                        let mistakes = apart(self, mistakes);
                        placed(&file.display().to_string(), &text, &[], mistakes)
                    })
                });
                match compiled {
                    Ok(map) => Some((map, MapPlace { file: file.display().to_string(), path: Vec::new() })),
                    Err(problems) => {
                        self.problems.extend(problems);
                        None
                    }
                }
            }
            MapSpec::Inline(shape) => match Map::compile_versions(shape, upsert) {
                Ok(map) => Some((map, MapPlace { file: self.file.to_owned(), path })),
                Err(mistakes) => {
                    let mistakes = apart(self, mistakes);
                    self.problems.extend(placed(self.file, self.text, &path, mistakes));
                    None
                }
            },
        }
    }

    /// The map of a source whose reading is made already.
    pub(super) fn map_of(readings: &super::Readings, name: &str) -> Option<Arc<Map>> {
        readings.get(name).and_then(|reading| reading.map().cloned())
    }
}
