//! Windows that are judged once, when they close (SPEC §3.2).
//!
//! A key's events are added up in panes as long as the slide; a window is a number of panes after one another. A late
//! event changes its pane, and the windows that are closed already are judged again at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use arrow::{
    array::{ArrayRef, Float64Array, Int64Array, RecordBatchOptions, TimestampMicrosecondArray},
    buffer::BooleanBuffer,
    record_batch::RecordBatch,
};
use datafusion::common::{Result, ScalarValue};
use hashbrown::HashMap;

use super::{
    Finding,
    anomaly::{Score, score},
    finding::{Place, Subject},
    measures,
    pane::Pane,
    row::{RuleCounts, Table, judge},
    sliding::Selected,
};
use crate::{
    event::{
        period::{Stretch, StretchCache},
        time::Calendar,
    },
    rule::{
        compile::{ClosingRule, CompiledRule},
        window::{Method, Season},
    },
};

/// Panes that are held without asking whether they are still needed.
const PANES_MIN: usize = 1 << 18;

/// The windows of one rule.
#[derive(Debug, Default)]
pub struct Closing {
    keys: HashMap<u128, Key>,
    /// Windows that are not closed yet, by their ends, with the keys that have events in them.
    open: BTreeMap<i64, BTreeSet<u128>>,
    /// Every window that ends at or before this is closed.
    closed: i64,
    panes: usize,
    limit: usize,
    /// Panes that ended at or before this may be gone.
    floor: i64,
}

#[derive(Debug, Default)]
struct Key {
    /// The values of `by`.
    by: Box<[ScalarValue]>,
    /// By their starts.
    panes: BTreeMap<i64, Pane>,
    /// Closed windows by their ends.
    past: BTreeMap<i64, Past>,
}

/// A window that is closed.
#[derive(Debug, Clone, Copy)]
struct Past {
    start: i64,
    /// The measure that is compared; `None` where it is NULL or there is no anomaly.
    value: Option<f64>,
    /// Whether it made a finding.
    found: bool,
}

/// What judging windows needs.
pub struct Judge<'j> {
    /// The rule.
    pub rule: &'j CompiledRule,
    /// Its windows.
    pub view: &'j ClosingRule,
    /// The calendar.
    pub calendar: &'j Calendar,
    /// How late an event may be that still finds all of its windows, in microseconds.
    pub late: i64,
}

/// A finding about a window, with its end.
pub type Found = (i64, Finding);

impl Closing {
    /// Windows without events, of which those that end at or before `closed` are over.
    #[must_use]
    pub fn new(closed: i64) -> Self {
        Self { closed, limit: PANES_MIN, floor: i64::MIN, ..Self::default() }
    }

    /// Panes held.
    #[must_use]
    pub fn panes(&self) -> usize {
        self.panes
    }

    /// Says that the watermark has passed without closing anything.
    pub fn passed(&mut self, watermark: i64) {
        self.closed = self.closed.max(watermark);
    }

    /// Takes events again whose windows are over (recovery): they count as open until they are closed in order.
    pub fn reopen(&mut self) {
        self.closed = i64::MIN;
    }

    /// The end of the first window that is open.
    #[must_use]
    pub fn next_end(&self) -> Option<i64> {
        self.open.keys().next().copied()
    }

