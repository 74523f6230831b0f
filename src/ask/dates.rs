//! Days, weeks, months, quarters and years in a text, as whole days of the local calendar.

use std::sync::LazyLock;

use jiff::{ToSpan, civil::Date};
use regex::{Captures, Regex};

use super::numbers::number;
use crate::event::time::Calendar;

/// A stretch of time that a text names, and the fiscal year that it is, if it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stretch {
    /// Bytes of the text.
    pub at: std::ops::Range<usize>,
    pub from: Date,
    /// The day after the last.
    pub to: Date,
    pub year: Option<i32>,
}

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const MONTH: &str = "(january|february|march|april|may|june|july|august|september|october|november|december)";

/// What names a stretch, in the order in which ways are tried: one that is longer stands before those within it.
static WAYS: LazyLock<Vec<(Way, Regex)>> = LazyLock::new(|| {
    let since = format!(r"\bsince (?:{MONTH} )?(\d{{4}})\b");
    let month_of = format!(r"\b{MONTH}(?: of)?,? (\d{{4}})\b");
    let month = format!(r"\b(?:in|of|for|during|since) {MONTH}\b");
    let ways: [(Way, &str); 17] = [
        (Way::Days, r"(\d{4}-\d{2}-\d{2}) ?(?:至|到|~|to|until) ?(\d{4}-\d{2}-\d{2})"),
        (Way::Day, r"(\d{4})(?:-|年)(\d{1,2})(?:-|月)(\d{1,2})(?:日|号|(?-u:\b))"),
        (Way::Months, r"(?:(\d{4})年)?(\d{1,2})月?(?:至|到|-|~)(\d{1,2})月份?"),
        (Way::Since, &since),
        (Way::MonthOf, &month_of),
        (Way::Month, r"(\d{4})(?:-|年)(\d{1,2})(?:月份?|(?-u:\b))"),
        (Way::Quarter, r"(?:(\d{4}|今|去)年)?第?([一二三四1-4])季度"),
        (
            Way::QuarterOf,
            r"\b(first|second|third|fourth|q1|q2|q3|q4)(?: quarter)?(?: of)? ?(\d{4}|this year|last year)?",
        ),
        (Way::Half, r"(?:(\d{4}|今|去)年)?(上|下)半年"),
        (Way::Last, r"(?:最近|近|过去)(\d+|[一二两三四五六七八九十]+)(天|日|周|个星期|个月|月|年)"),
        (Way::Past, r"\b(?:last|past|latest) (\d+|[a-z]+) (day|week|month|year)s?\b"),
        (
            Way::Named,
            r"今天|今日|昨天|昨日|前天|本周|这周|这个星期|上周|上个星期|本月|这个月|当月|上个月|上月|今年|本年度?|去年|上年度?|前年",
        ),
        (
            Way::Told,
            r"\b(today|yesterday|this week|last week|this month|last month|this year|last year|this year's|last year's)\b",
        ),
        (Way::YearOf, r"(\d{4})年度?"),
        (Way::MonthHere, r"(\d{1,2})月份?"),
        (Way::MonthTold, &month),
        (Way::Year, r"(?-u:\b)((?:19|20)\d{2})(?-u:\b)"),
    ];
    ways.into_iter().filter_map(|(way, pattern)| Some((way, Regex::new(pattern).ok()?))).collect()
});

#[derive(Debug, Clone, Copy)]
enum Way {
    Days,
    Day,
    Months,
    Since,
    MonthOf,
    Month,
    Quarter,
    QuarterOf,
    Half,
    Last,
    Past,
    Named,
    Told,
    YearOf,
    MonthHere,
    MonthTold,
    Year,
}

