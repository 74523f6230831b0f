//! Comparisons that never hold, or always do: a rule with one of them passes for one that watches.

use std::ops::ControlFlow;

use arrow::datatypes::{DataType, Schema};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator as Op, Expr as Sql, Ident, UnaryOperator, Value, visit_expressions,
};
use rust_decimal::Decimal;

use super::{Handling, Param, RuleMode, Severity};
use crate::{
    diagnostic::{suggest, type_name, value_of},
    event::schema::{FieldKind, field},
    say,
};

/// What is wrong, at the name of a column.
pub(crate) struct Never {
    /// The column as it is written.
    pub ident: Ident,
    pub message: String,
    pub hint: String,
}

/// A value that is written in an expression.
#[derive(Debug, Clone)]
enum Literal {
    Number(Decimal),
    Text(String),
    Bool,
    Null,
}

/// A column in an expression: its name, and how it is written.
struct Column<'s> {
    name: String,
    ident: &'s Ident,
}

/// What is compared, and with what.
pub(crate) struct Comparisons<'c> {
    pub columns: &'c Schema,
    pub params: &'c [(String, Param)],
    /// Names that a query gives to columns of its own: nothing is known of them.
    pub own: &'c [String],
    found: Vec<Never>,
}

impl<'c> Comparisons<'c> {
    /// Over these columns, with these constants.
    #[must_use]
    pub(crate) fn new(columns: &'c Schema, params: &'c [(String, Param)], own: &'c [String]) -> Self {
        Self { columns, params, own, found: Vec::new() }
    }

    /// What never holds, or always does, in an expression as it was parsed.
    #[must_use]
    pub(crate) fn of(mut self, sql: &Sql) -> Vec<Never> {
        let _: ControlFlow<()> = visit_expressions(sql, |e| {
            self.look(e);
            ControlFlow::Continue(())
        });
        self.found
    }

    /// Looks at one expression, and not into it.
    pub(crate) fn look(&mut self, sql: &Sql) {
        match sql {
            Sql::BinaryOp { left, op: Op::And, right } => self.both(left, right),
            Sql::BinaryOp { left, op, right } if is_comparison(op) => {
                if let (Some(column), Some(literal)) = (column(left), self.literal(right)) {
                    self.compare(&column, op, &literal);
                } else if let (Some(column), Some(literal)) = (column(right), self.literal(left)) {
                    self.compare(&column, op, &literal);
                }
            }
            Sql::InList { expr, list, negated } => {
                if let Some(column) = column(expr) {
                    let op = if *negated { Op::NotEq } else { Op::Eq };
                    let literals: Vec<_> = list.iter().flat_map(|item| self.literals(item)).collect();
                    for literal in literals {
                        self.compare(&column, &op, &literal);
                    }
                }
            }
            Sql::Between { expr, negated, low, high } => {
                if let Some(column) = column(expr) {
                    self.between(&column, *negated, self.literal(low), self.literal(high));
                }
            }
            _ => {}
        }
    }

    #[must_use]
    pub(crate) fn found(self) -> Vec<Never> {
        self.found
    }

    fn tell(&mut self, column: &Column<'_>, message: String, hint: String) {
        if !self.found.iter().any(|known| known.message == message) {
            self.found.push(Never { ident: column.ident.clone(), message, hint });
        }
    }

    fn compare(&mut self, column: &Column<'_>, op: &Op, literal: &Literal) {
        let name = &column.name;
        if let Literal::Null = literal {
            let hint = if *op == Op::NotEq {
                say!("write `{name} is not null`", name)
            } else {
                say!("write `{name} is null`", name)
            };
            return self.tell(
                column,
                say!("nothing is equal to null, so a comparison with it never holds"),
                hint,
            );
        }
        let Some(data_type) = self.type_of(name) else { return };
        if let Some(hint) = misfit(name, &data_type, literal) {
            let kind = type_name(&data_type);
            let message = match literal {
                Literal::Text(text) => say!("{name} is {kind}, and '{text}' is not", name, kind, text),
                Literal::Number(number) => say!("{name} is {kind}, and {number} is not", name, kind, number),
                _ => say!("{name} is {kind}, and true or false is not", name, kind),
            };
            return self.tell(column, message, hint);
        }
        let (Literal::Text(text), Some(words)) = (literal, choices(name)) else { return };
        if words.contains(&text.as_str()) {
            return;
        }
        let message = match op {
            Op::NotEq => say!("{name} is never '{text}', so this always holds", name, text),
            _ => say!("{name} is never '{text}', so this never holds", name, text),
        };
        let hint = match value_of(text, &words) {
            Some(ours) => say!("write '{ours}'", ours),
            None => suggest(text, words),
        };
        self.tell(column, message, hint);
    }

