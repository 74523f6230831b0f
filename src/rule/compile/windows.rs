//! Windows of a rule: their keys and measures.

use std::collections::BTreeSet;

use arrow::datatypes::{DataType, Field};

use super::{
    super::{
        expression::{ResolvedExpression, Scope, project, resolve},
        measure::{Measures, Planner},
        window::{Anomaly, Closing, Measure, Over, WindowForm},
    },
    ClosingRule, CompiledView, Compiler, Condition, KeyPart, OverWindow, WindowShape,
};
use crate::{
    diagnostic::type_name,
    personal::PersonalKind,
    rule::{
        ColumnId, Rule,
        plan::{LANES_MAX, Lane, LaneKind},
    },
    say,
    yaml::{Document, Placed},
};

impl Compiler {
    /// The windows of a rule on events, each with its measures.
    pub(super) fn over(
        &self,
        d: &mut Document<'_>,
        windows: &[Over],
        scope: &Scope<'_>,
    ) -> Option<Vec<OverWindow>> {
        let mut names = BTreeSet::new();
        for Measure { name, .. } in windows.iter().flat_map(|over| &over.measures) {
            if !names.insert(&name.text) {
                let message = say!("there are two measures \"{name}\"", name = name.text);
                d.problem(name.span, message, Some(say!("give each its own name, in all windows of a rule")));
            }
        }
        let window = |over: &Over| {
            let by = over.by.iter().filter_map(|placed| self.key_part(d, placed, scope)).collect();
            let measures = self.measures(d, &over.measures, scope)?;
            let since = match &over.since {
                Some(condition) => Some(self.mark(d, condition, (scope, &measures))?),
                None => None,
            };
            Some(OverWindow { by, measures, since, window: None, results: Vec::new(), lanes: Vec::new() })
        };
        windows.iter().map(window).collect()
    }

    /// A lane that says which events meet a condition, beside those of the measures.
    fn mark(
        &self,
        d: &mut Document<'_>,
        condition: &Placed,
        (scope, measures): (&Scope<'_>, &Measures),
    ) -> Option<(Lane, String)> {
        if measures.lanes.len() >= LANES_MAX {
            let message = say!("a rule has at most {LANES_MAX} different aggregates", LANES_MAX);
            d.problem(condition.span, message, None);
            return None;
        }
        let (condition, _) = self.condition(d, condition, scope, &self.columns)?;
        let Condition { expr, inputs, schema, text } = condition;
        Some((Lane { args: Vec::new(), filter: Some(expr), kind: LaneKind::Mark, inputs, schema }, text))
    }

    /// Windows that close, and the columns of their key with what they tell of persons.
    pub(super) fn closing(
        &self,
        d: &mut Document<'_>,
        closing: &Closing,
        scope: &Scope<'_>,
    ) -> Option<(ClosingRule, Vec<(Field, PersonalKind)>)> {
        let (mut by, mut fields) = (Vec::new(), Vec::new());
        for placed in &closing.by {
            let Some(part) = self.key_part(d, placed, scope) else { continue };
            let kind =
                |at: &ColumnId| PersonalKind::of_column(at.field(&self.columns).name()).unwrap_or_default();
            let kind = part.inputs().iter().map(kind).fold(PersonalKind::ORDINARY, PersonalKind::and);
            fields.push(match &part {
                KeyPart::Column(at) => (at.field(&self.columns).clone(), kind),
                KeyPart::Computed(part) => {
                    let data_type = part.expr.data_type(&part.schema).ok()?;
                    // It may be a part of a value, or several beside each other.
                    let kind = if kind.is_ordinary() { kind } else { kind.and(PersonalKind::MIXED) };
                    (Field::new(&placed.text, data_type, true), kind)
                }
            });
            by.push(part);
        }
        let mut measures = self.measures(d, &closing.measures, scope)?;
        let shape = match &closing.form {
            WindowForm::Calendar => WindowShape::Calendar,
            WindowForm::Session(gap) => WindowShape::Session(*gap),
            WindowForm::From(from, within) => {
                let (mark, _) = self.mark(d, from, (scope, &measures))?;
                measures.lanes.push(mark);
                WindowShape::From { lane: measures.lanes.len() - 1, within: *within }
            }
        };
        let layout = measures.layout();
        let anomaly = closing.anomaly.clone().map(|anomaly| compared(d, anomaly, &measures));
        let anomaly = match anomaly {
            Some(compared) => Some(compared?),
            None => None,
        };
        let (size, slide) = (closing.size, closing.slide);
        Some((ClosingRule { by, measures, layout, shape, size, slide, anomaly }, fields))
    }

    /// A column, or an expression over columns, that is a part of a window's key.
    fn key_part(&self, d: &mut Document<'_>, placed: &Placed, scope: &Scope<'_>) -> Option<KeyPart> {
        // What looks like a name is one, so that a wrong one gets the nearest right one for a hint.
        if placed.text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.')) {
            let at = self.positions(d, std::slice::from_ref(placed), scope.columns, "`by`").pop()?;
            return Some(KeyPart::Column(at));
        }
        let resolved: ResolvedExpression = resolve(&self.session, d, placed, scope)?;
        if resolved.columns.is_empty() {
            let hint =
                say!("name the columns, such as `by: [unit_code]`, or `by: []` for one window over all");
            d.problem(placed.span, say!("the key reads no column"), Some(hint));
            return None;
        }
        let schema = project(&self.columns, &resolved.columns);
        let expr = resolved.plan_any(&self.session, d, placed, &schema)?;
        let inputs = ColumnId::all_of(&schema, &self.columns);
        Some(KeyPart::Computed(Condition { expr, inputs, schema, text: resolved.text() }))
    }