    /// Takes in the event at `place` of those selected from `table`. A window that is closed already is judged again.
    pub fn observe(
        &mut self,
        judge: &Judge<'_>,
        table: &Table,
        selected: &Selected,
        place: usize,
        slides: &StretchCache<'_>,
        counts: &mut RuleCounts,
    ) -> Vec<Found> {
        let stride = judge.view.layout.stride();
        let row = &selected.packed.words[place * stride..][..stride];
        let stretch = slides.get(row[0].cast_signed());
        if stretch.end <= self.floor {
            counts.beyond += 1;
            return Vec::new();
        }
        let hash = selected.keys[place];
        let key = self.keys.entry(hash).or_insert_with(|| {
            let at = selected.rows[place] as usize;
            let cell = |column: &usize| ScalarValue::try_from_array(&table.columns[*column], at);
            let by = judge.view.by.iter().map(|column| cell(column).unwrap_or(ScalarValue::Null));
            Key { by: by.collect(), ..Key::default() }
        });
        let mut is_new = false;
        let pane = key.panes.entry(stretch.start).or_insert_with(|| {
            is_new = true;
            Pane::new(&judge.view.measures.aggregates, &judge.view.layout)
        });
        if let Err(e) = pane.add(
            &judge.view.measures.aggregates,
            &judge.view.layout,
            row,
            selected.packed.others.get(place),
        ) {
            counts.fail(&e.to_string());
        }
        self.panes += usize::from(is_new);
        let mut found = Vec::new();
        for window in judge.windows_with(stretch) {
            if window.end > self.closed {
                if is_new {
                    self.open.entry(window.end).or_default().insert(hash);
                }
            } else if let Some(finding) = self.again(judge, window, hash, counts) {
                found.push((window.end, finding));
            }
        }
        found
    }

    /// Judges a closed window of one key again: a finding appears if the condition is newly true.
    fn again(
        &mut self,
        judge: &Judge<'_>,
        window: Stretch,
        hash: u128,
        counts: &mut RuleCounts,
    ) -> Option<Finding> {
        let already =
            self.keys.get(&hash).and_then(|key| key.past.get(&window.end)).is_some_and(|past| past.found);
        let mut other = RuleCounts::default();
        let found = self.judge(judge, window, &[hash], &mut other);
        // A window that was found before is counted once.
        if already {
            other.findings = 0;
        }
        counts.add(&other);
        let past = self.keys.get_mut(&hash)?.past.get_mut(&window.end)?;
        past.found |= already;
        found.into_iter().next().map(|(_, finding)| finding).filter(|_| !already)
    }

    /// Closes every window that ends at or before `watermark`, in the order of their ends. Without `quiet` the rule is
    /// evaluated on them; with it they are only remembered (recovery).
    pub fn close(
        &mut self,
        judge: &Judge<'_>,
        watermark: i64,
        quiet: bool,
        counts: &mut RuleCounts,
    ) -> Vec<Found> {
        let mut found = Vec::new();
        while let Some(end) = self.next_end().filter(|end| *end <= watermark) {
            let keys = self.open.remove(&end).unwrap_or_default();
            let window = judge.window_until(end);
            let mut keys: Vec<_> = keys.into_iter().map(|hash| (self.order(hash), hash)).collect();
            // By their values, so that the order of findings does not depend on hashes.
            keys.sort();
            let keys: Vec<_> = keys.into_iter().map(|(_, hash)| hash).collect();
            self.closed = end;
            if quiet {
                keys.iter().for_each(|hash| self.remember(judge, window, *hash));
            } else {
                found.extend(self.judge(judge, window, &keys, counts));
            }
        }
        self.closed = self.closed.max(watermark);
        if self.panes > self.limit {
            self.expire(judge);
        }
        found
    }

    fn order(&self, hash: u128) -> Vec<String> {
        self.keys.get(&hash).map(|key| key.by.iter().map(ToString::to_string).collect()).unwrap_or_default()
    }

    fn judge(
        &mut self,
        j: &Judge<'_>,
        window: Stretch,
        keys: &[u128],
        counts: &mut RuleCounts,
    ) -> Vec<Found> {
        let mut failed = vec![false; keys.len()];
        let table = match self.table(j, window, keys, &mut failed, counts) {
            Ok(table) => table,
            Err(e) => {
                counts.fail(&e.to_string());
                return Vec::new();
            }
        };
        let sound = BooleanBuffer::collect_bool(keys.len(), |row| !failed[row]);
        let rows = judge(j.rule, &table, &sound, &|_| window.end, counts);
        for row in &rows {
            if let Some(past) = self.keys.get_mut(&keys[*row]).and_then(|key| key.past.get_mut(&window.end)) {
                past.found = true;
            }
        }
        let finding = |row: usize| {
            let place = Place { table: &table, row, more: &[], more_row: 0 };
            (window.end, Finding::new(j.rule, &place, Subject::Window(window), j.calendar))
        };
        rows.into_iter().map(finding).collect()
    }

