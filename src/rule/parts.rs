//! Conditions cut where they say `and`, so that what several of them ask of an event is asked once a batch.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::{
    common::Result,
    physical_expr::{
        PhysicalExpr, conjunction,
        expressions::Column,
        split_conjunction,
        utils::{collect_columns, reassign_expr_columns},
    },
};

use super::{
    ById, RuleId, RuleMode, WindowId,
    compile::{CompiledRule, CompiledView, Condition},
    share::SharedWindow,
};

/// The filters and conditions of a rule set on single events, in parts.
#[derive(Debug, Clone, Default)]
pub(crate) struct InParts {
    /// What several of them ask.
    pub shared: Vec<Condition>,
    /// The filter of each window.
    pub windows: ById<WindowId, Option<ConditionParts>>,
    /// The filter of each rule on single events or closing windows.
    pub filters: ById<RuleId, Option<ConditionParts>>,
    /// The condition of each rule on single events.
    pub conditions: ById<RuleId, Option<ConditionParts>>,
}

/// What a condition joins by `and`, in its order.
pub(crate) type ConditionParts = Vec<ConditionPart>;

/// A part of a condition.
#[derive(Debug, Clone)]
pub(crate) enum ConditionPart {
    /// Others ask it too: its place among [`InParts::shared`].
    Shared(usize),
    /// All that stands between two such.
    Own(Condition),
}

impl InParts {
    /// Cuts the conditions of these rules. One of which others ask nothing stays whole.
    pub(crate) fn new<'r>(
        rules: &'r ById<RuleId, CompiledRule>,
        windows: &ById<WindowId, SharedWindow>,
    ) -> Self {
        let windows: ById<WindowId, _> =
            windows.iter().map(|window| pieces(window.filter.as_ref())).collect();
        let is_live = |rule: &CompiledRule| rule.rule.mode != RuleMode::Disabled;
        let of_filter = |rule: &'r CompiledRule| match rule.view {
            CompiledView::Event | CompiledView::Closing(_) => rule.filter.as_ref(),
            CompiledView::Sliding(_) | CompiledView::Schedule(_) => None,
        };
        // The columns of a group are not those of every event.
        let of_condition = |rule: &'r CompiledRule| match rule.view {
            CompiledView::Event if rule.group.is_none() => rule.when.as_ref(),
            _ => None,
        };
        let filters: ById<RuleId, _> =
            rules.iter().map(|rule| pieces(of_filter(rule).filter(|_| is_live(rule)))).collect();
        let conditions: ById<RuleId, _> =
            rules.iter().map(|rule| pieces(of_condition(rule).filter(|_| is_live(rule)))).collect();
        let all = || windows.iter().chain(&filters).chain(&conditions).flatten();
        let mut shared: Vec<Condition> = Vec::new();
        for piece in all() {
            let is_shared = all().filter(|other| asks_the_same(piece, other)).nth(1).is_some();
            if is_shared && !shared.iter().any(|known| asks_the_same(known, piece)) {
                shared.push(piece.clone());
            }
        }
        let parts = |pieces: &Vec<Condition>| parts(pieces, &shared);
        Self {
            windows: windows.iter().map(parts).collect(),
            filters: filters.iter().map(parts).collect(),
            conditions: conditions.iter().map(parts).collect(),
            shared: shared.clone(),
        }
    }
}

/// Whether two conditions are the same in the same columns.
fn asks_the_same(one: &Condition, other: &Condition) -> bool {
    one.inputs == other.inputs && one.expr.eq(&other.expr)
}

/// What a condition joins by `and`, each over its own columns; nothing where that cannot be said.
fn pieces(condition: Option<&Condition>) -> Vec<Condition> {
    let Some(condition) = condition else { return Vec::new() };
    let pieces = split_conjunction(&condition.expr).into_iter().map(|piece| alone(condition, piece));
    pieces.collect::<Result<_>>().unwrap_or_default()
}

/// A part of a condition over its own columns alone.
fn alone(of: &Condition, piece: &Arc<dyn PhysicalExpr>) -> Result<Condition> {
    let mut columns: Vec<usize> = collect_columns(piece).iter().map(Column::index).collect();
    columns.sort_unstable();
    let schema = Arc::new(of.schema.project(&columns)?);
    let expr = reassign_expr_columns(Arc::clone(piece), &schema)?;
    let inputs = columns.iter().map(|at| of.inputs[*at]).collect();
    let text = expr.to_string();
    Ok(Condition { expr, inputs, schema, text })
}

/// The parts of a condition that is cut into pieces; `None` if none of them is shared, or there is none.
fn parts(pieces: &Vec<Condition>, shared: &[Condition]) -> Option<ConditionParts> {
    let place = |piece: &Condition| shared.iter().position(|known| asks_the_same(known, piece));
    pieces.iter().find_map(place)?;
    let mut parts = ConditionParts::new();
    for piece in pieces {
        match (place(piece), parts.last_mut()) {
            (Some(at), _) => parts.push(ConditionPart::Shared(at)),
            (None, Some(ConditionPart::Own(before))) => *before = both(before, piece)?,
            (None, _) => parts.push(ConditionPart::Own(piece.clone())),
        }
    }
    Some(parts)
}

/// Two conditions joined by `and`; `None` if that cannot be said.
fn both(one: &Condition, other: &Condition) -> Option<Condition> {
    let mut inputs = one.inputs.clone();
    let mut fields: Vec<_> = one.schema.fields().iter().map(Arc::clone).collect();
    for (column, field) in other.inputs.iter().zip(other.schema.fields()) {
        if !inputs.contains(column) {
            inputs.push(*column);
            fields.push(Arc::clone(field));
        }
    }
    let schema = Arc::new(Schema::new(fields));
    let within = |of: &Condition| reassign_expr_columns(Arc::clone(&of.expr), &schema).ok();
    let expr = conjunction([within(one)?, within(other)?]);
    let text = expr.to_string();
    Some(Condition { expr, inputs, schema, text })
}
