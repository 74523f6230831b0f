//! Which rows are events: a condition in SQL over the columns as they stand, compiled once.

use std::borrow::Cow;

use datafusion::sql::sqlparser::{
    ast::{BinaryOperator, Expr, Ident, UnaryOperator, Value},
    dialect::GenericDialect,
    parser::Parser,
};
use regex::Regex;
use rust_decimal::Decimal;

use super::slots::Slots;
use crate::{event::dress::naked, say, text::quoted};

/// A condition; unknown (`None`) where a value is missing, as in SQL.
#[derive(Debug, Clone)]
pub enum Predicate {
    /// Both sides hold, as SQL's AND.
    And(Box<Self>, Box<Self>),
    /// One of them holds.
    Or(Box<Self>, Box<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// The column has no value.
    Missing(usize),
    /// Two values stand to each other like this.
    Compare(Operand, Comparator, Operand),
    /// The column has one of the values.
    In(usize, Vec<Operand>),
    /// The column matches a pattern.
    Like(usize, Regex),
}

/// A column or a value.
#[derive(Debug, Clone)]
pub enum Operand {
    Column(usize),
    Text(Box<str>),
    Number(Decimal),
}

/// How two values stand to each other.
#[derive(Debug, Clone, Copy)]
pub enum Comparator {
    /// `=`
    Equal,
    /// `<>`
    Other,
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
}

/// A value that is compared with a number and is none.
#[derive(Debug)]
pub struct NoNumber {
    pub(crate) slot: usize,
    /// What stands in it.
    pub found: String,
}

/// The values of a row.
pub trait Values {
    /// The value of a column, without what is around it; `None` if it is missing.
    fn value(&self, slot: usize) -> Option<Cow<'_, str>>;
}

impl Predicate {
    /// Whether the row is an event.
    ///
    /// # Errors
    /// If a value that is compared with a number is none.
    pub fn holds(&self, row: &impl Values) -> Result<Option<bool>, NoNumber> {
        Ok(match self {
            Self::And(left, right) => match (left.holds(row)?, right.holds(row)?) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Self::Or(left, right) => match (left.holds(row)?, right.holds(row)?) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Self::Not(inner) => inner.holds(row)?.map(|holds| !holds),
            Self::Missing(slot) => Some(row.value(*slot).is_none()),
            Self::Compare(left, order, right) => compare(left, right, row)?.map(|found| order.allows(found)),
            Self::In(slot, values) => {
                let mut holds = Some(false);
                for value in values {
                    match compare(&Operand::Column(*slot), value, row)? {
                        Some(std::cmp::Ordering::Equal) => return Ok(Some(true)),
                        Some(_) => {}
                        None => holds = None,
                    }
                }
                holds
            }
            Self::Like(slot, pattern) => row.value(*slot).map(|text| pattern.is_match(&text)),
        })
    }
}

impl Comparator {
    fn allows(self, found: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => found.is_eq(),
            Self::Other => found.is_ne(),
            Self::Less => found.is_lt(),
            Self::AtMost => found.is_le(),
            Self::More => found.is_gt(),
            Self::AtLeast => found.is_ge(),
        }
    }
}

fn compare(
    left: &Operand,
    right: &Operand,
    row: &impl Values,
) -> Result<Option<std::cmp::Ordering>, NoNumber> {
    let numbers = matches!(left, Operand::Number(_)) || matches!(right, Operand::Number(_));
    if numbers {
        let (Some(left), Some(right)) = (left.number(row)?, right.number(row)?) else { return Ok(None) };
        return Ok(Some(left.cmp(&right)));
    }
    let (Some(left), Some(right)) = (left.text(row), right.text(row)) else { return Ok(None) };
    Ok(Some(left.cmp(&right)))
}

impl Operand {
    fn text<'r>(&'r self, row: &'r impl Values) -> Option<Cow<'r, str>> {
        match self {
            Self::Column(slot) => row.value(*slot),
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Number(number) => Some(Cow::Owned(number.to_string())),
        }
    }

