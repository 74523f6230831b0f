//! What people type without noticing: full-width signs, curly quotes, and numbers as they stand in a report.

use rust_decimal::Decimal;

use crate::say;

/// Something in a text that means nothing there: the character it begins at, its text, the message and a hint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Oddity {
    /// The position in characters.
    pub at: usize,
    pub text: String,
    pub message: String,
    pub hint: String,
}

/// What a full-width or typographic sign stands for in an expression.
#[must_use]
pub(crate) fn plain(sign: char) -> Option<&'static str> {
    Some(match sign {
        '（' => "(",
        '）' => ")",
        '，' | '、' => ",",
        '；' => ";",
        '：' => ":",
        '＞' => ">",
        '＜' => "<",
        '＝' => "=",
        '≥' | '≧' => ">=",
        '≤' | '≦' => "<=",
        '≠' => "<>",
        '＋' => "+",
        '－' | '−' | '–' | '—' => "-",
        '×' | '＊' => "*",
        '÷' | '／' => "/",
        '％' => "%",
        '！' => "!",
        '＄' | '￥' => "$",
        '．' | '。' => ".",
        '｛' => "{",
        '｝' => "}",
        '［' | '【' => "[",
        '］' | '】' => "]",
        '｜' => "|",
        '‘' | '’' | '“' | '”' | '＇' | '＂' | '「' | '」' => "'",
        '\u{3000}' | '\u{a0}' => " ",
        _ => return None,
    })
}

/// What in an expression means nothing outside of a text: every kind of sign once, and every number.
#[must_use]
pub(crate) fn oddities(expression: &str) -> Vec<Oddity> {
    let chars: Vec<char> = expression.chars().collect();
    let outside = outside_of_texts(&chars);
    let mut found: Vec<Oddity> = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let sign = chars[at];
        if !outside[at] {
            at += 1;
        } else if sign.is_ascii_digit() && !at.checked_sub(1).is_some_and(|before| is_word(chars[before])) {
            let (end, oddity) = number(&chars, &outside, at);
            found.extend(oddity);
            at = end;
        } else {
            if !found.iter().any(|known| known.text == sign.to_string() || closes(&known.text, sign)) {
                found.extend(odd_sign(at, sign));
            }
            at += 1;
        }
    }
    found
}

fn odd_sign(at: usize, sign: char) -> Option<Oddity> {
    let text = sign.to_string();
    let digit = char::from_u32((sign as u32).wrapping_sub(0xFEE0)).filter(char::is_ascii_alphanumeric);
    let (message, hint) = match plain(sign) {
        Some("'") => (say!("{sign} is not the quote that stands around a text", sign), say!("write 'text'")),
        Some(" ") => (say!("a wide space stands here"), say!("write an ordinary space")),
        Some(ascii) => (say!("{sign} is a full-width sign", sign), say!("write {ascii}", ascii)),
        None => (say!("{sign} is a full-width sign", sign), say!("write {ascii}", ascii = digit?)),
    };
    Some(Oddity { at, text, message, hint })
}

/// Whether a sign is the other half of a quote or bracket that is told already.
fn closes(open: &str, sign: char) -> bool {
    matches!((open, sign), ("‘", '’') | ("“", '”') | ("（", '）') | ("「", '」') | ("【", '】'))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '$')
}

/// The characters outside of texts, quoted names and comments.
fn outside_of_texts(chars: &[char]) -> Vec<bool> {
    let mut outside = vec![true; chars.len()];
    let mut quote = None;
    for (at, c) in chars.iter().enumerate() {
        match quote {
            Some(open) => {
                outside[at] = false;
                if *c == open {
                    quote = None;
                }
            }
            None if matches!(c, '\'' | '"') => {
                outside[at] = false;
                quote = Some(*c);
            }
            None if *c == '-' && chars.get(at + 1) == Some(&'-') => {
                outside[at] = false;
                quote = Some('\n');
            }
            None => {}
        }
    }
    outside
}

