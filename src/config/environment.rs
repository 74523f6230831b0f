//! `FISCWATCH_ENGINE__BATCH_ROWS=1000` is `engine: { batch_rows: 1000 }`: two underscores part the levels. An entry of a
//! list goes by its name: `FISCWATCH_SINKS__MAIL__EMAIL__PASSWORD` is the password of the sink `mail`.

use serde_json::Value;

use super::{RawConfig, shape};
use crate::{
    diagnostic::{Diagnostic, field_fault, nearest},
    say,
    text::{did_you_mean, quoted},
};

const PREFIX: &str = "FISCWATCH_";
/// Variables that are read elsewhere.
const OTHERS: &[&str] = &["FISCWATCH_CONFIG", "FISCWATCH_LANG", "FISCWATCH_SHARD", "FISCWATCH_TOKEN"];

/// The variables of the environment that are text. Others are nobody's business here, unless they are ours.
pub(crate) fn variables() -> Result<impl Iterator<Item = (String, String)>, Diagnostic> {
    let mut all = Vec::new();
    for (name, text) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        match text.into_string() {
            Ok(text) => all.push((name, text)),
            Err(_) if name.starts_with(PREFIX) => {
                return Err(Diagnostic::of_file(&format!("${name}"), say!("its value is not UTF-8"), None));
            }
            Err(_) => {}
        }
    }
    Ok(all.into_iter())
}

/// Puts the variables over what the file says.
pub(crate) fn apply(
    raw: RawConfig,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<RawConfig, Diagnostic> {
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
        let before = serde_json::to_value(&raw).map_err(|e| fail(e.to_string(), None))?;
        let mut tree = before.clone();
        let secret = path.last().is_some_and(|key| SECRETS.contains(&key.as_str()));
        // A secret is text even if it looks like a number, and no message repeats it, nor a whole list that has some.
        let new = if secret { Value::String(text.clone()) } else { value(&text) };
        let hidden = secret || LISTS_WITH_SECRETS.contains(&path[0].as_str());
        let shown = if hidden { say!("its value") } else { quoted(&text) };
        let values = if hidden { leaves(&new) } else { Vec::new() };
        set(&mut tree, &path, new).map_err(|(message, hint)| fail(message, hint))?;
        raw = serde_json::from_value(tree.clone()).map_err(|e| {
            let told = shape_problem(&name, &before, &tree).map(|told| without(told, &values));
            told.unwrap_or_else(|| fail(format!("{shown}: {}", field_fault(&e.to_string())), None))
        })?;
    }
    Ok(raw)
}

/// What a variable does to the shape of the configuration, as a mistake in its file would be told.
fn shape_problem(name: &str, before: &Value, after: &Value) -> Option<Diagnostic> {
    let problems = |tree: &Value| shape::problems(&format!("${name}"), &tree.to_string());
    let known = problems(before);
    let is_new = |problem: &Diagnostic| known.iter().all(|known| known.message != problem.message);
    let Diagnostic { file, message, hint, .. } = problems(after).into_iter().find(is_new)?;
    Some(Diagnostic::of_file(&file, message, hint))
}

/// The texts and numbers of a value, as messages quote them.
fn leaves(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().flat_map(leaves).collect(),
        Value::Object(fields) => fields.values().flat_map(leaves).collect(),
        Value::String(text) => vec![quoted(text)],
        Value::Number(number) => vec![quoted(&number.to_string())],
        Value::Null | Value::Bool(_) => Vec::new(),
    }
}

/// What is told without these values.
fn without(told: Diagnostic, values: &[String]) -> Diagnostic {
    let hide = |text: String| values.iter().fold(text, |text, value| text.replace(value, "\"…\""));
    let (message, hint) = (hide(told.message), told.hint.map(hide));
    Diagnostic { message, hint, ..told }
}

/// Keys whose values are secrets.
const SECRETS: &[&str] = &["password", "secret", "bearer_token"];
/// Lists whose entries may have some.
const LISTS_WITH_SECRETS: &[&str] = &["sinks", "sources"];

/// A number, truth value, list or object as JSON writes it; anything else is text.
fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

