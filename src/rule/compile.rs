//! Checked rules into `DataFusion` physical expressions, once.

use std::{collections::BTreeSet, sync::Arc};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::{common::DataFusionError, execution::SessionState, physical_expr::PhysicalExpr};

use super::{
    CompiledGroup, Language, Rule,
    budget_part::{Conjunct, budget_part, conjuncts_of},
    expression::{Resolved, Scope, project, resolve},
    measure::{Measures, Planner},
    personal,
    query::{QuerySession, ScheduleRule},
    session::Session,
    template::Template,
    window::{Anomaly, Measure, Over, View},
};
use crate::{
    diagnostic::{Failure, column_of, nearest, type_name},
    event::{Column, TypeSet, event_schema, period::Length, schema::FIELDS, time::Calendar},
    ledger::{
        columns::{BUDGET_COLUMNS, GROUP_COLUMNS},
        original::ORIGINAL_COLUMNS,
    },
    lists::Lists,
    personal::{Kind, Kinds},
    rule::plan::Layout,
    say,
    text::did_you_mean,
    yaml::{Document, Placed},
};

/// Compiles rules. Planning costs milliseconds, so it happens here and never while events flow.
pub struct Compiler {
    zone: String,
    session: Session,
    columns: SchemaRef,
    lists: Lists,
    language: Language,
}

/// A condition over the columns it names.
#[derive(Debug, Clone)]
pub struct Condition {
    /// The planned expression; its columns are positions in `schema`.
    pub expr: Arc<dyn PhysicalExpr>,
    /// The columns it reads, by position in the rule's table ([`CompiledRule::columns`]); those of a filter are
    /// always event and budget columns ([`wide_schema`]).
    pub inputs: Vec<usize>,
    /// Their types.
    pub schema: SchemaRef,
    /// The expression with its constants put in, by which equal filters are known.
    pub text: String,
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
    /// The columns of the key, by position in `columns`.
    pub key: Vec<usize>,
    /// The columns that a finding shows.
    pub values: Vec<usize>,
    /// What the columns of the key and of findings tell of persons.
    pub personal: Arc<Kinds>,
    /// The notification line.
    pub summary: Option<Template>,
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
            CompiledView::Closing(view) => matches!(view.size, Length::Quarter | Length::Year),
            CompiledView::Schedule(view) => view.columns.contains(ELAPSED),
            CompiledView::Event | CompiledView::Sliding(_) => names(&self.filter) || names(&self.when),
        }
    }
}

/// What a compiled rule looks at.
#[derive(Debug, Clone)]
pub enum CompiledView {
    /// One event.
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
    /// A column, by position in [`wide_schema`].
    Column(usize),
    /// An expression over columns.
    Computed(Condition),
}

impl KeyPart {
    /// The columns that it reads, by position in [`wide_schema`].
    #[must_use]
    pub fn inputs(&self) -> &[usize] {
        match self {
            Self::Column(at) => std::slice::from_ref(at),
            Self::Computed(expression) => &expression.inputs,
        }
    }
}

/// A sliding window of a rule on events.
#[derive(Debug, Clone)]
pub struct OverWindow {
    /// The key.
    pub by: Vec<KeyPart>,
    /// The measures.
    pub measures: Measures,
    /// The window that it shares with others, by position in [`super::RuleSet::windows`].
    pub window: usize,
    /// Where the results of its aggregates are among those of the window.
    pub results: Vec<usize>,
    /// Where the values that its aggregates read are among those of the window.
    pub lanes: Vec<usize>,
}

impl OverWindow {
    /// The columns that its key and measures read, by position in [`wide_schema`].
    pub fn inputs(&self) -> impl Iterator<Item = usize> {
        let lanes = self.measures.lanes.iter().flat_map(|lane| &lane.inputs);
        self.by.iter().flat_map(KeyPart::inputs).chain(lanes).copied()
    }
}

