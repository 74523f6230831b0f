//! What rules compile into.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::physical_expr::PhysicalExpr;

use super::super::{
    ColumnId, CompiledGroup, Rule, WindowId, budget_part::Conjunct, measure::Measures, query::ScheduleRule,
    template::Template, window::Anomaly,
};
use crate::{
    event::{Column, Instant, period::Length},
    personal::Kinds,
    rule::plan::{Lane, Layout},
};

/// A condition over the columns it names.
#[derive(Debug, Clone)]
pub struct Condition {
    /// The planned expression; its columns are positions in `schema`.
    pub expr: Arc<dyn PhysicalExpr>,
    /// The columns it reads in the rule's table ([`CompiledRule::columns`]); those of a filter are always event and budget
    /// columns ([`super::wide_schema`]).
    pub inputs: Vec<ColumnId>,
    /// The types of those columns, in their order.
    pub schema: SchemaRef,
    /// The expression with its constants put in, by which equal filters are known.
    pub text: String,
}

/// An exception of a rule, planned once.
#[derive(Debug, Clone)]
pub struct CompiledException {
    /// What the rule's file calls it.
    pub name: String,
    pub(crate) when: Condition,
    /// The event time from which it no longer holds.
    pub until: Option<Instant>,
}

/// A rule that can be evaluated.
#[derive(Debug, Clone)]
pub struct CompiledRule {
    /// The rule as written.
    pub rule: Arc<Rule>,
    /// The columns that the condition is judged on: for a rule on events the event and budget columns, then the
    /// measures, or the columns of `group.*`; for a rule on windows those of [`ClosingRule`].
    pub columns: SchemaRef,
    /// The filter before the condition.
    pub filter: Option<Condition>,
    /// The condition; `None` for a schedule, whose query has it.
    pub when: Option<Condition>,
    /// What the condition joins by `and`.
    pub conjuncts: Vec<Conjunct>,
    /// The part of the condition that only the state of the budget line decides, if there is one: when it stops being
    /// true, the alert resolves by itself.
    pub clears: Option<Condition>,
    /// Known good cases.
    pub exceptions: Vec<CompiledException>,
    /// The columns of the key.
    pub key: Vec<ColumnId>,
    /// The columns that a finding shows.
    pub values: Vec<ColumnId>,
    /// What the columns of the key and of findings tell of persons.
    pub personal: Arc<Kinds>,
    pub(crate) summary: Option<Template>,
    /// The title in the configured language, which is the line of a rule without one.
    pub title: String,
    /// What it looks at.
    pub view: CompiledView,
    /// The group of lines whose sums it compares, with its place among those of the rule set.
    pub group: Option<(Arc<CompiledGroup>, usize)>,
}

impl CompiledRule {
    /// Whether it says nothing of a quarter or fiscal year that the journal lacks the beginning of.
    #[must_use]
    pub fn needs_whole_years(&self) -> bool {
        const ELAPSED: &str = "year_elapsed";
        let names =
            |condition: &Option<Condition>| condition.as_ref().is_some_and(|c| c.text.contains(ELAPSED));
        match &self.view {
            CompiledView::Closing(view) => {
                view.is_on_calendar() && matches!(view.size, Length::Quarter | Length::Year)
            }
            CompiledView::Schedule(view) => view.columns.contains(ELAPSED),
            CompiledView::Event | CompiledView::Sliding(_) => names(&self.filter) || names(&self.when),
        }
    }
}

impl CompiledRule {
    /// Whether its findings may show what is another unit's: a text or a time that a window over several units holds, such
    /// as to whom else an invoice was paid. Counts and sums name nobody.
    #[must_use]
    pub fn tells_of_others(&self) -> bool {
        let of_one_unit = |by: &KeyPart| {
            let ties = [Column::UnitCode, Column::BudgetLineId, Column::EventId].map(ColumnId::from);
            matches!(by, KeyPart::Column(at) if ties.contains(at))
        };
        let names =
            |field: &Field| !field.data_type().is_numeric() && *field.data_type() != DataType::Boolean;
        match &self.view {
            CompiledView::Sliding(windows) => windows
                .iter()
                .any(|window| !window.by.iter().any(of_one_unit) && window.measures.fields.iter().any(names)),
            CompiledView::Event | CompiledView::Closing(_) | CompiledView::Schedule(_) => false,
        }
    }
}

