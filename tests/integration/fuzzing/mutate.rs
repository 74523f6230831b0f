//! Bytes made from seeds: torn, spliced, repeated, and sprinkled with what parsers stumble over.

use rand::{Rng, RngExt};

/// Pieces that are put in somewhere.
const PIECES: &[&[u8]] = &[
    b"\n",
    b"\r",
    b"\r\n",
    b"\"",
    b"\"\"",
    b"'",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xe3\x80\x80",
    b",",
    b":",
    b"{",
    b"}",
    b"[",
    b"]",
    b"null",
    b"true",
    b"-",
    b"+",
    b".",
    b"e",
    b"1e999",
    b"-0",
    b"0.005",
    b"12.999",
    b"9999999999999999.99",
    b"9007199254740993",
    b"0x10",
    b"NaN",
    b" ",
    b"\t",
    b"#",
    b"- ",
    b"|",
    b">",
    b"&a",
    b"*a",
    b"!!binary",
    b"---",
    b"...",
    b"%",
    b"$",
    b"{{",
    b"}}",
    b"{%",
    b"(",
    b")",
    b"count(*)",
    b"sum(amount)",
    b" or ",
    b" over ",
    b"/0",
    b"::int",
    b"2026-02-30",
    b"9999d",
    b"\xe6\x9d\xad",
    b"\xf0\x9f\x92\xb0",
];

/// Changes a text a little, several times over.
pub fn mutate(bytes: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut impl Rng) {
    for _ in 0..rng.random_range(1..6) {
        step(bytes, others, rng);
    }
    bytes.truncate(1 << 16);
}

fn step(bytes: &mut Vec<u8>, others: &[Vec<u8>], rng: &mut impl Rng) {
    let at = rng.random_range(0..=bytes.len());
    let longest = 1 << rng.random_range(0..8);
    let length = rng.random_range(0..=(bytes.len() - at).min(longest));
    match rng.random_range(0..10) {
        0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
        1 if at < bytes.len() => bytes[at] = rng.random(),
        2 => drop(bytes.drain(at..at + length)),
        3 => {
            let again = bytes[at..at + length].to_vec();
            let to = rng.random_range(0..=bytes.len());
            bytes.splice(to..to, again);
        }
        4 => bytes.truncate(at),
        5 => {
            let other = &others[rng.random_range(0..others.len())];
            let from = rng.random_range(0..=other.len());
            let until = rng.random_range(from..=other.len());
            bytes.splice(at..at + length, other[from..until].iter().copied());
        }
        6 => swap_lines(bytes, rng),
        7 => number(bytes, rng),
        _ => {
            let piece = PIECES[rng.random_range(0..PIECES.len())];
            bytes.splice(at..at + length.min(8), piece.iter().copied());
        }
    }
}

fn swap_lines(bytes: &mut Vec<u8>, rng: &mut impl Rng) {
    let mut lines: Vec<_> = bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    if lines.len() > 1 {
        let (a, b) = (rng.random_range(0..lines.len()), rng.random_range(0..lines.len()));
        lines.swap(a, b);
        *bytes = lines.concat();
    }
}

/// Puts another number in the place of one.
fn number(bytes: &mut Vec<u8>, rng: &mut impl Rng) {
    let digits: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).collect();
    let Some(at) = digits.get(rng.random_range(0..digits.len().max(1))) else { return };
    let end = bytes[*at..].iter().position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |n| at + n);
    let texts = [
        "0",
        "-1",
        "00",
        "0.1",
        "1e2",
        "1E-2",
        "999999999999999999999999",
        "1.005",
        "18446744073709551616",
        "1.",
    ];
    let text = match rng.random_range(0..3) {
        0 => rng.random_range(0..10i64.pow(17)).to_string(),
        1 => format!("{}.{}", rng.random_range(0..10i64.pow(6)), rng.random_range(0..1000)),
        _ => texts[rng.random_range(0..texts.len())].to_owned(),
    };
    bytes.splice(*at..end, text.bytes());
}
