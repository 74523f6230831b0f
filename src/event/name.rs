//! Names of payees and units as people compare them: by how they look.
//!
//! Names that look the same are the same: Unicode's compatibility forms, cases, accents put together or apart, letters
//! of other alphabets that are drawn alike, parts of characters in place of characters. What nobody sees does not count.

use std::borrow::Cow;

use caseless::Caseless as _;
use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};
use unicode_security::confusable_detection::skeleton;

use super::hidden::is_hidden;

/// The name without white space and hidden characters, in narrow capitals, each character by the one that it looks
/// like. Names that differ in nothing else are the same to a clerk.
#[must_use]
pub fn normal_name(name: &str) -> Cow<'_, str> {
    if !suspect(name.as_bytes()) {
        return Cow::Borrowed(name);
    }
    if name.chars().all(is_everyday) {
        return Cow::Owned(name.chars().filter_map(everyday).collect());
    }
    Cow::Owned(looks(name))
}

/// Whether a character that is to be changed may begin with one of these bytes; no Chinese character, digit or
/// capital does. Sixteen bytes at a time, without a branch, so that they are compared side by side.
fn suspect(bytes: &[u8]) -> bool {
    // White space and controls; small letters; U+0080 to U+3FFF, where the other spaces, dots and alphabets are; and
    // what comes after the Chinese characters, with the wide forms.
    let one = |b: u8| matches!(b, 0..=0x20 | 0x60..=0x7F | 0xC0..=0xE3 | 0xEA..=0xFF);
    let any = |bytes: &[u8]| bytes.iter().fold(false, |found, b| found | one(*b));
    let (chunks, rest) = bytes.as_chunks::<16>();
    chunks.iter().any(|chunk| any(chunk)) || any(rest)
}

/// Characters that need no table: Chinese ones, ASCII and its wide forms, the usual dots.
const fn is_everyday(c: char) -> bool {
    matches!(c, ' '..='~' | '\u{3000}' | '·' | '•' | '・' | '一'..='\u{9fff}' | '！'..='～')
}

fn everyday(c: char) -> Option<char> {
    match c {
        ' ' | '\u{3000}' => None,
        '•' | '・' => Some('·'),
        // The wide forms stand in the order of ASCII.
        '！'..='～' => char::from_u32(u32::from(c) - 0xFEE0).map(ascii),
        c => Some(ascii(c)),
    }
}

fn ascii(c: char) -> char {
    if c == '`' { '\'' } else { c.to_ascii_uppercase() }
}

/// What a name looks like. What a character looks like may look like another one.
fn looks(name: &str) -> String {
    let mut looks = look(name);
    for _ in 0..STEPS_MAX {
        let again = look(&looks);
        if again == looks {
            break;
        }
        looks = again;
    }
    looks
}

/// More than Unicode's tables need.
const STEPS_MAX: usize = 4;

fn look(name: &str) -> String {
    let shown = name.chars().filter(|c| !c.is_whitespace() && !is_hidden(*c)).map(of_gbk);
    let folded = shown.nfkc().default_case_fold().nfkc().map(whole_character);
    let mut looks = String::with_capacity(name.len());
    for c in folded.nfd() {
        match c {
            c if c.is_whitespace() || is_hidden(c) => {}
            c if c.is_ascii() => looks.push(ascii(c)),
            c if is_combining_mark(c) || is_chinese(c) => looks.push(c),
            c => like(c, &mut looks),
        }
    }
    looks.nfc().collect()
}

const fn is_chinese(c: char) -> bool {
    matches!(c, '\u{3001}'..='\u{303f}' | '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}')
}

