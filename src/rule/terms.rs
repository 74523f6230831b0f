//! Conditions on single events, taken apart where they join others by `and`. A part that several rules have is kept once,
//! so that a batch is asked it once.

use std::{collections::BTreeMap, sync::Arc};

use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use datafusion::{
    common::{
        Result,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    logical_expr::Operator,
    physical_expr::{
        PhysicalExpr,
        expressions::{
            BinaryExpr, CastExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, Literal, NegativeExpr,
            NotExpr,
        },
        split_conjunction,
        utils::{collect_columns, reassign_expr_columns},
    },
};

use super::{
    compile::{CompiledRule, CompiledView, Condition},
    share::SharedWindow,
};

/// The parts of all conditions of a rule set that look at single events.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    /// The parts.
    pub terms: Vec<Term>,
    /// The columns that any of them reads, by position in [`super::compile::wide_schema`].
    pub inputs: Vec<usize>,
    /// Their types.
    pub schema: SchemaRef,
    filters: Vec<Option<Joined>>,
    conditions: Vec<Option<Joined>>,
    windows: Vec<Option<Joined>>,
}

/// A part of conditions.
#[derive(Debug, Clone)]
pub(crate) struct Term {
    /// Over [`Terms::schema`].
    pub whole: Arc<dyn PhysicalExpr>,
    /// Over its own columns.
    pub own: Condition,
    /// Where these are among those of [`Terms::schema`].
    pub places: Vec<usize>,
    /// The conditions that have it.
    pub users: usize,
    /// What it takes to ask it.
    pub cost: Cost,
}

/// What it takes to ask a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cost {
    /// It compares values, and cannot fail: it is asked first.
    Little,
    /// It computes something, which may fail for some events.
    Some,
    /// It calls functions or looks through text.
    Much,
}

/// The numbers of the parts that a condition joins, in the order in which they are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Joined(pub Vec<usize>);

impl Default for Terms {
    fn default() -> Self {
        let (terms, inputs, schema) = (Vec::new(), Vec::new(), Arc::new(Schema::empty()));
        Self { terms, inputs, schema, filters: Vec::new(), conditions: Vec::new(), windows: Vec::new() }
    }
}

impl Terms {
    /// The parts of these rules and windows. A condition that cannot be taken apart is asked as a whole by whoever has it.
    #[must_use]
    pub(crate) fn of(rules: &[CompiledRule], windows: &[SharedWindow]) -> Self {
        let (mut terms, mut fields) = (Self::default(), BTreeMap::new());
        let mut joined = |condition: Option<&Condition>| terms.joined(condition?, &mut fields);
        let (mut filters, mut conditions) = (Vec::new(), Vec::new());
        for rule in rules {
            // The windows of a rule have its filter.
            let is_sliding = matches!(rule.view, CompiledView::Sliding(_));
            filters.push(joined(rule.filter.as_ref().filter(|_| !is_sliding)));
            let is_single = matches!(rule.view, CompiledView::Event) && rule.group.is_none();
            conditions.push(joined(rule.when.as_ref().filter(|_| is_single)));
        }
        let windows = windows.iter().map(|window| joined(window.filter.as_ref())).collect();
        let terms = Self { filters, conditions, windows, ..terms };
        terms.settle(fields).unwrap_or_default()
    }

    /// The filter of a rule, by its position.
    #[must_use]
    pub(crate) fn filter(&self, rule: usize) -> Option<&Joined> {
        self.filters.get(rule)?.as_ref()
    }

    /// The condition of a rule, if that looks at single events alone.
    #[must_use]
    pub(crate) fn condition(&self, rule: usize) -> Option<&Joined> {
        self.conditions.get(rule)?.as_ref()
    }

    /// The filter of a sliding window, by its position.
    #[must_use]
    pub(crate) fn window(&self, window: usize) -> Option<&Joined> {
        self.windows.get(window)?.as_ref()
    }

    fn joined(&mut self, condition: &Condition, fields: &mut BTreeMap<usize, FieldRef>) -> Option<Joined> {
        let parts = split_conjunction(&condition.expr).into_iter().map(|part| own(condition, part));
        let parts = parts.collect::<Result<Vec<_>>>().ok()?;
        let read = condition.inputs.iter().copied().zip(condition.schema.fields().iter().cloned());
        fields.extend(read);
        let mut numbers: Vec<_> = parts.into_iter().map(|part| self.number(part)).collect();
        numbers.sort_by_key(|number| self.terms[*number].cost > Cost::Little);
        numbers.dedup();
        Some(Joined(numbers))
    }

    fn number(&mut self, own: Condition) -> usize {
        let same = |known: &Term| known.own.inputs == own.inputs && &known.own.expr == &own.expr;
        let at = self.terms.iter().position(same).unwrap_or(self.terms.len());
        if at == self.terms.len() {
            let (whole, cost) = (Arc::clone(&own.expr), cost(&own.expr));
            self.terms.push(Term { whole, own, places: Vec::new(), users: 0, cost });
        }
        self.terms[at].users += 1;
        at
    }

    /// Says where the columns of each part are among those of all.
    fn settle(mut self, fields: BTreeMap<usize, FieldRef>) -> Result<Self> {
        self.schema = Arc::new(Schema::new(fields.values().cloned().collect::<Vec<_>>()));
        self.inputs = fields.into_keys().collect();
        for term in &mut self.terms {
            let place = |input| self.inputs.binary_search(input).ok();
            term.places = term.own.inputs.iter().filter_map(place).collect();
            term.whole = reassign_expr_columns(Arc::clone(&term.own.expr), &self.schema)?;
        }
        Ok(self)
    }
}

/// A part of a condition over the columns that it reads itself.
fn own(condition: &Condition, part: &Arc<dyn PhysicalExpr>) -> Result<Condition> {
    let mut places: Vec<_> = collect_columns(part).iter().map(Column::index).collect();
    places.sort_unstable();
    let schema = Arc::new(condition.schema.project(&places)?);
    let expr = reassign_expr_columns(Arc::clone(part), &schema)?;
    let inputs = places.iter().map(|place| condition.inputs[*place]).collect();
    Ok(Condition { text: expr.to_string(), expr, inputs, schema })
}

fn cost(expr: &Arc<dyn PhysicalExpr>) -> Cost {
    let mut cost = Cost::Little;
    let seen = expr.apply(|step| {
        cost = cost.max(cost_of_step(step));
        Ok(TreeNodeRecursion::Continue)
    });
    if seen.is_ok() { cost } else { Cost::Much }
}

fn cost_of_step(step: &Arc<dyn PhysicalExpr>) -> Cost {
    if let Some(binary) = step.downcast_ref::<BinaryExpr>() {
        return match binary.op() {
            Operator::And | Operator::Or => Cost::Little,
            op if op.is_numerical_operators() => Cost::Some,
            op if op.supports_propagation() || matches!(op, Operator::IsDistinctFrom) => Cost::Little,
            _ => Cost::Much,
        };
    }
    let compares = step.is::<Column>()
        || step.is::<Literal>()
        || step.is::<NotExpr>()
        || step.is::<IsNullExpr>()
        || step.is::<IsNotNullExpr>()
        || step.is::<InListExpr>();
    match compares {
        true => Cost::Little,
        false if step.is::<CastExpr>() || step.is::<NegativeExpr>() => Cost::Some,
        false => Cost::Much,
    }
}
