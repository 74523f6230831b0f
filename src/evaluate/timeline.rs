//! Things in the order of their times. Nearly all come at the end, and most timelines are short, so it is a vector.

#[derive(Debug, Clone)]
pub(crate) struct Timeline<T>(Vec<(i64, T)>);

impl<T> Default for Timeline<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Timeline<T> {
    /// How many there are.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Bytes beside the timeline itself, without what things have beside themselves.
    #[must_use]
    pub(crate) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<(i64, T)>()
    }

    /// The things, by time.
    pub(crate) fn things(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, thing)| thing)
    }

    /// Whether there is none.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first place whose time is not before `at`.
    fn place(&self, at: i64) -> usize {
        match self.0.last() {
            Some((last, _)) if *last < at => self.0.len(),
            Some((last, _)) if *last == at => self.0.len() - 1,
            _ => self.0.partition_point(|(time, _)| *time < at),
        }
    }

    /// What is at a time.
    #[must_use]
    pub(crate) fn get(&self, at: i64) -> Option<&T> {
        self.0.get(self.place(at)).filter(|(time, _)| *time == at).map(|(_, thing)| thing)
    }

    /// What is at a time.
    pub(crate) fn get_mut(&mut self, at: i64) -> Option<&mut T> {
        let place = self.place(at);
        self.0.get_mut(place).filter(|(time, _)| *time == at).map(|(_, thing)| thing)
    }

    /// What is at a time, made if nothing is.
    pub(crate) fn get_or_insert_with(&mut self, at: i64, make: impl FnOnce() -> T) -> &mut T {
        let place = self.place(at);
        if self.0.get(place).is_none_or(|(time, _)| *time != at) {
            if self.0.len() == self.0.capacity() {
                // Doubling would leave much unused: there are many timelines.
                self.0.reserve_exact(1 + self.0.len() / 2);
            }
            self.0.insert(place, (at, make()));
        }
        &mut self.0[place].1
    }

    /// What is from one time on and before another one.
    #[must_use]
    pub(crate) fn between(&self, from: i64, until: i64) -> &[(i64, T)] {
        let (from, until) = (self.place(from), self.place(until));
        &self.0[from.min(until)..until]
    }

    /// What is before a time.
    #[must_use]
    pub(crate) fn before(&self, until: i64) -> &[(i64, T)] {
        &self.0[..self.place(until)]
    }

    /// Takes out what is at a time.
    pub(crate) fn remove(&mut self, at: i64) -> Option<T> {
        let place = self.place(at);
        self.0.get(place).is_some_and(|(time, _)| *time == at).then(|| self.0.remove(place).1)
    }

    /// Lets go of what is not wanted.
    pub(crate) fn retain(&mut self, mut wanted: impl FnMut(&T) -> bool) {
        self.0.retain(|(_, thing)| wanted(thing));
    }

    pub(crate) fn first(&self) -> Option<i64> {
        self.0.first().map(|(at, _)| *at)
    }

    /// Lets go of what is before a time, except the latest `keep` of it.
    pub(crate) fn forget(&mut self, before: i64, keep: usize) {
        let gone = self.place(before).saturating_sub(keep);
        if gone > 0 {
            self.0.drain(..gone);
            self.0.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn it_is_a_map_in_order() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let (mut timeline, mut model): (Timeline<i64>, BTreeMap<i64, i64>) = Default::default();
        for round in 0..2000 {
            let at = round / 4 + rng.random_range(-20..3);
            *timeline.get_or_insert_with(at, || round) += 1;
            *model.entry(at).or_insert(round) += 1;
            let (from, until) = (at - rng.random_range(0..30), at + rng.random_range(0..5));
            let expected: Vec<_> = model.range(from..until).map(|(at, n)| (*at, *n)).collect();
            assert_eq!(timeline.between(from, until), expected);
            assert_eq!(timeline.before(until).len(), model.range(..until).count());
            assert_eq!(timeline.get(from).copied(), model.get(&from).copied());
            assert_eq!(timeline.get_mut(until).copied(), model.get(&until).copied());
            if round % 10 == 9 {
                assert_eq!(timeline.remove(from), model.remove(&from));
                timeline.retain(|thing| thing % 31 != 0);
                model.retain(|_, thing| *thing % 31 != 0);
            }
            assert_eq!(timeline.first(), model.keys().next().copied());
            if round % 100 == 99 {
                timeline.forget(at, 7);
                let cut = model.range(..at).rev().nth(6).map(|(at, _)| *at);
                model.retain(|at, _| cut.is_none_or(|cut| *at >= cut));
            }
            assert_eq!(timeline.len(), model.len());
        }
    }
}
