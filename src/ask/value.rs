//! Values of parameters, checked: what comes from a form or from a model is no more than what a text can say.

use jiff::civil::Date;
use rust_decimal::Decimal;

use super::{Names, ParameterKind};
use crate::{say, text::quoted};

/// The longest word or name that is looked for, in characters.
const WORD_MAX: usize = 100;
/// The most rows that an answer has.
const TOP_MAX: u32 = 1000;
/// The most that an amount can be, in yuan.
const AMOUNT_MAX: i64 = 10_000_000_000_000_000;

/// A value as queries take it. Units, regions and rules must be among the names that the asker has.
///
/// # Errors
/// What is wrong with it. Codes that are not there are not repeated: whoever guesses learns nothing.
pub fn checked(kind: ParameterKind, given: &str, names: &Names) -> Result<String, String> {
    let given = given.trim();
    if given.is_empty() || given.chars().count() > WORD_MAX || given.chars().any(char::is_control) {
        return Err(say!("{name}: 1 to 100 characters are taken", name = kind.word()));
    }
    let wrong = || say!("{text} is no {name}", text = quoted(given), name = kind.word());
    match kind {
        ParameterKind::Year => {
            let year = given.parse::<i32>().ok().filter(|year| (1900..3000).contains(year));
            year.map(|year| year.to_string()).ok_or_else(wrong)
        }
        ParameterKind::Period => {
            let (from, to) = given.split_once('/').ok_or_else(wrong)?;
            let (from, to): (Date, Date) =
                (from.parse().map_err(|_| wrong())?, to.parse().map_err(|_| wrong())?);
            let fits = from < to && (1900..3000).contains(&from.year()) && (1900..3000).contains(&to.year());
            fits.then(|| format!("{from}/{to}")).ok_or_else(wrong)
        }
        ParameterKind::Unit => names.unit(given).ok_or_else(|| say!("there is no such unit")),
        ParameterKind::Region => names.region(given).ok_or_else(|| say!("there is no such region")),
        ParameterKind::Rule => names.rule(given).ok_or_else(|| say!("there is no such rule")),
        ParameterKind::Class | ParameterKind::Economic => {
            let is_code = given.len() <= 20 && given.bytes().all(|b| b.is_ascii_alphanumeric());
            is_code.then(|| given.to_owned()).ok_or_else(wrong)
        }
        ParameterKind::Amount => {
            let amount = given.parse::<Decimal>().ok();
            let amount =
                amount.filter(|a| a.is_sign_positive() && *a < Decimal::from(AMOUNT_MAX) && a.scale() <= 2);
            amount.map(|amount| amount.normalize().to_string()).ok_or_else(wrong)
        }
        ParameterKind::Percent => {
            let part = given.parse::<Decimal>().ok();
            let part = part.filter(|p| p.is_sign_positive() && *p <= Decimal::from(10) && p.scale() <= 6);
            part.map(|part| part.normalize().to_string()).ok_or_else(wrong)
        }
        ParameterKind::Top => {
            let top = given.parse::<u32>().ok().filter(|top| (1..=TOP_MAX).contains(top));
            top.map(|top| top.to_string()).ok_or_else(wrong)
        }
        ParameterKind::Severity => {
            let known = ["critical", "high", "medium", "low"].contains(&given);
            known.then(|| given.to_owned()).ok_or_else(wrong)
        }
        ParameterKind::Payee | ParameterKind::Text | ParameterKind::Line | ParameterKind::Event => {
            Ok(given.to_owned())
        }
    }
}
