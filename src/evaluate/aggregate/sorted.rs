//! Numbers in order, of which any may come, go, and be asked for by its rank.

/// Most numbers of a block; a fuller one is cut in two.
const BLOCK: usize = 512;

/// Numbers in ascending order, each as often as it came, in blocks: a change moves the numbers of one block.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sorted {
    /// None of them is empty, except when it is the only one.
    blocks: Vec<Vec<i128>>,
    len: usize,
}

impl Sorted {
    /// Bytes beside the numbers' own place.
    #[must_use]
    pub(crate) fn bytes(&self) -> usize {
        let numbers: usize = self.blocks.iter().map(Vec::capacity).sum();
        numbers * size_of::<i128>() + self.blocks.capacity() * size_of::<Vec<i128>>()
    }

    /// How many numbers there are.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn clear(&mut self) {
        self.blocks.truncate(1);
        self.blocks.iter_mut().for_each(Vec::clear);
        self.len = 0;
    }

    /// Takes in a number.
    pub(crate) fn insert(&mut self, number: i128) {
        if self.blocks.is_empty() {
            self.blocks.push(Vec::new());
        }
        let at = self.block_of(number).min(self.blocks.len() - 1);
        let block = &mut self.blocks[at];
        let place = block.partition_point(|known| *known < number);
        block.insert(place, number);
        if block.len() > BLOCK {
            let upper = block.split_off(BLOCK / 2);
            self.blocks.insert(at + 1, upper);
        }
        self.len += 1;
    }

    /// Takes out a number that is in.
    pub(crate) fn remove(&mut self, number: i128) {
        let at = self.block_of(number);
        let Some(block) = self.blocks.get_mut(at) else { return };
        let place = block.partition_point(|known| *known < number);
        if block.get(place) != Some(&number) {
            return;
        }
        block.remove(place);
        if block.is_empty() && self.blocks.len() > 1 {
            self.blocks.remove(at);
        }
        self.len -= 1;
    }

    /// The number with `rank` numbers before it.
    #[must_use]
    pub(crate) fn nth(&self, rank: usize) -> Option<i128> {
        let mut rank = rank;
        for block in &self.blocks {
            match block.get(rank) {
                Some(number) => return Some(*number),
                None => rank -= block.len(),
            }
        }
        None
    }

    /// How many numbers are less than this one.
    #[must_use]
    pub(crate) fn rank(&self, number: i128) -> usize {
        let at = self.block_of(number);
        let before: usize = self.blocks[..at].iter().map(Vec::len).sum();
        before + self.blocks.get(at).map_or(0, |block| block.partition_point(|known| *known < number))
    }

    /// Takes in all numbers of another one.
    pub(crate) fn extend(&mut self, other: &Self) {
        if self.is_empty() {
            self.clone_from(other);
        } else {
            other.blocks.iter().flatten().for_each(|number| self.insert(*number));
        }
    }

    /// The two numbers in the middle, which are the same if there is one.
    #[must_use]
    pub(crate) fn middle(&self) -> Option<(i128, i128)> {
        let upper = self.nth(self.len / 2)?;
        let lower = if self.len % 2 == 1 { upper } else { self.nth(self.len / 2 - 1)? };
        Some((lower, upper))
    }

    /// The first block whose last number is not less.
    fn block_of(&self, number: i128) -> usize {
        self.blocks.partition_point(|block| block.last().is_some_and(|last| *last < number))
    }
}
