//! Measures: expressions over the events of a window, split into the aggregates they are made of and what is computed
//! from their results.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::{
    common::{
        Column, DFSchema, Result,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::{Expr, physical_planning_context::PhysicalPlanningContext},
    physical_expr::{
        PhysicalExpr,
        aggregate::{LoweredAggregate, LoweredAggregateBuilder},
    },
};

use super::{
    caps,
    expression::{ResolvedExpression, Scope, project, quoted_word, refuse_volatile, resolve},
    personal,
    session::PlanningSession,
    window::Measure,
};
use crate::{
    diagnostic::{Failure, suggest},
    personal::PersonalKind,
    rule::{
        ColumnId,
        plan::{Aggregate, LANES_MAX, Lane, Layout, classify},
    },
    say,
    yaml::Document,
};

/// The measures of a rule, planned.
#[derive(Debug, Clone)]
pub(crate) struct Measures {
    /// The values that the aggregates read.
    pub lanes: Vec<Lane>,
    pub aggregates: Vec<Aggregate>,
    /// The measures, over [`Self::results`].
    pub columns: Vec<Arc<dyn PhysicalExpr>>,
    /// A column for each aggregate.
    pub results: SchemaRef,
    /// The columns that the measures make.
    pub fields: Vec<Field>,
    /// What they tell of persons.
    pub personal: Vec<PersonalKind>,
}

pub(crate) struct Planner<'p> {
    /// `DataFusion`'s functions and settings.
    pub session: &'p PlanningSession,
    /// All columns there are, in whose order lanes name theirs.
    pub wide: &'p Schema,
    /// What expressions may name.
    pub scope: &'p Scope<'p>,
}

impl Planner<'_> {
    /// Plans measures; what is wrong with them goes to the document.
    pub(crate) fn plan(&self, d: &mut Document<'_>, measures: &[Measure]) -> Option<Measures> {
        let before = d.problems.len();
        let mut planned = Split::default();
        let mut exprs = Vec::new();
        for measure in measures {
            let name = &measure.name;
            if self.scope.columns.column_with_name(&name.text).is_some() {
                let hint = say!("give it another name, such as n or total");
                d.problem(
                    name.span,
                    say!("the measure \"{name}\" has the name of a column", name = name.text),
                    Some(hint),
                );
            }
            let Some(resolved) = resolve(self.session, d, &measure.expression, self.scope) else { continue };
            match self.split(&resolved, &mut planned) {
                Ok(expr) => exprs.push((name.text.clone(), expr)),
                Err((message, hint)) => {
                    let word =
                        quoted_word(&message).filter(|word| measure.expression.text.contains(word.as_str()));
                    let word = word.unwrap_or_default();
                    d.problem_at(measure.expression.span, (&word, 0), message, hint);
                }
            }
        }
        if measures.is_empty() {
            return None;
        }
        let results = Arc::new(Schema::new(planned.fields()));
        let mut columns = Vec::new();
        let mut fields = Vec::new();
        for ((name, expr), measure) in exprs.into_iter().zip(measures) {
            match self.finish(expr, &results) {
                Ok(column) => {
                    fields.extend(
                        column.data_type(&results).map(|data_type| Field::new(name, data_type, true)),
                    );
                    columns.push(column);
                }
                Err(e) => {
                    let (message, hint) = self.session.failure(&e);
                    d.problem_at(measure.expression.span, ("", 0), message, hint);
                }
            }
        }
        let Split { lanes, aggregates, personal, .. } = planned;
        (d.problems.len() == before).then_some(Measures {
            lanes,
            aggregates,
            columns,
            results,
            fields,
            personal,
        })
    }

    /// Takes the aggregates out of an expression and puts their names in.
    fn split(
        &self,
        resolved: &ResolvedExpression,
        planned: &mut Split,
    ) -> std::result::Result<Expr, Failure> {
        let schema = project(self.wide, &resolved.columns);
        let df_schema = DFSchema::try_from(Arc::clone(&schema)).map_err(|e| self.session.failure(&e))?;
        let logical = resolved.logical(self.session, &df_schema).map_err(|e| self.session.failure(&e))?;
        refuse_volatile(&logical)?;
        planned.personal.push(personal::of_expression(&logical, &df_schema, self.scope.lists));
        let logical = self.session.simplify(logical, &df_schema).map_err(|e| self.session.failure(&e))?;
        caps::constants(&logical)?;
        let mut wrong: Option<Failure> = None;
        let split = logical.transform_down(|expr| match expr {
            Expr::AggregateFunction(_) => {
                let taken = self.aggregate(&expr, &df_schema, &schema, planned);
                let name = match taken {
                    Ok(name) => name,
                    Err(e) => {
                        wrong.get_or_insert(e);
                        String::new()
                    }
                };
                Ok(Transformed::new(Expr::Column(Column::from_name(name)), true, TreeNodeRecursion::Jump))
            }
            Expr::Column(column) => {
                let hint = say!("put it into an aggregate, such as max(…), or compare it in `when`");
                let message =
                    say!("the column '{column}' stands outside of an aggregate", column = column.name);
                wrong.get_or_insert((message, Some(hint)));
                Ok(Transformed::no(Expr::Column(column)))
            }
            Expr::WindowFunction(call) => {
                let message = say!("a measure cannot contain '{fun} … over'", fun = call.fun.name());
                wrong.get_or_insert((message, Some(say!("the rule's `over` is the window"))));
                Ok(Transformed::new(Expr::WindowFunction(call), false, TreeNodeRecursion::Jump))
            }
            other => Ok(Transformed::no(other)),
        });
        let split = split.map_err(|e| self.session.failure(&e))?;
        match wrong {
            Some(wrong) => Err(wrong),
            None if !split.transformed => Err((
                say!("a measure is an aggregate over the events of the window"),
                Some(say!("such as count(*), sum(amount) or count(distinct payee_account)")),
            )),
            None => Ok(split.data),
        }
    }

    /// Plans an aggregate, unless it is there already. Its name is that of its result.
    fn aggregate(
        &self,
        expr: &Expr,
        df_schema: &DFSchema,
        schema: &SchemaRef,
        planned: &mut Split,
    ) -> std::result::Result<String, Failure> {
        let key = expr.schema_name().to_string();
        if let Some(at) = planned.keys.iter().position(|known| *known == key) {
            return Ok(result_name(at));
        }
        let (props, context) = (self.session.execution_props(), PhysicalPlanningContext::default());
        let builder = LoweredAggregateBuilder::new(expr, df_schema, schema, props, &context);
        let LoweredAggregate { aggregate, filter, order_bys } =
            builder.build().map_err(|e| self.session.failure(&e))?;
        if !order_bys.is_empty() {
            let hint = say!("the events of a window come in the order of their times");
            return Err((say!("a measure cannot have ORDER BY"), Some(hint)));
        }
        let of = |arg: &Arc<dyn PhysicalExpr>| arg.data_type(schema);
        let classified = classify(aggregate.as_ref().clone(), &of).map_err(|e| self.session.failure(&e))?;
        let inputs = ColumnId::all_of(schema, self.wide);
        let lane =
            Lane { args: classified.args, filter, kind: classified.lane, inputs, schema: Arc::clone(schema) };
        let lane = match lane.args.is_empty() && lane.filter.is_none() {
            true => None,
            false => Some(planned.lane(lane)?),
        };
        planned.aggregates.push(Aggregate { kind: classified.kind, lane, data_type: classified.data_type });
        planned.keys.push(key);
        Ok(result_name(planned.keys.len() - 1))
    }

    fn finish(&self, expr: Expr, results: &SchemaRef) -> Result<Arc<dyn PhysicalExpr>> {
        let schema = DFSchema::try_from(Arc::clone(results))?;
        self.session.create_physical_expr(self.session.simplify(expr, &schema)?, &schema)
    }
}