/// What a letter or sign looks like. Capitals are compared, because small letters of two alphabets differ where their
/// capitals do not (В and B, but в and b).
fn like(c: char, looks: &mut String) {
    let capital = {
        let mut capitals = c.to_uppercase();
        if capitals.len() == 1 { capitals.next().unwrap_or(c) } else { c }
    };
    let latin = |text: &str| text.len() == 1;
    let (of_capital, of_small) = (prototype(capital), prototype(c));
    let chosen = match sign(c) {
        Some(sign) => return looks.push(sign),
        None if latin(&of_capital) || !latin(&of_small) => of_capital,
        None => of_small,
    };
    // The table takes I, l and 1 for one; where a capital stands, it is an I.
    looks.extend(chosen.chars().map(|c| if c == 'l' { 'I' } else { ascii(c) }));
}

/// The one of all characters that look alike, after Unicode's security mechanisms (UTS 39).
fn prototype(c: char) -> String {
    skeleton(c.encode_utf8(&mut [0; 4])).collect()
}

/// Signs that clerks take for the same.
const fn sign(c: char) -> Option<char> {
    match c {
        '·' | '•' | '‧' | '・' | '⋅' | '∙' => Some('·'),
        '‘' | '’' | '‛' | 'ʻ' | 'ʼ' | 'ʹ' | '′' | '´' => Some('\''),
        '“' | '”' | '„' | '″' => Some('"'),
        '\u{2010}'..='\u{2015}' | '−' => Some('-'),
        'ー' => Some('一'),
        '○' | '◯' => Some('〇'),
        _ => None,
    }
}

/// The characters of the radicals U+2E80 to U+2EF3 that are characters by themselves (Unicode's `Equivalent_Unified_Ideograph`).
const RADICALS: &str = "⺀厂乛乚乙亻冂𠘨刀刂卜㔾小小兀尣尢𡯂巳幺彑彐忄心扌攵⺚旡日月歺母民氵氺灬爫爫丬牛犭王𤴔目示礻𥫗糹纟罓罒㓁冗𦉫羊𦍌𦍋耂肀聿肉𦥑艹艹艹虎衤覀西见角𧢲讠贝𧾷车辶辶辶邑钅長镸长门𨸏阝雨青韦页风飞食𩙿飠饣𩠐马骨鬼鱼鸟卤麦黄黾斉齐歯齿竜龙龜亀龟";

/// A radical as the character that it is drawn as. Those from U+2F00 on are Unicode's own compatibility forms.
fn whole_character(c: char) -> char {
    nth(RADICALS, 0x2E80, c).unwrap_or(c)
}

/// What GBK's private characters U+E815 to U+E864 are in Unicode by now.
const OF_GBK: &str = "厂𠂇𠂉𠃌乙㑳㑇刀㔾龴㖞㘚㘎小心㥮㤘龵㧏㧟㩳㧐龶龷㭎㱮㳠牛𡗗龸𤴔䁖䅟𥫗䌷㓁羊𦍌𢦏䎱䎬聿䏝䓖䙡䙌龹䜣䜩䝼䞍𧾷䥇䥺䥽䦂䦃䦅䦆䦟䦛䦷䦶龺𤇾䲣䲟䲠䲡䱷䲢䴓䴔䴕䴖䴗䴘䴙䶮龻";
/// The same of U+E78D to U+E796, signs for vertical text, by those for horizontal text.
const VERTICAL: &str = ",。、:;!?〖〗…";

fn of_gbk(c: char) -> char {
    nth(OF_GBK, 0xE815, c).or_else(|| nth(VERTICAL, 0xE78D, c)).unwrap_or(c)
}

