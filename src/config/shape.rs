//! What is wrong with the shape of a configuration: keys that do not exist, values of another kind. serde stops at the
//! first such mistake; this reads the same types and names all of them. What it does not understand it leaves to serde.

use serde_json::{Map, Value};

use super::RawConfig;
use crate::{
    diagnostic::{Diagnostic, nearest, suggest},
    say,
    text::{did_you_mean, quoted},
    yaml::{Document, Node, is_null},
};
use saphyr::YamlData;

/// Every mistake in the shape of a configuration; none if it is no YAML, which serde says better.
pub(crate) fn problems(file: &str, text: &str) -> Vec<Diagnostic> {
    problems_of::<RawConfig>(file, text, &say!("the configuration"))
}

/// The same for a text that is to be read as a `T`, which is called `whole`.
pub(crate) fn problems_of<T: schemars::JsonSchema>(file: &str, text: &str, whole: &str) -> Vec<Diagnostic> {
    let schema = schemars::schema_for!(T).to_value();
    let (mut document, root) = Document::parse(file, text);
    let Some(root) = root else { return Vec::new() };
    let none = Map::new();
    let types = schema.get("$defs").and_then(Value::as_object).unwrap_or(&none);
    Shape { types, whole, document: &mut document }.check(&root, &schema, "");
    document.problems
}

struct Shape<'s, 'd, 't> {
    types: &'s Map<String, Value>,
    /// What the whole text is called.
    whole: &'s str,
    document: &'d mut Document<'t>,
}

