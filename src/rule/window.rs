//! Rules that look at more than one event (`over`, `window`, `schedule`), as their files say.

use crate::{
    event::{
        period::{Length, Reach},
        tick::Ticks,
    },
    yaml::Placed,
};

/// What a rule looks at.
#[derive(Debug, Clone, Default)]
pub enum View {
    /// One event and its budget line.
    #[default]
    Event,
    /// An event and those before it: `over`, and the windows of `also`.
    Sliding(Vec<Over>),
    /// All events of a window, when it closes: `trigger: window`.
    Window(Closing),
    /// Everything that is stored, at a tick: `trigger: schedule`.
    Schedule(Schedule),
}

/// A named aggregate of a window.
#[derive(Debug, Clone)]
pub struct Measure {
    /// The column it makes.
    pub name: Placed,
    pub expression: Placed,
}

/// The sliding window of an event.
#[derive(Debug, Clone)]
pub struct Over {
    /// The columns, or expressions over them, whose values an earlier event must share with it.
    pub by: Vec<Placed>,
    /// How far back it reaches.
    pub reach: Reach,
    /// Only what is not before the last event in it that meets this condition.
    pub since: Option<Placed>,
    /// Whether the event itself counts.
    pub current: bool,
    pub measures: Vec<Measure>,
}

/// Where windows that close begin and end.
#[derive(Debug, Clone)]
pub enum WindowForm {
    /// On the calendar: `size` and `slide`.
    Calendar,
    /// With events: a window ends when its key was silent for so long, and where the `size` on the calendar ends: `gap`.
    Session(Length),
    /// A window begins at each event that meets the condition, and takes so long: `from` and `within`.
    From(Placed, Length),
}

/// Windows that are judged once, when they close.
#[derive(Debug, Clone)]
pub struct Closing {
    /// The columns that make a window of their own for each combination of values.
    pub by: Vec<Placed>,
    /// Where windows begin and end.
    pub form: WindowForm,
    /// How long a window is at most.
    pub size: Length,
    /// From one window to the next; the size for windows that do not overlap.
    pub slide: Length,
    pub measures: Vec<Measure>,
    /// The comparison with the key's own history.
    pub anomaly: Option<Anomaly>,
}

/// How a window's value is compared with those before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnomalyMethod {
    /// (x − mean) / sample standard deviation
    Zscore,
    /// 0.6745 · (x − median) / median absolute deviation
    Mad,
    /// The distance beyond the nearer quartile in interquartile ranges.
    Iqr,
    /// (x − ewma) / exponentially weighted standard deviation
    Ewma,
    /// x / mean
    Ratio,
    /// The same as `mad` over the windows of the same season.
    Seasonal,
}

impl AnomalyMethod {
    /// The words of the rule language.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("zscore", Self::Zscore),
        ("mad", Self::Mad),
        ("iqr", Self::Iqr),
        ("ewma", Self::Ewma),
        ("ratio", Self::Ratio),
        ("seasonal", Self::Seasonal),
    ];

    /// Its word in the rule language.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, method)| *method == self).map_or("", |(word, _)| word)
    }
}

/// Which deviations count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Values above what is usual.
    Above,
    /// Values below; their scores are positive.
    Below,
    /// Both: the score is absolute.
    Both,
}

impl Direction {
    /// The words of the rule language.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("above", Self::Above), ("below", Self::Below), ("both", Self::Both)];
}

/// What makes windows comparable for the method `seasonal`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Season {
    /// The day of the week on which the window starts.
    Weekday,
    /// The month of the year.
    Month,
    /// The day of the month.
    DayOfMonth,
}

impl Season {
    /// The words of the rule language.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("weekday", Self::Weekday), ("month", Self::Month), ("day_of_month", Self::DayOfMonth)];
}

/// A comparison with a key's own history.
#[derive(Debug, Clone)]
pub struct Anomaly {
    pub of: Placed,
    pub method: AnomalyMethod,
    /// The most windows that it is compared with.
    pub history: usize,
    /// With fewer there is no score.
    pub min_history: usize,
    /// Which deviations count.
    pub direction: Direction,
    /// For `seasonal`.
    pub season: Season,
    /// The weight of the newest value, for `ewma`.
    pub alpha: f64,
}

/// A query at ticks.
#[derive(Debug, Clone)]
pub struct Schedule {
    pub ticks: Ticks,
    pub sql: Placed,
}

impl Over {
    /// The window as rules write it.
    #[must_use]
    pub fn span(&self) -> String {
        match &self.since {
            Some(since) => format!("{}, since {}", self.reach, since.text),
            None => self.reach.to_string(),
        }
    }
}

impl Closing {
    /// The window as rules write it.
    #[must_use]
    pub fn span(&self) -> String {
        match &self.form {
            WindowForm::Calendar => self.size.to_string(),
            WindowForm::Session(gap) => format!("gap {gap}, {}", self.size),
            WindowForm::From(from, within) => format!("{within} from {}", from.text),
        }
    }
}
