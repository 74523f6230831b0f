//! The words of the rows of one key, and what only some keys have beside them.

use std::ops::Range;

use super::Extra;

/// Words that need no memory beside the key's: there are very many keys, and most have few events.
const FEW: usize = 3;

/// The rows of one key, one after another.
#[derive(Debug)]
pub(crate) enum KeyRows {
    Few { len: u8, words: [u64; FEW] },
    Many(Vec<u64>),
    Rich(Box<(Vec<u64>, Extra)>),
}

impl Default for KeyRows {
    fn default() -> Self {
        Self::Few { len: 0, words: [0; FEW] }
    }
}

impl KeyRows {
    pub(super) fn words(&self) -> &[u64] {
        match self {
            Self::Few { len, words } => &words[..usize::from(*len)],
            Self::Many(words) => words,
            Self::Rich(rich) => &rich.0,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Few { .. } => 0,
            Self::Many(words) => words.capacity() * size_of::<u64>(),
            Self::Rich(rich) => size_of_val(&**rich) + rich.0.capacity() * size_of::<u64>() + rich.1.bytes(),
        }
    }

    /// What stands beside them, if anything does.
    pub(super) fn extra(&self) -> Option<&Extra> {
        match self {
            Self::Rich(rich) => Some(&rich.1),
            Self::Few { .. } | Self::Many(_) => None,
        }
    }

    pub(super) fn extra_mut(&mut self) -> Option<&mut Extra> {
        match self {
            Self::Rich(rich) => Some(&mut rich.1),
            Self::Few { .. } | Self::Many(_) => None,
        }
    }

    /// What stands beside them, made if nothing does.
    pub(super) fn rich(&mut self) -> &mut Extra {
        if let Self::Few { .. } | Self::Many(_) = self {
            let words = match std::mem::take(self) {
                Self::Many(words) => words,
                other => other.words().to_vec(),
            };
            *self = Self::Rich(Box::new((words, Extra::default())));
        }
        match self {
            Self::Rich(rich) => &mut rich.1,
            Self::Few { .. } | Self::Many(_) => unreachable!("they have just been made rich"),
        }
    }

    /// Puts a row where a word is.
    pub(super) fn put(&mut self, at: usize, row: &[u64]) {
        let words = match self {
            Self::Few { len, words } => {
                let (old, new) = (usize::from(*len), usize::from(*len) + row.len());
                if new <= FEW {
                    words.copy_within(at..old, at + row.len());
                    words[at..at + row.len()].copy_from_slice(row);
                    *len = new as u8;
                    return;
                }
                let mut more = Vec::with_capacity(new);
                more.extend_from_slice(&words[..old]);
                *self = Self::Many(more);
                return self.put(at, row);
            }
            Self::Many(words) => words,
            Self::Rich(rich) => &mut rich.0,
        };
        if words.capacity() - words.len() < row.len() {
            // Doubling would leave much unused.
            words.reserve_exact(row.len().max(words.len() / 2));
        }
        match at == words.len() {
            true => words.extend_from_slice(row),
            false => drop(words.splice(at..at, row.iter().copied())),
        }
    }

    /// Takes some words out.
    pub(super) fn cut(&mut self, range: Range<usize>) {
        match self {
            Self::Few { len, words } => {
                words.copy_within(range.end..usize::from(*len), range.start);
                *len -= range.len() as u8;
            }
            Self::Many(words) => {
                words.drain(range);
                if words.len() <= FEW {
                    let mut few = [0; FEW];
                    few[..words.len()].copy_from_slice(words);
                    *self = Self::Few { len: words.len() as u8, words: few };
                }
            }
            Self::Rich(rich) => drop(rich.0.drain(range)),
        }
    }

    /// Gives memory back that is not in use.
    pub(super) fn shrink(&mut self) {
        match self {
            Self::Few { .. } => {}
            Self::Many(words) => words.shrink_to_fit(),
            Self::Rich(rich) => rich.0.shrink_to_fit(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn they_are_a_vector() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        for stride in 1..5 {
            let (mut rows, mut model) = (KeyRows::default(), Vec::new());
            for round in 0..2000u64 {
                let at = rng.random_range(0..=model.len() / stride) * stride;
                if rng.random_ratio(1, 2) {
                    let row: Vec<u64> = (0..stride as u64).map(|n| round * 10 + n).collect();
                    rows.put(at, &row);
                    model.splice(at..at, row);
                } else {
                    let end = at + rng.random_range(0..=(model.len() - at) / stride) * stride;
                    rows.cut(at..end);
                    model.drain(at..end);
                    rows.shrink();
                }
                if round == 1500 {
                    assert!(rows.extra().is_none());
                    rows.rich();
                    assert!(rows.extra_mut().is_some());
                }
                assert_eq!(rows.words(), model, "round {round}");
            }
        }
        assert_eq!(size_of::<KeyRows>(), 32);
    }
}
