//! Days that a spreadsheet counts from its own beginning.

use jiff::{ToSpan, civil::Date};

/// The last day of Excel's calendar, 9999-12-31.
const LAST: f64 = 2_958_466.0;
const MILLISECONDS: f64 = 86_400_000.0;

/// A serial number as a date, a date with its time, or a time alone; `None` if it is not within Excel's calendar.
pub(crate) fn iso(serial: f64, from_1904: bool) -> Option<String> {
    if !(0.0..LAST).contains(&serial) {
        return None;
    }
    let (mut days, mut milliseconds) = (serial.trunc(), (serial.fract() * MILLISECONDS).round());
    if milliseconds >= MILLISECONDS {
        (days, milliseconds) = (days + 1.0, 0.0);
    }
    #[allow(clippy::cast_sign_loss)] // Both are within the bounds above.
    let (days, milliseconds) = (days as i64, milliseconds as u64);
    let time = time(milliseconds);
    if days == 0 && !from_1904 {
        return Some(time);
    }
    let first = match (from_1904, days) {
        (true, _) => Date::constant(1904, 1, 1),
        // Excel counts 29 February 1900, a day that never was.
        (false, 60) => return None,
        (false, 1..60) => Date::constant(1899, 12, 31),
        (false, _) => Date::constant(1899, 12, 30),
    };
    let day = first.checked_add(days.days()).ok()?;
    Some(if milliseconds == 0 { day.to_string() } else { format!("{day}T{time}") })
}

fn time(milliseconds: u64) -> String {
    let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if rest == 0 { clock } else { format!("{clock}.{rest:03}") }
}

/// Whether a format shows a number as a date or a time: it has letters of a date that are not quoted.
pub(crate) fn is_date_format(format: &str) -> bool {
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                letters.by_ref().find(|c| *c == '"');
            }
            // The next character is shown, skipped or repeated.
            '\\' | '_' | '*' => {
                letters.next();
            }
            '[' => {
                letters.by_ref().find(|c| *c == ']');
            }
            // What follows is for negative numbers.
            ';' => return false,
            'y' | 'Y' | 'm' | 'M' | 'd' | 'D' | 'h' | 'H' | 's' | 'S' => return true,
            _ => {}
        }
    }
    false
}

/// Whether a format that has no text of its own is for dates or times. Numbers 27 to 36 and 50 to 58 are Chinese, Japanese and
/// Korean dates.
pub(crate) const fn is_date_number(number: u32) -> bool {
    matches!(number, 14..=22 | 27..=36 | 45 | 47 | 50..=58)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_excel() {
        let iso = |serial, early| iso(serial, early).unwrap_or_default();
        assert_eq!(iso(46086.0, false), "2026-03-05");
        assert_eq!(iso(46_086.416_666_666_664, false), "2026-03-05T10:00:00");
        assert_eq!(iso(45_943.541, false), "2025-10-13T12:59:02.400");
        assert_eq!(iso(44624.0, true), "2026-03-05");
        assert_eq!(iso(0.5, false), "12:00:00");
        assert_eq!(iso(1.0, false), "1900-01-01");
        assert_eq!(iso(59.0, false), "1900-02-28");
        assert_eq!(iso(60.0, false), "");
        assert_eq!(iso(61.0, false), "1900-03-01");
        assert_eq!(iso(46_086.999_999_999_9, false), "2026-03-06");
        assert_eq!(iso(2_958_465.0, false), "9999-12-31");
        for outside in [-1.0, 2_958_466.0, 20_260_305.0, f64::NAN, f64::INFINITY] {
            assert_eq!(iso(outside, false), "");
        }
    }

    #[test]
    fn formats_of_dates_are_known() {
        for date in [
            "yyyy-mm-dd",
            "yyyy\"年\"m\"月\"d\"日\"",
            "[$-804]yyyy/m/d;@",
            "h:mm:ss",
            "m/d",
            "上午/下午h\"时\"",
        ] {
            assert!(is_date_format(date), "{date}");
        }
        for number in [
            "General",
            "0.00",
            "#,##0.00;[Red]-#,##0.00",
            "\"day\"0",
            "[Red]0.00",
            "0.00E+00",
            "@",
            "¥#,##0.00",
            "G/通用格式",
            "0_d",
        ] {
            assert!(!is_date_format(number), "{number}");
        }
    }
}