    /// The windows of some keys in the columns of the rule's table. Their values become history.
    fn table(
        &mut self,
        j: &Judge<'_>,
        window: Stretch,
        keys: &[u128],
        failed: &mut [bool],
        counts: &mut RuleCounts,
    ) -> Result<Table> {
        let mut columns = Vec::with_capacity(j.rule.columns.fields().len());
        for at in 0..j.view.by.len() {
            let cells = keys.iter().filter_map(|hash| self.keys.get(hash)).map(|key| key.by[at].clone());
            columns.push(ScalarValue::iter_to_array(cells)?);
        }
        let measures = self.measure(j, window, keys, failed, counts)?;
        let values = j.view.anomaly.as_ref().map(|(_, at)| numbers(&measures[*at])).transpose()?;
        columns.extend(measures);
        let mut scores: Vec<(Option<Score>, usize)> = Vec::new();
        for (row, hash) in keys.iter().enumerate() {
            let value = values.as_ref().and_then(|values| values[row]);
            let Some(key) = self.keys.get_mut(hash) else { continue };
            if let Some((anomaly, _)) = &j.view.anomaly {
                let history = key.history(j, window, anomaly.history);
                scores.push((value.and_then(|x| score(anomaly, x, &history)), history.len()));
            }
            let past =
                key.past.entry(window.end).or_insert(Past { start: window.start, value, found: false });
            *past = Past { start: window.start, value, ..*past };
        }
        if j.view.anomaly.is_some() {
            let floats = |f: fn(&Score) -> f64| {
                scores.iter().map(|(s, _)| s.as_ref().map(f)).collect::<Float64Array>()
            };
            columns.push(Arc::new(floats(|s| s.score)));
            columns.push(Arc::new(floats(|s| s.baseline)));
            let counts = scores.iter().map(|(_, n)| i64::try_from(*n).unwrap_or(i64::MAX));
            columns.push(Arc::new(Int64Array::from_iter_values(counts)));
        }
        for at in [window.start, window.end] {
            let times = TimestampMicrosecondArray::from(vec![at; keys.len()]);
            columns.push(Arc::new(times.with_timezone(j.calendar.zone_name.as_str())));
        }
        Ok(Table { columns, rows: keys.len() })
    }

    fn measure(
        &self,
        j: &Judge<'_>,
        window: Stretch,
        keys: &[u128],
        failed: &mut [bool],
        counts: &mut RuleCounts,
    ) -> Result<Vec<ArrayRef>> {
        let aggregates = &j.view.measures.aggregates;
        let panes: Vec<Vec<&Pane>> = keys
            .iter()
            .map(|hash| self.keys.get(hash).map(|key| key.panes.range(window.start..window.end)))
            .map(|panes| panes.into_iter().flatten().map(|(_, pane)| pane).collect())
            .collect();
        let mut results = Vec::with_capacity(aggregates.len());
        for number in 0..aggregates.len() {
            let (column, wrong) = Pane::results(aggregates, &j.view.layout, number, &panes)?;
            for (row, error) in wrong {
                if !std::mem::replace(&mut failed[row], true) {
                    counts.fail(&error);
                }
            }
            results.push(column);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(keys.len()));
        let results =
            RecordBatch::try_new_with_options(Arc::clone(&j.view.measures.results), results, &options)?;
        measures::compute(&j.view.measures, &results, failed, counts)
    }

    /// A window that was closed before the process started: only its value is needed.
    fn remember(&mut self, j: &Judge<'_>, window: Stretch, hash: u128) {
        let mut counts = RuleCounts::default();
        let measured = self.measure(j, window, &[hash], &mut [false], &mut counts);
        let value = match (measured, &j.view.anomaly) {
            (Ok(measures), Some((_, at))) => numbers(&measures[*at]).ok().and_then(|values| values[0]),
            _ => None,
        };
        if let Some(key) = self.keys.get_mut(&hash) {
            key.past.insert(window.end, Past { start: window.start, value, found: false });
        }
    }

