//! Pages of lists: bounded in rows by who asks, and in bytes by us. Rows are read some at a time, so that a page that is
//! cut costs no more than it shows.

use serde::Serialize;

/// The bytes of a page, roughly. A row that is longer by itself comes alone.
const BYTES_MAX: usize = 4 << 20;
/// Rows that are read at a time.
const PART: usize = 50;

/// Rows up to one of the bounds.
pub(crate) struct Page<T> {
    pub rows: Vec<T>,
    limit: usize,
    bytes: usize,
    /// Whether there are more than these.
    pub is_cut: bool,
}

impl<T: Serialize> Page<T> {
    /// No rows yet, and at most so many.
    pub(crate) fn new(limit: u32) -> Self {
        Self { rows: Vec::new(), limit: limit as usize, bytes: 0, is_cut: false }
    }

    /// Adds a row. `false` if it has no room: the page ends before it.
    pub(crate) fn add(&mut self, row: T) -> bool {
        let mut counted = Counted(0);
        let _ = serde_json::to_writer(&mut counted, &row);
        let has_room = self.rows.is_empty() || self.bytes + counted.0 <= BYTES_MAX;
        if self.rows.len() == self.limit || !has_room {
            self.is_cut = true;
            return false;
        }
        self.bytes += counted.0;
        self.rows.push(row);
        true
    }

    /// Adds rows as long as there is room for them.
    pub(crate) fn fill(mut self, rows: impl IntoIterator<Item = T>) -> Self {
        let _ = rows.into_iter().all(|row| self.add(row));
        self
    }
}

/// Reads a page in parts. `read` gives at most so many rows after a place, and `place` that of a row. Gives the page, and
/// its last place if there is more.
///
/// # Errors
/// That of `read`.
pub(crate) fn read<R, T: Serialize, P, E>(
    limit: u32,
    start: Option<P>,
    mut read: impl FnMut(Option<P>, u32) -> Result<Vec<R>, E>,
    place: impl Fn(&R) -> P,
    show: impl Fn(R) -> T,
) -> Result<(Vec<T>, Option<P>), E>
where
    P: Clone,
{
    let mut page = Page::new(limit);
    let mut last = start;
    loop {
        // One more than the page has room for tells whether there is more.
        let wanted = PART.min(page.limit + 1 - page.rows.len());
        let rows = read(last.clone(), u32::try_from(wanted).unwrap_or(u32::MAX))?;
        let is_end = rows.len() < wanted;
        for row in rows {
            let at = place(&row);
            if !page.add(show(row)) {
                return Ok((page.rows, last));
            }
            last = Some(at);
        }
        if is_end {
            return Ok((page.rows, None));
        }
    }
}

/// How long something is when it is written.
struct Counted(usize);

impl std::io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// All pages of so many rows, and the most rows that were read at a time.
    fn pages(rows: &[String], limit: u32) -> (Vec<usize>, usize) {
        let (mut pages, mut most, mut after) = (Vec::new(), 0, None);
        loop {
            let from = |after: Option<usize>| after.map_or(0, |last| last + 1);
            let start = from(after);
            let part = |after: Option<usize>, wanted: u32| {
                let part: Vec<_> = rows.iter().enumerate().skip(from(after)).take(wanted as usize).collect();
                most = most.max(part.len());
                Ok::<_, Infallible>(part)
            };
            let (page, next) = read(limit, after, part, |(at, _)| *at, |(_, row)| row.clone()).unwrap();
            assert_eq!(page, rows[start..start + page.len()]);
            pages.push(page.len());
            match next {
                Some(next) => after = Some(next),
                None => return (pages, most),
            }
        }
    }

    #[test]
    fn pages_are_bounded_in_rows_and_bytes_and_lead_on() {
        let short: Vec<String> = (0..250).map(|n| n.to_string()).collect();
        assert_eq!(pages(&short, 100), (vec![100, 100, 50], PART));
        assert_eq!(pages(&short, 250).0, [250]);
        assert_eq!(pages(&short, 1000).0, [250]);
        assert_eq!(pages(&[], 10).0, [0]);
        let long: Vec<String> = (0..10).map(|n| n.to_string().repeat(1_500_000)).collect();
        assert_eq!(pages(&long, 1000).0, [2, 2, 2, 2, 2]);
        let huge = vec!["x".repeat(2 * BYTES_MAX); 3];
        assert_eq!(pages(&huge, 1000).0, [1, 1, 1]);
    }
}
