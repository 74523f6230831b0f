//! Checked rules into `DataFusion` physical expressions, once.

use std::{collections::BTreeSet, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::{
    execution::{SessionState, SessionStateBuilder},
    physical_expr::PhysicalExpr,
    prelude::SessionConfig,
};

use super::{
    Language, Rule,
    expression::{Resolved, Scope, project, resolve},
    template::Template,
};
use crate::{
    diagnostic::nearest,
    evaluate::functions,
    event::{event_schema, schema::FIELDS, time::Calendar},
    ledger::columns::BUDGET_COLUMNS,
    lists::Lists,
    yaml::{Document, Placed},
};

/// Compiles rules. Planning costs milliseconds, so it happens here and never while events flow.
pub struct Compiler {
    state: SessionState,
    columns: SchemaRef,
    lists: Lists,
    language: Language,
}

/// A condition over the columns it names.
#[derive(Debug, Clone)]
pub struct Condition {
    /// The planned expression; its columns are positions in `schema`.
    pub expr: Arc<dyn PhysicalExpr>,
    /// The columns it reads, by position in the event and budget columns ([`wide_schema`]).
    pub inputs: Vec<usize>,
    /// Their types.
    pub schema: SchemaRef,
}

/// A compiled exception.
#[derive(Debug, Clone)]
pub struct CompiledException {
    /// Its name.
    pub name: String,
    /// Its condition.
    pub when: Condition,
    /// The event time in microseconds from which it no longer holds.
    pub until: Option<i64>,
}

/// A rule that can be evaluated.
#[derive(Debug, Clone)]
pub struct CompiledRule {
    /// The rule as written.
    pub rule: Arc<Rule>,
    /// The filter before the condition.
    pub filter: Option<Condition>,
    /// The condition.
    pub when: Condition,
    /// Known good cases.
    pub exceptions: Vec<CompiledException>,
    /// The columns of the key, by position in [`wide_schema`].
    pub key: Vec<usize>,
    /// The columns that a finding shows.
    pub values: Vec<usize>,
    /// The notification line.
    pub summary: Option<Template>,
    /// The title in the configured language, which is the line of a rule without one.
    pub title: String,
}

/// The columns of the event, then those of `budget.*` by their whole names.
#[must_use]
pub fn wide_schema(zone: &str) -> SchemaRef {
    let events = event_schema(zone);
    let budget =
        BUDGET_COLUMNS.iter().map(|(name, c)| Field::new(format!("budget.{name}"), c.data_type(), true));
    // Every event column is nullable here: a rule may have several triggers.
    let event_fields = events.fields().iter().map(|f| f.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(event_fields.chain(budget).collect::<Vec<_>>()))
}

impl Compiler {
    /// A compiler for rules in the zone of `calendar`, with these lists.
    #[must_use]
    pub fn new(calendar: &Arc<Calendar>, lists: Lists, language: Language) -> Self {
        let mut config = SessionConfig::new();
        let options = config.options_mut();
        // 0.1 + 0.2 = 0.3 must be true: literals are exact decimals.
        options.sql_parser.parse_float_as_decimal = true;
        options.execution.time_zone = Some(calendar.zone_name.clone());
        let mut state = SessionStateBuilder::new().with_config(config).with_default_features().build();
        // A registry of functions in memory does not fail.
        for function in functions::scalars(calendar, &lists) {
            let _ = datafusion::execution::FunctionRegistry::register_udf(&mut state, Arc::new(function));
        }
        for function in functions::aggregates() {
            let _ = datafusion::execution::FunctionRegistry::register_udaf(&mut state, Arc::new(function));
        }
        Self { state, columns: wide_schema(&calendar.zone_name), lists, language }
    }

    /// The columns that rules may name.
    #[must_use]
    pub fn columns(&self) -> &SchemaRef {
        &self.columns
    }

    /// Compiles a rule; what is wrong with it goes to the document.
    pub fn compile(&self, d: &mut Document<'_>, rule: Rule) -> Option<CompiledRule> {
        let before = d.problems.len();
        if rule.trigger == 0 || rule.when.text.is_empty() {
            // Parsing has said so, and nothing more can be said about its columns.
            return None;
        }
        let (columns, elsewhere) = self.columns_for(rule.trigger);
        let scope =
            Scope { columns: &columns, elsewhere: &elsewhere, params: &rule.params, lists: &self.lists };
        let filter = rule.filter.as_ref().map(|placed| self.condition(d, placed, &scope));
        let when = self.condition(d, &rule.when, &scope);
        let exceptions: Vec<_> = rule
            .exceptions
            .iter()
            .map(|e| (self.condition(d, &e.when, &scope), e.name.clone(), e.until))
            .filter_map(|(when, name, until)| Some(CompiledException { name, when: when?.0, until }))
            .collect();
        let key = self.key(d, &rule.key, &columns);
        let (summary, shown) = self.summary(d, &rule, &columns);
        if d.problems.len() != before {
            return None;
        }
        let (when, named) = when?;
        let position = |name: &String| self.columns.index_of(name).ok();
        Some(CompiledRule {
            filter: filter.map(|f| f.map(|(condition, _)| condition)).unwrap_or_default(),
            when,
            exceptions,
            key,
            values: named.union(&shown).filter_map(position).collect(),
            summary,
            title: rule.title.get(self.language).to_owned(),
            rule: Arc::new(rule),
        })
    }

    /// The columns that all of the triggers' events have, and the names of the others.
    fn columns_for(&self, trigger: u8) -> (Schema, Vec<&'static str>) {
        let has = |name: &str| FIELDS.iter().find(|f| f.name == name).is_none_or(|f| f.on & trigger != 0);
        let fields: Vec<_> = self.columns.fields().iter().filter(|f| has(f.name())).cloned().collect();
        let elsewhere = FIELDS.iter().map(|f| f.name).filter(|name| !has(name)).collect();
        (Schema::new(fields), elsewhere)
    }

    fn condition(
        &self,
        d: &mut Document<'_>,
        placed: &Placed,
        scope: &Scope<'_>,
    ) -> Option<(Condition, BTreeSet<String>)> {
        let resolved: Resolved = resolve(&self.state, d, placed, scope)?;
        let schema = project(&self.columns, &resolved.columns);
        let expr = resolved.plan(&self.state, d, placed, &schema, &DataType::Boolean)?;
        let inputs = schema.fields().iter().filter_map(|f| self.columns.index_of(f.name()).ok()).collect();
        Some((Condition { expr, inputs, schema }, resolved.columns))
    }

    fn key(&self, d: &mut Document<'_>, key: &[Placed], columns: &Schema) -> Vec<usize> {
        let mut positions = Vec::new();
        for Placed { text, span } in key {
            match self.columns.index_of(text).ok().filter(|_| columns.column_with_name(text).is_some()) {
                Some(position) => positions.push(position),
                None => {
                    let names = columns.fields().iter().map(|f| f.name().as_str());
                    let hint = nearest(text, names).map(|near| format!("did you mean {near:?}?"));
                    d.problem(*span, format!("unknown column {text:?} in the key"), hint);
                }
            }
        }
        positions
    }

    fn summary(
        &self,
        d: &mut Document<'_>,
        rule: &Rule,
        columns: &Schema,
    ) -> (Option<Template>, BTreeSet<String>) {
        let mut chosen = None;
        let mut shown = BTreeSet::new();
        for (language, placed) in &rule.summary {
            let template = match Template::new(&placed.text) {
                Ok(template) => template,
                Err(e) => {
                    d.problem(placed.span, format!("the summary is not a template: {e}"), None);
                    continue;
                }
            };
            for name in template.columns() {
                if columns.column_with_name(&name).is_none() {
                    let names = columns.fields().iter().map(|f| f.name().as_str());
                    let hint = nearest(&name, names).map(|near| format!("did you mean {near:?}?"));
                    let message = format!("unknown column {name:?} in the summary");
                    d.problem_at(placed.span, (&name, 0), message, hint);
                }
                shown.insert(name);
            }
            if *language == self.language || chosen.is_none() {
                chosen = Some(template);
            }
        }
        (chosen, shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::RuleSet;

    #[test]
    fn a_rule_without_a_summary_is_named_in_the_configured_language() {
        let rule =
            "rules: [{id: a, title: {zh: 甲, en: A}, severity: low, trigger: payment, key: [], when: 1 = 1}]";
        let calendar = Arc::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap());
        for (language, title) in [(Language::Zh, "甲"), (Language::En, "A")] {
            let compiler = Compiler::new(&calendar, Lists::default(), language);
            let rules = RuleSet::from_text(rule, &compiler, &calendar).unwrap();
            assert_eq!(rules.rules[0].title, title);
        }
    }
}
