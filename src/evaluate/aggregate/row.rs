//! An event of a window as tallies see it.

use arrow::array::{Array, StringViewArray};

use super::Texts;
use crate::rule::plan::{Layout, NULL_TEXT};

/// An event of a window: its row, and where its text is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WindowRow<'r> {
    pub words: &'r [u64],
    /// Where its text is.
    pub texts: TextsOf<'r>,
}

/// Where the text of an event is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TextsOf<'r> {
    /// Held by the window; the row has its numbers.
    Held(&'r Texts),
    /// In columns, at this place.
    Batch(&'r [StringViewArray], usize),
}

impl<'r> TextsOf<'r> {
    /// Whether one held text is as extreme as another one or more so.
    #[inline]
    pub(super) fn exceeds(self, max: bool) -> impl Fn(&u32, &u32) -> bool {
        let text = move |number: u32| match self {
            Self::Held(texts) => texts.get(number),
            Self::Batch(..) => "",
        };
        move |a, b| a == b || if max { text(*a) >= text(*b) } else { text(*a) <= text(*b) }
    }

    /// The text of a lane in a row; `None` if it is NULL.
    #[must_use]
    pub(crate) fn text(self, layout: &Layout, lane: usize, words: &[u64]) -> Option<&'r str> {
        match self {
            Self::Held(texts) => {
                let word = layout.word(words, lane);
                (word != NULL_TEXT).then(|| texts.get(word as u32))
            }
            Self::Batch(columns, place) => {
                let column = &columns[layout.beside(lane)];
                (!column.is_null(place)).then(|| column.value(place))
            }
        }
    }
}
