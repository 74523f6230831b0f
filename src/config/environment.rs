//! `FISCWATCH_ENGINE__BATCH_ROWS=1000` is `engine: { batch_rows: 1000 }`: two underscores part the levels.

use serde_json::Value;

use super::Raw;
use crate::diagnostic::{Diagnostic, nearest};

const PREFIX: &str = "FISCWATCH_";
/// Variables that are read elsewhere.
const OTHERS: &[&str] = &["FISCWATCH_CONFIG"];

/// Puts the variables over what the file says.
pub fn apply(raw: Raw, variables: impl Iterator<Item = (String, String)>) -> Result<Raw, Diagnostic> {
    let mut ours: Vec<_> =
        variables.filter(|(name, _)| name.starts_with(PREFIX) && !OTHERS.contains(&name.as_str())).collect();
    if ours.is_empty() {
        return Ok(raw);
    }
    ours.sort();
    let mut raw = raw;
    for (name, text) in ours {
        let fail = |message: String, hint| Diagnostic::of_file(&format!("${name}"), message, hint);
        let path: Vec<String> = name[PREFIX.len()..].split("__").map(str::to_lowercase).collect();
        let mut tree = serde_json::to_value(&raw).map_err(|e| fail(e.to_string(), None))?;
        set(&mut tree, &path, value(&text)).map_err(|(message, hint)| fail(message, hint))?;
        raw = serde_json::from_value(tree).map_err(|e| fail(format!("{text:?}: {e}"), None))?;
    }
    Ok(raw)
}

/// A number, truth value, list or object as JSON writes it; anything else is text.
fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn set(tree: &mut Value, path: &[String], new: Value) -> Result<(), (String, Option<String>)> {
    let [first, rest @ ..] = path else {
        *tree = new;
        return Ok(());
    };
    let Value::Object(fields) = tree else {
        return Err((format!("there is nothing below this key to set ({first})"), None));
    };
    if !fields.contains_key(first) {
        let hint =
            nearest(first, fields.keys().map(String::as_str)).map(|near| format!("did you mean {near:?}?"));
        return Err((format!("there is no key {first:?} in the configuration"), hint));
    }
    fields.get_mut(first).map_or(Ok(()), |field| set(field, rest, new))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<Raw, Diagnostic> {
        let owned = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        apply(Raw::default(), owned.collect::<Vec<_>>().into_iter())
    }

    #[test]
    fn variables_override_keys() {
        let raw = with(&[
            ("FISCWATCH_ENGINE__BATCH_ROWS", "7"),
            ("FISCWATCH_STATE__DIR", "/var/lib/fiscwatch"),
            ("FISCWATCH_CONFIG", "elsewhere"),
            ("HOME", "/root"),
        ]);
        let raw = raw.unwrap();
        assert_eq!(raw.engine.batch_rows, 7);
        assert_eq!(raw.state.dir.to_str(), Some("/var/lib/fiscwatch"));
    }

    #[test]
    fn wrong_variables_are_named() {
        let error = with(&[("FISCWATCH_ENGINE__BATCH_ROW", "7")]).unwrap_err().to_string();
        assert_eq!(
            error,
            "$FISCWATCH_ENGINE__BATCH_ROW: there is no key \"batch_row\" in the configuration\n    hint: did you mean \"batch_rows\"?"
        );
        let error = with(&[("FISCWATCH_ENGINE__BATCH_ROWS", "many")]).unwrap_err().to_string();
        assert!(error.starts_with("$FISCWATCH_ENGINE__BATCH_ROWS: \"many\": invalid type"), "{error}");
    }
}
