//! Windows of a rule: their keys and measures.

use std::collections::BTreeSet;

use arrow::datatypes::{DataType, Field};

use super::{
    super::{
        expression::{Resolved, Scope, project, resolve},
        measure::{Measures, Planner},
        window::{Anomaly, Measure, Over},
    },
    Compiler, Condition, KeyPart, OverWindow,
};
use crate::{
    diagnostic::type_name,
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
            Some(OverWindow { by, measures, window: 0, results: Vec::new(), lanes: Vec::new() })
        };
        windows.iter().map(window).collect()
    }

    /// A column, or an expression over columns, that is a part of a window's key.
    fn key_part(&self, d: &mut Document<'_>, placed: &Placed, scope: &Scope<'_>) -> Option<KeyPart> {
        // What looks like a name is one, so that a wrong one gets the nearest right one for a hint.
        if placed.text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.')) {
            let at = self.positions(d, std::slice::from_ref(placed), scope.columns, "`by`").pop()?;
            return Some(KeyPart::Column(at));
        }
        let resolved: Resolved = resolve(&self.session, d, placed, scope)?;
        if resolved.columns.is_empty() {
            let hint =
                say!("name the columns, such as `by: [unit_code]`, or `by: []` for one window over all");
            d.problem(placed.span, say!("the key reads no column"), Some(hint));
            return None;
        }
        let schema = project(&self.columns, &resolved.columns);
        let expr = resolved.plan_any(&self.session, d, placed, &schema)?;
        let inputs = schema.fields().iter().filter_map(|f| self.columns.index_of(f.name()).ok()).collect();
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