    /// Lets go of panes and history that no window needs any more.
    fn expire(&mut self, j: &Judge<'_>) {
        self.floor =
            self.floor.max(self.closed.saturating_sub(j.late).saturating_sub(j.view.size.max_micros()));
        let floor = self.floor;
        self.keys.retain(|_, key| {
            key.panes = key.panes.split_off(&floor);
            key.forget(j, floor);
            !key.panes.is_empty() || !key.past.is_empty()
        });
        self.panes = self.keys.values().map(|key| key.panes.len()).sum();
        self.limit = (self.panes + self.panes / 2).max(PANES_MIN);
    }
}

impl Key {
    /// The values of the windows before one, the oldest first.
    fn history(&self, j: &Judge<'_>, window: Stretch, most: usize) -> Vec<f64> {
        let before = self.past.range(..window.end).rev();
        let comparable = before.filter(|(_, past)| j.same_season(past.start, window.start));
        let mut values: Vec<f64> = comparable.filter_map(|(_, past)| past.value).take(most).collect();
        values.reverse();
        values
    }

    /// Forgets windows that no other is compared with any more.
    fn forget(&mut self, j: &Judge<'_>, floor: i64) {
        let needed = match &j.view.anomaly {
            None => 0,
            Some((anomaly, _)) if anomaly.method == Method::Seasonal => match anomaly.season {
                Season::Weekday => anomaly.history * 7,
                Season::Month => anomaly.history * 12,
                Season::DayOfMonth => anomaly.history * 31,
            },
            Some((anomaly, _)) => anomaly.history,
        };
        let old = self.past.range(..floor).count();
        if let Some((cut, _)) = self.past.range(..floor).nth(old.saturating_sub(needed)) {
            self.past = self.past.split_off(&cut.clone());
        } else if needed == 0 {
            self.past = self.past.split_off(&floor);
        }
    }
}

impl Judge<'_> {
    fn panes_per_window(&self) -> usize {
        use crate::event::period::Length::{Days, Exact};
        match (self.view.size, self.view.slide) {
            (Exact(size), Exact(slide)) => usize::try_from(size / slide).unwrap_or(1),
            (Days(size), Days(slide)) => usize::from(size / slide),
            _ => 1,
        }
    }

    /// The windows that a pane is a part of, the earliest first.
    fn windows_with(&self, pane: Stretch) -> Vec<Stretch> {
        let panes = self.panes_per_window();
        if panes == 1 {
            return vec![pane];
        }
        let mut end = pane.end;
        let mut windows = Vec::with_capacity(panes);
        for _ in 0..panes {
            windows.push(self.window_until(end));
            end = self.calendar.stretch(end, self.view.slide).end;
        }
        windows
    }

    /// The window that ends at the end of a pane.
    fn window_until(&self, end: i64) -> Stretch {
        let mut start = end;
        for _ in 0..self.panes_per_window() {
            start = self.calendar.stretch(start - 1, self.view.slide).start;
        }
        Stretch { start, end }
    }

    fn same_season(&self, a: i64, b: i64) -> bool {
        let Some((anomaly, _)) = self.view.anomaly.as_ref().filter(|(a, _)| a.method == Method::Seasonal)
        else {
            return true;
        };
        let (a, b) = (self.calendar.local(a).date(), self.calendar.local(b).date());
        match anomaly.season {
            Season::Weekday => a.weekday() == b.weekday(),
            Season::Month => a.month() == b.month(),
            Season::DayOfMonth => a.day() == b.day(),
        }
    }
}

/// Values as floats, for statistics.
fn numbers(column: &ArrayRef) -> Result<Vec<Option<f64>>> {
    let floats = arrow::compute::cast(column, &arrow::datatypes::DataType::Float64)?;
    let floats = arrow::array::AsArray::as_primitive::<arrow::datatypes::Float64Type>(&floats);
    Ok(floats.iter().collect())
}
