//! Checked rules into `DataFusion` physical expressions, once.

mod compiled;
mod windows;

use std::{collections::BTreeSet, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::{common::DataFusionError, execution::SessionState};

use super::{
    ColumnId, Id, Language, Rule,
    budget_part::{budget_part, conjuncts_of},
    expression::{ResolvedExpression, Scope, project, resolve},
    personal,
    query::QuerySession,
    session::PlanningSession,
    template::Template,
    window::View,
};
use crate::{
    diagnostic::{Failure, column_of, nearest},
    event::{Column, TypeSet, event_schema, schema::FIELDS, time::Calendar},
    ledger::{
        columns::{BUDGET_COLUMNS, GROUP_COLUMNS},
        original::ORIGINAL_COLUMNS,
    },
    lists::Lists,
    personal::PersonalKind,
    say,
    text::did_you_mean,
    yaml::{Document, Placed},
};

use windows::{anomaly_fields, refuse_originals};

pub use compiled::{
    ClosingRule, CompiledException, CompiledRule, CompiledView, Condition, KeyPart, OverWindow, WindowShape,
};

/// Compiles rules. Planning costs milliseconds, so it happens here and never while events flow.
pub struct Compiler {
    zone: String,
    session: PlanningSession,
    columns: SchemaRef,
    lists: Lists,
    language: Language,
}

/// The columns of the event, then those of `budget.*` and `original.*` by their whole names.
#[must_use]
pub fn wide_schema(zone: &str) -> SchemaRef {
    let events = event_schema(zone);
    let budget =
        BUDGET_COLUMNS.iter().map(|(name, c)| Field::new(format!("budget.{name}"), c.data_type(), true));
    // Every event column is nullable here: a rule may have several triggers.
    let event_fields = events.fields().iter().map(|f| f.as_ref().clone().with_nullable(true));
    let original = ORIGINAL_COLUMNS.iter().map(|(name, c)| Field::new(*name, c.data_type(&events), true));
    Arc::new(Schema::new(event_fields.chain(budget).chain(original).collect::<Vec<_>>()))
}

/// Where the columns of `original.*` begin in [`wide_schema`].
const ORIGINAL_AT: usize = Column::COUNT + BUDGET_COLUMNS.len();

impl ColumnId {
    /// The column of [`wide_schema`] that is this one of [`BUDGET_COLUMNS`].
    #[must_use]
    pub fn budget(number: usize) -> Self {
        Self::new(Column::COUNT + number)
    }

    /// The column of [`wide_schema`] that is this one of [`ORIGINAL_COLUMNS`].
    #[must_use]
    pub fn original(number: usize) -> Self {
        Self::new(ORIGINAL_AT + number)
    }

    /// Whether it is the event's own.
    #[must_use]
    pub fn is_of_event(self) -> bool {
        self.number() < Column::COUNT
    }

    /// Whether it is one of `budget.*`.
    #[must_use]
    pub fn is_of_budget(self) -> bool {
        (Column::COUNT..ORIGINAL_AT).contains(&self.number())
    }

    /// Whether it is one of `original.*`.
    #[must_use]
    pub fn is_of_original(self) -> bool {
        (ORIGINAL_AT..ORIGINAL_AT + ORIGINAL_COLUMNS.len()).contains(&self.number())
    }
}

impl Compiler {
    /// A compiler for rules in the zone of `calendar`, with these lists.
    #[must_use]
    pub fn new(calendar: &Arc<Calendar>, lists: Lists, language: Language) -> Self {
        let session = PlanningSession::new(calendar, &lists);
        let (zone, columns) = (calendar.zone_name.clone(), wide_schema(&calendar.zone_name));
        Self { zone, session, columns, lists, language }
    }

    /// The columns that rules may name.
    #[must_use]
    pub fn columns(&self) -> &SchemaRef {
        &self.columns
    }

    /// The functions and settings of expressions.
    #[must_use]
    pub fn rule_session(&self) -> &PlanningSession {
        &self.session
    }

    /// The functions and settings of queries.
    #[must_use]
    pub fn state(&self) -> &SessionState {
        &self.session
    }

    /// What is wrong with an expression or a query, in our words.
    #[must_use]
    pub fn session_failure(&self, error: &DataFusionError) -> Failure {
        self.session.failure(error)
    }

    /// The lists that expressions can ask.
    #[must_use]
    pub fn lists(&self) -> &Lists {
        &self.lists
    }

    /// The zone that local times are meant in.
    #[must_use]
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// What the queries of schedules start from.
    #[must_use]
    pub fn session(&self) -> QuerySession {
        QuerySession { state: SessionState::clone(&self.session), lists: self.lists.clone() }
    }

    /// The rest of a schedule rule, whose table is what its query returns.
    pub fn assemble_query(
        &self,
        d: &mut Document<'_>,
        rule: Rule,
        (table, kinds): (SchemaRef, Vec<PersonalKind>),
        view: CompiledView,
    ) -> Option<CompiledRule> {
        let shown = table.as_ref().clone();
        self.assemble(d, rule, &shown, (table, kinds), None, view)
    }

    /// Compiles a rule; what is wrong with it goes to the document.
    pub fn compile(&self, d: &mut Document<'_>, rule: Rule) -> Option<CompiledRule> {
        let before = d.problems.len();
        if let View::Schedule(schedule) = &rule.view {
            let schedule = schedule.clone();
            return super::query::compile(self, d, rule, schedule);
        }
        if rule.trigger == 0 || rule.when.text.is_empty() {
            // Parsing has said so, and nothing more can be said about its columns.
            return None;
        }
        let (columns, elsewhere) = self.columns_for(rule.trigger);
        let scope =
            Scope { columns: &columns, elsewhere: &elsewhere, params: &rule.params, lists: &self.lists };
        let filter = rule.filter.as_ref().map(|placed| self.condition(d, placed, &scope, &self.columns));
        let (view, shown, (table, kinds)) = self.view(d, &rule, &scope)?;
        let group = match &rule.group {
            Some(group) => Some(group.compile(self, d).map(Arc::new)?),
            None => None,
        };
        let filter = filter.flatten().map(|(condition, _)| condition);
        refuse_originals(d, &rule, filter.as_ref(), &view);
        let clears = match &view {
            CompiledView::Event | CompiledView::Sliding(_) => self.clears(d, &rule, &scope),
            CompiledView::Closing(_) | CompiledView::Schedule(_) => None,
        };
        let compiled = self.assemble(d, rule, &shown, (table, kinds), filter, view);
        let group = group.map(|group| (group, 0));
        let compiled = compiled.map(|rule| CompiledRule { clears, group, ..rule });
        // A rule with a problem is not used; the document says what is wrong.
        compiled.filter(|_| d.problems.len() == before)
    }

    /// What a rule looks at: the columns that it may name, and those of its table with what they tell of persons.
    fn view(
        &self,
        d: &mut Document<'_>,
        rule: &Rule,
        scope: &Scope<'_>,
    ) -> Option<(CompiledView, Schema, (SchemaRef, Vec<PersonalKind>))> {
        let columns = scope.columns;
        Some(match &rule.view {
            View::Sliding(windows) => {
                let windows = self.over(d, windows, scope)?;
                let fields: Vec<_> = windows.iter().flat_map(|w| w.measures.fields.iter().cloned()).collect();
                let (shown, table) = (with(columns, &fields), Arc::new(with(&self.columns, &fields)));
                let mut kinds = personal::of_schema(&self.columns);
                kinds.extend(windows.iter().flat_map(|window| &window.measures.personal));
                (CompiledView::Sliding(windows), shown, (table, kinds))
            }
            View::Window(closing) => {
                let (closing, by) = self.closing(d, closing, scope)?;
                let measures = &closing.measures;
                let (mut fields, mut kinds): (Vec<_>, Vec<_>) = by.into_iter().unzip();
                kinds.extend(&measures.personal);
                fields.extend(measures.fields.iter().cloned());
                if let Some((_, at)) = &closing.anomaly {
                    fields.extend(anomaly_fields());
                    // What was usual is made of the same as what is compared with it.
                    kinds.extend([PersonalKind::ORDINARY, measures.personal[*at]]);
                }
                let time = self.columns.field(Column::OccurredAt.index()).data_type().clone();
                fields
                    .extend(["window_start", "window_end"].map(|name| Field::new(name, time.clone(), true)));
                let table = Arc::new(Schema::new(fields));
                (CompiledView::Closing(Box::new(closing)), table.as_ref().clone(), (table, kinds))
            }
            _ => {
                let fields = if rule.group.is_some() { group_fields() } else { Vec::new() };
                let (shown, table) = (with(columns, &fields), Arc::new(with(&self.columns, &fields)));
                let kinds = personal::of_schema(&table);
                (CompiledView::Event, shown, (table, kinds))
            }
        })
    }

    /// The rest of a rule over the columns of its table, of which it may name those in `shown`.
    fn assemble(
        &self,
        d: &mut Document<'_>,
        rule: Rule,
        shown: &Schema,
        (table, kinds): (SchemaRef, Vec<PersonalKind>),
        filter: Option<Condition>,
        view: CompiledView,
    ) -> Option<CompiledRule> {
        let (_, elsewhere) = self.columns_for(rule.trigger);
        let scope = Scope { columns: shown, elsewhere: &elsewhere, params: &rule.params, lists: &self.lists };
        let is_query = matches!(view, CompiledView::Schedule(_));
        let when = (!is_query).then(|| self.condition(d, &rule.when, &scope, &table));
        let exceptions: Vec<_> = rule
            .exceptions
            .iter()
            .map(|e| (self.condition(d, &e.when, &scope, &table), e.name.clone(), e.until))
            .filter_map(|(when, name, until)| Some(CompiledException { name, when: when?.0, until }))
            .collect();
        self.positions(d, &rule.key, shown, &say!("the key"));
        let key: Vec<_> = rule.key.iter().filter_map(|name| ColumnId::of(&table, &name.text)).collect();
        let (summary, told) = self.summary(d, &rule, shown);
        let (when, named) = match when {
            Some(when) => when.map(|(when, named)| (Some(when), named))?,
            // A query returns what a finding is to show.
            None => (None, table.fields().iter().map(|f| f.name().clone()).collect()),
        };
        let position = |name: &String| ColumnId::of(&table, name);
        let values: Vec<_> = named.union(&told).filter_map(position).collect();
        let personal = personal::named(&table, &kinds, key.iter().chain(&values).copied());
        let conjuncts = when.as_ref().map_or_else(Vec::new, |_| conjuncts_of(&self.session, &rule.when));
        Some(CompiledRule {
            filter,
            when,
            conjuncts,
            clears: None,
            exceptions,
            key,
            values,
            personal: Arc::new(personal),
            summary,
            title: rule.title.get(self.language).to_owned(),
            columns: table,
            rule: Arc::new(rule),
            view,
            group: None,
        })
    }

    /// The part of the condition that only the budget line decides.
    fn clears(&self, d: &mut Document<'_>, rule: &Rule, scope: &Scope<'_>) -> Option<Condition> {
        let expressions: Vec<_> = rule.filter.iter().chain([&rule.when]).collect();
        let text = budget_part(&self.session, &expressions)?;
        let placed = Placed { text, span: rule.when.span };
        self.condition(d, &placed, scope, &self.columns).map(|(condition, _)| condition)
    }

    /// The columns that all of the triggers' events have, and the names of the others.
    fn columns_for(&self, trigger: TypeSet) -> (Schema, Vec<&'static str>) {
        let originals = ORIGINAL_COLUMNS.iter().map(|(name, _)| *name);
        // An original is that of the event's `original_event_id`.
        let of = |name: &str| match originals.clone().any(|original| original == name) {
            true => Some(Column::OriginalEventId.spec()),
            false => FIELDS.iter().find(|f| f.name == name),
        };
        let has = |name: &str| of(name).is_none_or(|f| f.on & trigger != 0);
        let fields: Vec<_> = self.columns.fields().iter().filter(|f| has(f.name())).cloned().collect();
        let names = FIELDS.iter().map(|f| f.name).chain(originals.clone());
        let elsewhere = names.filter(|name| !has(name)).collect();
        (Schema::new(fields), elsewhere)
    }

    fn condition(
        &self,
        d: &mut Document<'_>,
        placed: &Placed,
        scope: &Scope<'_>,
        table: &SchemaRef,
    ) -> Option<(Condition, BTreeSet<String>)> {
        let resolved: ResolvedExpression = resolve(&self.session, d, placed, scope)?;
        let schema = project(table, &resolved.columns);
        let expr = resolved.plan(&self.session, d, placed, &schema, &DataType::Boolean)?;
        let inputs = ColumnId::all_of(&schema, table);
        Some((Condition { expr, inputs, schema, text: resolved.text() }, resolved.columns))
    }

    /// The event and budget columns of these names, as far as they are there; `shown` may be named.
    fn positions(&self, d: &mut Document<'_>, names: &[Placed], shown: &Schema, what: &str) -> Vec<ColumnId> {
        let mut positions = Vec::new();
        for Placed { text, span } in names {
            if shown.column_with_name(text).is_none() {
                let names = shown.fields().iter().map(|f| f.name().as_str());
                let ours = column_of(text).filter(|ours| shown.column_with_name(ours).is_some());
                let hint = ours.or_else(|| nearest(text, names)).map(did_you_mean);
                d.problem(*span, say!("unknown column \"{text}\" in {what}", text, what), hint);
            }
            positions.extend(ColumnId::of(&self.columns, text));
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
            if let Some(sign) = placed.text.chars().find(|sign| matches!(sign, '｛' | '｝')) {
                let message = say!("{sign} is a full-width sign and is printed as it is", sign);
                let hint = say!("write {{{{ and }}}} around a column: {{{{ amount }}}}");
                d.problem_at(placed.span, (&sign.to_string(), 0), message, Some(hint));
                continue;
            }
            let template = match Template::new(&placed.text) {
                Ok(template) => template,
                Err(e) => {
                    d.problem(placed.span, say!("the summary is not a template: {e}", e), None);
                    continue;
                }
            };
            for name in template.columns() {
                if columns.column_with_name(&name).is_none() {
                    let names = columns.fields().iter().map(|f| f.name().as_str());
                    let ours = column_of(&name).filter(|ours| columns.column_with_name(ours).is_some());
                    let hint = ours.or_else(|| nearest(&name, names)).map(did_you_mean);
                    let message = say!("unknown column \"{name}\" in the summary", name);
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

/// A schema with more columns at its end.
fn with(columns: &Schema, more: &[Field]) -> Schema {
    Schema::new(
        columns.fields().iter().map(|f| f.as_ref().clone()).chain(more.iter().cloned()).collect::<Vec<_>>(),
    )
}

/// The columns of `group.*`, which stand behind those of the event's line.
fn group_fields() -> Vec<Field> {
    GROUP_COLUMNS.iter().map(|(name, c)| Field::new(format!("group.{name}"), c.data_type(), true)).collect()
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
            assert_eq!(rules.rules.first().unwrap().title, title);
        }
    }
}