impl<'s, 't> Shape<'s, '_, 't> {
    fn check(&mut self, node: &Node<'t>, schema: &'s Value, path: &str) {
        let Some(schema) = self.resolved(schema, node) else { return };
        if is_null(node) || matches!(node.data, YamlData::Alias(_) | YamlData::Tagged(..)) {
            return;
        }
        let what = if path.is_empty() { self.whole } else { path };
        if let Some(keys) = schema.get("properties").and_then(Value::as_object) {
            self.keys(node, keys, schema, path);
        } else if let Some(values) = schema.get("additionalProperties").filter(|v| v.is_object()) {
            for (name, value) in self.document.mapping(node, what) {
                self.check(value, values, &join(path, &name.text));
            }
        } else if let Some(items) = schema.get("items") {
            for item in self.document.sequence(node, what) {
                self.check(item, items, path);
            }
        } else {
            self.scalar(node, schema, what);
        }
    }

    fn keys(&mut self, node: &Node<'t>, keys: &'s Map<String, Value>, schema: &Value, path: &str) {
        let what = if path.is_empty() { self.whole } else { path };
        let entries = self.document.mapping(node, what);
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        for key in required.filter_map(Value::as_str) {
            if !entries.is_empty() && entries.iter().all(|(name, _)| name.text != key) {
                let message = say!("{what} has no {key}, which it must have", what, key = quoted(key));
                self.document.problem(node.span, message, None);
            }
        }
        for (name, value) in entries {
            match keys.get(&name.text) {
                Some(schema) => self.check(value, schema, &join(path, &name.text)),
                None if schema.get("additionalProperties") == Some(&Value::Bool(false)) => {
                    let hint = suggest(&name.text, keys.keys().map(String::as_str));
                    self.document.problem(
                        name.span,
                        say!("unknown key {key} in {what}", key = quoted(&name.text), what),
                        Some(hint),
                    );
                }
                None => {}
            }
        }
    }

    fn scalar(&mut self, node: &Node<'t>, schema: &Value, what: &str) {
        let words: Option<Vec<&str>> = schema.get("oneOf").or_else(|| schema.get("enum")).and_then(|all| {
            all.as_array()?.iter().map(|one| one.get("const").unwrap_or(one).as_str()).collect()
        });
        let kind = match schema.get("type") {
            Some(Value::String(kind)) => Some(kind.as_str()),
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
            _ => None,
        };
        if words.is_none() && kind.is_none_or(|kind| !["integer", "boolean", "string"].contains(&kind)) {
            return;
        }
        let Some(placed) = self.document.scalar(node, what) else { return };
        let text = placed.text.as_str();
        let least = schema.get("minimum").and_then(Value::as_i64);
        let wrong = match kind {
            _ if words.as_ref().is_some_and(|words| !words.contains(&text)) => {
                let hint = suggest(text, words.into_iter().flatten());
                let message = say!("{what} cannot be {text}", what, text = quoted(text));
                return self.document.problem(node.span, message, Some(hint));
            }
            Some("integer") if text.parse::<i64>().map_or(true, |n| least.is_some_and(|least| n < least)) => {
                let text = quoted(text);
                match least {
                    None => say!("{what} is {text}, but must be a whole number", what, text),
                    Some(_) => {
                        say!("{what} is {text}, but must be a whole number that is not negative", what, text)
                    }
                }
            }
            Some("boolean") if !["true", "false"].contains(&text) => {
                say!("{what} is {text}, but must be true or false", what, text = quoted(text))
            }
            _ => return,
        };
        self.document.problem(node.span, wrong, None);
    }

    /// The schema that a reference means, also of what may be left out; where there are several ways to write it, that
    /// of a mapping for a mapping, else `None`.
    fn resolved(&self, schema: &'s Value, node: &Node<'t>) -> Option<&'s Value> {
        let mut schema = schema;
        loop {
            if let Some(any) = schema.get("anyOf").and_then(Value::as_array) {
                let kinds: Vec<_> =
                    any.iter().filter(|kind| kind.get("type") != Some(&Value::from("null"))).collect();
                schema = match &kinds[..] {
                    [kind] => kind,
                    kinds if matches!(node.data, YamlData::Mapping(_)) => {
                        kinds.iter().find(|kind| kind.get("$ref").is_some())?
                    }
                    _ => return None,
                };
            } else if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
                schema = self.types.get(name.strip_prefix("#/$defs/")?)?;
            } else {
                return Some(schema);
            }
        }
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// serde's message with its place, and the nearest of the names that it says are expected.
pub(super) fn syntax(file: &str, error: &serde_saphyr::Error) -> Diagnostic {
    let place = error.location();
    let text = error.to_string();
    let first = text.lines().next().unwrap_or(&text);
    // The place is told once, in front.
    let message = match first.strip_prefix("error: line ").and_then(|rest| rest.split_once(": ")) {
        Some((_, message)) => message.to_owned(),
        None => first.trim_start_matches("error: ").to_owned(),
    };
    let wrong = message.split('`').nth(1).unwrap_or_default();
    let known = message.split_once("expected ").map_or("", |(_, known)| known.trim_start_matches("one of "));
    let known = known.split([',', ' ']).map(|word| word.trim_matches('`')).filter(|word| !word.is_empty());
    let hint = nearest(wrong, known).filter(|_| !wrong.is_empty()).map(did_you_mean);
    let (line, column) = place.map_or((0, 0), |l| {
        (usize::try_from(l.line()).unwrap_or(0), usize::try_from(l.column()).unwrap_or(0))
    });
    Diagnostic { file: file.to_owned(), line, column, message, hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_named_with_its_place() {
        let text = "\
engin: {}
engine: { batch_row: 5, batch_rows: many, lateness: 10m }
state: { dir: x, standby: maybe, checkpoint_events: -1 }
sinks:
  - name: mail
    email: { servers: a, security: startls, form: x }
http: 5
language: fr
";
        let found: Vec<String> = problems("c.yaml", text).iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(found.join("\n"), @r#"
        c.yaml:1:1: unknown key "engin" in the configuration
            hint: did you mean "engine"?
        c.yaml:2:11: unknown key "batch_row" in engine
            hint: did you mean "batch_rows"?
        c.yaml:2:37: engine.batch_rows is "many", but must be a whole number that is not negative
        c.yaml:3:27: state.standby is "maybe", but must be true or false
        c.yaml:3:53: state.checkpoint_events is "-1", but must be a whole number that is not negative
        c.yaml:6:12: sinks.email has no "from", which it must have
        c.yaml:6:12: sinks.email has no "to", which it must have
        c.yaml:6:23: sinks.email.servers must be a list
        c.yaml:6:36: sinks.email.security cannot be "startls"
            hint: did you mean "starttls"?
        c.yaml:6:45: unknown key "form" in sinks.email
            hint: did you mean "from"?
        c.yaml:7:7: http must be a mapping of names to values
        c.yaml:8:11: language cannot be "fr"
            hint: did you mean "zh"?
        "#);
    }

    #[test]
    fn what_is_shipped_is_in_shape() {
        let shipped = |path: &str| std::fs::read_to_string(path).unwrap();
        for path in ["config/fiscwatch.yaml", "tests/integration/fixtures/states/fiscwatch.yaml"] {
            assert_eq!(problems(path, &shipped(path)).len(), 0, "{path}");
        }
    }
}