/// A number from `start`: where it ends, and what is odd about it.
fn number(chars: &[char], outside: &[bool], start: usize) -> (usize, Option<Oddity>) {
    let mut end = start;
    let mut commas = 0;
    while end < chars.len() {
        let grouped = chars[end] == ','
            && chars.len() >= end + 4
            && chars[end + 1..end + 4].iter().all(char::is_ascii_digit)
            && !chars.get(end + 4).is_some_and(char::is_ascii_digit)
            && !in_list(chars, outside, start);
        if !(chars[end].is_ascii_digit() || chars[end] == '.' || grouped) {
            break;
        }
        commas += usize::from(grouped);
        end += 1;
    }
    let written: String = chars[start..end].iter().filter(|c| **c != ',').collect();
    let value = written.parse::<Decimal>().ok();
    let after = chars[end..].iter().position(|c| *c != ' ').map(|more| end + more);
    let unit = after.and_then(|at| power(chars[at]).map(|power| (at, power)));
    let odd = |end: usize, hint: Option<Decimal>| {
        let text: String = chars[start..end].iter().collect();
        let hint = match hint {
            Some(value) => say!("write {value}", value = value.normalize()),
            None => say!("write all of its digits"),
        };
        let message = say!("{text} is not written as a number", text);
        (end, Some(Oddity { at: start, text, message, hint }))
    };
    if let Some((at, power)) = unit {
        return odd(at + 1, value.and_then(|value| value.checked_mul(power)));
    }
    if chars.get(end) == Some(&'%') && ends_there(chars, end + 1) {
        return odd(end + 1, value.and_then(|value| value.checked_div(Decimal::ONE_HUNDRED)));
    }
    if commas > 0 {
        return odd(end, value);
    }
    (end.max(start + 1), None)
}

fn power(unit: char) -> Option<Decimal> {
    Some(Decimal::from(match unit {
        '元' | '块' => 1u64,
        '百' => 100,
        '千' => 1_000,
        '万' => 10_000,
        '亿' => 100_000_000,
        _ => return None,
    }))
}

/// Whether nothing follows that a remainder could be taken by.
fn ends_there(chars: &[char], at: usize) -> bool {
    let rest: String = chars[at..].iter().collect::<String>().trim_start().to_lowercase();
    rest.is_empty()
        || rest.starts_with([')', ',', '<', '>', '=', '!', '+', '*', '/'])
        || ["and", "or", "then", "else", "end", "when"]
            .iter()
            .any(|word| rest.strip_prefix(word).is_some_and(|after| !after.starts_with(is_word)))
}

/// Whether a position is inside of brackets in which commas separate values: those of a function or of `in`.
fn in_list(chars: &[char], outside: &[bool], at: usize) -> bool {
    let mut open = Vec::new();
    for before in (0..at).filter(|before| outside[*before]) {
        match chars[before] {
            '(' => {
                let name = chars[..before].iter().rev().find(|c| !c.is_whitespace());
                open.push(name.is_some_and(|c| is_word(*c)));
            }
            '[' => open.push(true),
            ')' | ']' => {
                open.pop();
            }
            _ => {}
        }
    }
    open.last().copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_and_numbers_outside_of_texts_are_told() {
        let said =
            |text: &str| -> Vec<_> { oddities(text).into_iter().map(|o| (o.at, o.text, o.hint)).collect() };
        let one = |at: usize, text: &str, hint: &str| vec![(at, text.to_owned(), hint.to_owned())];
        assert_eq!(said("amount ＞ 5"), one(7, "＞", "write >"));
        assert_eq!(said("amount > 5万"), one(9, "5万", "write 50000"));
        assert_eq!(said("amount > 1.5 亿 and x"), one(9, "1.5 亿", "write 150000000"));
        assert_eq!(said("budget.executed_ratio > 80%"), one(24, "80%", "write 0.8"));
        assert_eq!(said("amount > 5,000.50"), one(9, "5,000.50", "write 5000.5"));
        assert_eq!(said("(amount > 5,000)"), one(10, "5,000", "write 5000"));
        assert_eq!(said("settlement = ‘cash’"), one(13, "‘", "write 'text'"));
        assert_eq!(said("amount > １"), one(9, "１", "write 1"));
        for fine in [
            "amount in (5,000)",
            "round(amount, 100) > 5",
            "amount % 100 = 0",
            "purpose like '%接待（会议）%' -- 80%",
            "purpose = '5万'",
            "n2 > $p80 and amount % 10000 = 0",
        ] {
            assert_eq!(oddities(fine), [], "{fine}");
        }
    }
}
