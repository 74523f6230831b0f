//! Names of payees and units as people compare them: DOMAIN.md's normalised name.

use std::borrow::Cow;

/// The name without white space, wide letters, digits and punctuation made narrow, Latin letters made capital,
/// and one kind of dot inside names. Names that differ in nothing else are the same to a clerk.
#[must_use]
pub fn normal_name(name: &str) -> Cow<'_, str> {
    if !suspect(name.as_bytes()) {
        return Cow::Borrowed(name);
    }
    Cow::Owned(name.chars().filter_map(normal).collect())
}

fn normal(c: char) -> Option<char> {
    match c {
        '\u{200B}'..='\u{200D}' | '\u{FEFF}' => None,
        c if c.is_whitespace() => None,
        '•' | '‧' | '・' | '･' | '⋅' => Some('·'),
        // The wide forms stand in the order of ASCII.
        '！'..='～' => char::from_u32(u32::from(c) - 0xFEE0).map(|c| c.to_ascii_uppercase()),
        c => Some(c.to_ascii_uppercase()),
    }
}

/// Whether a character that is to be changed may begin with one of these bytes; no Chinese character, digit or
/// capital does. Sixteen bytes at a time, without a branch, so that they are compared side by side.
fn suspect(bytes: &[u8]) -> bool {
    // White space and controls; small letters; U+0080 to U+3FFF, where the other spaces and dots are; and what
    // comes after the Chinese characters, with the wide forms.
    let one = |b: u8| matches!(b, 0..=0x20 | 0x60..=0x7F | 0xC0..=0xE3 | 0xEA..=0xFF);
    let any = |bytes: &[u8]| bytes.iter().fold(false, |found, b| found | one(*b));
    let (chunks, rest) = bytes.as_chunks::<16>();
    chunks.iter().any(|chunk| any(chunk)) || any(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_a_clerk_takes_for_the_same() {
        for (written, normal) in [
            ("示例建筑（集团）　有限公司 ", "示例建筑(集团)有限公司"),
            ("ＡＢＣ１２３ Co.,\u{A0}Ltd", "ABC123CO.,LTD"),
            ("阿依古丽・买买提", "阿依古丽·买买提"),
            ("市第一中学", "市第一中学"),
        ] {
            assert_eq!(normal_name(written), normal);
        }
        assert!(matches!(normal_name("市第一中学"), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn the_short_way_is_the_long_way(name in "\\PC{0,12}[ \u{3000}\u{205F}Ａ•a]?\\PC{0,3}") {
            let long: String = name.chars().filter_map(normal).collect();
            let short = normal_name(&name);
            prop_assert_eq!(&short, &long);
            let again = normal_name(&long);
            prop_assert_eq!(&again, &long);
        }
    }
}
