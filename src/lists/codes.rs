//! 代码表: codes with names, the code above each, and from when to when each is valid. A table is a list that may have
//! a code in several rows, each for its own time.

use jiff::{ToSpan, civil::Date};
use serde_json::{Map, Value};

use super::{List, Lists};
use crate::{
    event::{Instant, time::Calendar},
    say,
    text::quoted,
};

/// The columns of events of which a table of codes can be configured.
pub const CODE_COLUMNS: [&str; 7] =
    ["region_code", "unit_code", "function_code", "economic_code", "project_code", "fund_type", "bond_code"];
const NONE: u32 = u32::MAX;
/// Steps upwards in a tree: a table whose years contradict one another must not be walked for ever.
const DEPTH: usize = 32;

/// What the list is called that is the table of a column: its rows are a table of queries under this name.
pub(crate) fn list_name(column: &str) -> String {
    format!("codes_{column}")
}

/// The key of the configuration that a list stands under: a table of codes is not among the `lists` there.
pub(crate) fn key_of(list: &str) -> String {
    match list.strip_prefix("codes_").filter(|column| CODE_COLUMNS.contains(column)) {
        Some(column) => format!("codes.{column}"),
        None => format!("lists.{list}"),
    }
}

/// Which columns of a list make it a table of codes; those of which nothing is said go by the usual names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeColumns {
    /// What a code is called.
    pub name: Option<String>,
    /// The code above it.
    pub parent: Option<String>,
    /// The first day on which it is valid.
    pub from: Option<String>,
    pub(crate) to: Option<String>,
}

const NAMES: &[&str] = &["name", "名称", "编码名称", "科目名称", "单位名称"];
const PARENTS: &[&str] = &["parent", "parent_code", "上级编码", "上级代码", "上级"];
const FROMS: &[&str] = &["from", "valid_from", "启用日期", "生效日期"];
const TOS: &[&str] = &["to", "valid_to", "停用日期", "失效日期"];

/// Why a code does not stand in its table at some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// No row has it.
    Absent,
    /// It was valid before.
    Expired,
    /// It will be valid, or is so between times.
    Early,
}

/// What is known of the rows of a list that is a table of codes; each vector has one entry a row.
#[derive(Debug, Default)]
pub(super) struct Codes {
    name: Option<usize>,
    /// The row of the code above: the last one that has it.
    above: Vec<u32>,
    /// Valid from this instant, and before that one.
    spans: Vec<(Instant, Instant)>,
    /// The row before that has the same code.
    before: Vec<u32>,
}

impl List {
    /// The list as a table of codes.
    ///
    /// # Errors
    /// If a named column is not there, a code is empty, a date cannot be read, a code is valid twice at a time, or a code
    /// stands above itself.
    pub fn into_codes(mut self, columns: &CodeColumns, calendar: &Calendar) -> Result<Self, String> {
        let at = |said: &Option<String>, usual: &[&str]| match said {
            None => Ok(usual.iter().find_map(|name| self.column(name)).map(|(at, _)| at)),
            Some(name) => self.column(name).map(|(at, _)| Some(at)).ok_or_else(|| {
                let names: Vec<_> = self.columns().collect();
                say!(
                    "there is no column {name}; there are {names}",
                    name = quoted(name),
                    names = names.join(", ")
                )
            }),
        };
        let name = at(&columns.name, NAMES)?;
        let (parent, from, to) =
            (at(&columns.parent, PARENTS)?, at(&columns.from, FROMS)?, at(&columns.to, TOS)?);
        let spans =
            (0..self.len()).map(|row| self.span(row, (from, to), calendar)).collect::<Result<_, _>>()?;
        let mut codes = Codes { name, spans, above: Vec::new(), before: self.before() };
        self.alone(&codes)?;
        codes.above = (0..self.len()).map(|row| self.above_of(row, parent)).collect();
        self.codes = Some(codes);
        self.acyclic()?;
        // The same rows under other columns, or in another calendar, mean something else.
        let meant = format!(
            "{columns:?} {name:?} {parent:?} {from:?} {to:?} {:?}",
            self.codes.as_ref().map(|c| &c.spans)
        );
        self.print ^= xxhash_rust::xxh3::xxh3_64(meant.as_bytes());
        Ok(self)
    }

