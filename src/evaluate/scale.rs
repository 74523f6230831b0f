//! What something with very many parts weighs. To weigh each part takes its time, so that is done again only when the
//! number of parts has changed by a quarter; in between the weight goes with the number.

/// The last weighing.
#[derive(Debug, Default)]
pub(crate) struct Scale {
    parts: usize,
    bytes: u64,
}

/// Changes that are too few to weigh again for.
const FEW: usize = 256;
/// What an allocator adds to what it is asked for, on average: a part in so many.
const SLACK: u64 = 8;

impl Scale {
    /// The bytes of so many parts, of which `weigh` gives those that were asked of the allocator.
    pub(crate) fn weigh(&mut self, parts: usize, weigh: impl FnOnce() -> usize) -> u64 {
        if parts.abs_diff(self.parts) > self.parts / 4 + FEW {
            let bytes = weigh() as u64;
            (self.parts, self.bytes) = (parts, bytes + bytes / SLACK);
        }
        match self.parts {
            0 => 0,
            known => {
                u64::try_from(u128::from(self.bytes) * parts as u128 / known as u128).unwrap_or(u64::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_changes_are_not_weighed() {
        let mut scale = Scale::default();
        assert_eq!(scale.weigh(100, || unreachable!("so few are nothing")), 0);
        assert_eq!(scale.weigh(1600, || 16_000), 18_000);
        assert_eq!(scale.weigh(1700, || unreachable!("that is less than a quarter and some")), 19_125);
        assert_eq!(scale.weigh(3200, || 64_000), 72_000);
    }
}