/// The stretches that a text in small letters names, the first way that fits a place.
pub(super) fn stretches(text: &str, today: Date, calendar: &Calendar) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    let reader = Reader { today, calendar };
    for (way, pattern) in WAYS.iter() {
        for captures in pattern.captures_iter(text) {
            let Some(all) = captures.get(0) else { continue };
            let at = all.range();
            if found.iter().any(|other| other.at.start < at.end && at.start < other.at.end) {
                continue;
            }
            if let Some((from, to, year)) = reader.read(*way, &captures) {
                found.push(Stretch { at, from, to, year });
            }
        }
    }
    found
}

struct Reader<'c> {
    today: Date,
    calendar: &'c Calendar,
}

type Read = Option<(Date, Date, Option<i32>)>;

impl Reader<'_> {
    fn read(&self, way: Way, captures: &Captures<'_>) -> Read {
        let text = |at: usize| captures.get(at).map(|part| part.as_str());
        let int = |at: usize| text(at)?.parse::<i16>().ok();
        let day = |year: i16, month: i16, day: i16| {
            Date::new(year, month.try_into().ok()?, day.try_into().ok()?).ok()
        };
        let here = self.today.year();
        match way {
            Way::Days => plain(text(1)?.parse().ok()?, next(text(2)?.parse().ok()?)?),
            Way::Day => {
                let day = day(int(1)?, int(2)?, int(3)?)?;
                plain(day, next(day)?)
            }
            Way::Months => {
                let year = int(1).unwrap_or(here);
                plain(day(year, int(2)?, 1)?, months_on(day(year, int(3)?, 1)?, 1)?)
            }
            Way::Since => {
                let month = text(1).and_then(month_named).unwrap_or(1);
                plain(day(int(2)?, month, 1)?, next(self.today)?)
            }
            Way::MonthOf => Self::month(int(2)?, text(1).and_then(month_named)?),
            Way::Month => Self::month(int(1)?, int(2)?),
            Way::MonthHere => Self::month(here, int(1)?),
            Way::MonthTold => Self::month(here, text(1).and_then(month_named)?),
            Way::Quarter => {
                let quarter = number(text(2)?)?.try_into().ok()?;
                Self::quarter(self.year_named(text(1))?, quarter)
            }
            Way::QuarterOf => {
                let word = text(1)?;
                let words = ["first", "second", "third", "fourth"];
                let at = words.iter().position(|known| *known == word);
                // "the first time" is no quarter.
                if at.is_some() && !captures.get(0)?.as_str().contains("quarter") {
                    return None;
                }
                let quarter = at
                    .and_then(|at| i16::try_from(at + 1).ok())
                    .or_else(|| word.strip_prefix('q')?.parse().ok())?;
                Self::quarter(self.year_named(text(2))?, quarter)
            }
            Way::Half => {
                let first = day(self.year_named(text(1))?, if text(2)? == "上" { 1 } else { 7 }, 1)?;
                plain(first, months_on(first, 6)?)
            }
            Way::Last | Way::Past => self.last(text(1)?, text(2)?),
            Way::Named | Way::Told => self.named(text(0)?),
            Way::YearOf | Way::Year => self.year(int(1)?),
        }
    }

    fn year_named(&self, text: Option<&str>) -> Option<i16> {
        match text {
            None | Some("今" | "this year") => Some(self.today.year()),
            Some("去" | "last year") => Some(self.today.year() - 1),
            Some(year) => year.parse().ok(),
        }
    }

    fn quarter(year: i16, quarter: i16) -> Read {
        let first = Date::new(year, (quarter * 3 - 2).try_into().ok()?, 1).ok()?;
        plain(first, months_on(first, 3)?)
    }

    fn month(year: i16, month: i16) -> Read {
        let first = Date::new(year, month.try_into().ok()?, 1).ok()?;
        plain(first, months_on(first, 1)?)
    }

    /// A fiscal year by its name.
    fn year(&self, year: i16) -> Read {
        let of = self.calendar.fiscal_year(year.into())?;
        Some((self.calendar.local(of.start).date(), self.calendar.local(of.end).date(), Some(year.into())))
    }

    fn last(&self, how_many: &str, unit: &str) -> Read {
        let many: i64 = number(how_many)?.try_into().ok().filter(|many| (1..10_000).contains(many))?;
        let to = next(self.today)?;
        let back = match unit {
            "天" | "日" | "day" => many.days(),
            "周" | "个星期" | "week" => many.weeks(),
            "个月" | "月" | "month" => many.months(),
            _ => many.years(),
        };
        plain(to.checked_sub(back).ok()?, to)
    }

    fn named(&self, word: &str) -> Read {
        let today = self.today;
        let monday = today.checked_sub(i64::from(today.weekday().to_monday_zero_offset()).days()).ok()?;
        let first = today.first_of_month();
        let this_year = i16::try_from(self.calendar.fiscal_year_of(today)).ok()?;
        let day = |back: i64| {
            let day = today.checked_sub(back.days()).ok()?;
            plain(day, next(day)?)
        };
        match word.trim_end_matches("'s") {
            "今天" | "今日" | "today" => day(0),
            "昨天" | "昨日" | "yesterday" => day(1),
            "前天" => day(2),
            "本周" | "这周" | "这个星期" | "this week" => {
                plain(monday, monday.checked_add(7.days()).ok()?)
            }
            "上周" | "上个星期" | "last week" => plain(monday.checked_sub(7.days()).ok()?, monday),
            "本月" | "这个月" | "当月" | "this month" => plain(first, months_on(first, 1)?),
            "上个月" | "上月" | "last month" => plain(months_on(first, -1)?, first),
            "去年" | "上年" | "上年度" | "last year" => self.year(this_year - 1),
            "前年" => self.year(this_year - 2),
            _ => self.year(this_year),
        }
    }
}