    /// When a row is valid.
    fn span(
        &self,
        row: usize,
        (from, to): (Option<usize>, Option<usize>),
        calendar: &Calendar,
    ) -> Result<(Instant, Instant), String> {
        let code = self.rows.cell(row, self.key);
        if code.is_empty() {
            return Err(say!("row {row} has no code", row = row + 1));
        }
        let day = |column: Option<usize>, days: i64| {
            let Some(text) = column.map(|at| self.rows.cell(row, at)).filter(|text| !text.is_empty()) else {
                return Ok(None);
            };
            let day = date(text).and_then(|day| day.checked_add(days.days()).ok());
            let instant = day.and_then(|day| calendar.start_of_day(day).ok());
            instant.map(Some).ok_or_else(|| {
                say!(
                    "code {code}: {text} is no date such as 2026-07-01",
                    code = quoted(code),
                    text = quoted(text)
                )
            })
        };
        let (from, until) = (day(from, 0)?.unwrap_or(Instant::MIN), day(to, 1)?.unwrap_or(Instant::MAX));
        match from < until {
            true => Ok((from, until)),
            false => Err(say!("code {code} ends before it begins", code = quoted(code))),
        }
    }

    /// The row before each that has the same code.
    fn before(&self) -> Vec<u32> {
        let mut last = std::collections::HashMap::new();
        let rows = u32::try_from(self.len()).unwrap_or(NONE);
        (0..rows)
            .map(|row| last.insert(self.rows.cell(row as usize, self.key), row).unwrap_or(NONE))
            .collect()
    }

    /// No code may be valid twice at a time: it would have two names.
    fn alone(&self, codes: &Codes) -> Result<(), String> {
        for row in 0..self.len() {
            let mut other = codes.before[row];
            while other != NONE {
                let ((from, until), (begins, ends)) = (codes.spans[row], codes.spans[other as usize]);
                if from < ends && begins < until {
                    let code = quoted(self.rows.cell(row, self.key));
                    return Err(say!("code {code} stands in two rows for the same time", code));
                }
                other = codes.before[other as usize];
            }
        }
        Ok(())
    }

    /// The row of the code above: the one that is named, or without such a column the longest beginning of the code.
    fn above_of(&self, row: usize, parent: Option<usize>) -> u32 {
        let code = self.rows.cell(row, self.key);
        let above = match parent {
            Some(at) => Some(self.rows.cell(row, at))
                .filter(|p| !p.is_empty() && *p != code)
                .and_then(|p| self.row_of(p)),
            None => {
                code.char_indices().rev().find_map(|(end, _)| self.row_of(&code[..end]).filter(|_| end > 0))
            }
        };
        above.and_then(|row| u32::try_from(row).ok()).unwrap_or(NONE)
    }

    fn acyclic(&self) -> Result<(), String> {
        for row in 0..self.len() {
            if self.line_of(row).count() > DEPTH {
                let code = quoted(self.rows.cell(row, self.key));
                return Err(say!(
                    "code {code} stands above itself, or more than {DEPTH} codes stand above it",
                    code,
                    DEPTH
                ));
            }
        }
        Ok(())
    }

    /// A row, and those above it.
    fn line_of(&self, row: usize) -> impl Iterator<Item = usize> {
        let above = move |row: &usize| {
            let above = self.codes.as_ref().map_or(NONE, |codes| codes.above[*row]);
            (above != NONE).then_some(above as usize)
        };
        std::iter::successors(Some(row), above).take(DEPTH + 1)
    }

    /// Whether it is a table of codes.
    #[must_use]
    pub(crate) fn is_of_codes(&self) -> bool {
        self.codes.is_some()
    }

    /// The row in which a code is valid at an instant; or why there is none.
    pub(crate) fn code_at(&self, code: &str, at: Instant) -> Result<usize, Unknown> {
        let Some(codes) = &self.codes else { return self.row_of(code).ok_or(Unknown::Absent) };
        let mut row = self.row_of(code).ok_or(Unknown::Absent)?;
        let mut why = Unknown::Expired;
        loop {
            let (from, until) = codes.spans[row];
            if from <= at && at < until {
                return Ok(row);
            }
            if at < from {
                why = Unknown::Early;
            }
            match codes.before[row] {
                NONE => return Err(why),
                before => row = before as usize,
            }
        }
    }

    /// The row of a code at an instant; without one the last row that has it: a name is better than none.
    fn code_near(&self, code: &str, at: Instant) -> Option<usize> {
        self.code_at(code, at).ok().or_else(|| self.row_of(code))
    }

    /// What a code is called at an instant, or was called last.
    pub(crate) fn code_name(&self, code: &str, at: Instant) -> Option<&str> {
        let column = self.codes.as_ref()?.name?;
        Some(self.rows.cell(self.code_near(code, at)?, column)).filter(|name| !name.is_empty())
    }

