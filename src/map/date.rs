//! Dates and times in the formats that a map names.

use jiff::{civil::date, fmt::strtime::BrokenDownTime};

use crate::{
    event::{Instant, stamp::Stamp},
    say,
    text::quoted,
};

/// Formats, in the order in which they are tried.
#[derive(Debug, Clone, Default)]
pub struct Dates(Vec<Format>);

#[derive(Debug, Clone)]
struct Format {
    text: String,
    /// The digits that each run of numbers must have; `None` where a number stands alone, which may be short.
    runs: Vec<Option<usize>>,
}

impl Dates {
    /// The formats of a map.
    ///
    /// # Errors
    /// One message for each that is none, or that reads as another day what one before it reads.
    pub fn new(formats: &[String]) -> Result<Self, Vec<(usize, String)>> {
        let mut problems = Vec::new();
        let mut known: Vec<Format> = Vec::new();
        for (at, text) in formats.iter().enumerate() {
            match Format::new(text) {
                Err(problem) => problems.push((at, problem)),
                Ok(format) => {
                    let other = known.iter().find(|other| other.disagrees(&format));
                    problems.extend(other.map(|other| {
                        let (format, other) = (quoted(&format.text), quoted(&other.text));
                        (at, say!("{format} reads the same text as another day than {other} does: keep the one that the files mean", format, other))
                    }));
                    known.push(format);
                }
            }
        }
        if problems.is_empty() { Ok(Self(known)) } else { Err(problems) }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What a text means in the first format that reads it.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<Stamp> {
        self.0.iter().find_map(|format| format.read(text))
    }

    /// The formats, for messages.
    #[must_use]
    pub fn told(&self) -> String {
        self.0.iter().map(|format| format.text.as_str()).collect::<Vec<_>>().join(", ")
    }
}

impl Format {
    fn new(text: &str) -> Result<Self, String> {
        let format = Self { text: text.to_owned(), runs: runs(text) };
        let probe =
            BrokenDownTime::from(&date(2026, 3, 4).at(5, 6, 7, 0).in_tz("UTC").map_err(|e| e.to_string())?);
        let written = probe.to_string(text).ok().filter(|_| text.contains('%'));
        match written.and_then(|written| format.read(&written)) {
            Some(_) => Ok(format),
            None => Err(say!(
                "{format} is no format of a day: write one such as %Y%m%d, %Y-%m-%d %H:%M:%S or %Y年%m月%d日",
                format = quoted(text)
            )),
        }
    }

    fn read(&self, text: &str) -> Option<Stamp> {
        if self.runs.iter().any(Option::is_some) && !self.has_its_digits(text) {
            return None;
        }
        let read = BrokenDownTime::parse(&self.text, text).ok()?;
        if read.offset().is_some() {
            return read
                .to_timestamp()
                .ok()
                .map(|at| Stamp::Instant(Instant::from_micros(at.as_microsecond())));
        }
        match read.hour() {
            None => read.to_date().ok().map(Stamp::Day),
            Some(_) => read.to_datetime().ok().map(Stamp::Local),
        }
    }

    /// Where numbers stand side by side each has all of its digits: `2026111` is no day.
    fn has_its_digits(&self, text: &str) -> bool {
        let mut found = text.split(|c: char| !c.is_ascii_digit()).filter(|run| !run.is_empty());
        self.runs.iter().all(|wanted| {
            let length = found.next().map_or(0, str::len);
            wanted.is_none_or(|wanted| wanted == length)
        })
    }

    /// Whether the two read some text as different days.
    fn disagrees(&self, other: &Self) -> bool {
        let days = [date(2026, 3, 4), date(2026, 11, 12), date(2009, 8, 7)];
        days.iter().any(|day| {
            let Ok(at) = day.at(5, 6, 7, 0).in_tz("UTC") else { return false };
            let Ok(written) = BrokenDownTime::from(&at).to_string(&self.text) else { return false };
            let other = other.read(&written);
            other.is_some() && other != self.read(&written)
        })
    }
}

/// The digits of the runs of numbers in a format.
fn runs(text: &str) -> Vec<Option<usize>> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    let (mut rest, mut joins) = (text, false);
    while let Some(at) = rest.find('%') {
        joins &= at == 0;
        let directive: String = rest[at + 1..].chars().take_while(|c| !c.is_alphabetic()).collect();
        let after = &rest[at + 1 + directive.len()..];
        let sign = after.chars().next();
        let width = match sign {
            Some('Y') => 4,
            Some('y' | 'm' | 'd' | 'e' | 'H' | 'M' | 'S' | 'I') => 2,
            Some('j') => 3,
            _ => 0,
        };
        match runs.last_mut() {
            _ if width == 0 => {}
            Some((digits, numbers)) if joins => (*digits, *numbers) = (*digits + width, *numbers + 1),
            _ => runs.push((width, 1)),
        }
        joins = width > 0;
        rest = &after[sign.map_or(0, char::len_utf8)..];
    }
    runs.into_iter().map(|(digits, numbers)| (numbers > 1).then_some(digits)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dates(formats: &[&str]) -> Result<Dates, Vec<(usize, String)>> {
        Dates::new(&formats.iter().map(|f| (*f).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn dates_as_programs_write_them() {
        let dates = dates(&[
            "%Y%m%d",
            "%Y-%m-%d %H:%M:%S",
            "%Y年%m月%d日",
            "%Y/%m/%d",
            "%Y/%m/%d %H:%M",
            "%Y%m%d%H%M%S",
            "%Y-%m-%dT%H:%M:%S%z",
        ])
        .unwrap();
        let day = date(2026, 3, 5);
        for text in ["20260305", "2026年3月5日", "2026年03月05日", "2026/3/5"] {
            assert_eq!(dates.read(text), Some(Stamp::Day(day)), "{text}");
        }
        for text in ["2026-03-05 09:30:00", "2026/3/5 9:30", "20260305093000"] {
            assert_eq!(dates.read(text), Some(Stamp::Local(day.at(9, 30, 0, 0))), "{text}");
        }
        let at = Some(Stamp::Instant(Instant::from_micros(1_772_674_200_000_000)));
        assert_eq!(dates.read("2026-03-05T09:30:00+0800"), at);
        for text in ["2026111", "202603", "46085", "20261305", "2026年13月1日", "20260305x", ""] {
            assert_eq!(dates.read(text), None, "{text}");
        }
    }

    #[test]
    fn formats_that_are_none_or_contradict() {
        for format in ["", "x", "%Q", "%H:%M", "%Y-%m"] {
            assert_eq!(dates(&[format]).unwrap_err()[0].0, 0, "{format}");
        }
        assert_eq!(dates(&["%d/%m/%Y", "%Y", "%m/%d/%Y"]).unwrap_err().len(), 2);
        assert!(dates(&["%d/%m/%Y", "%d/%m/%Y %H:%M", "%Y%m%d"]).is_ok());
    }
}
