//! What closing windows know of one key: its panes, and its windows that are closed.

use std::borrow::Cow;

use datafusion::common::ScalarValue;
use smallvec::SmallVec;

use super::{closing::Judge, pane::Pane, timeline::Timeline};
use crate::{
    event::{Instant, period::Stretch},
    rule::window::{AnomalyMethod, Season},
};

/// What is known of a key.
#[derive(Debug, Default)]
pub(crate) struct KeyState {
    /// The values of `by`.
    pub by: Box<[ScalarValue]>,
    /// By their starts.
    pub panes: Timeline<Pane>,
    /// Closed windows by their ends.
    pub past: Timeline<ClosedWindow>,
}

/// A window that is closed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClosedWindow {
    pub start: i64,
    /// The measure that is compared; `None` where it is NULL or there is no anomaly.
    pub value: Option<f64>,
    /// Whether it made a finding.
    pub found: bool,
}

impl KeyState {
    /// Bytes beside the key itself.
    pub(crate) fn bytes(&self) -> usize {
        let by: usize = self.by.iter().map(ScalarValue::size).sum();
        let panes: usize = self.panes.things().map(Pane::bytes).sum();
        by + panes + self.panes.bytes() + self.past.bytes()
    }

    /// The values as text, by which keys are ordered.
    pub(crate) fn label(&self) -> SmallVec<[Cow<'_, str>; 2]> {
        label(&self.by)
    }

    /// The values of the windows before one, the oldest first.
    pub(crate) fn history(&self, j: &Judge<'_>, window: Stretch, most: usize, values: &mut Vec<f64>) {
        values.clear();
        let before = self.past.before(window.end.as_micros()).iter().rev();
        let comparable = before.filter(|(_, past)| j.same_season(past.start, window.start.as_micros()));
        values.extend(comparable.filter_map(|(_, past)| past.value).take(most));
        values.reverse();
    }

    /// Forgets windows that no other is compared with any more.
    pub(crate) fn forget(&mut self, j: &Judge<'_>, floor: i64) {
        let needed = match &j.view.anomaly {
            None => 0,
            Some((anomaly, _)) if anomaly.method == AnomalyMethod::Seasonal => match anomaly.season {
                Season::Weekday => anomaly.history * 7,
                Season::Month => anomaly.history * 12,
                Season::DayOfMonth => anomaly.history * 31,
            },
            Some((anomaly, _)) => anomaly.history,
        };
        self.past.forget(floor, needed);
    }
}

/// Values as text, by which keys are ordered.
pub(crate) fn label(by: &[ScalarValue]) -> SmallVec<[Cow<'_, str>; 2]> {
    let mut label = SmallVec::new();
    for value in by {
        label.push(match value {
            ScalarValue::Utf8View(Some(text)) => Cow::Borrowed(text.as_str()),
            value => Cow::Owned(value.to_string()),
        });
    }
    label
}

impl Judge<'_> {
    fn same_season(&self, a: i64, b: i64) -> bool {
        let Some((anomaly, _)) =
            self.view.anomaly.as_ref().filter(|(a, _)| a.method == AnomalyMethod::Seasonal)
        else {
            return true;
        };
        let (a, b) = (
            self.calendar.local(Instant::from_micros(a)).date(),
            self.calendar.local(Instant::from_micros(b)).date(),
        );
        match anomaly.season {
            Season::Weekday => a.weekday() == b.weekday(),
            Season::Month => a.month() == b.month(),
            Season::DayOfMonth => a.day() == b.day(),
        }
    }
}