    /// A code and those above it, the nearest first; nothing for a code that no row has.
    pub(crate) fn codes_above(&self, code: &str, at: Instant) -> impl Iterator<Item = &str> {
        let mut next = self.code_near(code, at);
        let above = move || {
            let row = next?;
            let codes = self.codes.as_ref()?;
            next = Some(codes.above[row]).filter(|above| *above != NONE).and_then(|above| {
                // The row above is one of several perhaps: the one that is valid now says what is above it.
                self.code_near(self.rows.cell(above as usize, self.key), at)
            });
            Some(self.rows.cell(row, self.key))
        };
        std::iter::from_fn(above).take(DEPTH)
    }

    /// Whether two codes belong together at an instant: they stand under the same one, or one stands above the other.
    /// Unknown where no row has one of them.
    pub(crate) fn codes_related(&self, one: &str, other: &str, at: Instant) -> Option<bool> {
        self.row_of(one).and(self.row_of(other))?;
        let is_above = |code: &str, above: &str| self.codes_above(code, at).any(|c| c == above);
        let parent = |code: &str| self.codes_above(code, at).nth(1);
        let siblings = parent(one).is_some() && parent(one) == parent(other);
        Some(siblings || is_above(one, other) || is_above(other, one))
    }

    /// What lies below a code, and it itself.
    pub(crate) fn codes_below<'l>(&'l self, above: &'l str, at: Instant) -> impl Iterator<Item = &'l str> {
        self.keys().filter(move |code| self.codes_above(code, at).any(|c| c == above))
    }
}

/// A row of a table of codes.
#[derive(Debug)]
pub(crate) struct CodeRow<'l> {
    pub code: &'l str,
    pub name: Option<&'l str>,
    /// The code above it.
    pub parent: Option<&'l str>,
    /// Valid from this instant and before that one.
    pub from: Option<Instant>,
    pub until: Option<Instant>,
}

impl List {
    /// All rows, in the order of the file; none of a list that is no table of codes.
    pub(crate) fn code_rows(&self) -> impl Iterator<Item = CodeRow<'_>> {
        let row = |row: usize| {
            let codes = self.codes.as_ref()?;
            let (from, until) = codes.spans[row];
            let cell = |row: usize, column| Some(self.rows.cell(row, column)).filter(|text| !text.is_empty());
            Some(CodeRow {
                code: self.rows.cell(row, self.key),
                name: codes.name.and_then(|column| cell(row, column)),
                parent: Some(codes.above[row])
                    .filter(|at| *at != NONE)
                    .and_then(|at| cell(at as usize, self.key)),
                from: Some(from).filter(|from| *from != Instant::MIN),
                until: Some(until).filter(|until| *until != Instant::MAX),
            })
        };
        (0..self.len()).filter_map(row)
    }
}

/// What is beside each code once its name is known.
const NAMED: [(&str, &str); 7] = [
    ("region_code", "region_name"),
    ("unit_code", "unit_name"),
    ("function_code", "function_name"),
    ("economic_code", "economic_name"),
    ("project_code", "project_name"),
    ("fund_type", "fund_name"),
    ("bond_code", "bond_name"),
];

impl Lists {
    /// Puts the names of codes beside them, where a table has them and no name is there yet.
    pub(crate) fn add_names(&self, object: &mut Map<String, Value>, at: Instant) {
        for (code, name) in NAMED {
            let is_named = object.get(name).is_some_and(|name| !name.is_null());
            let Some(found) = object.get(code).and_then(Value::as_str).filter(|_| !is_named) else {
                continue;
            };
            if let Some(found) = self.code_name(code, found, at).map(str::to_owned) {
                object.insert(name.to_owned(), found.into());
            }
        }
    }
}

