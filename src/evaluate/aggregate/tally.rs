//! What is kept of the events of a window for one aggregate.

use std::collections::VecDeque;

use arrow::datatypes::i256;
use hashbrown::HashMap;

use super::{Aggregate, Kind, Layout};

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
            Self::Moments { n, total, squares } => (*n, *total, *squares) = (0, i256::ZERO, i256::ZERO),
            Self::Distinct(values) => values.clear(),
            Self::Rows => {}
        }
    }

    /// Takes in the event at place `at`, after all that are in.
    #[inline]
    pub fn add(&mut self, layout: &Layout, lane: Option<usize>, row: &[u64], at: u32) {
        let Some(lane) = lane else {
            if let Self::Count(n) = self {
                *n += 1;
            }
            return;
        };
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
                let value = layout.number(row, lane);
                while candidates
                    .back()
                    .is_some_and(|(_, last)| if *max { *last <= value } else { *last >= value })
                {
                    candidates.pop_back();
                }
                candidates.push_back((at, value));
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
    pub fn remove(&mut self, layout: &Layout, lane: Option<usize>, row: &[u64], at: u32) {
        let Some(lane) = lane else {
            if let Self::Count(n) = self {
                *n -= 1;
            }
            return;
        };
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
            Self::Extreme { candidates, .. } => {
                if candidates.front().is_some_and(|(place, _)| *place == at) {
                    candidates.pop_front();
                }
            }
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
    pub fn insert(&mut self, layout: &Layout, lane: Option<usize>, row: &[u64], at: u32) {
        let Self::Extreme { max, candidates } = self else { return self.add(layout, lane, row, at) };
        let value = lane.filter(|lane| Layout::has(row, *lane)).map(|lane| layout.number(row, lane));
        let exceeds = |a: i128, b: i128| if *max { a >= b } else { a <= b };
        // The places behind it have moved by one.
        let (before, after): (Vec<_>, Vec<_>) = candidates.drain(..).partition(|(place, _)| *place < at);
        let dominated = value.is_some_and(|value| after.iter().any(|(_, later)| exceeds(*later, value)));
        candidates.extend(
            before.into_iter().filter(|(_, old)| dominated || value.is_none_or(|v| !exceeds(v, *old))),
        );
        candidates.extend(value.filter(|_| !dominated).map(|value| (at, value)));
        candidates.extend(after.into_iter().map(|(place, value)| (place + 1, value)));
    }

    /// All places have moved towards the beginning.
    pub fn shift(&mut self, by: u32) {
        if let Self::Extreme { candidates, .. } = self {
            candidates.iter_mut().for_each(|(place, _)| *place -= by);
        }
    }

    /// All places have moved by one towards the end, by an event that is not in.
    pub fn make_room(&mut self) {
        if let Self::Extreme { candidates, .. } = self {
            candidates.iter_mut().for_each(|(place, _)| *place += 1);
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
                let better = |a: i128, b: i128| if *max { a > b } else { a < b };
                if let Some(other) = others.front()
                    && candidates.front().is_none_or(|(_, value)| better(other.1, *value))
                {
                    candidates.clear();
                    candidates.push_back(*other);
                }
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
