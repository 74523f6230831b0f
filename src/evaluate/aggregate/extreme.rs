//! The extreme value of a window that moves: those that no later value exceeds, with their places.

use std::collections::VecDeque;

/// Values with their places, the extreme one first.
pub(crate) type Candidates<T> = VecDeque<(u32, T)>;

/// Takes in the latest value: those before it that it exceeds can never be the extreme one any more.
#[inline]
pub(crate) fn push<T>(candidates: &mut Candidates<T>, value: T, at: u32, exceeds: impl Fn(&T, &T) -> bool) {
    while candidates.back().is_some_and(|(_, last)| exceeds(&value, last)) {
        candidates.pop_back();
    }
    candidates.push_back((at, value));
}

/// Takes out the value at place `at`, the first of those that are in.
#[inline]
pub(crate) fn pop<T>(candidates: &mut Candidates<T>, at: u32) {
    if candidates.front().is_some_and(|(place, _)| *place == at) {
        candidates.pop_front();
    }
}

/// Takes in a value, or an event without one, at place `at` in front of others, whose places move by one.
pub(crate) fn squeeze<T>(
    candidates: &mut Candidates<T>,
    value: Option<T>,
    at: u32,
    exceeds: impl Fn(&T, &T) -> bool,
) {
    let (mut before, after): (Vec<_>, Vec<_>) = candidates.drain(..).partition(|(place, _)| *place < at);
    let value = value.filter(|value| !after.iter().any(|(_, later)| exceeds(later, value)));
    if let Some(value) = &value {
        before.retain(|(_, old)| !exceeds(value, old));
    }
    candidates.extend(before);
    candidates.extend(value.map(|value| (at, value)));
    candidates.extend(after.into_iter().map(|(place, value)| (place + 1, value)));
}
