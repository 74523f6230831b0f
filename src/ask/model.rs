//! What a language model is asked, and what is believed of its answer: it may choose a question of the catalogue and give
//! values for its parameters. Whatever else it says is refused.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Names, ParameterKind, ParameterValues, Question, catalogue, checked};
use crate::say;

/// What a model is sent: the questions, today's date and the text; nothing of what is stored.
#[must_use]
pub fn asked(model: &str, text: &str, today: jiff::civil::Date, may: &dyn Fn(&Question) -> bool) -> Value {
    let questions = catalogue().questions.iter().filter(|question| may(question)).map(|question| {
        let kinds = |kinds: &[ParameterKind]| kinds.iter().map(|kind| kind.word()).collect::<Vec<_>>();
        json!({
            "question": question.id,
            "zh": question.phrase(crate::text::Language::Zh),
            "en": question.phrase(crate::text::Language::En),
            "may": kinds(&question.takes),
            "must": kinds(&question.needs),
        })
    });
    let system = format!(
        "You choose one of these questions for what somebody typed, and fill its parameters. Answer with one JSON object and \
         nothing else: {{\"question\": id, \"params\": {{name: text}}}}, or {{\"question\": null}} if none fits. A period is \
         FROM/TO in days, TO being the day after the last; amounts are in yuan; units are codes as they were typed. \
         Today is {today}. Questions: {}",
        Value::Array(questions.collect())
    );
    json!({
        "model": model,
        "temperature": 0,
        "max_tokens": 300,
        "messages": [{ "role": "system", "content": system }, { "role": "user", "content": text }],
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chosen {
    question: Option<String>,
    #[serde(default)]
    params: BTreeMap<ParameterKind, String>,
}

/// The question that a model chose, with its parameters; `None` if it says that none fits.
///
/// # Errors
/// If it says anything else than that.
pub fn chosen(
    answer: &Value,
    names: &Names,
    may: &dyn Fn(&Question) -> bool,
) -> Result<Option<(&'static Question, ParameterValues)>, String> {
    let text = answer.pointer("/choices/0/message/content").and_then(Value::as_str).unwrap_or_default();
    let text = text.trim().trim_start_matches("```json").trim_matches('`').trim();
    let chosen: Chosen =
        serde_json::from_str(text).map_err(|_| say!("the model did not answer with a question"))?;
    let Some(id) = chosen.question else { return Ok(None) };
    let question = catalogue().get(&id).filter(|question| may(question));
    let question = question.ok_or_else(|| say!("the model chose a question that is not there"))?;
    let mut given = ParameterValues::new();
    for (kind, value) in chosen.params {
        if !question.has(kind) {
            return Err(say!("the model gave a parameter that the question does not have"));
        }
        given.insert(kind, checked(kind, &value, names)?);
    }
    match question.needs.iter().all(|kind| given.contains_key(kind)) {
        true => Ok(Some((question, given))),
        false => Err(say!("the model left out what the question needs")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_question_with_its_parameters_is_believed() {
        let names = Names::default();
        let said = |text: &str| {
            chosen(&json!({"choices": [{"message": {"content": text}}]}), &names, &|question| {
                question.id != "receipts"
            })
        };
        let (question, given) =
            said(r#"```json {"question": "payments-above", "params": {"amount": "50000", "top": "5"}}```"#)
                .unwrap()
                .unwrap();
        assert_eq!((question.id.as_str(), given.len()), ("payments-above", 2));
        assert!(said(r#"{"question": null}"#).unwrap().is_none());
        for wrong in [
            "SELECT * FROM payments",
            r#"{"question": "drop-tables"}"#,
            r#"{"question": "receipts"}"#,
            r#"{"question": "payments-above"}"#,
            r#"{"question": "payments-above", "params": {"amount": "1 OR 1=1"}}"#,
            r#"{"question": "payments-above", "params": {"amount": "1", "sql": "SELECT 1"}}"#,
            r#"{"question": "payments-above", "params": {"amount": "1", "year": "2026"}}"#,
            r#"{"question": "lines-of-unit", "params": {"unit": "320100105001"}}"#,
            r#"{"question": "payments-above", "params": {"amount": "1"}, "sql": "SELECT 1"}"#,
            "",
        ] {
            assert!(said(wrong).is_err(), "{wrong}");
        }
    }
}
