//! Numbers that identify people: accounts, cards, identity numbers. Known ones are masked as they are; in free text, runs
//! of digits of their length are taken for one.

use std::borrow::Cow;

/// How much of a number is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberTail {
    /// Its last four characters, which officers tell accounts apart by.
    Shown,
    Hidden,
}

/// Digits from which a run in free text is taken for an account or an identity number.
pub(crate) const RUN: usize = 12;
/// A shorter number shows nothing: its tail would be half of it.
const SHORT: usize = 8;
/// Digits of a known account that give it away, if they stand by themselves.
const PART: usize = 6;

/// A number that is known to be personal.
#[must_use]
pub(crate) fn masked(number: &str, tail: NumberTail) -> String {
    let count = number.chars().count();
    let shown = if tail == NumberTail::Shown && count > SHORT { 4 } else { 0 };
    format!("****{}", number.chars().skip(count - shown).collect::<String>())
}

/// A list of numbers as a query writes it, such as `[622202, 330101]`.
#[must_use]
pub(crate) fn masked_list(numbers: &str, tail: NumberTail) -> String {
    words(numbers, |c| c.is_whitespace() || ",，、；;|[]\"".contains(c), |number| masked(number, tail))
}

/// A text that numbers stand in: every word with more digits than are ever shown is one.
#[must_use]
pub(crate) fn masked_words(text: &str, tail: NumberTail) -> String {
    let is_number = |word: &str| digits(word).len() > 4;
    let number = |word: &str| if is_number(word) { masked(word, tail) } else { word.to_owned() };
    words(text, |c| !c.is_ascii_alphanumeric() && digit(c).is_none(), number)
}

fn words(text: &str, delimiter: impl Fn(char) -> bool, masked: impl Fn(&str) -> String) -> String {
    let mut all = String::with_capacity(text.len());
    for part in text.split_inclusive(&delimiter) {
        let word = part.trim_end_matches(&delimiter);
        all.push_str(&if word.is_empty() { String::new() } else { masked(word) });
        all.push_str(&part[word.len()..]);
    }
    all
}

/// The digits of a text, in their plain form.
pub(crate) fn digits(text: &str) -> String {
    text.chars().filter_map(digit).collect()
}

/// A digit in its plain form: full width is how input methods write it.
fn digit(character: char) -> Option<char> {
    match character {
        '0'..='9' => Some(character),
        '０'..='９' => char::from_digit(character as u32 - '０' as u32, 10),
        _ => None,
    }
}

/// What people put between the digits of a long number.
fn is_separator(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\u{a0}' | '\u{3000}' | '-' | '\u{2010}'..='\u{2015}' | '－' | '_' | '·')
}

/// Free text with its runs of [`RUN`] digits and more masked. A run may be written in groups, in full width and with a
/// check letter at its end. Parts of the `known` accounts are masked too, and what is `ours` (ids, codes, amounts) stays.
#[must_use]
pub(crate) fn masked_within(text: &str, known: &[String], ours: &[String], tail: NumberTail) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((start, end)) = next_ours(rest, ours) {
        masked.push_str(&runs(&rest[..start], known, tail));
        masked.push_str(&rest[start..end]);
        rest = &rest[end..];
    }
    masked.push_str(&runs(rest, known, tail));
    masked
}

/// The first place where something of ours stands by itself, the longest there.
fn next_ours(text: &str, ours: &[String]) -> Option<(usize, usize)> {
    let places = ours.iter().filter_map(|own| {
        let mut starts = text.match_indices(own.as_str()).map(|(start, _)| start);
        let start = starts.find(|start| stands_alone(text, *start, start + own.len()))?;
        Some((start, start + own.len()))
    });
    places.min_by_key(|(start, end)| (*start, std::cmp::Reverse(*end)))
}

/// Whether no letter or digit touches a part of a text that is one itself at that end.
#[must_use]
pub(crate) fn stands_alone(text: &str, start: usize, end: usize) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric() || digit(c).is_some());
    let part = &text[start..end];
    let touches = |inner: Option<char>, outer: Option<char>| is_part(inner) && is_part(outer);
    !touches(part.chars().next(), text[..start].chars().next_back())
        && !touches(part.chars().next_back(), text[end..].chars().next())
}

/// Masks runs in a stretch of text.
fn runs<'t>(text: &'t str, known: &[String], tail: NumberTail) -> Cow<'t, str> {
    if text.chars().filter(|c| digit(*c).is_some()).count() < PART {
        return Cow::Borrowed(text);
    }
    let mut masked = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(offset) = text[at..].find(|c| digit(c).is_some()) {
        let start = at + offset;
        masked.push_str(&text[at..start]);
        let end = date(text, start).unwrap_or_else(|| run(text, start));
        masked.push_str(&shown(&text[start..end], known, tail));
        at = end;
    }
    masked.push_str(&text[at..]);
    Cow::Owned(masked)
}

