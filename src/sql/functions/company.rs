//! Names of companies and offices as people take them for the same: what a name is without its legal form and
//! place, and how much two names are alike.
//!
//! A registered name is place + trade name + business + legal form (企业名称登记管理规定, article 6), so place and
//! form may be taken off a name that ends in a form, and of no other: 北京大学 is not 大学. A short form is the
//! beginning of such a name without its form (海康威视), or characters picked from it in order (中国石化). Two
//! registered names that differ are two companies, however much of one stands in the other.

use std::borrow::Cow;

use super::places::{PlaceNames, leading, whole};
use crate::event::{Ratio, normal_name};

/// 1 at the scale of [`crate::ledger::columns::RATIO_TYPE`].
const ONE: i128 = 10i128.pow(18);

/// Names are compared up to here: the longest that the data standard has. It bounds the time of a comparison.
const CHARS_MAX: usize = 300;
/// The fewest characters that are left when a place or a form is taken off.
const CORE_MIN: usize = 2;
/// What two names with different places or numbers reach at most: 第一中学 is not 第二中学.
const CONFLICT_MAX: i128 = ONE * 7 / 10;
/// Legal forms, a longer one before what it ends in.
const FORMS: [&str; 9] = [
    "股份有限公司",
    "有限责任公司",
    "有限公司",
    "股份公司",
    "总公司",
    "公司",
    "CO.,LTD.",
    "CO.,LTD",
    "CO.LTD",
];
/// What ends the name of a company within that of its branch.
const OFFICES: [&str; 2] = ["有限公司", "有限责任公司"];
/// What the name of a branch ends in, beside 公司. It is no legal person: its name counts as its company's.
const BRANCHES: [&str; 5] = ["分行", "支行", "营业部", "分部", "办事处"];

/// A name taken apart.
struct Parts<'n> {
    /// Without form and branch.
    full: &'n str,
    /// Without the place before it, either.
    bare: &'n str,
    places: PlaceNames<'n>,
    /// Whether it had a legal form.
    registered: bool,
}

/// The name without legal form, branch, brackets and, if it had a form, the place before it: the part by which
/// people call a company. A name without a form is only made normal.
#[must_use]
pub fn core(name: &str) -> Cow<'_, str> {
    match normal_name(name) {
        Cow::Borrowed(name) => match unbracketed(name) {
            (Cow::Borrowed(text), place) => Cow::Borrowed(Parts::of(text, place).core()),
            (Cow::Owned(text), place) => Cow::Owned(Parts::of(&text, place).core().to_owned()),
        },
        Cow::Owned(name) => {
            let (text, place) = unbracketed(&name);
            Cow::Owned(Parts::of(&text, place).core().to_owned())
        }
    }
}

/// How much two names are alike, 0 to 1 at a scale of 18 digits.
///
/// 1: equal when normal, or as [`core()`]s. Else the largest of
/// - 1 − d / n: d the characters to insert, delete, replace or swap (optimal string alignment), n the longer
///   core's length;
/// - 0.9 + 0.1 · share: a name without a form is the beginning of a registered one's core; share is its part of it;
/// - 0.8 + 0.1 · share: it stands further inside, or two names without a form end alike (市第一中学 of 某市第一中学);
/// - 0.8: it is three or more characters of the other in order, from the first on, and not just one word less.
///
/// At most 0.7 where the places or the numbers in both names differ. Symmetric.
#[must_use]
pub fn similarity(a: &str, b: &str) -> i128 {
    let (a, b) = (normal_name(a), normal_name(b));
    if a == b {
        return ONE;
    }
    let ((a, a_place), (b, b_place)) = (unbracketed(&a), unbracketed(&b));
    let (a, b) = (Parts::of(&a, a_place), Parts::of(&b, b_place));
    let mut score = alike(a.full, b.full, a.registered, b.registered);
    if a.registered || b.registered {
        score = score.max(alike(a.bare, b.bare, a.registered, b.registered));
    }
    if a.places.differ(&b.places) || numbers_differ(a.full, b.full) {
        return score.min(CONFLICT_MAX);
    }
    score
}

impl<'n> Parts<'n> {
    fn of(name: &'n str, bracketed: Option<&'n str>) -> Self {
        let name = head_office(name);
        let form = FORMS.iter().find_map(|form| name.strip_suffix(form)).filter(|rest| long(rest, CORE_MIN));
        let full = form.unwrap_or(name);
        let (mut places, bare) = leading(full);
        if let Some(place) = bracketed {
            places.add(place);
        }
        Self { full: cut(full), bare: cut(bare), places, registered: form.is_some() }
    }

    fn core(&self) -> &'n str {
        if self.registered { self.bare } else { self.full }
    }
}

