//! The grid that windows are cut on: panes as long as the slide, windows of a number of panes.

use std::cell::Cell;

use super::closing::Until;
use crate::{
    event::{
        Instant,
        period::{Length, Stretch},
        time::Calendar,
    },
    rule::compile::ClosingRule,
};

/// The windows of a rule on windows that close that an instant lies in, the earliest first.
#[must_use]
pub(crate) fn windows_of(view: &ClosingRule, calendar: &Calendar, at: i64) -> Vec<Stretch> {
    let grid = Grid::new(calendar, view.size, view.slide);
    grid.windows_with(grid.pane(at), Until::Everything)
}

/// The panes and windows of a rule.
#[derive(Debug)]
pub(crate) struct Grid<'c> {
    calendar: &'c Calendar,
    slide: Length,
    /// Panes of a window.
    count: usize,
    /// The local day or pane that was asked for last: neighbouring instants mostly lie in the same one. It holds no instant
    /// until one is asked for.
    known: Cell<Stretch>,
}

impl<'c> Grid<'c> {
    /// The grid of windows of `size` every `slide`.
    #[must_use]
    pub(crate) fn new(calendar: &'c Calendar, size: Length, slide: Length) -> Self {
        let count = match (size, slide) {
            (Length::Exact(size), Length::Exact(slide)) => usize::try_from(size / slide).unwrap_or(1),
            (Length::Days(size), Length::Days(slide)) => usize::from(size / slide),
            _ => 1,
        };
        Self {
            calendar,
            slide,
            count,
            known: Cell::new(Stretch { start: Instant::EPOCH, end: Instant::EPOCH }),
        }
    }

    /// The pane that an instant lies in.
    #[must_use]
    pub(crate) fn pane(&self, at: i64) -> Stretch {
        if !self.known.get().contains(Instant::from_micros(at)) {
            self.known.set(match self.slide {
                Length::Exact(_) => self.calendar.day(Instant::from_micros(at)),
                slide => self.calendar.stretch(Instant::from_micros(at), slide),
            });
        }
        let known = self.known.get();
        match self.slide {
            Length::Exact(length) => {
                let start = known.start + length * ((Instant::from_micros(at) - known.start) / length);
                Stretch { start, end: (start + length).min(known.end) }
            }
            _ => known,
        }
    }

    /// The window that ends at the end of a pane.
    #[must_use]
    pub(crate) fn window_until(&self, end: i64) -> Stretch {
        let start = (0..self.count).fold(end, |start, _| self.pane(start - 1).start.as_micros());
        Stretch { start: Instant::from_micros(start), end: Instant::from_micros(end) }
    }

    /// The first end of a window after an instant.
    #[must_use]
    pub(crate) fn next_end(&self, after: i64) -> i64 {
        self.pane(after).end.as_micros()
    }

    /// The windows that a pane is a part of, as far as they are closed up to `until`; the earliest first.
    #[must_use]
    pub(crate) fn windows_with(&self, pane: Stretch, until: Until) -> Vec<Stretch> {
        let mut end = pane.end;
        let mut windows = Vec::new();
        for _ in 0..self.count {
            if !until.is_past(end.as_micros()) {
                break;
            }
            windows.push(self.window_until(end.as_micros()));
            end = Instant::from_micros(self.next_end(end.as_micros()));
        }
        windows
    }
}