    fn between(&mut self, column: &Column<'_>, negated: bool, low: Option<Literal>, high: Option<Literal>) {
        for literal in low.iter().chain(&high) {
            self.compare(column, &Op::GtEq, literal);
        }
        let (Some(low), Some(high)) = (low, high) else { return };
        let empty = match (&low, &high) {
            (Literal::Number(low), Literal::Number(high)) => {
                (low > high).then(|| (low.to_string(), high.to_string()))
            }
            // Days and instants stand in the order of their texts, as far as they are written alike.
            (Literal::Text(low), Literal::Text(high)) if low.len() == high.len() => {
                (low > high).then(|| (format!("'{low}'"), format!("'{high}'")))
            }
            _ => None,
        };
        if let Some((low, high)) = empty {
            let message = match negated {
                true => say!("nothing lies between {low} and {high}, so this always holds", low, high),
                false => say!("nothing lies between {low} and {high}, so this never holds", low, high),
            };
            self.tell(
                column,
                message,
                say!("write the smaller one first: between {high} and {low}", high, low),
            );
        }
    }

    /// Conditions that exclude each other, of all that `and` joins.
    fn both(&mut self, left: &Sql, right: &Sql) {
        let mut bounds: Vec<Bound<'_>> = Vec::new();
        let mut parts = vec![right, left];
        while let Some(part) = parts.pop() {
            match part {
                Sql::Nested(inner) => parts.push(inner),
                Sql::BinaryOp { left, op: Op::And, right } => parts.extend([right.as_ref(), left.as_ref()]),
                Sql::BinaryOp { left, op, right } if is_comparison(op) => {
                    let bound = match (column(left), self.literal(right)) {
                        (Some(column), Some(literal)) => Some((column, op.clone(), literal)),
                        _ => column(right).zip(self.literal(left)).map(|(c, l)| (c, swapped(op), l)),
                    };
                    let Some((column, op, literal)) = bound else { continue };
                    let bound = Bound { column, op, literal };
                    if let Some(other) = bounds.iter().find(|other| other.excludes(&bound)) {
                        let message = say!(
                            "`{one}` and `{other}` exclude each other, so this never holds",
                            one = other,
                            other = bound
                        );
                        let hint = say!("join them with `or`, or take one of them away");
                        self.tell(&bound.column, message, hint);
                    }
                    bounds.push(bound);
                }
                _ => {}
            }
        }
    }

    fn type_of(&self, name: &str) -> Option<DataType> {
        let known = self.columns.column_with_name(name).filter(|_| !self.own.iter().any(|own| own == name));
        known.map(|(_, field)| field.data_type().clone())
    }

    fn literal(&self, sql: &Sql) -> Option<Literal> {
        match self.literals(sql).as_slice() {
            [one] => Some(one.clone()),
            _ => None,
        }
    }

    fn literals(&self, sql: &Sql) -> Vec<Literal> {
        match sql {
            Sql::Nested(inner) => self.literals(inner),
            Sql::UnaryOp { op: UnaryOperator::Minus, expr } => match self.literal(expr) {
                Some(Literal::Number(number)) => vec![Literal::Number(-number)],
                _ => Vec::new(),
            },
            Sql::Value(value) => match &value.value {
                Value::Number(digits, _) => digits.parse().ok().map(Literal::Number).into_iter().collect(),
                Value::SingleQuotedString(text) => vec![Literal::Text(text.clone())],
                Value::Boolean(_) => vec![Literal::Bool],
                Value::Null => vec![Literal::Null],
                Value::Placeholder(name) => {
                    let param =
                        self.params.iter().find(|(param, _)| name.strip_prefix('$') == Some(param.as_str()));
                    param.map(|(_, param)| constants(param)).unwrap_or_default()
                }
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }
}

/// A comparison of a column with a value.
struct Bound<'s> {
    column: Column<'s>,
    op: Op,
    literal: Literal,
}

impl Bound<'_> {
    /// Whether no value meets both.
    fn excludes(&self, other: &Self) -> bool {
        if self.column.name != other.column.name {
            return false;
        }
        match (&self.literal, &other.literal) {
            (Literal::Text(a), Literal::Text(b)) => self.op == Op::Eq && other.op == Op::Eq && a != b,
            (Literal::Number(a), Literal::Number(b)) => {
                let below = |low: &Self, a: &Decimal, high: &Self, b: &Decimal| {
                    let strict = low.op == Op::Gt || high.op == Op::Lt;
                    matches!(low.op, Op::Gt | Op::GtEq | Op::Eq)
                        && matches!(high.op, Op::Lt | Op::LtEq | Op::Eq)
                        && (a > b || a == b && strict)
                };
                below(self, a, other, b) || below(other, b, self, a)
            }
            _ => false,
        }
    }
}