/// `2026-07-01`, `20260701`, `2026/7/1`, with or without a time of day behind it.
fn date(text: &str) -> Option<Date> {
    let text = text.split([' ', 'T']).next()?;
    let number = |text: &str| text.parse::<i16>().ok();
    let parts: Vec<&str> = match text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit()) {
        true => vec![&text[..4], &text[4..6], &text[6..]],
        false => text.split(['-', '/', '.', '年', '月', '日']).filter(|part| !part.is_empty()).collect(),
    };
    let [year, month, day] = parts[..] else { return None };
    let small = |text: &str| number(text).and_then(|n| i8::try_from(n).ok());
    Date::new(number(year)?, small(month)?, small(day)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar() -> Calendar {
        Calendar::new("Asia/Shanghai", 1, 1).unwrap()
    }

    fn units(rows: &[&[&str]]) -> Result<List, String> {
        let list = List::of(&["code", "name", "parent", "from", "to"], rows);
        list.into_codes(&CodeColumns::default(), &calendar())
    }

    fn at(day: &str) -> i64 {
        calendar().parse(day).unwrap().as_micros()
    }

    #[test]
    fn a_code_is_valid_from_its_first_day_to_the_end_of_its_last() {
        let list = units(&[
            &["101", "教育局", "", "2020-01-01", ""],
            &["101001", "一中", "101", "20200101", "2026/6/30"],
            &["101001", "第一中学", "101", "2026-09-01", ""],
        ])
        .unwrap();
        assert_eq!(list.code_at("101001", Instant::from_micros(at("2026-06-30T23:59:59+08:00"))), Ok(1));
        assert_eq!(list.code_at("101001", Instant::from_micros(at("2026-07-01"))), Err(Unknown::Early));
        assert_eq!(list.code_at("101001", Instant::from_micros(at("2026-09-01"))), Ok(2));
        assert_eq!(list.code_at("101001", Instant::from_micros(at("2019-12-31"))), Err(Unknown::Early));
        assert_eq!(list.code_at("x", Instant::from_micros(at("2026-01-01"))), Err(Unknown::Absent));
        assert_eq!(list.code_name("101001", Instant::from_micros(at("2026-03-01"))), Some("一中"));
        assert_eq!(list.code_name("101001", Instant::from_micros(at("2027-03-01"))), Some("第一中学"));
        // Between its times it keeps the name that it has last.
        assert_eq!(list.code_name("101001", Instant::from_micros(at("2026-07-15"))), Some("第一中学"));
        let ended = units(&[&["101", "旧局", "", "", "2025-12-31"]]).unwrap();
        assert_eq!(ended.code_at("101", Instant::from_micros(at("2026-01-01"))), Err(Unknown::Expired));
    }

    #[test]
    fn trees_go_by_the_code_above_or_by_beginnings() {
        let list = units(&[
            &["A", "市", "", "", ""],
            &["101", "教育局", "A", "", ""],
            &["777", "一中", "101", "", "2026-06-30"],
            &["777", "一中", "202", "2026-07-01", ""],
            &["888", "二中", "101", "", ""],
            &["202", "人社局", "A", "", ""],
        ])
        .unwrap();
        let (before, after) = (at("2026-03-01"), at("2026-08-01"));
        assert_eq!(
            list.codes_above("777", Instant::from_micros(before)).collect::<Vec<_>>(),
            ["777", "101", "A"]
        );
        assert_eq!(
            list.codes_above("777", Instant::from_micros(after)).collect::<Vec<_>>(),
            ["777", "202", "A"]
        );
        assert_eq!(list.codes_related("777", "888", Instant::from_micros(before)), Some(true));
        assert_eq!(list.codes_related("777", "888", Instant::from_micros(after)), Some(false));
        assert_eq!(list.codes_related("777", "101", Instant::from_micros(before)), Some(true));
        assert_eq!(list.codes_related("777", "999", Instant::from_micros(before)), None);
        let mut below: Vec<_> = list.codes_below("101", Instant::from_micros(before)).collect();
        below.sort_unstable();
        assert_eq!(below, ["101", "777", "888"]);
        let classes = List::of(
            &["code", "name"],
            &[&["201", "一般公共服务"], &["20501", "教育管理"], &["205", "教育"], &["2050101", "行政运行"]],
        );
        let classes = classes.into_codes(&CodeColumns::default(), &calendar()).unwrap();
        assert_eq!(
            classes.codes_above("2050101", Instant::EPOCH).collect::<Vec<_>>(),
            ["2050101", "20501", "205"]
        );
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (rows, why) in [
            (&[&["1", "", "", "2026-13-01", ""][..]][..], "no date"),
            (&[&["1", "", "", "2026-02-01", "2026-01-31"]], "ends before it begins"),
            (&[&["1", "a", "", "", ""], &["1", "b", "", "2026-01-01", ""]], "in two rows"),
            (&[&["1", "", "2", "", ""], &["2", "", "1", "", ""]], "above itself"),
            (&[&["", "a", "", "", ""]], "has no code"),
        ] {
            let error = units(rows).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        let named = CodeColumns { parent: Some(String::from("above")), ..CodeColumns::default() };
        assert!(List::of(&["code"], &[]).into_codes(&named, &calendar()).is_err());
    }

    #[test]
    fn another_meaning_is_another_print() {
        let rows: &[&[&str]] = &[&["1", "a", "", "2026-01-01", ""]];
        let later: &[&[&str]] = &[&["1", "a", "", "2026-02-01", ""]];
        assert_eq!(units(rows).unwrap().print(), units(rows).unwrap().print());
        assert_ne!(units(rows).unwrap().print(), units(later).unwrap().print());
        assert_ne!(
            units(rows).unwrap().print(),
            List::of(&["code", "name", "parent", "from", "to"], rows).print()
        );
    }
}
