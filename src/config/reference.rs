//! docs/configuration.md and its Chinese page, made from the types of the configuration: their keys, defaults and doc
//! comments.

use std::{collections::BTreeSet, fmt::Write as _};

use serde_json::{Map, Value};

use super::RawConfig;
use crate::text::{Language, translate};

const BEGINNING: &str = "# Configuration

Every key with its default, made from the code (`UPDATE_DOCS=1 cargo test --test integration documents` writes this page).
[`config/fiscwatch.yaml`](../config/fiscwatch.yaml) is the same as a file to start from; relative paths are taken from its folder.

A key that is not known is an error that names the nearest one. Any key can be set by a variable, two underscores between the levels:
`FISCWATCH_ENGINE__BATCH_ROWS=1000`; an entry of a list goes by its name: `FISCWATCH_SINKS__MAIL__EMAIL__PASSWORD`.
What has names of its own is set as a whole, in JSON: `FISCWATCH_RULES__OVERRIDES='{\"large-cash\": {\"mode\": \"shadow\"}}'`.
Secrets belong in files (`*_file`) or variables, and are never logged. Durations are `500ms`, `10s`, `5m`, `24h`, `1d`.
A key without a default is empty, or must be given where it says so.
";

/// The page in a language.
#[must_use]
pub fn reference(language: Language) -> String {
    page(language).text
}

/// Every text of the page, in English.
#[must_use]
pub fn reference_texts() -> BTreeSet<String> {
    page(Language::En).told
}

fn page(language: Language) -> Page {
    let schema = schemars::schema_for!(RawConfig);
    let root = schema.as_object().cloned().unwrap_or_default();
    let none = Map::new();
    let types = root.get("$defs").and_then(Value::as_object).unwrap_or(&none).clone();
    let mut page = Page { types, language, text: String::new(), told: BTreeSet::new() };
    for line in BEGINNING.lines() {
        let line = page.say(line);
        page.text.push_str(&line);
        page.text.push('\n');
    }
    page.section("", &root);
    page
}

struct Page {
    types: Map<String, Value>,
    language: Language,
    text: String,
    told: BTreeSet<String>,
}

impl Page {
    /// A text of the page, which may have several lines in the code.
    fn say(&mut self, text: &str) -> String {
        let text = line(text);
        if text.is_empty() {
            return text;
        }
        let said = translate(&text, self.language).to_owned();
        self.told.insert(text);
        said
    }

    /// A table of the keys of a type, and a section for each that has keys itself.
    fn section(&mut self, path: &str, schema: &Map<String, Value>) {
        let none = Map::new();
        let keys = schema.get("properties").and_then(Value::as_object).unwrap_or(&none).clone();
        if keys.is_empty() {
            return;
        }
        if !path.is_empty() {
            let about = schema.get("description").and_then(Value::as_str).unwrap_or_default();
            let about = self.say(about);
            let _ = write!(self.text, "\n## `{path}`\n{about}\n");
        }
        let header = self.say("| key | default | |");
        let _ = write!(self.text, "\n{header}\n| --- | --- | --- |\n");
        let required: Vec<&str> = schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut below = Vec::new();
        for (key, value) in &keys {
            let inner = self.inner(value);
            let is_section = inner.as_ref().is_some_and(|(_, inner)| inner.contains_key("properties"));
            let is_one = inner.as_ref().is_some_and(|(suffix, _)| suffix.is_empty());
            let default = match value.get("default") {
                _ if required.contains(&key.as_str()) => self.say("must be given"),
                // The keys below have defaults of their own.
                Some(Value::Object(o)) if is_section && is_one || o.is_empty() => String::new(),
                None | Some(Value::Null) => String::new(),
                Some(Value::Array(a)) if a.is_empty() => String::new(),
                Some(Value::String(s)) => format!("`{s}`"),
                Some(other) => format!("`{other}`"),
            };
            let about = value.get("description").and_then(Value::as_str).unwrap_or_default();
            let (about, words) = (self.say(about), self.words(value));
            let _ =
                writeln!(self.text, "| `{key}` | {} | {}{} |", cell(&default), cell(&about), cell(&words));
            if let (true, Some((suffix, inner))) = (is_section, inner) {
                let parent = if path.is_empty() { String::new() } else { format!("{path}.") };
                below.push((format!("{parent}{key}{suffix}"), inner));
            }
        }
        // A type whose other entries go by names of their own.
        let named = schema.get("additionalProperties").and_then(|values| self.named(values));
        below.extend(named.filter(|_| !path.is_empty()).map(|inner| (format!("{path}.<name>"), inner)));
        for (path, inner) in below {
            // A map is shown once; routes have routes.
            if path == "http.events.map" {
                continue;
            }
            if path.matches("routes[]").count() < 2 && !path.starts_with("routes.routes") {
                self.section(&path, &inner);
            }
        }
    }

    /// The type that a key's value, its entries or its values have, and how the path says so.
    fn inner(&self, value: &Value) -> Option<(&'static str, Map<String, Value>)> {
        if let Some(items) = value.get("items") {
            return Some(("[]", self.named(items)?));
        }
        if let Some(values) = value.get("additionalProperties").filter(|v| v.is_object()) {
            return Some((".<name>", self.named(values)?));
        }
        Some(("", self.named(value)?))
    }

    /// A type by its name, also where it is optional.
    fn named(&self, value: &Value) -> Option<Map<String, Value>> {
        let optional = value.get("anyOf").and_then(Value::as_array).and_then(|any| any.first());
        let name = value.get("$ref").or_else(|| optional?.get("$ref"))?.as_str()?;
        let named = self.types.get(name.strip_prefix("#/$defs/")?)?.as_object()?;
        // What can be named or written out is shown as it is written out.
        let written = named.get("anyOf").and_then(Value::as_array);
        let written = written.and_then(|ways| ways.iter().find_map(|way| self.named(way).filter(has_keys)));
        written.or_else(|| Some(named.clone()))
    }

    /// The words that a value can be, with what each means.
    fn words(&mut self, value: &Value) -> String {
        let Some(named) = self.named(value) else { return String::new() };
        let one_of = named.get("oneOf").and_then(Value::as_array).cloned().unwrap_or_default();
        let words: Vec<(String, String)> = one_of
            .iter()
            .filter_map(|one| {
                let word = one.get("const")?.as_str()?;
                let about = one.get("description").and_then(Value::as_str).unwrap_or_default();
                Some((word.to_owned(), about.to_owned()))
            })
            .collect();
        let about = value.get("description").and_then(Value::as_str).unwrap_or_default();
        // Where the text names the words already, their meanings are plain.
        if words.iter().all(|(word, _)| about.contains(&format!("`{word}`"))) {
            return String::new();
        }
        let (colon, between, end) = match self.language {
            Language::Zh => ("：", "；", "。"),
            Language::En => (": ", "; ", "."),
        };
        let meanings: Vec<_> = words
            .iter()
            .map(|(word, about)| format!("`{word}`{colon}{}", self.say(about).trim_end_matches(['.', '。'])))
            .collect();
        format!(" {}{end}", meanings.join(between))
    }
}

fn has_keys(schema: &Map<String, Value>) -> bool {
    schema.contains_key("properties")
}

/// A doc comment as one line.
fn line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