fn shown<'t>(run: &'t str, known: &[String], tail: NumberTail) -> Cow<'t, str> {
    let plain: String =
        run.chars().filter_map(|c| digit(c).or(Some(c).filter(char::is_ascii_alphabetic))).collect();
    let is_part = || plain.len() >= PART && known.iter().any(|account| account.contains(&plain));
    match plain.len() >= RUN || (date(run, 0).is_none() && is_part()) {
        true => Cow::Owned(self::masked(&plain, tail)),
        false => Cow::Borrowed(run),
    }
}

/// The end of the run of digits that starts here: groups with at most three separators between them.
fn run(text: &str, start: usize) -> usize {
    let mut end = start;
    let mut gap = 0;
    for (offset, character) in text[start..].char_indices() {
        let at = start + offset;
        if digit(character).is_some() {
            // A date is no part of the number before it.
            if gap > 0 && date(text, at).is_some() {
                break;
            }
            (end, gap) = (at + character.len_utf8(), 0);
        } else if is_separator(character) && gap < 3 {
            gap += 1;
        } else {
            let is_check = matches!(character, 'X' | 'x' | 'Ｘ' | 'ｘ') && gap == 0;
            return if is_check { at + character.len_utf8() } else { end };
        }
    }
    end
}

/// The end of a date that starts here: `2026-03-04`.
fn date(text: &str, start: usize) -> Option<usize> {
    let date = text.get(start..start + 10)?;
    let number = |from: usize, to: usize| date.get(from..to)?.parse::<u32>().ok();
    let is_date = (1900..2100).contains(&number(0, 4)?)
        && (1..=12).contains(&number(5, 7)?)
        && (1..=31).contains(&number(8, 10)?)
        && date.as_bytes()[4] == b'-'
        && date.as_bytes()[7] == b'-';
    let goes_on = text[start + 10..].starts_with(|c: char| digit(c).is_some());
    (is_date && !goes_on).then_some(start + 10)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn net(text: &str) -> String {
        masked_within(text, &[], &[], NumberTail::Shown)
    }

    #[test]
    fn a_known_number_shows_its_tail_or_nothing() {
        assert_eq!(masked("33010160006", NumberTail::Shown), "****0006");
        assert_eq!(masked("33010160006", NumberTail::Hidden), "****");
        assert_eq!(masked("12345678", NumberTail::Shown), "****");
    }

    #[test]
    fn long_runs_of_digits_are_masked_however_they_are_written() {
        for text in [
            "6222021202000012345",
            "6222 0212 0200 0012 345",
            "6222-0212-0200-0012-345",
            "６２２２０２１２０２００００１２３４５",
            "6222\u{3000}0212\u{3000}02000012345",
            "6222 - 021202000012345",
        ] {
            assert_eq!(net(&format!("付至{text}账号")), "付至****2345账号");
        }
        assert_eq!(net("33010219900101123X"), "****123X");
        assert_eq!(net("身份证330102 19900101 123x，王"), "身份证****123x，王");
        assert_eq!(net("123456789012"), "****9012");
    }

    #[test]
    fn dates_amounts_and_short_codes_stay() {
        for text in [
            "2026-03-04 2026-03-05",
            "2026-03-04 10:00:00 – 2026-03-05 10:00:00",
            "2026-03-04T10:00:00+08:00",
            "1,234,567,890,123.00 元",
            "12345678901",
            "101001 30201",
            "30 天内 4 笔，合计 612,000.00 元",
        ] {
            assert_eq!(net(text), text);
        }
    }

    #[test]
    fn what_is_ours_stays_and_parts_of_a_known_account_do_not() {
        let ours = ["P2026-000000996".to_owned(), "330000241234567890123".to_owned(), "123456".to_owned()];
        let known = ["6222021202000012345".to_owned(), "99123456".to_owned()];
        let masked = |text: &str| masked_within(text, &known, &ours, NumberTail::Shown);
        for text in ["P2026-000000996 330000241234567890123", "编号330000241234567890123。", "123456 元"]
        {
            assert_eq!(masked(text), text);
        }
        assert_eq!(masked("3300002412345678901234"), "****1234");
        assert_eq!(masked("尾号 020000"), "尾号 ****");
        assert_eq!(masked("尾号 2345，金额 777777"), "尾号 2345，金额 777777");
    }

    proptest! {
        /// However a number is grouped and whatever is around it, no more than its tail is left.
        #[test]
        fn no_long_number_is_left(number in "[1-9][0-9]{14,18}", every in 3usize..8, gap in "[ -]{1}", before in "\\PC{0,8}", after in "\\PC{0,8}") {
            let groups: Vec<String> = number.as_bytes().chunks(every).map(|g| String::from_utf8_lossy(g).into_owned()).collect();
            for written in [number.clone(), groups.join(&gap)] {
                let text = digits(&masked_within(&format!("{before}账{written}户{after}"), &[], &[], NumberTail::Shown));
                prop_assert!(!text.contains(&number[..number.len() - 4]), "{text}");
            }
        }
    }
}