/// The aggregates of several measures.
#[derive(Default)]
struct Split {
    lanes: Vec<Lane>,
    aggregates: Vec<Aggregate>,
    /// The text of each aggregate, by which one that stands twice is known.
    keys: Vec<String>,
    /// What each measure tells of persons.
    personal: Vec<PersonalKind>,
}

impl Split {
    fn lane(&mut self, lane: Lane) -> std::result::Result<usize, Failure> {
        if let Some(at) = self.lanes.iter().position(|known| known.same(&lane)) {
            return Ok(at);
        }
        if self.lanes.len() == LANES_MAX {
            return Err((say!("a rule has at most {LANES_MAX} different aggregates", LANES_MAX), None));
        }
        self.lanes.push(lane);
        Ok(self.lanes.len() - 1)
    }

    fn fields(&self) -> Vec<Field> {
        let field = |(at, aggregate): (usize, &Aggregate)| {
            Field::new(result_name(at), aggregate.data_type.clone(), true)
        };
        self.aggregates.iter().enumerate().map(field).collect()
    }
}

fn result_name(at: usize) -> String {
    format!("aggregate{at}")
}

impl Measures {
    /// How the events of a window are laid out for these measures alone.
    #[must_use]
    pub(crate) fn layout(&self) -> Layout {
        Layout::new(&self.lanes)
    }

    /// The types of the columns that the measures make, by name.
    #[must_use]
    pub(crate) fn index_of(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| field.name() == name)
    }

    /// A hint for a measure that does not exist.
    #[must_use]
    pub(crate) fn suggest(&self, name: &str) -> String {
        suggest(name, self.fields.iter().map(|field| field.name().as_str()))
    }

    /// Whether a measure is a number that can be compared with a history.
    #[must_use]
    pub(crate) fn is_number(&self, at: usize) -> bool {
        let data_type = self.fields[at].data_type();
        data_type.is_integer() || matches!(data_type, DataType::Decimal128(..) | DataType::Float64)
    }
}
