//! The notification line: a template over the columns of a finding.

use std::collections::BTreeSet;

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value, value::Serde};
use rust_decimal::Decimal;

use crate::{say, text::thousands};

/// A compiled `summary`.
#[derive(Debug, Clone)]
pub struct Template {
    environment: Environment<'static>,
}

const NAME: &str = "summary";
/// Steps that one line may take.
const STEPS: u64 = 10_000;
/// Bytes of a line.
const LINE_BYTES: usize = 16 << 10;

impl Template {
    /// Compiles a template.
    ///
    /// # Errors
    /// If its syntax is wrong.
    pub fn new(text: &str) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        // A line for people takes a few steps; loops in loops would take for ever.
        environment.set_fuel(Some(STEPS));
        add_filters(&mut environment);
        environment.add_template_owned(NAME, text.to_owned()).map_err(|e| said(&e))?;
        let template = Self { environment };
        // A filter that does not exist is only missed when it is used.
        let used = template.environment.get_template(NAME).and_then(|t| t.render(()));
        match used {
            Err(e)
                if matches!(
                    e.kind(),
                    ErrorKind::UnknownFilter
                        | ErrorKind::UnknownFunction
                        | ErrorKind::UnknownTest
                        | ErrorKind::OutOfFuel
                ) =>
            {
                Err(said(&e))
            }
            _ => Ok(template),
        }
    }

    /// The columns it names; `budget.total` as one name.
    #[must_use]
    pub fn columns(&self) -> BTreeSet<String> {
        let template = self.environment.get_template(NAME);
        template.map(|t| t.undeclared_variables(true).into_iter().collect()).unwrap_or_default()
    }

    /// The line for these values. A template that fails at run time must not swallow a finding, so its error
    /// becomes the line.
    #[must_use]
    pub fn render(&self, values: &serde_json::Value) -> String {
        let template = self.environment.get_template(NAME);
        let line = template.and_then(|t| t.render(Value::from(Serde(values))));
        let mut line = line.unwrap_or_else(|e| say!("(summary: {e})", e = said(&e))).trim().to_owned();
        line.truncate(line.floor_char_boundary(LINE_BYTES));
        line
    }
}

/// The filters of every template: `money`, `percent`, `number`, `abs`, `above` and `time`.
pub(crate) fn add_filters(environment: &mut Environment<'_>) {
    environment.add_filter("abs", abs);
    environment.add_filter("above", above);
    environment.add_filter("time", time);
    environment.add_filter("money", money);
    environment.add_filter("percent", percent);
    environment.add_filter("number", number);
}

/// An error in our words.
fn said(error: &Error) -> String {
    let name = error.detail().and_then(|detail| {
        detail.split_whitespace().find(|word| !matches!(*word, "filter" | "function" | "test"))
    });
    match error.kind() {
        ErrorKind::UnknownFilter => {
            say!(
                "there is no filter {name}: there are money, percent and number",
                name = name.unwrap_or_default()
            )
        }
        ErrorKind::UnknownFunction | ErrorKind::UnknownTest => {
            say!("it holds columns and filters, and no functions")
        }
        ErrorKind::SyntaxError => say!("a column stands between {{{{ and }}}}, and its filter behind |"),
        ErrorKind::OutOfFuel => say!("it takes too many steps: leave loops out"),
        ErrorKind::InvalidOperation => say!("a value cannot be computed with"),
        _ => say!("a value cannot be shown"),
    }
}

/// An error in one line.
pub(crate) fn describe(error: &Error) -> String {
    if error.kind() == ErrorKind::OutOfFuel {
        return said(error);
    }
    error.detail().map_or_else(|| error.kind().to_string(), |detail| format!("{}: {detail}", error.kind()))
}

/// `400.000000` as `400`.
fn number(value: &Value) -> String {
    let text = value.to_string();
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// `-12.50` as `12.50`: decimals are texts here, so that they stay exact.
fn abs(value: &Value) -> String {
    let text = value.to_string();
    text.strip_prefix('-').map_or_else(|| text.clone(), str::to_owned)
}

/// By how much a decimal is above another one; nothing if it is not.
fn above(value: &Value, other: &Value) -> String {
    let decimal = |value: &Value| Decimal::from_str_exact(&value.to_string()).ok();
    let difference = decimal(value).zip(decimal(other)).and_then(|(a, b)| a.checked_sub(b));
    difference.filter(|d| *d > Decimal::ZERO).map_or_else(String::new, |d| d.to_string())
}

/// `2026-03-02T18:00:00+08:00` as `2026-03-02 18:00:00`: values are in local time, so their zone says nothing.
fn time(value: &Value) -> String {
    let text = value.to_string();
    match text.as_bytes() {
        [_, _, _, _, b'-', _, _, b'-', _, _, b'T', _, _, b':', _, _, b':', ..] => {
            text.chars().take(19).map(|c| if c == 'T' { ' ' } else { c }).collect()
        }
        _ => text,
    }
}

/// `1234567.50` as `1,234,567.50`.
fn money(value: &Value) -> String {
    let text = value.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(w, f)| (w, Some(f)));
    let Some(whole) = thousands(whole) else { return text };
    let fraction = fraction.map_or(String::new(), |f| format!(".{f}"));
    format!("{sign}{whole}{fraction}")
}

/// `0.1234` as `12.34%`.
fn percent(value: &Value) -> String {
    let text = value.to_string();
    let ratio: Option<rust_decimal::Decimal> = text.parse().ok();
    ratio.map_or(text, |r| format!("{}%", (r * rust_decimal::Decimal::ONE_HUNDRED).round_dp(2).normalize()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn renders_columns_and_filters() {
        let text =
            "{{ unit_name }} {{ amount|money }} 元,超 {{ budget.overspend_ratio|percent }}{{ nothing }}";
        let template = Template::new(text).unwrap();
        let values =
            json!({"unit_name": "教育局", "amount": "1234567.50", "budget": {"overspend_ratio": "0.1234"}});
        assert_eq!(template.render(&values), "教育局 1,234,567.50 元,超 12.34%");
        let columns: Vec<_> = template.columns().into_iter().collect();
        assert_eq!(columns, ["amount", "budget.overspend_ratio", "nothing", "unit_name"]);
        assert!(Template::new("{{ a").is_err());
        assert_eq!(money(&Value::from("-1000")), "-1,000");
        assert_eq!(money(&Value::from("17.25")), "17.25");
        let template =
            Template::new("透支 {{ budget.available|abs|money }} 元，{{ at|time }}，{{ n|abs }}").unwrap();
        let values =
            json!({"budget": {"available": "-15831.89"}, "at": "2026-03-02T18:00:00+08:00", "n": -3});
        assert_eq!(template.render(&values), "透支 15,831.89 元，2026-03-02 18:00:00，3");
        assert_eq!(time(&Value::from("2026-03-02")), "2026-03-02");
    }

    #[test]
    fn a_failing_template_does_not_swallow() {
        let template = Template::new("{{ amount + 1 }}").unwrap();
        assert!(template.render(&json!({"amount": "x"})).starts_with("(summary: "));
    }
}
