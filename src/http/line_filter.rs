//! Which budget lines are looked at, how they are sorted, and where a page begins.

use std::collections::BTreeSet;

use serde::Deserialize;
use utoipa::IntoParams;

use super::Problem;
use crate::{
    event::{
        Column, Instant, Ratio,
        pattern::{CodePattern, words},
    },
    ledger::{Attributes, Balances, Line, report::sums},
    lists::{List, Lists},
    say,
};

/// Which budget lines to look at. Several values are parted by commas, and one that ends with `*` means all that begin so.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LineFilter {
    /// Only of this unit and of those below it, by the table of units (`codes.unit_code`); without a table of those whose code
    /// begins with it.
    pub under: Option<String>,
    /// Only of this unit.
    pub unit_code: Option<String>,
    /// Only of these units (`101001,102*`).
    pub unit: Option<String>,
    /// Only of these regions.
    pub region: Option<String>,
    /// Only of these functional classes (`205*`).
    pub function: Option<String>,
    /// Only of these economic classes.
    pub economic: Option<String>,
    /// Only of these projects.
    pub project: Option<String>,
    /// Only of these types of fund.
    pub fund: Option<String>,
    /// Only of these fiscal years.
    pub year: Option<String>,
    /// Only lines with this text in their id, or in the name of their unit.
    pub q: Option<String>,
    /// Only lines that have executed more than their total.
    #[serde(default)]
    pub overspent: bool,
    /// What the lines are summed up by, one or two of `region`, `department`, `branch` (the
    /// units right below `under`, each with all below it), `unit`, `function`, `class`, `economic`,
    /// `project`, `fund` and `year`, parted by a comma; for totals alone.
    pub group_by: Option<String>,
    /// How many of the first characters of a unit's code are its department's; 3 without it.
    pub department_digits: Option<u8>,
    /// What comes first: `id` (of a group: `value`), the name of a sum such as `executed`, `executed_ratio`, and of lines
    /// `last_event_at`; with `-` before it, the largest.
    pub sort: Option<String>,
    /// Whether to say how many there are, and what they sum up to.
    #[serde(default)]
    pub totals: bool,
    /// Only those after this one in the list: the `next` of the page before.
    pub after: Option<String>,
    /// At most so many.
    pub limit: Option<u32>,
}

/// The attributes that lines are narrowed and summed up by, by the words of the API.
pub(crate) const ATTRIBUTES: [(&str, Column); 6] = [
    ("region", Column::RegionCode),
    ("unit", Column::UnitCode),
    ("function", Column::FunctionCode),
    ("economic", Column::EconomicCode),
    ("project", Column::ProjectCode),
    ("fund", Column::FundType),
];

impl LineFilter {
    /// The lines that are meant.
    pub(crate) fn wanted<'f>(&'f self, branch: &'f Branch<'_>) -> impl Fn(&Line, &Attributes) -> bool + 'f {
        let [region, unit, function, economic, project, fund] =
            [&self.region, &self.unit, &self.function, &self.economic, &self.project, &self.fund];
        let given = [region, unit, function, economic, project, fund];
        let narrowed: Vec<(Column, Vec<&str>)> = ATTRIBUTES
            .iter()
            .zip(given)
            .filter_map(|((_, column), given)| Some((*column, words(given.as_deref()?).collect())))
            .collect();
        let years: Option<Vec<&str>> = self.year.as_deref().map(|years| words(years).collect());
        let text = self.q.as_deref().map(str::to_lowercase);
        move |line, attributes| {
            let is_named = |text: &String| {
                let name = attributes.text(Column::UnitName).unwrap_or_default();
                line.id.to_lowercase().contains(text) || name.to_lowercase().contains(text)
            };
            let unit = attributes.text(Column::UnitCode);
            self.unit_code.as_deref().is_none_or(|wanted| unit == Some(wanted))
                && (self.under.is_none() || unit.is_some_and(|unit| branch.has(unit)))
                && narrowed.iter().all(|(column, words)| {
                    attributes
                        .text(*column)
                        .is_some_and(|code| words.iter().any(|word| CodePattern::of(word).matches(code)))
                })
                && years.as_ref().is_none_or(|years| {
                    let year = attributes.fiscal_year.map(|year| year.to_string()).unwrap_or_default();
                    years.iter().any(|word| CodePattern::of(word).matches(&year))
                })
                && (!self.overspent || line.balances.executed > line.balances.total)
                && text.as_ref().is_none_or(is_named)
        }
    }
}

/// A unit with all below it.
pub(crate) struct Branch<'l> {
    table: Option<&'l List>,
    under: Option<&'l str>,
    at: Instant,
    below: BTreeSet<&'l str>,
}

impl<'l> Branch<'l> {
    /// That of a unit, or of all, by the table of units.
    pub(crate) fn of(lists: &'l Lists, under: Option<&'l str>, at: Instant) -> Self {
        let table = lists.codes("unit_code");
        let below = table.zip(under).map(|(table, under)| table.codes_below(under, at).collect());
        Self { table, under, at, below: below.unwrap_or_default() }
    }

    /// Whether a unit is in it. One that the table lacks is in the branch of what it begins with.
    fn has(&self, unit: &str) -> bool {
        let begins = || self.under.is_some_and(|under| unit.starts_with(under));
        self.below.contains(unit) || self.table.is_none_or(|table| !table.contains(unit)) && begins()
    }

