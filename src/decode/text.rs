//! What a text may be: how long, and of which characters.

use super::fault::{Fault, shorten};
use crate::{
    event::{
        dress::{is_collapsed, lost_digits},
        hidden::{code_point, is_hidden},
        schema::TextKind,
    },
    say,
    stream::RejectReason,
};

/// Checks a text of this shape that the field `name` is to have.
///
/// # Errors
/// Why it cannot.
pub(crate) fn check(name: &str, kind: TextKind, text: &str, shape: Shape) -> Result<(), Fault> {
    match wrong(kind, text, shape) {
        None => Ok(()),
        Some(wrong) => Err(wrong.told(name, kind, text)),
    }
}

/// What can be wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It has so many characters.
    Long(usize),
    /// This character is not seen.
    Hidden(char),
    /// Digits are lost.
    Inexact,
}

/// What is wrong with a text, if anything is.
#[inline]
pub(crate) fn wrong(kind: TextKind, text: &str, shape: Shape) -> Option<Wrong> {
    if text.len() > kind.chars_max() {
        let length = text.chars().count();
        if length > kind.chars_max() {
            return Some(Wrong::Long(length));
        }
    }
    if kind.is_free() || shape == Shape::Digits {
        return None;
    }
    if shape == Shape::Other
        && let Some(hidden) = text.chars().find(|c| is_hidden(*c) || *c == char::REPLACEMENT_CHARACTER)
    {
        return Some(Wrong::Hidden(hidden));
    }
    is_collapsed(text).then_some(Wrong::Inexact)
}

/// Which characters a text has, as far as eight bytes at a time tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Digits, and punctuation that may stand between them.
    Digits,
    /// ASCII that is drawn, letters among it.
    Shown,
    /// There may be blanks, controls, and characters beyond ASCII.
    Other,
}

impl Shape {
    #[inline]
    pub(crate) fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let word = |at: usize| {
            bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |b| u64::from_le_bytes(*b))
        };
        let (mut other, mut all) = (0, 0);
        let mut take = |word: u64| {
            other |= not_shown(word);
            all |= word;
        };
        match bytes.len() {
            0 => {}
            short @ 1..8 => {
                let mut filled = [b'0'; 8];
                filled[..short].copy_from_slice(bytes);
                take(u64::from_le_bytes(filled));
            }
            length => {
                // The last eight bytes may overlap those before.
                (0..length - 8).step_by(8).for_each(|at| take(word(at)));
                take(word(length - 8));
            }
        }
        match (other, all & (ONES * 0x40)) {
            (0, 0) => Self::Digits,
            (0, _) => Self::Shown,
            _ => Self::Other,
        }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// Not zero if one of eight bytes is not from `!` to `~`.
const fn not_shown(word: u64) -> u64 {
    let below = word.wrapping_sub(ONES * 0x21) & !word;
    let delete = word ^ (ONES * 0x7F);
    (word | below | (delete.wrapping_sub(ONES) & !delete)) & (ONES * 0x80)
}

impl Wrong {
    fn told(self, name: &str, kind: TextKind, text: &str) -> Fault {
        let text = || format!("{:?}", shorten(text));
        match self {
            Self::Long(length) => {
                let most = kind.chars_max();
                (
                    RejectReason::TooLong,
                    say!("{name} has {length} characters, {most} are allowed", name, length, most),
                )
            }
            Self::Hidden(c) => {
                let (text, character) = (text(), code_point(c));
                (
                    RejectReason::BadText,
                    say!(
                        "{name} {text} has the character {character}, which nobody sees",
                        name,
                        text,
                        character
                    ),
                )
            }
            Self::Inexact => (RejectReason::Inexact, lost_digits(name, &text())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::dress::is_scientific;

    fn wrong(kind: TextKind, text: &str) -> Option<Wrong> {
        super::wrong(kind, text, Shape::of(text))
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        for (kind, most) in [
            (TextKind::Code, 64),
            (TextKind::Account, 64),
            (TextKind::Id, 128),
            (TextKind::Name, 256),
            (TextKind::Prose, 2000),
        ] {
            assert_eq!(wrong(kind, &"预".repeat(most)), None);
            assert_eq!(wrong(kind, &"预".repeat(most + 1)), Some(Wrong::Long(most + 1)));
        }
    }

    #[test]
    fn codes_show_all_that_they_have() {
        for c in [
            '\0',
            '\t',
            '\u{1b}',
            '\u{85}',
            '\u{ad}',
            '\u{200b}',
            '\u{202e}',
            '\u{2066}',
            '\u{feff}',
            '\u{e0041}',
            '\u{fffd}',
        ] {
            assert_eq!(wrong(TextKind::Code, &format!("a{c}b")), Some(Wrong::Hidden(c)));
            assert_eq!(wrong(TextKind::Name, &format!("a{c}b")), None);
        }
        assert_eq!(wrong(TextKind::Id, "预算 指标-001/甲"), None);
    }

    #[test]
    fn numbers_that_spreadsheets_have_rounded() {
        for text in ["6.22848E+18", "6E+18", "1.5e10", "-1.2E+3"] {
            assert_eq!(wrong(TextKind::Account, text), Some(Wrong::Inexact), "{text}");
        }
        for text in ["1E5", "2e10", "E+18", "6.2E", "6.2E+", "1.2.3E+4", "6E+1x", "3.1E+1.5", "BGE+5"] {
            assert_eq!(wrong(TextKind::Account, text), None, "{text}");
        }
        assert!(
            is_scientific("1e5")
                && is_scientific("1.23E+05")
                && !is_scientific("123.45")
                && !is_scientific("e5")
        );
    }

    proptest::proptest! {
        #[test]
        fn a_shape_is_what_is_there(text in "([0-9./+-]{0,20}|[!-~]{0,20}|\\PC{0,20})[\\x00-\\x7F]?[0-9]{0,9}") {
            let expected = match text.bytes().all(|b| b.is_ascii_graphic()) {
                true if text.bytes().all(|b| b < b'@') => Shape::Digits,
                true => Shape::Shown,
                false => Shape::Other,
            };
            proptest::prop_assert_eq!(Shape::of(&text), expected);
        }
    }
}