    fn number(&self, row: &impl Values) -> Result<Option<Decimal>, NoNumber> {
        let Self::Column(slot) = self else {
            return Ok(if let Self::Number(number) = self { Some(*number) } else { None });
        };
        let Some(text) = row.value(*slot) else { return Ok(None) };
        let plain: Cow<'_, str> =
            if text.contains(',') { Cow::Owned(text.replace(',', "")) } else { Cow::Borrowed(&text) };
        match plain.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(NoNumber { slot: *slot, found: text.into_owned() }),
        }
    }
}

/// Compiles a condition; the columns that it names are added to `slots`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn compile(text: &str, slots: &mut Slots) -> Result<Predicate, String> {
    let mut parser = Parser::new(&GenericDialect {})
        .try_with_sql(text)
        .map_err(|e| say!("it cannot be read: {why}", why = e.to_string()))?;
    let tree = parser.parse_expr().map_err(|_| unreadable(text))?;
    match parser.peek_token().token {
        datafusion::sql::sqlparser::tokenizer::Token::EOF => condition(&tree, slots),
        rest => Err(say!("it goes on with {rest} where it should end", rest = quoted(&rest.to_string()))),
    }
}

fn unreadable(text: &str) -> String {
    say!(
        "{text} is no condition: write one such as 状态 = '已支付' and 金额 > 0; names with brackets or points stand in double quotes, texts in single ones",
        text = quoted(text)
    )
}

fn condition(tree: &Expr, slots: &mut Slots) -> Result<Predicate, String> {
    let inner = |tree: &Expr, slots: &mut Slots| condition(tree, slots).map(Box::new);
    let negate = |negated: bool, condition: Predicate| {
        if negated { Predicate::Not(Box::new(condition)) } else { condition }
    };
    Ok(match tree {
        Expr::Nested(tree) => condition(tree, slots)?,
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => Predicate::Not(inner(expr, slots)?),
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            Predicate::And(inner(left, slots)?, inner(right, slots)?)
        }
        Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
            Predicate::Or(inner(left, slots)?, inner(right, slots)?)
        }
        Expr::BinaryOp { left, op, right } => {
            let order = match op {
                BinaryOperator::Eq => Comparator::Equal,
                BinaryOperator::NotEq => Comparator::Other,
                BinaryOperator::Lt => Comparator::Less,
                BinaryOperator::LtEq => Comparator::AtMost,
                BinaryOperator::Gt => Comparator::More,
                BinaryOperator::GtEq => Comparator::AtLeast,
                _ => return Err(unknown(tree)),
            };
            Predicate::Compare(operand(left, slots)?, order, operand(right, slots)?)
        }
        Expr::IsNull(tree) => Predicate::Missing(column(tree, slots)?),
        Expr::IsNotNull(tree) => Predicate::Not(Box::new(Predicate::Missing(column(tree, slots)?))),
        Expr::InList { expr, list, negated } => {
            let values = list.iter().map(|value| operand(value, slots)).collect::<Result<_, _>>()?;
            negate(*negated, Predicate::In(column(expr, slots)?, values))
        }
        Expr::Between { expr, negated, low, high } => {
            let value = operand(expr, slots)?;
            let low = Predicate::Compare(value.clone(), Comparator::AtLeast, operand(low, slots)?);
            let high = Predicate::Compare(value, Comparator::AtMost, operand(high, slots)?);
            negate(*negated, Predicate::And(Box::new(low), Box::new(high)))
        }
        Expr::Like { negated, expr, pattern, escape_char: None, any: false } => {
            let Operand::Text(pattern) = operand(pattern, slots)? else { return Err(unknown(tree)) };
            negate(*negated, Predicate::Like(column(expr, slots)?, like(&pattern)?))
        }
        tree => return Err(unknown(tree)),
    })
}

