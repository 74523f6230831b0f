//! What is kept of the events of a window for one aggregate.

use std::collections::VecDeque;

use arrow::datatypes::i256;
use datafusion::common::ScalarValue;
use hashbrown::HashMap;

use super::{Aggregate, Kind, Layout, Others};

/// A running aggregate in exact integers. Events come in at the end, or late somewhere before it, and leave at the
/// beginning.
#[derive(Debug, Clone)]
pub enum Tally {
    /// Rows or values.
    Count(i64),
    /// For `sum` and `avg`.
    Sum {
        /// Values.
        n: i64,
        /// Their sum.
        total: i128,
    },
    /// The same where single values may have 128 bits.
    WideSum {
        /// Values.
        n: i64,
        /// Their sum.
        total: i256,
    },
    /// For `min` and `max`.
    Extreme {
        /// `max`
        max: bool,
        /// The values that no later one exceeds, with their places, the extreme one first.
        candidates: VecDeque<(u32, i128)>,
    },
    /// For `min` and `max` of text.
    Text {
        /// `max`
        max: bool,
        /// As in `Extreme`.
        candidates: VecDeque<(u32, ScalarValue)>,
    },
    /// For variances.
    Moments {
        /// Values.
        n: i64,
        /// Their sum.
        total: i256,
        /// The sum of their squares.
        squares: i256,
    },
    /// How often each value is there, by its hash.
    Distinct(HashMap<u128, u32>),
    /// Read anew from the rows whenever it is asked for.
    Rows,
}

impl Tally {
    /// The tally of no events.
    #[must_use]
    pub fn new(aggregate: &Aggregate, layout: &Layout) -> Self {
        let wide = aggregate.lane.is_some_and(|lane| layout.is_double(lane));
        match aggregate.kind {
            Kind::Count => Self::Count(0),
            Kind::Sum | Kind::Average { .. } if wide => Self::WideSum { n: 0, total: i256::ZERO },
            Kind::Sum | Kind::Average { .. } => Self::Sum { n: 0, total: 0 },
            Kind::Min | Kind::Max if aggregate.lane.is_some_and(|lane| layout.is_other(lane)) => {
                Self::Text { max: matches!(aggregate.kind, Kind::Max), candidates: VecDeque::new() }
            }
            Kind::Min => Self::Extreme { max: false, candidates: VecDeque::new() },
            Kind::Max => Self::Extreme { max: true, candidates: VecDeque::new() },
            Kind::Moment { .. } => Self::Moments { n: 0, total: i256::ZERO, squares: i256::ZERO },
            Kind::Distinct => Self::Distinct(HashMap::new()),
            Kind::Other(_) => Self::Rows,
        }
    }

    /// Forgets all events.
    pub fn clear(&mut self) {
        match self {
            Self::Count(n) => *n = 0,
            Self::Sum { n, total } => (*n, *total) = (0, 0),
            Self::WideSum { n, total } => (*n, *total) = (0, i256::ZERO),
            Self::Extreme { candidates, .. } => candidates.clear(),
            Self::Text { candidates, .. } => candidates.clear(),
            Self::Moments { n, total, squares } => (*n, *total, *squares) = (0, i256::ZERO, i256::ZERO),
            Self::Distinct(values) => values.clear(),
            Self::Rows => {}
        }
    }

    /// Takes in the event at place `at`, after all that are in.
    #[inline]
    pub fn add(&mut self, layout: &Layout, lane: Option<usize>, row: Row<'_>, at: u32) {
        let Some(lane) = lane else {
            if let Self::Count(n) = self {
                *n += 1;
            }
            return;
        };
        let Row { words: row, others } = row;
        if !Layout::has(row, lane) {
            return;
        }
        match self {
            Self::Count(n) => *n += 1,
            Self::Sum { n, total } => {
                *n += 1;
                *total += layout.number(row, lane);
            }
            Self::WideSum { n, total } => {
                *n += 1;
                *total = total.wrapping_add(i256::from_i128(layout.number(row, lane)));
            }
            Self::Extreme { max, candidates } => {
                let max = *max;
                push(candidates, layout.number(row, lane), at, |a, b| if max { a >= b } else { a <= b });
            }
            Self::Text { max, candidates } => {
                let max = *max;
                if let Some(value) = text(layout, lane, others) {
                    push(candidates, value.clone(), at, |a, b| if max { a >= b } else { a <= b });
                }
            }
            Self::Moments { n, total, squares } => {
                let value = i256::from_i128(layout.number(row, lane));
                *n += 1;
                *total = total.wrapping_add(value);
                *squares = squares.wrapping_add(value.wrapping_mul(value));
            }
            Self::Distinct(values) => *values.entry(layout.bits(row, lane)).or_default() += 1,
            Self::Rows => {}
        }
    }

    /// Takes out the event at place `at`, the first of those that are in.
    #[inline]
    pub fn remove(&mut self, layout: &Layout, lane: Option<usize>, row: Row<'_>, at: u32) {
        let Some(lane) = lane else {
            if let Self::Count(n) = self {
                *n -= 1;
            }
            return;
        };
        let row = row.words;
        if !Layout::has(row, lane) {
            return;
        }
        match self {
            Self::Count(n) => *n -= 1,
            Self::Sum { n, total } => {
                *n -= 1;
                *total -= layout.number(row, lane);
            }
            Self::WideSum { n, total } => {
                *n -= 1;
                *total = total.wrapping_sub(i256::from_i128(layout.number(row, lane)));
            }
            Self::Extreme { candidates, .. } => pop(candidates, at),
            Self::Text { candidates, .. } => pop(candidates, at),
            Self::Moments { n, total, squares } => {
                let value = i256::from_i128(layout.number(row, lane));
                *n -= 1;
                *total = total.wrapping_sub(value);
                *squares = squares.wrapping_sub(value.wrapping_mul(value));
            }
            Self::Distinct(values) => {
                let hash = layout.bits(row, lane);
                if let Some(count) = values.get_mut(&hash) {
                    *count -= 1;
                    if *count == 0 {
                        values.remove(&hash);
                    }
                }
            }
            Self::Rows => {}
        }
    }

