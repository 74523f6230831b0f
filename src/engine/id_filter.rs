//! Ids that are no longer remembered one by one: about three bytes an event, and an answer that is either "certainly
//! not" or "perhaps", which a look into the sealed files decides.

use datafusion::parquet::bloom_filter::Sbbf;

/// One in ten thousand new ids is looked up in vain, which costs milliseconds.
const FALSE_POSITIVES: f64 = 1e-4;
/// Ids of the first filter. Each further one is twice as large, so that there are few to ask.
const IDS_MIN: u64 = 1 << 20;
/// Ids of the largest one; a filter has 128 MiB at most.
const IDS_MAX: u64 = 1 << 25;

/// A set of id hashes that can only grow.
#[derive(Debug, Default)]
pub(crate) struct IdFilter {
    filters: Vec<Sbbf>,
    /// How many ids the last filter is for.
    size: u64,
    /// How many more it can take.
    room: u64,
}

impl IdFilter {
    /// Puts an id in.
    pub(crate) fn insert(&mut self, id: u64) {
        if self.room == 0 {
            self.size = (self.size * 2).clamp(IDS_MIN, IDS_MAX);
            self.room = self.size;
            // It fails for a rate outside of 0 to 1 only; an empty filter would say "perhaps" to nothing it holds.
            self.filters
                .push(Sbbf::new_with_ndv_fpp(self.size, FALSE_POSITIVES).expect("a rate between 0 and 1"));
        }
        self.room -= 1;
        if let Some(filter) = self.filters.last_mut() {
            filter.insert(&id.cast_signed());
        }
    }

    /// Whether an id may have been put in.
    #[must_use]
    pub(crate) fn may_have(&self, id: u64) -> bool {
        self.filters.iter().any(|filter| filter.check(&id.cast_signed()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_there_and_little_else() {
        let id = |n: u64| crate::event::id_hash(&n.to_string());
        let mut forgotten = IdFilter::default();
        assert!(!forgotten.may_have(id(0)));
        (0..100_000).for_each(|n| forgotten.insert(id(n)));
        assert!((0..100_000).all(|n| forgotten.may_have(id(n))));
        assert!((100_000..200_000).filter(|n| forgotten.may_have(id(*n))).count() < 50);
    }
}