fn unknown(tree: &Expr) -> String {
    say!(
        "{part} cannot stand in `when`: it takes columns, texts and numbers with =, <>, <, <=, >, >=, in, like, between, is null, and, or, not",
        part = quoted(&tree.to_string())
    )
}

fn like(pattern: &str) -> Result<Regex, String> {
    let parts = pattern.chars().map(|c| match c {
        '%' => String::from(".*"),
        '_' => String::from("."),
        c => regex::escape(&c.to_string()),
    });
    let text: String = parts.collect();
    Regex::new(&format!("(?s)^{text}$")).map_err(|e| e.to_string())
}

fn operand(tree: &Expr, slots: &mut Slots) -> Result<Operand, String> {
    let number = |text: &str| text.parse().map(Operand::Number).map_err(|_| unknown(tree));
    match tree {
        Expr::Nested(tree) => operand(tree, slots),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match &**expr {
            Expr::Value(value) if matches!(value.value, Value::Number(..)) => number(&format!("-{expr}")),
            _ => Err(unknown(tree)),
        },
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => number(text),
            Value::SingleQuotedString(text) => Ok(Operand::Text(naked(text, false).into())),
            _ => Err(unknown(tree)),
        },
        tree => column(tree, slots).map(Operand::Column),
    }
}

fn column(tree: &Expr, slots: &mut Slots) -> Result<usize, String> {
    let name = |parts: &[Ident]| parts.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".");
    match tree {
        Expr::Identifier(ident) => Ok(slots.slot(&ident.value)),
        Expr::CompoundIdentifier(parts) => Ok(slots.slot(&name(parts))),
        tree => Err(unknown(tree)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Row<'r>(&'r Slots, &'r [(&'r str, &'r str)]);

    impl Values for Row<'_> {
        fn value(&self, slot: usize) -> Option<Cow<'_, str>> {
            let name = &self.0.names()[slot];
            let found = self.1.iter().find(|(known, _)| name == known)?;
            (!found.1.is_empty()).then_some(Cow::Borrowed(found.1))
        }
    }

    fn holds(text: &str, row: &[(&str, &str)]) -> Option<bool> {
        let mut slots = Slots::default();
        let condition = compile(text, &mut slots).unwrap();
        condition.holds(&Row(&slots, row)).unwrap()
    }

    #[test]
    fn conditions_hold_as_in_sql() {
        let row = &[
            ("状态", "已支付"),
            ("金额", "1,234.50"),
            ("payer.account", "62"),
            ("空", ""),
            ("金额(元)", "0"),
        ];
        for (text, expected) in [
            ("状态 = '已支付'", Some(true)),
            ("状态 <> '已支付'", Some(false)),
            ("状态 in ('作废', '已支付') and 金额 > 1000", Some(true)),
            ("状态 not in ('作废')", Some(true)),
            ("金额 between 1234.5 and 2000", Some(true)),
            ("payer.account = '62' or 空 = 'x'", Some(true)),
            ("空 = 'x'", None),
            ("not (空 = 'x')", None),
            ("空 is null and 状态 is not null", Some(true)),
            ("状态 like '已%'", Some(true)),
            ("状态 not like '%支_'", Some(false)),
            ("\"金额(元)\" <> 0", Some(false)),
            ("金额 = -1", Some(false)),
        ] {
            assert_eq!(holds(text, row), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_condition_is_told() {
        let mut slots = Slots::default();
        for text in
            ["", "状态", "状态 =", "状态 = '已支付' 金额", "length(状态) > 1", "select 1", "状态 = '已支付"]
        {
            assert!(compile(text, &mut slots).is_err(), "{text}");
        }
        let condition = compile("金额 > 0", &mut slots).unwrap();
        let error = condition.holds(&Row(&slots, &[("金额", "很多")])).unwrap_err();
        assert_eq!(error.found, "很多");
    }
}
