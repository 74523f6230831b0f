//! How wide the columns of a table are.

/// What a column asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Demand {
    /// The width of its widest cell.
    pub natural: usize,
    /// The width down to which it may shrink; it does not without one.
    pub least: Option<usize>,
    /// Whether it is left out where room is short.
    pub spare: bool,
}

impl Demand {
    fn least(&self) -> usize {
        self.least.map_or(self.natural, |least| least.min(self.natural))
    }

    /// The width at which what it shows can still be read with ease.
    fn easy(&self) -> usize {
        self.least.map_or(self.natural, |least| (3 * least).min(self.natural))
    }
}

/// Blanks between columns.
pub(crate) const GAP: usize = 2;

/// The width of each column; `None` for one that is left out. Spare columns go first, from the right, until the others
/// have ease; then columns shrink, from the right. Nothing if that is not enough.
pub(crate) fn fit(demands: &[Demand], available: usize) -> Option<Vec<Option<usize>>> {
    let mut kept = vec![true; demands.len()];
    let needs = |kept: &[bool], width: fn(&Demand) -> usize| -> usize {
        let widths: Vec<_> =
            demands.iter().zip(kept).filter(|(_, kept)| **kept).map(|(d, _)| width(d)).collect();
        widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
    };
    while needs(&kept, Demand::easy) > available {
        let Some(spare) = (0..demands.len()).rev().find(|at| kept[*at] && demands[*at].spare) else { break };
        kept[spare] = false;
    }
    if needs(&kept, Demand::least) > available {
        return None;
    }
    let mut over = needs(&kept, |d| d.natural).saturating_sub(available);
    let mut widths: Vec<_> = demands.iter().zip(&kept).map(|(d, kept)| kept.then_some(d.natural)).collect();
    for (width, demand) in widths.iter_mut().zip(demands).rev() {
        if let Some(width) = width {
            let gives = over.min(*width - demand.least());
            *width -= gives;
            over -= gives;
        }
    }
    Some(widths)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn column(natural: usize, least: Option<usize>, spare: bool) -> Demand {
        Demand { natural, least, spare }
    }

    #[test]
    fn the_right_column_gives_way_first_and_spare_ones_before() {
        let demands = [
            column(8, None, false),
            column(19, None, true),
            column(30, Some(10), false),
            column(60, Some(10), false),
        ];
        assert_eq!(fit(&demands, 200).unwrap(), [Some(8), Some(19), Some(30), Some(60)]);
        assert_eq!(fit(&demands, 100).unwrap(), [Some(8), Some(19), Some(30), Some(37)]);
        assert_eq!(fit(&demands, 80).unwrap(), [Some(8), None, Some(30), Some(38)]);
        assert_eq!(fit(&demands, 40).unwrap(), [Some(8), None, Some(18), Some(10)]);
        assert_eq!(fit(&demands, 31), None);
    }

    proptest! {
        #[test]
        fn what_fits_fits(
            demands in prop::collection::vec((0usize..50, prop::option::of(1usize..20), any::<bool>()), 1..8),
            available in 1usize..200,
        ) {
            let demands: Vec<_> = demands.into_iter().map(|(n, l, s)| column(n, l, s)).collect();
            if let Some(widths) = fit(&demands, available) {
                let kept: Vec<_> = widths.iter().flatten().collect();
                prop_assert!(kept.iter().copied().sum::<usize>() + GAP * kept.len().saturating_sub(1) <= available);
                for (width, demand) in widths.iter().zip(&demands) {
                    prop_assert!(width.is_some() || demand.spare);
                    prop_assert!(width.is_none_or(|width| width >= demand.least() && width <= demand.natural));
                }
            }
        }
    }
}