    pub(super) fn measures(
        &self,
        d: &mut Document<'_>,
        measures: &[Measure],
        scope: &Scope<'_>,
    ) -> Option<Measures> {
        Planner { session: &self.session, wide: &self.columns, scope }.plan(d, measures)
    }
}

/// The measure that is compared with its history.
pub(super) fn compared(
    d: &mut Document<'_>,
    anomaly: Anomaly,
    measures: &Measures,
) -> Option<(Anomaly, usize)> {
    let of = &anomaly.of;
    let Some(at) = measures.index_of(&of.text) else {
        d.problem(
            of.span,
            say!("there is no measure \"{of}\"", of = of.text),
            Some(measures.suggest(&of.text)),
        );
        return None;
    };
    if !measures.is_number(at) {
        let found = type_name(measures.fields[at].data_type());
        d.problem(of.span, say!("the measure \"{of}\" is {found}, not a number", of = of.text, found), None);
        return None;
    }
    Some((anomaly, at))
}

/// What a comparison with the history adds.
pub(super) fn anomaly_fields() -> [Field; 3] {
    [
        Field::new("score", DataType::Float64, true),
        Field::new("baseline", DataType::Float64, true),
        Field::new("n_history", DataType::Int64, true),
    ]
}

/// A window is filled from the journal, event by event, and must hold the same then: it holds what events say themselves.
pub(super) fn refuse_originals(
    d: &mut Document<'_>,
    rule: &Rule,
    filter: Option<&Condition>,
    view: &CompiledView,
) {
    let mut read: Vec<ColumnId> = match view {
        CompiledView::Sliding(windows) => windows.iter().flat_map(OverWindow::inputs).collect(),
        CompiledView::Closing(view) => view.inputs().collect(),
        CompiledView::Event | CompiledView::Schedule(_) => return,
    };
    read.extend(filter.iter().flat_map(|filter| &filter.inputs));
    if read.iter().any(|column| column.is_of_original()) {
        let hint = say!("compare original.* in `when`, or leave the window out");
        d.problem(rule.span, say!("a window cannot hold columns of original.*"), Some(hint));
    }
}
