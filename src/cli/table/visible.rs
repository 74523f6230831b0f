//! Text of data as a terminal may have it: nothing in it steers the terminal or hides, and its width is known.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar;

use crate::event::hidden::is_hidden;

/// The text with what would steer the terminal, turn its direction or stay unseen written out: `\n`, `\u{1b}`.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match is_hidden(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// Columns that a text takes on a terminal.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

fn char_width(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// What ends a text that was cut.
const CUT: char = '…';

/// The text in so many columns at most.
pub(crate) fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let Some(room) = columns.checked_sub(char_width(CUT)) else { return Cow::Borrowed("") };
    let (head, _) = split(text, room);
    let mut cut = head.trim_end().to_owned();
    cut.push(CUT);
    Cow::Owned(cut)
}

/// The text in lines of so many columns at most, broken at blanks where there are some.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    loop {
        let (head, tail) = split(rest, columns.max(2));
        if tail.is_empty() {
            lines.push(head);
            return lines;
        }
        // A blank in the first half leaves too short a line.
        let blank = head.rfind(' ').filter(|at| *at > head.len() / 2);
        let end = blank.unwrap_or(head.len());
        lines.push(rest[..end].trim_end());
        rest = rest[end..].trim_start();
    }
}

/// What of a text fits into so many columns, and the rest.
fn split(text: &str, columns: usize) -> (&str, &str) {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, c)| {
        taken += char_width(*c);
        taken > columns
    });
    text.split_at(end.map_or(text.len(), |(at, _)| at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_steers_a_terminal_is_written_out() {
        assert_eq!(visible("a\u{1b}[2Jb\r\nc\u{202e}d\u{9b}1m"), "a\\u{1b}[2Jb\\r\\nc\\u{202e}d\\u{9b}1m");
        assert_eq!(visible("杭州\u{200b}某公司\u{2066}"), "杭州\\u{200b}某公司\\u{2066}");
        assert_eq!(visible("甲\0\u{3164}\u{fe0f}"), "甲\\u{0}\\u{3164}\\u{fe0f}");
        assert!(matches!(visible("杭州某公司 ①"), Cow::Borrowed(_)));
    }

    #[test]
    fn wide_characters_are_cut_whole() {
        assert_eq!(width("预算a"), 5);
        assert_eq!(cut("预算指标", 8), "预算指标");
        assert_eq!(cut("预算指标", 7), "预算指…");
        assert_eq!(cut("预算指标", 6), "预算…");
        assert_eq!(cut("a b c", 3), "a…");
        assert_eq!(cut("预算", 0), "");
        assert_eq!(wrap("往来收款人 变更收款账号", 12), ["往来收款人", "变更收款账号"]);
        assert_eq!(wrap("预算指标", 5), ["预算", "指标"]);
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_its_room(text in "\\PC{0,40}", columns in 2usize..30) {
            let text = visible(&text).into_owned();
            prop_assert!(width(&cut(&text, columns)) <= columns);
            let lines = wrap(&text, columns);
            prop_assert!(lines.iter().all(|line| width(line) <= columns));
            let kept = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(kept(&lines.concat()), kept(&text));
        }
    }
}