impl std::fmt::Display for Bound<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.literal {
            Literal::Number(number) => write!(f, "{} {} {number}", self.column.name, self.op),
            Literal::Text(text) => write!(f, "{} {} '{text}'", self.column.name, self.op),
            Literal::Bool | Literal::Null => write!(f, "{} {} …", self.column.name, self.op),
        }
    }
}

fn constants(param: &Param) -> Vec<Literal> {
    match param {
        Param::Number(digits) => digits.parse().ok().map(Literal::Number).into_iter().collect(),
        Param::Text(text) => vec![Literal::Text(text.clone())],
        Param::Bool(_) => vec![Literal::Bool],
        Param::List(items) => items.iter().flat_map(constants).collect(),
    }
}

fn column(sql: &Sql) -> Option<Column<'_>> {
    let name = |ident: &Ident| match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    };
    match sql {
        Sql::Nested(inner) => column(inner),
        Sql::Identifier(ident) => Some(Column { name: name(ident), ident }),
        Sql::CompoundIdentifier(parts) => match &parts[..] {
            [table, ident] if table.value.eq_ignore_ascii_case("budget") => {
                Some(Column { name: format!("budget.{}", name(ident)), ident })
            }
            [_, ident] => Some(Column { name: name(ident), ident }),
            _ => None,
        },
        _ => None,
    }
}

fn is_comparison(op: &Op) -> bool {
    matches!(op, Op::Eq | Op::NotEq | Op::Lt | Op::LtEq | Op::Gt | Op::GtEq)
}

fn swapped(op: &Op) -> Op {
    match op {
        Op::Lt => Op::Gt,
        Op::LtEq => Op::GtEq,
        Op::Gt => Op::Lt,
        Op::GtEq => Op::LtEq,
        other => other.clone(),
    }
}

/// What to write where a value is not of a column's kind.
fn misfit(name: &str, data_type: &DataType, literal: &Literal) -> Option<String> {
    match (data_type, literal) {
        (t, Literal::Text(text)) if t.is_numeric() => Some(match text.parse::<Decimal>() {
            Ok(_) => say!("write the number without quotes: {text}", text),
            Err(_) => say!("write a number such as 10000"),
        }),
        (t, Literal::Number(number)) if is_text(t) => Some(say!("write it in quotes: '{number}'", number)),
        (DataType::Timestamp(..), Literal::Number(_)) => {
            Some(say!("write a day or an instant as text: '2026-01-05' or '2026-01-05T08:00:00+08:00'"))
        }
        (DataType::Timestamp(..), Literal::Text(text)) if !begins_with_a_day(text) => {
            Some(say!("write a day or an instant as text: '2026-01-05' or '2026-01-05T08:00:00+08:00'"))
        }
        (DataType::Boolean, Literal::Text(_) | Literal::Number(_)) => {
            Some(say!("write `{name}` or `not {name}`", name))
        }
        (t, Literal::Bool) if t.is_numeric() || is_text(t) => {
            Some(say!("compare it with a value of its kind"))
        }
        (t, Literal::Text(text)) if t.is_list() => {
            Some(say!("write array_has({name}, '{text}')", name, text))
        }
        _ => None,
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn begins_with_a_day(text: &str) -> bool {
    text.get(..10).is_some_and(|day| day.parse::<jiff::civil::Date>().is_ok())
}

/// The words that a column's text is out of.
fn choices(name: &str) -> Option<Vec<&'static str>> {
    fn words<T>(table: &'static [(&'static str, T)]) -> Vec<&'static str> {
        table.iter().map(|(word, _)| *word).collect()
    }
    match name {
        "severity" => Some(words(Severity::WORDS)),
        "handling" => Some(words(Handling::WORDS)),
        "mode" => Some(words(RuleMode::WORDS)),
        _ => match field(name)?.1.kind {
            FieldKind::Choice(words) => Some(words.to_vec()),
            _ => None,
        },
    }
}
