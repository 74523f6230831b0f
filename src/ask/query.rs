//! The query of a question: its parameters put in as literals, and every table cut down to what is there for whoever asks.

use std::{collections::BTreeSet, sync::LazyLock};

use regex::{Captures, Regex};

use super::{ParameterKind, ParameterValues, Question};
use crate::access::Limits;

/// Rows where a text names no number.
const ROWS: &str = "50";

static TABLE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\{(\w+)\}").ok());
static PARAMETER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\$([a-z]+)").ok());
static OPTIONAL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\[\[(.*?)\]\]").ok());
/// What follows up on a payment names a line, and the line its unit.
const OF_UNITS: &str = "_of_units";

/// A query that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub(crate) sql: String,
}

impl Query {
    /// The query of a question with its parameters, within limits. Values must be [checked](super::checked).
    #[must_use]
    pub fn of(question: &Question, given: &ParameterValues, limits: &Limits) -> Self {
        let literal = |name: &str| literal(name, question, given);
        let has_all = |part: &str| names(part).iter().all(|name| literal(name).is_some());
        let template = question.sql.split_whitespace().collect::<Vec<_>>().join(" ");
        let chosen = replaced(&OPTIONAL, &template, |inside| match inside.split_once("||") {
            Some((with, _)) if has_all(with) => with.to_owned(),
            Some((_, without)) => without.to_owned(),
            None if has_all(inside) => inside.to_owned(),
            None => String::new(),
        });
        // Values come last, so that nothing in one is taken for a table.
        let tables = replaced(&TABLE, &chosen, |name| table(name, limits));
        let sql = replaced(&PARAMETER, &tables, |name| literal(name).unwrap_or_else(|| String::from("NULL")));
        Self { sql: tidy(&sql) }
    }
}

/// The tables that a question reads.
#[must_use]
pub fn tables_of(question: &Question) -> BTreeSet<String> {
    let mut tables = BTreeSet::new();
    for name in TABLE.iter().flat_map(|pattern| pattern.captures_iter(&question.sql)) {
        let name = &name[1];
        tables.insert(name.strip_suffix(OF_UNITS).unwrap_or(name).to_owned());
        if name.ends_with(OF_UNITS) {
            tables.insert(String::from("budget_lines"));
        }
    }
    tables
}