/// What a compiled rule looks at.
#[derive(Debug, Clone)]
pub enum CompiledView {
    /// A rule about each event by itself.
    Event,
    /// An event and those before it, in one or several windows.
    Sliding(Vec<OverWindow>),
    /// Windows when they close.
    Closing(Box<ClosingRule>),
    /// Everything that is stored, at ticks.
    Schedule(Box<ScheduleRule>),
}

/// What an earlier event must share with an event to be in its window.
#[derive(Debug, Clone)]
pub enum KeyPart {
    /// A column of [`super::wide_schema`].
    Column(ColumnId),
    /// An expression over columns.
    Computed(Condition),
}

impl KeyPart {
    /// The columns of [`super::wide_schema`] that it reads.
    #[must_use]
    pub fn inputs(&self) -> &[ColumnId] {
        match self {
            Self::Column(at) => std::slice::from_ref(at),
            Self::Computed(expression) => &expression.inputs,
        }
    }
}

/// A sliding window of a rule on events.
#[derive(Debug, Clone)]
pub struct OverWindow {
    pub(crate) by: Vec<KeyPart>,
    pub(crate) measures: Measures,
    /// The window that it shares with others; `None` of a rule that is not evaluated.
    pub window: Option<WindowId>,
    /// What marks the events from the last of which on it holds, with the condition as text.
    pub since: Option<(Lane, String)>,
    /// Where the results of its aggregates are among those of the window.
    pub results: Vec<usize>,
    /// Where the values that its aggregates read are among those of the window.
    pub lanes: Vec<usize>,
}

impl OverWindow {
    /// The columns of [`super::wide_schema`] that its key and measures read.
    pub fn inputs(&self) -> impl Iterator<Item = ColumnId> {
        let lanes = self.measures.lanes.iter().flat_map(|lane| &lane.inputs);
        let marks = self.since.iter().flat_map(|(lane, _)| &lane.inputs);
        self.by.iter().flat_map(KeyPart::inputs).chain(lanes).chain(marks).copied()
    }
}

/// A rule on windows when they close. Its table has the columns of `by`, then the measures, `score`, `baseline` and
/// `n_history` if it has an anomaly, and `window_start` and `window_end`.
#[derive(Debug, Clone)]
pub struct ClosingRule {
    /// The key of its windows.
    pub by: Vec<KeyPart>,
    pub(crate) measures: Measures,
    /// How its events are laid out.
    pub layout: Layout,
    /// Where windows begin and end.
    pub shape: WindowShape,
    /// How long a window is at most.
    pub size: Length,
    /// From one window to the next.
    pub slide: Length,
    /// The comparison with the key's history, and the measure that is compared.
    pub anomaly: Option<(Anomaly, usize)>,
}

impl ClosingRule {
    /// The columns of [`super::wide_schema`] that its key and measures read.
    pub fn inputs(&self) -> impl Iterator<Item = ColumnId> {
        let lanes = self.measures.lanes.iter().flat_map(|lane| &lane.inputs);
        self.by.iter().flat_map(KeyPart::inputs).chain(lanes).copied()
    }

    /// Whether a window is a stretch of the calendar.
    #[must_use]
    pub fn is_on_calendar(&self) -> bool {
        self.shape == WindowShape::Calendar
    }
}

/// Where windows that close begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowShape {
    /// On the calendar: days, months, years.
    Calendar,
    /// With the events of a key: a window ends when there was none for so long, or where its stretch of the calendar ends.
    Session(Length),
    /// At each event that is marked in a lane, for so long.
    From {
        /// The lane whose value begins a window.
        lane: usize,
        /// How long after it a window ends.
        within: Length,
    },
}
