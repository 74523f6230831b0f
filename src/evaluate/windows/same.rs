//! Whether windows go on under other rules.

use crate::{
    lists::Lists,
    rule::{
        RuleMode,
        compile::{ClosingRule, CompiledRule, CompiledView},
        with_lists,
    },
};

/// The windows that close of a rule that runs.
pub(super) fn closing_view(rule: &CompiledRule) -> Option<&ClosingRule> {
    match &rule.view {
        CompiledView::Closing(view) if rule.rule.mode != RuleMode::Disabled => Some(view),
        _ => None,
    }
}

/// Whether a rule's windows hold the same events, values and history as those of another one.
pub(super) fn same_windows(
    (known, before): (&CompiledRule, &Lists),
    (rule, lists): (&CompiledRule, &Lists),
) -> bool {
    let (Some(a), Some(b)) = (closing_view(known), closing_view(rule)) else { return false };
    let filter = |rule: &CompiledRule, lists: &Lists| {
        rule.filter.as_ref().map(|filter| with_lists(&filter.text, lists))
    };
    let measured = |view: &ClosingRule| format!("{:?} {:?}", view.measures.aggregates, view.measures.columns);
    let by = |view: &ClosingRule, lists: &Lists| -> Vec<String> {
        view.by.iter().map(|part| part.text(lists)).collect()
    };
    let compared = |view: &ClosingRule| view.anomaly.as_ref().map(|(_, at)| *at);
    known.rule.id == rule.rule.id
        && known.rule.trigger == rule.rule.trigger
        && filter(known, before) == filter(rule, lists)
        && (a.size, a.slide, a.shape) == (b.size, b.slide, b.shape)
        && by(a, before) == by(b, lists)
        && a.measures.lanes.len() == b.measures.lanes.len()
        && a.measures.lanes.iter().zip(&b.measures.lanes).all(|(a, b)| a.same(b))
        && measured(a) == measured(b)
        && compared(a) == compared(b)
}