fn set(tree: &mut Value, path: &[String], new: Value) -> Result<(), (String, Option<String>)> {
    let [first, rest @ ..] = path else {
        *tree = new;
        return Ok(());
    };
    if let Value::Array(entries) = tree {
        let names: Vec<_> = entries.iter().map(|entry| variable_name(&entry["name"])).collect();
        return match names.iter().position(|name| name == first) {
            Some(at) => set(&mut entries[at], rest, new),
            None => {
                let hint = nearest(first, names.iter().map(String::as_str));
                let message =
                    say!("there is no entry named {name} in the configuration", name = quoted(first));
                Err((message, hint.map(did_you_mean)))
            }
        };
    }
    let Value::Object(fields) = tree else {
        return Err((say!("there is nothing below this key to set ({key})", key = first), None));
    };
    if !fields.contains_key(first) {
        let hint = nearest(first, fields.keys().map(String::as_str)).map(did_you_mean);
        return Err((say!("there is no key {key} in the configuration", key = quoted(first)), hint));
    }
    fields.get_mut(first).map_or(Ok(()), |field| set(field, rest, new))
}

/// The name of a list's entry as a variable writes it: `drop-box` is `DROP_BOX`.
fn variable_name(name: &Value) -> String {
    name.as_str().unwrap_or_default().to_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Result<RawConfig, Diagnostic> {
        let owned = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        apply(RawConfig::default(), owned.collect::<Vec<_>>().into_iter())
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
    fn a_secret_reaches_the_entry_of_a_list_and_no_message() {
        let yaml = "sinks: [{ name: mail-1, email: { servers: [mx], from: a@b.cn, to: [c@b.cn] } }]";
        let raw: RawConfig = serde_saphyr::from_str(yaml).unwrap();
        let variables = [("FISCWATCH_SINKS__MAIL_1__EMAIL__PASSWORD", "0123")];
        let raw = apply(raw, variables.map(|(n, v)| (n.to_owned(), v.to_owned())).into_iter()).unwrap();
        let password = raw.sinks[0].email.as_ref().unwrap().password.as_ref().unwrap();
        assert_eq!(password.reveal(), "0123");
        assert!(!format!("{raw:?}").contains("0123"));

        let variables = [("FISCWATCH_SINKS__MAIL_2__EMAIL__PASSWORD", "0123")];
        let error = apply(raw, variables.map(|(n, v)| (n.to_owned(), v.to_owned())).into_iter()).unwrap_err();
        assert!(error.message.contains("no entry named \"mail_2\""), "{error}");
        assert!(!error.to_string().contains("0123"), "{error}");
    }

    #[test]
    fn what_is_wrong_in_a_list_with_secrets_is_told_without_its_values() {
        for (name, text, told) in [
            ("SOURCES", "hidden", "sources must be a list"),
            (
                "SOURCES",
                r#"[{"name": "a", "files": {}, "type": "hidden"}]"#,
                "unknown key \"files\" in sources",
            ),
            (
                "SINKS",
                r#"[{"name": "m", "email": {"servers": ["mx"], "from": "a@b.cn", "to": ["c@b.cn"], "mask": "hidden"}}]"#,
                "mask is \"…\", but must be true or false",
            ),
        ] {
            let error = with(&[(&format!("FISCWATCH_{name}"), text)]).unwrap_err().to_string();
            assert!(error.contains(told) && !error.contains("hidden"), "{error}");
        }
    }

    #[test]
    fn wrong_variables_are_named() {
        let error = with(&[("FISCWATCH_ENGINE__BATCH_ROW", "7")]).unwrap_err().to_string();
        assert_eq!(
            error,
            "$FISCWATCH_ENGINE__BATCH_ROW: there is no key \"batch_row\" in the configuration\n    hint: did you mean \"batch_rows\"?"
        );
        let error = with(&[("FISCWATCH_ENGINE__BATCH_ROWS", "many")]).unwrap_err().to_string();
        assert_eq!(
            error,
            "$FISCWATCH_ENGINE__BATCH_ROWS: engine.batch_rows is \"many\", but must be a whole number that is not negative"
        );
        let error = with(&[("FISCWATCH_STATE__STANDBY", "maybe")]).unwrap_err().to_string();
        assert_eq!(error, "$FISCWATCH_STATE__STANDBY: state.standby is \"maybe\", but must be true or false");
    }
}
