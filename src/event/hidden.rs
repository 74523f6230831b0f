//! Characters that nobody sees, or that change what is seen around them. In a code they are a fault; in a name they are
//! a sign that somebody hides something.

/// Whether the character steers instead of being shown: controls, those that turn the direction of writing, and those
/// that are ignored where text is drawn.
#[must_use]
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control() || is_bidirectional(c) || is_ignorable(c) || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Whether the character turns the direction of what stands around it.
#[must_use]
pub(crate) const fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether the character is drawn as nothing: Unicode's `Default_Ignorable_Code_Point`, and the format characters
/// (`Cf`) beyond it. New ones come into ranges that are reserved for them already.
#[must_use]
pub(crate) const fn is_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
        | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// How a hidden character is shown to people: `U+202E`.
#[must_use]
pub(crate) fn code_point(c: char) -> String {
    format!("U+{:04X}", u32::from(c))
}

/// The characters of a name or sentence that are a sign of something hidden: those that nobody sees, radicals in place
/// of characters, and letters of another alphabet within a Latin word. Line breaks and tabs are in order.
pub(crate) fn suspicious(text: &str) -> Vec<char> {
    // Most texts are ASCII and Chinese.
    let ordinary = |b: &u8| matches!(b, b' '..=b'~' | 0x80..=0xBF | 0xE4..=0xE9);
    if text.as_bytes().iter().fold(true, |all, b| all & ordinary(b)) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut before = ' ';
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let beside_latin =
            before.is_ascii_alphabetic() || chars.peek().is_some_and(char::is_ascii_alphabetic);
        let is_suspicious = match c {
            '\n' | '\r' | '\t' => false,
            c if is_hidden(c) => !is_of_script(c, before),
            '\u{2e80}'..='\u{2fdf}' => true,
            c => beside_latin && is_greek_or_cyrillic(c),
        };
        if is_suspicious && !found.contains(&c) {
            found.push(c);
        }
        before = c;
    }
    found
}

const fn is_greek_or_cyrillic(c: char) -> bool {
    matches!(c, '\u{370}'..='\u{3ff}' | '\u{400}'..='\u{52f}' | '\u{13a0}'..='\u{13ff}')
}

/// Whether a hidden character belongs to the writing of the one before it: variants of Chinese and Mongolian
/// characters, joiners of Arabic and Indian ones.
const fn is_of_script(c: char, before: char) -> bool {
    match c {
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => {
            matches!(before, '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}')
        }
        '\u{180b}'..='\u{180f}' => matches!(before, '\u{1800}'..='\u{18af}'),
        '\u{200c}' | '\u{200d}' => matches!(before, '\u{600}'..='\u{dff}'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_hide_something() {
        for (name, hidden) in [
            ("甲\u{202e}公司", "\u{202e}"),
            ("甲\0公\0司\u{200b}", "\0\u{200b}"),
            ("⼯商局", "⼯"),
            ("АBC Company", "А"),
            ("ABΕ有限公司", "Ε"),
        ] {
            assert_eq!(suspicious(name).iter().collect::<String>(), hidden, "{name:?}");
        }
        for name in [
            "示例建筑（集团）有限公司",
            "办公\n用品\t一批",
            "Société Générale",
            "ООО Ромашка",
            "葛\u{e0100}城",
            "ﺎﻠﻠﻫ",
            "ＡＢＣ·甲",
            "",
        ] {
            assert!(suspicious(name).is_empty(), "{name:?}");
        }
    }
}