    /// The unit right below the branch's own that a unit is in; the unit itself where the table lacks it.
    pub(crate) fn part(&self, unit: &str) -> Option<String> {
        let Some(table) = self.table.filter(|table| table.contains(unit)) else {
            return Some(unit.to_owned());
        };
        let line: Vec<&str> = table.codes_above(unit, self.at).collect();
        let own = self.under.and_then(|under| line.iter().position(|code| *code == under));
        let at = own.map_or(line.len(), |own| own).saturating_sub(1);
        line.get(at).map(|code| (*code).to_owned())
    }
}

/// What a list is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SortKey {
    /// Its id, or its value.
    Name,
    /// The sum at this place.
    Sum(usize),
    /// What part of the total is executed.
    Ratio,
    /// The time of the last event.
    LastEvent,
}

/// How a list is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sort {
    by: SortKey,
    descends: bool,
}

impl Sort {
    /// The order that a word names; `name` is the word for names.
    ///
    /// # Errors
    /// If there is no such order.
    pub(crate) fn parse(text: Option<&str>, name: &str) -> Result<Self, Problem> {
        let text = text.unwrap_or(name);
        let (word, descends) = text.strip_prefix('-').map_or((text, false), |word| (word, true));
        let known = sums(&Balances::default()).map(|(name, _)| name);
        let by = match known.iter().position(|known| *known == word) {
            Some(place) => SortKey::Sum(place),
            None if word == name => SortKey::Name,
            None if word == "executed_ratio" => SortKey::Ratio,
            None if word == "last_event_at" && name == "id" => SortKey::LastEvent,
            None => {
                let words = format!("{name}, {}, executed_ratio", known.join(", "));
                return Err(Problem::bad_request(say!(
                    "sort: {text} is none of {words}",
                    text = format!("{text:?}"),
                    words
                )));
            }
        };
        Ok(Self { by, descends })
    }

    /// What balances are sorted by.
    pub(crate) fn key(self, balances: &Balances, last_event_at: Instant) -> i128 {
        match self.by {
            SortKey::Name => 0,
            SortKey::Sum(place) => sums(balances)[place].1.as_i128(),
            SortKey::Ratio => balances.executed_ratio().map_or(i128::MIN, Ratio::as_scaled),
            SortKey::LastEvent => last_event_at.as_micros().into(),
        }
    }

    /// Where the page after a row begins.
    pub(crate) fn cursor(self, (key, name): (i128, &str)) -> String {
        if self == (Self { by: SortKey::Name, descends: false }) {
            name.to_owned()
        } else {
            format!("{key}~{name}")
        }
    }

    /// One page of rows after a place, and one more if there is more.
    pub(crate) fn page<'r, T: 'r>(
        self,
        mut rows: Vec<T>,
        after: Option<&str>,
        limit: u32,
        place: impl Fn(&T) -> (i128, &'r str),
    ) -> Result<Vec<T>, Problem> {
        let after = after.map(|after| self.place(after)).transpose()?;
        let order = |one: (i128, &str), other: (i128, &str)| match self.descends {
            true => other.cmp(&one),
            false => one.cmp(&other),
        };
        if let Some(after) = after {
            rows.retain(|row| order(place(row), after).is_gt());
        }
        let wanted = limit as usize + 1;
        if rows.len() > wanted {
            rows.select_nth_unstable_by(wanted - 1, |one, other| order(place(one), place(other)));
            rows.truncate(wanted);
        }
        rows.sort_unstable_by(|one, other| order(place(one), place(other)));
        Ok(rows)
    }

    fn place(self, after: &str) -> Result<(i128, &str), Problem> {
        if self == (Self { by: SortKey::Name, descends: false }) {
            return Ok((0, after));
        }
        let place = after.split_once('~').and_then(|(key, name)| Some((key.parse().ok()?, name)));
        place.ok_or_else(|| {
            Problem::bad_request(say!("after: take the `next` of the page before, with the same sort"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_by_any_order_have_every_row_once() {
        let rows: Vec<(i128, String)> = (0..97).map(|n| (n * n % 13, format!("L{n:02}"))).collect();
        for text in ["id", "-id", "executed", "-executed"] {
            let sort = Sort::parse(Some(text), "id").unwrap();
            let key = |row: &&(i128, String)| if sort.by == SortKey::Name { 0 } else { row.0 };
            let (mut seen, mut after) = (Vec::new(), None::<String>);
            loop {
                let all: Vec<_> = rows.iter().collect();
                let mut page =
                    sort.page(all, after.as_deref(), 10, |row| (key(row), row.1.as_str())).unwrap();
                let more = page.len() > 10;
                page.truncate(10);
                let last = page.last().unwrap();
                after = Some(sort.cursor((key(last), &last.1)));
                seen.extend(page);
                if !more {
                    break;
                }
            }
            let mut expected: Vec<_> = rows.iter().collect();
            expected.sort_by_key(|row| (key(row), &row.1));
            if text.starts_with('-') {
                expected.reverse();
            }
            assert_eq!(seen, expected, "{text}");
        }
        assert!(Sort::parse(Some("colour"), "id").is_err());
        assert!(Sort::parse(Some("last_event_at"), "value").is_err());
    }
}