/// A rule on windows when they close. Its table has the columns of `by`, then the measures, `score`, `baseline` and
/// `n_history` if it has an anomaly, and `window_start` and `window_end`.
#[derive(Debug, Clone)]
pub struct ClosingRule {
    /// The columns of the window's key, by position in [`wide_schema`].
    pub by: Vec<usize>,
    /// The measures.
    pub measures: Measures,
    /// How its events are laid out.
    pub layout: Layout,
    /// How long a window is.
    pub size: Length,
    /// From one window to the next.
    pub slide: Length,
    /// The comparison with the key's history, and the measure that is compared.
    pub anomaly: Option<(Anomaly, usize)>,
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
pub const ORIGINAL_AT: usize = Column::COUNT + BUDGET_COLUMNS.len();

/// A window is filled from the journal, event by event, and must hold the same then: it holds what events say themselves.
fn refuse_originals(d: &mut Document<'_>, rule: &Rule, filter: Option<&Condition>, view: &CompiledView) {
    let mut read: Vec<usize> = match view {
        CompiledView::Sliding(windows) => windows.iter().flat_map(OverWindow::inputs).collect(),
        CompiledView::Closing(view) => {
            let lanes = view.measures.lanes.iter().flat_map(|lane| &lane.inputs);
            view.by.iter().chain(lanes).copied().collect()
        }
        CompiledView::Event | CompiledView::Schedule(_) => return,
    };
    read.extend(filter.iter().flat_map(|filter| &filter.inputs));
    if read.iter().any(|at| *at >= ORIGINAL_AT) {
        let hint = say!("compare original.* in `when`, or leave the window out");
        d.problem(rule.span, say!("a window cannot hold columns of original.*"), Some(hint));
    }
}

impl Compiler {
    /// A compiler for rules in the zone of `calendar`, with these lists.
    #[must_use]
    pub fn new(calendar: &Arc<Calendar>, lists: Lists, language: Language) -> Self {
        let session = Session::new(calendar, &lists);
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
    pub fn rule_session(&self) -> &Session {
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

    /// The lists.
    #[must_use]
    pub fn lists(&self) -> &Lists {
        &self.lists
    }

    /// The time zone.
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
        (table, kinds): (SchemaRef, Vec<Kind>),
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
        let (view, shown, table, kinds) = match &rule.view {
            View::Sliding(windows) => {
                let windows = self.over(d, windows, &scope)?;
                let fields: Vec<_> = windows.iter().flat_map(|w| w.measures.fields.iter().cloned()).collect();
                let (shown, table) = (with(&columns, &fields), Arc::new(with(&self.columns, &fields)));
                let mut kinds = personal::of_schema(&self.columns);
                kinds.extend(windows.iter().flat_map(|window| &window.measures.personal));
                (CompiledView::Sliding(windows), shown, table, kinds)
            }
            View::Window(closing) => {
                let by = self.positions(d, &closing.by, &columns, "`by`");
                let measures = self.measures(d, &closing.measures, &scope)?;
                let anomaly = closing.anomaly.clone().map(|a| compared(d, a, &measures));
                let fields = by.iter().map(|at| self.columns.field(*at).clone());
                let mut fields: Vec<_> = fields.chain(measures.fields.iter().cloned()).collect();
                let mut kinds = personal::of_schema(&Schema::new(fields[..by.len()].to_vec()));
                kinds.extend(&measures.personal);
                if closing.anomaly.is_some() {
                    fields.extend(anomaly_fields());
                    // What was usual is made of the same as what is compared with it.
                    let of = anomaly.as_ref().and_then(|a| a.as_ref()).map(|(_, at)| measures.personal[*at]);
                    kinds.extend([Kind::ORDINARY, of.unwrap_or_default()]);
                }
                let time = self.columns.field(Column::OccurredAt.index()).data_type().clone();
                fields
                    .extend(["window_start", "window_end"].map(|name| Field::new(name, time.clone(), true)));
                let table = Arc::new(Schema::new(fields));
                let anomaly = anomaly.flatten();
                let (size, slide) = (closing.size, closing.slide);
                let layout = measures.layout();
                let closing = ClosingRule { by, measures, layout, size, slide, anomaly };
                (CompiledView::Closing(Box::new(closing)), table.as_ref().clone(), table, kinds)
            }
            _ => {
                let fields = if rule.group.is_some() { group_fields() } else { Vec::new() };
                let (shown, table) = (with(&columns, &fields), Arc::new(with(&self.columns, &fields)));
                let kinds = personal::of_schema(&table);
                (CompiledView::Event, shown, table, kinds)
            }
        };
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

    /// The rest of a rule over the columns of its table, of which it may name those in `shown`.
    fn assemble(
        &self,
        d: &mut Document<'_>,
        rule: Rule,
        shown: &Schema,
        (table, kinds): (SchemaRef, Vec<Kind>),
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
        let key: Vec<_> = rule.key.iter().filter_map(|name| table.index_of(&name.text).ok()).collect();
        let (summary, told) = self.summary(d, &rule, shown);
        let (when, named) = match when {
            Some(when) => when.map(|(when, named)| (Some(when), named))?,
            // A query returns what a finding is to show.
            None => (None, table.fields().iter().map(|f| f.name().clone()).collect()),
        };
        let position = |name: &String| table.index_of(name).ok();
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

    /// The windows of a rule on events, each with its measures.
    fn over(&self, d: &mut Document<'_>, windows: &[Over], scope: &Scope<'_>) -> Option<Vec<OverWindow>> {
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

    fn measures(&self, d: &mut Document<'_>, measures: &[Measure], scope: &Scope<'_>) -> Option<Measures> {
        Planner { session: &self.session, wide: &self.columns, scope }.plan(d, measures)
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
        let resolved: Resolved = resolve(&self.session, d, placed, scope)?;
        let schema = project(table, &resolved.columns);
        let expr = resolved.plan(&self.session, d, placed, &schema, &DataType::Boolean)?;
        let inputs = schema.fields().iter().filter_map(|f| table.index_of(f.name()).ok()).collect();
        Some((Condition { expr, inputs, schema, text: resolved.text() }, resolved.columns))
    }

    /// The positions of columns in the event and budget columns, as far as they are there; `shown` may be named.
    fn positions(&self, d: &mut Document<'_>, names: &[Placed], shown: &Schema, what: &str) -> Vec<usize> {
        let mut positions = Vec::new();
        for Placed { text, span } in names {
            if shown.column_with_name(text).is_none() {
                let names = shown.fields().iter().map(|f| f.name().as_str());
                let ours = column_of(text).filter(|ours| shown.column_with_name(ours).is_some());
                let hint = ours.or_else(|| nearest(text, names)).map(did_you_mean);
                d.problem(*span, say!("unknown column \"{text}\" in {what}", text, what), hint);
            }
            positions.extend(self.columns.index_of(text));
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

/// What a comparison with the history adds.
fn anomaly_fields() -> [Field; 3] {
    [
        Field::new("score", DataType::Float64, true),
        Field::new("baseline", DataType::Float64, true),
        Field::new("n_history", DataType::Int64, true),
    ]
}

/// The measure that is compared with its history.
fn compared(d: &mut Document<'_>, anomaly: Anomaly, measures: &Measures) -> Option<(Anomaly, usize)> {
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
