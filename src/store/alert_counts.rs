//! How many alerts there are, by what officers part them by: all of it in one pass.

use std::{cmp::Reverse, collections::HashMap};

use rusqlite::{Row, params_from_iter, types::ValueRef};

use super::{Cases, StoreError, alert_rows::RowsOrigin, filter::CaseQuery};
use crate::{alert::State, event::Instant};

/// Values that counts are told of.
const VALUES_MAX: usize = 50;

/// How many alerts there are, by what officers part them by.
#[derive(Debug, Clone, Default)]
pub struct AlertCounts {
    /// All that are wanted.
    pub total: u64,
    /// Those that nobody acknowledged in time.
    pub overdue: u64,
    /// Those that are not over although their last day is.
    pub past_due: u64,
    /// Those that wait for a second officer.
    pub in_review: u64,
    /// When the oldest that nobody took on was opened.
    pub oldest_open: Option<Instant>,
    /// By state and severity.
    pub by_state: Vec<(String, String, u64)>,
    /// By rule, the most first.
    pub rules: Vec<(Option<String>, u64)>,
    pub(crate) units: Vec<(Option<String>, u64)>,
    pub(crate) owners: Vec<(Option<String>, u64)>,
}

impl Cases {
    /// How many alerts are wanted, by what officers part them by. The numbers by state and severity leave those two of the
    /// filter out, so that each stays while another is looked at.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn counts(&self, wanted: &CaseQuery) -> Result<AlertCounts, StoreError> {
        let mut all = wanted.clone();
        (all.filter.before, all.filter.state, all.filter.severity) = (None, None, None);
        let (chosen, conditions) = (wanted.of_state_and_severity(), all.of_alerts());
        self.read(|c| {
            let sql = format!(
                "SELECT state, severity, {}, rule_id, unit_code, owner, escalation, opened_at, due_at, proposed_by
                 FROM {} a {}",
                chosen.value(),
                RowsOrigin::of(c)?.source(),
                conditions.clause()
            );
            let mut statement = c.prepare_cached(&sql)?;
            let values = params_from_iter(chosen.values.iter().chain(&conditions.values));
            let (mut rows, mut counting) = (statement.query(values)?, Counting::default());
            while let Some(row) = rows.next()? {
                counting.add(row, wanted.now)?;
            }
            Ok(counting.end())
        })
    }
}

#[derive(Default)]
struct Counting {
    counts: AlertCounts,
    rules: Tally,
    units: Tally,
    owners: Tally,
}

impl Counting {
    fn add(&mut self, row: &Row<'_>, now: Instant) -> rusqlite::Result<()> {
        let (state, severity) = (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
        let counts = &mut self.counts;
        // There are few of them.
        match counts.by_state.iter_mut().find(|(s, of, _)| s == state && of == severity) {
            Some((.., alerts)) => *alerts += 1,
            None => counts.by_state.push((state.to_owned(), severity.to_owned(), 1)),
        }
        if !row.get::<_, bool>(2)? {
            return Ok(());
        }
        counts.total += 1;
        self.rules.add(row.get_ref(3)?)?;
        self.units.add(row.get_ref(4)?)?;
        self.owners.add(row.get_ref(5)?)?;
        let due: Option<Instant> = row.get(8)?;
        let is_over = state.parse::<State>().is_ok_and(State::is_over);
        counts.past_due += u64::from(!is_over && due.is_some_and(|due| due <= now));
        counts.in_review += u64::from(row.get_ref(9)? != ValueRef::Null);
        if state == "open" {
            counts.overdue += u64::from(row.get::<_, i64>(6)? > 0);
            let opened: Instant = row.get(7)?;
            counts.oldest_open = Some(counts.oldest_open.map_or(opened, |oldest| oldest.min(opened)));
        }
        Ok(())
    }

    fn end(self) -> AlertCounts {
        let mut counts = self.counts;
        counts.by_state.sort();
        let (rules, units, owners) = (self.rules.end(), self.units.end(), self.owners.end());
        AlertCounts { rules, units, owners, ..counts }
    }
}

/// How many there are of each value.
#[derive(Default)]
struct Tally {
    of: HashMap<String, u64>,
    /// Of those that have none.
    nothing: u64,
}

impl Tally {
    fn add(&mut self, value: ValueRef<'_>) -> rusqlite::Result<()> {
        match value.as_str_or_null()? {
            None => self.nothing += 1,
            // A text is made once for each value, not for each alert.
            Some(text) => match self.of.get_mut(text) {
                Some(alerts) => *alerts += 1,
                None => drop(self.of.insert(text.to_owned(), 1)),
            },
        }
        Ok(())
    }

    /// The values that most have, and how many.
    fn end(self) -> Vec<(Option<String>, u64)> {
        let nothing = (self.nothing > 0).then_some((None, self.nothing));
        let values = self.of.into_iter().map(|(value, alerts)| (Some(value), alerts));
        let mut values: Vec<_> = values.chain(nothing).collect();
        values.sort_unstable_by(|(a, n), (b, m)| (Reverse(n), a).cmp(&(Reverse(m), b)));
        values.truncate(VALUES_MAX);
        values
    }
}
