//! What is kept of the events of a window for one aggregate.

use arrow::datatypes::i256;
use hashbrown::HashMap;

use super::{
    extreme::{Candidates, pop, push, squeeze},
    row::{TextsOf, WindowRow},
    sorted::Sorted,
};
use crate::rule::plan::{Aggregate, AggregateKind, LaneKind, Layout, float, ordered};

/// A running aggregate in exact integers. Events come in at the end, or late somewhere before it, and leave at the
/// beginning.
#[derive(Debug, Clone)]
pub(crate) enum Tally {
    /// Rows or values.
    Count(i64),
    /// For `sum`.
    Sum { n: i64, total: i128 },
    /// The same where single values may have 128 bits.
    WideSum { n: i64, total: i256 },
    /// For `min` and `max`.
    Extreme {
        /// `max`
        max: bool,
        /// The values that no later one exceeds, with their places, the extreme one first.
        candidates: Candidates<i128>,
    },
    /// For `min` and `max` where events only come in.
    Most {
        /// `max`
        max: bool,
        value: Option<i128>,
    },
    /// For `min` and `max` of text that is held.
    Text {
        /// `max`
        max: bool,
        /// As in `Extreme`, with the numbers of the texts.
        candidates: Candidates<u32>,
    },
    /// For `min` and `max` of text where events only come in.
    Best {
        /// `max`
        max: bool,
        text: Option<Box<str>>,
    },
    /// For medians.
    Ordered {
        /// Whether only finite floats count, and zero has no sign.
        finite: bool,
        /// The values, in order.
        numbers: Sorted,
    },
    /// For variances.
    Moments(Box<Moments>),
    /// How often each value is there, by its hash.
    Distinct(HashMap<u128, u32>),
    /// Read again from the rows whenever it is asked for.
    Rows,
}

impl Tally {
    /// The tally of no events.
    #[must_use]
    pub(crate) fn new(aggregate: &Aggregate, layout: &Layout) -> Self {
        let wide = aggregate.lane.is_some_and(|lane| layout.kind(lane) == LaneKind::Double);
        match aggregate.kind {
            AggregateKind::Count => Self::Count(0),
            AggregateKind::Sum if wide => Self::WideSum { n: 0, total: i256::ZERO },
            AggregateKind::Sum => Self::Sum { n: 0, total: 0 },
            AggregateKind::Min | AggregateKind::Max if aggregate.data_type.is_string() => Self::Text {
                max: matches!(aggregate.kind, AggregateKind::Max),
                candidates: Candidates::new(),
            },
            AggregateKind::Min => Self::Extreme { max: false, candidates: Candidates::new() },
            AggregateKind::Max => Self::Extreme { max: true, candidates: Candidates::new() },
            AggregateKind::Median => Self::Ordered { finite: false, numbers: Sorted::default() },
            AggregateKind::Deviation => Self::Ordered { finite: true, numbers: Sorted::default() },
            AggregateKind::Moment { .. } => Self::Moments(Box::default()),
            AggregateKind::Distinct => Self::Distinct(HashMap::new()),
            AggregateKind::Listed(_) | AggregateKind::Other(_) => Self::Rows,
        }
    }

    /// The tally of no events where events only come in, and nothing else holds their texts.
    #[must_use]
    pub(crate) fn growing(aggregate: &Aggregate, layout: &Layout) -> Self {
        match Self::new(aggregate, layout) {
            Self::Text { max, .. } => Self::Best { max, text: None },
            Self::Extreme { max, .. } => Self::Most { max, value: None },
            tally => tally,
        }
    }

