//! The values of single fields, checked: amounts, numbers, years, tags, ids.

use std::borrow::Cow;

use super::{
    fault::{Fault, shorten, wrong_type},
    row::RawCell,
    text::{self, Shape},
};
use crate::{
    event::{
        Cents, dress,
        money::{check_amount, format_cents, parse_amount},
        number::{self, parse_number},
        schema::{EVENT_ID_CHARS, FIELDS, TAGS_MAX, TextKind},
    },
    say,
    stream::RejectReason,
    text::quoted,
};

/// Years that can be fiscal years.
pub(crate) const YEARS: std::ops::Range<i32> = 1900..3000;

pub(crate) fn text_of<'a>(cell: &'a RawCell<'_>) -> Option<&'a str> {
    match cell {
        RawCell::Text(text) => Some(text),
        RawCell::Owned(text) => Some(text),
        _ => None,
    }
}

/// In JSON an exponent is a way of writing numbers; in a text it tells of a cell that a spreadsheet has rounded.
fn check_exact(column: usize, cell: &RawCell<'_>) -> Result<(), Fault> {
    match text_of(cell).filter(|text| dress::is_scientific(text)) {
        None => Ok(()),
        Some(text) => Err((
            RejectReason::Inexact,
            dress::lost_digits(FIELDS[column].name, &format!("{:?}", shorten(text))),
        )),
    }
}

pub(crate) fn check_tags(column: usize, tags: &[Cow<'_, str>]) -> Result<(), Fault> {
    let name = FIELDS[column].name;
    if tags.len() > TAGS_MAX {
        let text = say!(
            "{name} has {length} entries, {most} are allowed",
            name,
            length = tags.len(),
            most = TAGS_MAX
        );
        return Err((RejectReason::TooLong, text));
    }
    tags.iter().try_for_each(|tag| text::check(name, TextKind::Code, tag, Shape::of(tag)))
}

pub(crate) fn amount(column: usize, cell: &RawCell<'_>) -> Result<i128, Fault> {
    check_exact(column, cell)?;
    let result = match cell {
        RawCell::Text(text) | RawCell::Number(text) => parse_amount(text),
        RawCell::Owned(text) => parse_amount(text),
        RawCell::Cents(cents) => check_amount(Cents::new(*cents)),
        _ => return Err(wrong_type(column, cell, "a decimal as a string or a number")),
    };
    result.map(Cents::as_i128).map_err(|e| {
        let shown = shown(cell);
        let detail = format!("{} {:?}: {e}", FIELDS[column].name, shorten(&shown));
        (RejectReason::BadAmount, if is_base64(&shown) { format!("{detail}; {}", say!("it looks like a binary decimal in base64: have decimals written as text (decimal.handling.mode=string)")) } else { detail })
    })
}

/// A number as messages show it.
fn shown<'c>(cell: &'c RawCell<'_>) -> Cow<'c, str> {
    match cell {
        RawCell::Text(text) | RawCell::Number(text) => Cow::Borrowed(text),
        RawCell::Owned(text) => Cow::Borrowed(text),
        RawCell::Cents(cents) => Cow::Owned(format_cents(*cents)),
        _ => Cow::default(),
    }
}

/// Whether a text looks like base64 of a few bytes: capitals, small letters and digits or padding together.
fn is_base64(text: &str) -> bool {
    let has = |is: fn(&u8) -> bool| text.as_bytes().iter().any(is);
    let digits = text.trim_end_matches('=').bytes();
    text.len().is_multiple_of(4)
        && digits.into_iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        && has(u8::is_ascii_uppercase)
        && (has(u8::is_ascii_lowercase) || has(|byte| *byte == b'='))
        && has(|byte| byte.is_ascii_digit() || *byte == b'=')
}

pub(crate) fn number(column: usize, cell: &RawCell<'_>) -> Result<i128, Fault> {
    check_exact(column, cell)?;
    let result = match cell {
        RawCell::Text(text) | RawCell::Number(text) => parse_number(text),
        RawCell::Owned(text) => parse_number(text),
        RawCell::Cents(cents) => number::scaled(*cents, 2),
        _ => return Err(wrong_type(column, cell, "a decimal as a string or a number")),
    };
    result.map_err(|e| {
        (RejectReason::BadNumber, format!("{} {:?}: {e}", FIELDS[column].name, shorten(&shown(cell))))
    })
}

pub(crate) fn year(column: usize, cell: &RawCell<'_>) -> Result<i32, Fault> {
    let text = match cell {
        RawCell::Text(text) | RawCell::Number(text) => text,
        RawCell::Owned(text) => text.as_str(),
        _ => return Err(wrong_type(column, cell, "a year of four digits")),
    };
    let digits = text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|year| digits && YEARS.contains(year)).ok_or_else(|| {
        let name = FIELDS[column].name;
        let value = quoted(&shorten(text));
        (RejectReason::BadTime, say!("{name} {value}: not a year of four digits", name, value))
    })
}

pub(crate) fn check_event_id(id: &str) -> Result<(), Fault> {
    let length = id.chars().count();
    if length <= EVENT_ID_CHARS {
        return Ok(());
    }
    let most = EVENT_ID_CHARS;
    Err((
        RejectReason::BadEventId,
        say!("event_id has {length} characters, {most} are allowed", length, most),
    ))
}