fn replaced(pattern: &LazyLock<Option<Regex>>, text: &str, with: impl Fn(&str) -> String) -> String {
    let Some(pattern) = pattern.as_ref() else { return String::new() };
    pattern.replace_all(text, |captures: &Captures<'_>| with(&captures[1])).into_owned()
}

fn names(part: &str) -> Vec<String> {
    PARAMETER.iter().flat_map(|pattern| pattern.captures_iter(part)).map(|name| name[1].to_owned()).collect()
}

/// A parameter's value as SQL writes it; `None` where it has none.
fn literal(name: &str, question: &Question, given: &ParameterValues) -> Option<String> {
    let value = |kind: ParameterKind| given.get(&kind).or_else(|| question.defaults.get(&kind)).cloned();
    let day = |part: Option<&str>| Some(format!("DATE {}", text(part?)));
    match name {
        "from" => day(value(ParameterKind::Period)?.split('/').next()),
        "to" => day(value(ParameterKind::Period)?.split('/').nth(1)),
        "year" => value(ParameterKind::Year),
        "amount" => value(ParameterKind::Amount),
        "percent" => value(ParameterKind::Percent),
        "top" => Some(value(ParameterKind::Top).unwrap_or_else(|| ROWS.to_owned())),
        name => {
            let texts = [
                ParameterKind::Unit,
                ParameterKind::Region,
                ParameterKind::Class,
                ParameterKind::Economic,
                ParameterKind::Payee,
                ParameterKind::Text,
                ParameterKind::Rule,
                ParameterKind::Severity,
                ParameterKind::Line,
                ParameterKind::Event,
            ];
            let kind = texts.into_iter().find(|kind| kind.word() == name)?;
            Some(text(&value(kind)?))
        }
    }
}

/// A text as SQL writes it.
fn text(value: &str) -> String {
    format!("'{}'", value.replace('\'', "''"))
}

/// A table as a query names it: whole, or what is there of it within limits.
fn table(name: &str, limits: &Limits) -> String {
    if let Some(base) = name.strip_suffix(OF_UNITS) {
        let within = within("l.", limits).map_or_else(String::new, |condition| format!(" WHERE {condition}"));
        return format!(
            "(SELECT e.event_id, e.occurred_at, e.original_event_id, e.action, e.budget_line_id, e.amount, e.reason, \
             l.unit_code, l.unit_name, l.region_code, l.function_code, l.economic_code \
             FROM {base} AS e LEFT JOIN budget_lines AS l ON l.budget_line_id = e.budget_line_id{within}) AS {base}"
        );
    }
    let Some(units) = within("", limits) else { return name.to_owned() };
    let condition = match name {
        // They tell of no unit themselves.
        "alert_history" => format!("alert_id IN (SELECT alert_id FROM alerts WHERE {units})"),
        // One that tells of several alerts may tell of others.
        "notifications" => format!("alerts = 1 AND alert_id IN (SELECT alert_id FROM alerts WHERE {units})"),
        "silences" => String::from("false"),
        _ => units,
    };
    format!("(SELECT * FROM {name} WHERE {condition}) AS {name}")
}

/// What holds of rows within limits; `None` where everything is. What has no unit or region is not there.
fn within(prefix: &str, limits: &Limits) -> Option<String> {
    if limits.is_none() {
        return None;
    }
    let any = |column: &str, codes: &[String]| {
        let each = codes.iter().map(|code| format!("starts_with({prefix}{column}, {})", text(code)));
        let each: Vec<_> = each.collect();
        (!each.is_empty()).then(|| format!("({})", each.join(" OR ")))
    };
    let both = [any("unit_code", &limits.units), any("region_code", &limits.regions)];
    Some(both.into_iter().flatten().collect::<Vec<_>>().join(" AND "))
}

/// Blanks that parts left out leave behind.
fn tidy(sql: &str) -> String {
    let mut inside = false;
    let mut tidy = String::with_capacity(sql.len());
    for sign in sql.chars() {
        inside ^= sign == '\'';
        if sign == ' ' && !inside && tidy.ends_with(' ') {
            continue;
        }
        tidy.push(sign);
    }
    tidy.trim().replace(" WHERE true AND ", " WHERE ").replace(" WHERE true ", " ")
}

#[cfg(test)]
mod tests {
    use super::{super::catalogue, *};

    fn sql(id: &str, given: &[(ParameterKind, &str)], units: &[&str]) -> String {
        let given = given.iter().map(|(kind, value)| (*kind, (*value).to_owned())).collect();
        let units = units.iter().map(|unit| (*unit).to_owned()).collect();
        Query::of(catalogue().get(id).unwrap(), &given, &Limits::new(units, Vec::new()).unwrap()).sql
    }

    #[test]
    fn what_is_given_stands_in_the_query_and_what_is_not_is_left_out() {
        assert_eq!(
            sql("payments-largest", &[], &[]),
            "SELECT occurred_at, event_id, unit_code, unit_name, payee_name, amount, purpose FROM payments \
             ORDER BY amount DESC, event_id LIMIT 50"
        );
        let full = sql(
            "payments-largest",
            &[(ParameterKind::Period, "2026-05-01/2026-06-01"), (ParameterKind::Top, "3")],
            &[],
        );
        let part = "FROM payments WHERE occurred_at >= DATE '2026-05-01' AND occurred_at < DATE '2026-06-01' ORDER BY";
        assert!(full.contains(part) && full.ends_with("LIMIT 3"), "{full}");
        let year = sql("executed-total", &[(ParameterKind::Year, "2026")], &[]);
        assert!(year.contains("WHERE fiscal_year = 2026 GROUP BY"), "{year}");
        assert!(sql("executed-total", &[], &[]).contains("(SELECT max(fiscal_year) FROM budget_lines)"));
    }

    #[test]
    fn a_value_stays_a_value() {
        let sql =
            sql("payments-to-payee", &[(ParameterKind::Payee, "O'Hara') OR {alerts} $unit [[x]] --")], &[]);
        assert!(sql.contains("strpos(payee_name, 'O''Hara'') OR {alerts} $unit [[x]] --') > 0"), "{sql}");
    }

    #[test]
    fn every_table_of_every_question_is_within_the_limits() {
        let limits = Limits::new(vec![String::from("101")], vec![String::from("32")]).unwrap();
        for question in &catalogue().questions {
            let sql = Query::of(question, &ParameterValues::new(), &limits).sql;
            for table in tables_of(question) {
                for (at, found) in sql.match_indices(&format!(" {table}")) {
                    let behind = &sql[at + found.len()..];
                    // As it is named first, or by the name that what is left of it has.
                    let named = behind.starts_with(['.', ',', ')']) || sql[..at].ends_with(" AS");
                    let cut = behind.starts_with(" WHERE (starts_with")
                        || behind.starts_with(" WHERE alert")
                        || behind.starts_with(" WHERE false")
                        || behind.starts_with(" AS l ON")
                        || behind.starts_with(" AS e LEFT");
                    // Counts are called like what they count.
                    let is_column = behind.starts_with([' ', ','])
                        && sql[..at].ends_with(['Y', 'C', ','])
                        && !sql[..at].ends_with("FROM")
                        || table == "alerts" && behind.starts_with(" =");
                    assert!(named || cut || is_column, "{}: {table} in {sql}", question.id);
                }
            }
        }
    }
}