/// The name of the company or bank that a branch belongs to.
fn head_office(name: &str) -> &str {
    let branch = BRANCHES.iter().any(|branch| name.ends_with(branch));
    if !branch && !name.ends_with("公司") {
        return name;
    }
    let after = |office: &&str| name.find(office).map(|at| at + office.len());
    let office = OFFICES.iter().filter_map(after).min();
    // 工商银行某支行; but not 某银行软件公司.
    let bank = || Some("银行").filter(|_| branch).as_ref().and_then(after);
    office.or_else(bank).map_or(name, |end| &name[..end])
}

/// The name without brackets, and the place that stood in them. What else stood in them stays: （集团）.
fn unbracketed(name: &str) -> (Cow<'_, str>, Option<&str>) {
    if !name.contains(['(', ')']) {
        return (Cow::Borrowed(name), None);
    }
    let mut place = None;
    let mut text = String::with_capacity(name.len());
    for part in name.split(['(', ')']) {
        match whole(part).filter(|_| !text.is_empty()) {
            Some(found) => place = Some(found),
            None if part.ends_with("合伙") => {}
            None => text.push_str(part),
        }
    }
    (Cow::Owned(text), place)
}

/// The likeness of two cores of which one, both or none were registered names.
fn alike(a: &str, b: &str, a_registered: bool, b_registered: bool) -> i128 {
    let (a_len, b_len) = (a.chars().count(), b.chars().count());
    if a == b || a_len == 0 || b_len == 0 {
        return if a == b { ONE } else { 0 };
    }
    let most = a_len.max(b_len);
    let edited = share(most - strsim::osa_distance(a, b), most);
    let ((short, short_len, short_registered), (long, long_registered)) = if a_len < b_len {
        ((a, a_len, a_registered), (b, b_registered))
    } else {
        ((b, b_len, b_registered), (a, a_registered))
    };
    if short_registered || a_len == b_len {
        return edited;
    }
    edited.max(shortened(short, short_len, long, share(short_len, most), long_registered))
}

/// What a shorter name without a form is worth against a longer one.
fn shortened(short: &str, short_len: usize, full: &str, share: i128, registered: bool) -> i128 {
    let tenth = ONE / 10;
    // 中国 alone is the beginning of too many.
    if registered && full.starts_with(short) && long(short.trim_start_matches("中国"), CORE_MIN) {
        return 9 * tenth + share / 10;
    }
    let within = if registered { full.contains(short) } else { full.ends_with(short) };
    match short_len {
        0..3 => 0,
        _ if within => 8 * tenth + share / 10,
        _ if picked(short, full) => 8 * tenth,
        _ => 0,
    }
}

/// Whether `short` is made of characters of `full` in order, from its first, and not by leaving out one stretch:
/// 中国银行 is not short for 中国建设银行, nor 市教育局 for 市教育局幼儿园.
fn picked(short: &str, full: &str) -> bool {
    let same = |(a, b): &(char, char)| a == b;
    let start = short.chars().zip(full.chars()).take_while(same).count();
    let end = short.chars().rev().zip(full.chars().rev()).take_while(same).count();
    let mut rest = full.chars();
    start > 0 && start + end < short.chars().count() && short.chars().all(|c| rest.any(|other| other == c))
}

/// Whether both names have numbers, and not the same: digits, and Chinese numerals after 第.
fn numbers_differ(a: &str, b: &str) -> bool {
    numbers(a).next().is_some() && numbers(b).next().is_some() && !numbers(a).eq(numbers(b))
}

fn numbers(name: &str) -> impl Iterator<Item = u64> {
    let mut rest = name;
    std::iter::from_fn(move || {
        let at = rest.find(|c: char| c == '第' || c.is_ascii_digit())?;
        rest = rest[at..].trim_start_matches('第');
        let (mut sum, mut last) = (0u64, 0u64);
        for c in rest.chars() {
            let digit = c.to_digit(10).map(u64::from).or_else(|| {
                "〇一二三四五六七八九".chars().zip(0..).find(|(numeral, _)| *numeral == c).map(|(_, n)| n)
            });
            match (c, digit) {
                (_, Some(digit)) => last = last.wrapping_mul(10).wrapping_add(digit),
                ('十', _) => sum = sum.wrapping_add(std::mem::take(&mut last).max(1).wrapping_mul(10)),
                ('百', _) => sum = sum.wrapping_add(std::mem::take(&mut last).max(1).wrapping_mul(100)),
                ('零', _) => {}
                _ => break,
            }
            rest = &rest[c.len_utf8()..];
        }
        Some(sum.wrapping_add(last))
    })
}

fn share(part: usize, whole: usize) -> i128 {
    let wide = |n| i128::try_from(n).unwrap_or(i128::MAX);
    Ratio::of(wide(part), wide(whole)).unwrap_or_default().as_scaled()
}

/// Whether the text has at least `chars` characters.
pub(super) fn long(text: &str, chars: usize) -> bool {
    text.chars().nth(chars - 1).is_some()
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}