    /// Bytes beside the tally itself.
    #[must_use]
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Count(_) | Self::Sum { .. } | Self::WideSum { .. } | Self::Most { .. } | Self::Rows => 0,
            Self::Extreme { candidates, .. } => candidates.capacity() * size_of::<(u32, i128)>(),
            Self::Text { candidates, .. } => candidates.capacity() * size_of::<(u32, u32)>(),
            Self::Best { text, .. } => text.as_deref().map_or(0, str::len),
            Self::Ordered { numbers, .. } => numbers.bytes(),
            Self::Moments(_) => size_of::<Moments>(),
            Self::Distinct(values) => values.allocation_size(),
        }
    }

    pub(crate) fn clear(&mut self) {
        match self {
            Self::Count(n) => *n = 0,
            Self::Sum { n, total } => (*n, *total) = (0, 0),
            Self::WideSum { n, total } => (*n, *total) = (0, i256::ZERO),
            Self::Extreme { candidates, .. } => candidates.clear(),
            Self::Text { candidates, .. } => candidates.clear(),
            Self::Best { text, .. } => *text = None,
            Self::Most { value, .. } => *value = None,
            Self::Ordered { numbers, .. } => numbers.clear(),
            Self::Moments(moments) => **moments = Moments::default(),
            Self::Distinct(values) => values.clear(),
            Self::Rows => {}
        }
    }

    /// Takes in the event at place `at`, after all that are in.
    #[inline]
    pub(crate) fn add(&mut self, layout: &Layout, lane: Option<usize>, row: WindowRow<'_>, at: u32) {
        let Some(lane) = lane else {
            if let Self::Count(n) = self {
                *n += 1;
            }
            return;
        };
        let WindowRow { words: row, texts, .. } = row;
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
            Self::Most { max, value } => keep_most(*max, value, layout.number(row, lane)),
            Self::Text { max, candidates } => {
                let number = layout.word(row, lane) as u32;
                push(candidates, number, at, texts.exceeds(*max));
            }
            Self::Best { max, text } => {
                if let TextsOf::Batch(texts, place) = texts {
                    keep_better(*max, text, texts[layout.beside(lane)].value(place));
                }
            }
            Self::Ordered { finite, numbers } => {
                if let Some(number) = counted(*finite, layout.number(row, lane)) {
                    numbers.insert(number);
                }
            }
            Self::Moments(moments) => moments.add(layout.number(row, lane)),
            Self::Distinct(values) => *values.entry(layout.bits(row, lane)).or_default() += 1,
            Self::Rows => {}
        }
    }

    /// Takes out the event at place `at`, the first of those that are in.
    #[inline]
    pub(crate) fn remove(&mut self, layout: &Layout, lane: Option<usize>, row: WindowRow<'_>, at: u32) {
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
            Self::Ordered { finite, numbers } => {
                if let Some(number) = counted(*finite, layout.number(row, lane)) {
                    numbers.remove(number);
                }
            }
            Self::Moments(moments) => moments.remove(layout.number(row, lane)),
            Self::Distinct(values) => {
                let hash = layout.bits(row, lane);
                if let Some(count) = values.get_mut(&hash) {
                    *count -= 1;
                    if *count == 0 {
                        values.remove(&hash);
                    }
                }
            }
            Self::Best { .. } | Self::Most { .. } | Self::Rows => {}
        }
    }

    /// Takes in an event that came late to place `at`, in front of others.
    pub(crate) fn insert(&mut self, layout: &Layout, lane: Option<usize>, row: WindowRow<'_>, at: u32) {
        let present = lane.filter(|lane| Layout::has(row.words, *lane));
        match self {
            Self::Extreme { max, candidates } => {
                let max = *max;
                let value = present.map(|lane| layout.number(row.words, lane));
                squeeze(candidates, value, at, |a, b| if max { a >= b } else { a <= b });
            }
            Self::Text { max, candidates } => {
                let number = present.map(|lane| layout.word(row.words, lane) as u32);
                squeeze(candidates, number, at, row.texts.exceeds(*max));
            }
            _ => self.add(layout, lane, row, at),
        }
    }

    /// All places have moved towards the beginning.
    pub(crate) fn shift(&mut self, by: u32) {
        match self {
            Self::Extreme { candidates, .. } => candidates.iter_mut().for_each(|(place, _)| *place -= by),
            Self::Text { candidates, .. } => candidates.iter_mut().for_each(|(place, _)| *place -= by),
            _ => {}
        }
    }

    /// All places have moved by one towards the end, by an event that is not in.
    pub(crate) fn make_room(&mut self) {
        match self {
            Self::Extreme { candidates, .. } => candidates.iter_mut().for_each(|(place, _)| *place += 1),
            Self::Text { candidates, .. } => candidates.iter_mut().for_each(|(place, _)| *place += 1),
            _ => {}
        }
    }

    /// Takes in what another tally holds, of a stretch after this one.
    pub(crate) fn merge(&mut self, other: &Self) {
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
            (Self::Most { max, value }, Self::Most { value: Some(other), .. }) => {
                keep_most(*max, value, *other);
            }
            (Self::Best { max, text }, Self::Best { text: Some(other), .. }) => {
                keep_better(*max, text, other);
            }
            (Self::Ordered { numbers, .. }, Self::Ordered { numbers: others, .. }) => numbers.extend(others),
            (Self::Moments(moments), Self::Moments(others)) => moments.merge(others),
            (Self::Distinct(values), Self::Distinct(others)) => {
                others.iter().for_each(|(value, count)| *values.entry(*value).or_default() += count);
            }
            _ => {}
        }
    }
}

/// What variances are computed from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Moments {
    pub n: i64,
    pub total: i256,
    /// The sum of their squares.
    pub squares: i256,
}

impl Moments {
    fn add(&mut self, value: i128) {
        let value = i256::from_i128(value);
        self.n += 1;
        self.total = self.total.wrapping_add(value);
        self.squares = self.squares.wrapping_add(value.wrapping_mul(value));
    }

    fn remove(&mut self, value: i128) {
        let value = i256::from_i128(value);
        self.n -= 1;
        self.total = self.total.wrapping_sub(value);
        self.squares = self.squares.wrapping_sub(value.wrapping_mul(value));
    }

    fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.total = self.total.wrapping_add(other.total);
        self.squares = self.squares.wrapping_add(other.squares);
    }
}

/// Keeps the better one of two texts.
fn keep_better(max: bool, best: &mut Option<Box<str>>, text: &str) {
    if best.as_deref().is_none_or(|best| if max { text > best } else { text < best }) {
        *best = Some(text.into());
    }
}

/// Keeps the better one of two numbers.
#[inline]
fn keep_most(max: bool, most: &mut Option<i128>, number: i128) {
    if most.is_none_or(|most| if max { number > most } else { number < most }) {
        *most = Some(number);
    }
}

/// A value as a median counts it.
#[inline]
fn counted(finite: bool, number: i128) -> Option<i128> {
    if !finite {
        return Some(number);
    }
    // Numbers of a lane of floats have 64 bits. Adding zero takes the sign off zero.
    let value = float(number as i64) + 0.0;
    value.is_finite().then(|| i128::from(ordered(value)))
}
