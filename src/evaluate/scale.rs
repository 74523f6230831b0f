//! What something with very many parts weighs. To weigh each part takes its time, so that is done again only when the
//! number of parts has changed by a quarter, and then some at a time; in between the weight goes with the number.

use std::ops::Range;

/// The last weighing, and the one under way.
#[derive(Debug, Default)]
pub(crate) struct Scale {
    parts: usize,
    bytes: u64,
    pass: Option<Pass>,
    /// The parts when it was asked last.
    seen: usize,
}

/// A weighing under way.
#[derive(Debug, Default)]
struct Pass {
    /// Holders that are weighed.
    done: usize,
    bytes: usize,
}

/// Changes that are too few to weigh again for.
const FEW: usize = 256;
/// Holders that are weighed at a time, beside twice as many as parts have come: so a weighing ends whatever comes. Each may be
/// in no cache, and the stream waits.
const AT_A_TIME: usize = 512;
/// What an allocator adds to what it is asked for, on average: a part in so many.
const SLACK: u64 = 8;

impl Scale {
    /// The bytes of so many parts with so many holders, of which `weigh` gives those that some holders asked of the allocator,
    /// and `beside` those that they share.
    pub(crate) fn weigh(
        &mut self,
        (parts, holders): (usize, usize),
        beside: impl FnOnce() -> usize,
        weigh: impl FnOnce(Range<usize>) -> usize,
    ) -> u64 {
        if self.pass.is_none() && parts.abs_diff(self.parts) > self.parts / 4 + FEW {
            self.pass = Some(Pass::default());
        }
        if let Some(pass) = &mut self.pass {
            let end = holders.min(pass.done + AT_A_TIME + 2 * parts.abs_diff(self.seen));
            pass.bytes += weigh(pass.done.min(end)..end);
            pass.done = end;
            // Until all were weighed for the first time, the others weigh what these do.
            if end == holders || self.parts == 0 {
                let of_holders = pass.bytes as u128 * holders.max(1) as u128 / end.max(1) as u128;
                let bytes = u64::try_from(of_holders).unwrap_or(u64::MAX).saturating_add(beside() as u64);
                self.bytes = bytes.saturating_add(bytes / SLACK);
                if end == holders {
                    (self.parts, self.pass) = (parts, None);
                } else {
                    self.seen = parts;
                    return self.bytes;
                }
            }
        }
        self.seen = parts;
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
        let never = |_: Range<usize>| unreachable!("that is little");
        let nothing = || 0;
        assert_eq!(scale.weigh((100, 100), nothing, never), 0);
        assert_eq!(scale.weigh((1600, 1600), nothing, |of| of.len() * 10), 18_000);
        assert_eq!(scale.weigh((1700, 1700), nothing, never), 19_125);
        assert_eq!(scale.weigh((3200, 3200), || 800, |of| of.len() * 10), 36_900);
    }

    /// Holders of which the first weigh more than the others.
    fn bytes(of: Range<usize>) -> usize {
        of.map(|holder| if holder < 1000 { 100 } else { 10 }).sum()
    }

    #[test]
    fn many_are_weighed_some_at_a_time_and_the_weighing_ends_though_more_come() {
        let (mut scale, mut most) = (Scale::default(), 0);
        for holders in (100_000..110_000).step_by(100) {
            let weigh = |of: Range<usize>| {
                most = most.max(of.len());
                bytes(of)
            };
            scale.weigh((holders, holders), || 0, weigh);
            if holders == 100_000 {
                // All at once: as many have come.
                most = 0;
            }
        }
        assert!(most <= AT_A_TIME + 200, "{most} at a time");
        let scaled = scale.weigh((110_000, 110_000), || 0, bytes);
        let whole = bytes(0..110_000) as u64;
        assert!(scaled.abs_diff(whole + whole / SLACK) * 10 < whole, "{scaled} instead of {whole}");
        // Twice as many: it takes several times to weigh them.
        let mut times = 0;
        for holders in (150_000..200_000).step_by(100) {
            let before = times;
            scale.weigh(
                (holders, holders),
                || 0,
                |of| {
                    times += 1;
                    bytes(of)
                },
            );
            if times == before {
                break;
            }
        }
        assert!(times > 1, "{times}");
    }
}