/// The character at the place of `c` in a table that begins at `first`.
fn nth(table: &str, first: u32, c: char) -> Option<char> {
    let place = u32::from(c).checked_sub(first).filter(|place| *place < 128)?;
    table.chars().nth(place as usize)
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
            ("阿依古丽•买买提", "阿依古丽·买买提"),
            ("市第一中学", "市第一中学"),
            ("Soci\u{e9}t\u{e9} G\u{e9}n\u{e9}rale", "SOCI\u{c9}T\u{c9}G\u{c9}N\u{c9}RALE"),
            ("Socie\u{301}te\u{301} Ge\u{301}ne\u{301}rale", "SOCI\u{c9}T\u{c9}G\u{c9}N\u{c9}RALE"),
            ("Müller & Söhne", "MÜLLER&SÖHNE"),
            ("MÜLLER & SÖHNE", "MÜLLER&SÖHNE"),
            ("Straße", "STRASSE"),
            ("O’Brien", "O'BRIEN"),
            ("O`Brien", "O'BRIEN"),
            ("Oʼbrien", "O'BRIEN"),
            ("ﬁnance №5", "FINANCENO5"),
            ("A–B—C", "A-B-C"),
        ] {
            assert_eq!(normal_name(written), normal, "{written}");
        }
        assert!(matches!(normal_name("市第一中学"), Cow::Borrowed(_)));
    }

    /// What hides a blacklisted name from a comparison of bytes.
    #[test]
    fn what_nobody_sees_does_not_count() {
        for name in [
            "甲\u{200b}公司",
            "甲\u{ad}公司",
            "甲\u{2060}公司",
            "\u{202d}甲公司\u{202c}",
            "甲\u{feff}公司",
            "甲\u{e0020}公司",
            "甲公司\u{fe00}",
            "甲\u{180e}公司",
            "甲\u{3164}公司",
            "甲\u{115f}公司",
            "甲\u{34f}公司",
            "甲\0公司",
            "甲\n公司",
            "甲\u{2028}公司",
            "甲\u{200f}公司",
        ] {
            assert_eq!(normal_name(name), "甲公司", "{name:?}");
        }
        for (hidden, name) in [
            // Radicals, compatibility ideographs, private characters of GBK, Japanese syllables.
            ("⻓⻔⻢⽇⼯", "长门马日工"),
            ("⺠⺟⻗⻉⻋", "民母雨贝车"),
            ("\u{f9d1}\u{2f804}", "\u{516d}\u{4f60}"),
            ("\u{e863}\u{e831}", "䶮𡗗"),
            ("エ商カロ", "工商力口"),
            ("第ー中学", "第一中学"),
            // Letters of other alphabets.
            ("АВС", "ABC"),
            ("авс", "ABC"),
            ("ΑΒΕ", "ABE"),
            ("Іnc", "INC"),
            ("ⅠＩ", "II"),
            ("𝐀𝑩ⓒ", "ABC"),
            ("ɑɡ", "AG"),
        ] {
            assert_eq!(normal_name(hidden), normal_name(name), "{hidden}");
        }
        for (one, other) in
            [("末", "未"), ("土", "士"), ("日", "曰"), ("ä", "a"), ("0", "O"), ("甲", "乙"), ("国", "國")]
        {
            assert_ne!(normal_name(one), normal_name(other));
        }
    }

    #[test]
    fn a_normal_name_is_normal() {
        let all = ('\0'..='\u{4000}').chain('\u{9fff}'..='\u{abff}').chain('\u{d7a0}'..='\u{1ffff}');
        let other: Vec<_> = all
            .filter(|c| {
                let once = normal_name(c.encode_utf8(&mut [0; 4])).into_owned();
                normal_name(&once) != once
            })
            .collect();
        assert!(other.is_empty(), "{} {other:?}", other.len());
    }

    proptest! {
        #[test]
        fn the_short_ways_are_the_long_way(name in "[甲-酉Ａ-ｚA-z0-9（）＇｀`'・•·\u{3000} -]{0,16}[\u{A0}é⽇]?") {
            prop_assert_eq!(&normal_name(&name), &looks(&name));
        }

        #[test]
        fn cases_and_compositions_do_not_count(name in "[\\PC]{0,12}") {
            let normal = normal_name(&name).into_owned();
            let apart: String = name.nfd().collect();
            prop_assert_eq!(&normal_name(&apart), &normal);
        }
    }
}
