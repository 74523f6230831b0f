//! Texts that the events of a window hold: each once, with a number that stands for it in the rows.

use hashbrown::HashTable;

/// Texts by number. A number is free again when no row has it any more.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    numbers: HashTable<u32>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// Bytes of all texts.
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    text: Box<str>,
    hash: u64,
    /// Rows that have it.
    rows: u32,
}

impl Texts {
    /// The number of a text that one more row has; `hash` is the same for equal texts.
    pub(crate) fn take(&mut self, text: &str, hash: u64) -> u32 {
        let Self { numbers, entries, free, bytes } = self;
        let same = |number: &u32| {
            let entry = &entries[*number as usize];
            entry.hash == hash && *entry.text == *text
        };
        if let Some(number) = numbers.find(hash, same).copied() {
            entries[number as usize].rows += 1;
            return number;
        }
        let entry = Entry { text: text.into(), hash, rows: 1 };
        *bytes += text.len();
        let number = if let Some(number) = free.pop() {
            entries[number as usize] = entry;
            number
        } else {
            entries.push(entry);
            u32::try_from(entries.len() - 1).unwrap_or(u32::MAX)
        };
        numbers.insert_unique(hash, number, |number| entries[*number as usize].hash);
        number
    }

    /// One row that has it is gone.
    pub(crate) fn release(&mut self, number: u32) {
        let entry = &mut self.entries[number as usize];
        entry.rows -= 1;
        if entry.rows == 0 {
            self.bytes -= entry.text.len();
            entry.text = Box::default();
            if let Ok(found) = self.numbers.find_entry(entry.hash, |known| *known == number) {
                found.remove();
            }
            self.free.push(number);
        }
    }

    /// The text of a number.
    #[must_use]
    #[inline]
    pub(crate) fn get(&self, number: u32) -> &str {
        &self.entries[number as usize].text
    }

    /// Bytes beside the table itself.
    #[must_use]
    pub(crate) fn bytes(&self) -> usize {
        let numbers = (self.numbers.capacity() + self.free.capacity()) * size_of::<u32>();
        self.bytes + numbers + self.entries.capacity() * size_of::<Entry>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_one_number_until_no_row_has_them() {
        let mut texts = Texts::default();
        // Hashes that are equal do not make texts equal.
        let (a, b) = (texts.take("a", 1), texts.take("b", 1));
        assert_ne!(a, b);
        assert_eq!(texts.take("a", 1), a);
        texts.release(a);
        assert_eq!((texts.get(a), texts.get(b), texts.numbers.len(), texts.bytes), ("a", "b", 2, 2));
        texts.release(a);
        texts.release(b);
        assert!(texts.numbers.is_empty());
        assert_eq!(texts.bytes, 0);
        let again = texts.take("c", 1);
        assert!(again == a || again == b);
        assert_eq!(texts.get(again), "c");
    }
}