    /// Takes in an event that came late to place `at`, in front of others.
    pub fn insert(&mut self, layout: &Layout, lane: Option<usize>, row: Row<'_>, at: u32) {
        let present = lane.filter(|lane| Layout::has(row.words, *lane));
        match self {
            Self::Extreme { max, candidates } => {
                let max = *max;
                let value = present.map(|lane| layout.number(row.words, lane));
                squeeze(candidates, value, at, |a, b| if max { a >= b } else { a <= b });
            }
            Self::Text { max, candidates } => {
                let max = *max;
                let value = present.and_then(|lane| text(layout, lane, row.others).cloned());
                squeeze(candidates, value, at, |a, b| if max { a >= b } else { a <= b });
            }
            _ => self.add(layout, lane, row, at),
        }
    }

    /// All places have moved towards the beginning.
    pub fn shift(&mut self, by: u32) {
        match self {
            Self::Extreme { candidates, .. } => candidates.iter_mut().for_each(|(place, _)| *place -= by),
            Self::Text { candidates, .. } => candidates.iter_mut().for_each(|(place, _)| *place -= by),
            _ => {}
        }
    }

    /// All places have moved by one towards the end, by an event that is not in.
    pub fn make_room(&mut self) {
        match self {
            Self::Extreme { candidates, .. } => candidates.iter_mut().for_each(|(place, _)| *place += 1),
            Self::Text { candidates, .. } => candidates.iter_mut().for_each(|(place, _)| *place += 1),
            _ => {}
        }
    }

    /// Takes in what another tally holds, of a stretch after this one.
    pub fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Count(n), Self::Count(more)) => *n += more,
            (Self::Sum { n, total }, Self::Sum { n: more, total: sum }) => {
                *n += more;
                *total += sum;
            }
            (Self::WideSum { n, total }, Self::WideSum { n: more, total: sum }) => {
                *n += more;
                *total = total.wrapping_add(*sum);
            }
            (Self::Extreme { max, candidates }, Self::Extreme { candidates: others, .. }) => {
                better(*max, candidates, others);
            }
            (Self::Text { max, candidates }, Self::Text { candidates: others, .. }) => {
                better(*max, candidates, others);
            }
            (Self::Moments { n, total, squares }, Self::Moments { n: more, total: sum, squares: others }) => {
                *n += more;
                *total = total.wrapping_add(*sum);
                *squares = squares.wrapping_add(*others);
            }
            (Self::Distinct(values), Self::Distinct(others)) => {
                others.iter().for_each(|(value, count)| *values.entry(*value).or_default() += count);
            }
            _ => {}
        }
    }
}

/// An event of a window: its row, and the values beside it.
#[derive(Debug, Clone, Copy)]
pub struct Row<'r> {
    /// The row.
    pub words: &'r [u64],
    /// What stands beside it.
    pub others: Option<&'r Others>,
}

fn text<'r>(layout: &Layout, lane: usize, others: Option<&'r Others>) -> Option<&'r ScalarValue> {
    others?[layout.beside(lane)].as_deref()?.first()
}

type Candidates<T> = VecDeque<(u32, T)>;

/// Takes in the latest value: those before it that it exceeds can never be the extreme one any more.
fn push<T>(candidates: &mut Candidates<T>, value: T, at: u32, exceeds: impl Fn(&T, &T) -> bool) {
    while candidates.back().is_some_and(|(_, last)| exceeds(&value, last)) {
        candidates.pop_back();
    }
    candidates.push_back((at, value));
}

fn pop<T>(candidates: &mut Candidates<T>, at: u32) {
    if candidates.front().is_some_and(|(place, _)| *place == at) {
        candidates.pop_front();
    }
}

/// Takes in a value, or an event without one, at place `at` in front of others, whose places move by one.
fn squeeze<T>(candidates: &mut Candidates<T>, value: Option<T>, at: u32, exceeds: impl Fn(&T, &T) -> bool) {
    let (mut before, after): (Vec<_>, Vec<_>) = candidates.drain(..).partition(|(place, _)| *place < at);
    let value = value.filter(|value| !after.iter().any(|(_, later)| exceeds(later, value)));
    if let Some(value) = &value {
        before.retain(|(_, old)| !exceeds(value, old));
    }
    candidates.extend(before);
    candidates.extend(value.map(|value| (at, value)));
    candidates.extend(after.into_iter().map(|(place, value)| (place + 1, value)));
}

/// Keeps the better one of two extremes.
fn better<T: Clone + PartialOrd>(max: bool, candidates: &mut Candidates<T>, others: &Candidates<T>) {
    let exceeds = |a: &T, b: &T| if max { a > b } else { a < b };
    if let Some(other) = others.front()
        && candidates.front().is_none_or(|(_, value)| exceeds(&other.1, value))
    {
        candidates.clear();
        candidates.push_back(other.clone());
    }
}