fn plain(from: Date, to: Date) -> Read {
    (from < to).then_some((from, to, None))
}

fn next(day: Date) -> Option<Date> {
    day.tomorrow().ok()
}

fn months_on(first: Date, months: i64) -> Option<Date> {
    first.checked_add(months.months()).ok()
}

fn month_named(word: &str) -> Option<i16> {
    let at = MONTHS.iter().position(|short| word.starts_with(short))?;
    i16::try_from(at + 1).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn stretches_are_read_as_people_name_them() {
        let calendar = Calendar::new("Asia/Shanghai", 1, 1).unwrap();
        for (text, from, to) in [
            ("今天", "2026-06-15", "2026-06-16"),
            ("上周的支付", "2026-06-08", "2026-06-15"),
            ("2026年3月", "2026-03-01", "2026-04-01"),
            ("2025年12月份", "2025-12-01", "2026-01-01"),
            ("1月到3月", "2026-01-01", "2026-04-01"),
            ("第一季度", "2026-01-01", "2026-04-01"),
            ("去年四季度", "2025-10-01", "2026-01-01"),
            ("上半年", "2026-01-01", "2026-07-01"),
            ("最近30天", "2026-05-17", "2026-06-16"),
            ("近三个月", "2026-03-16", "2026-06-16"),
            ("the last 7 days", "2026-06-09", "2026-06-16"),
            ("in may 2026", "2026-05-01", "2026-06-01"),
            ("the first quarter of 2026", "2026-01-01", "2026-04-01"),
            ("since january 2026", "2026-01-01", "2026-06-16"),
            ("2026-03-05", "2026-03-05", "2026-03-06"),
            ("in 2025", "2025-01-01", "2026-01-01"),
        ] {
            let found = stretches(text, date(2026, 6, 15), &calendar);
            let told: Vec<_> = found.iter().map(|s| (s.from.to_string(), s.to.to_string())).collect();
            assert_eq!(told, [(from.to_owned(), to.to_owned())], "{text}");
        }
        for text in ["the first time", "支付", "320100105001", "P-2026x"] {
            assert!(stretches(text, date(2026, 6, 15), &calendar).is_empty(), "{text}");
        }
    }
}
