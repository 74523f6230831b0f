//! The rules that are evaluated together, and what they need of events.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    ById, ColumnId, CompiledGroup, Exception, Rule, RuleId, RuleMode, WindowId,
    compile::{CompiledRule, CompiledView, Compiler, OverWindow},
    limits,
    manifest::RuleManifest,
    parse,
    parts::InParts,
    query::QuerySession,
    share::{SharedWindow, share},
    window::View,
};
use crate::{
    diagnostic::Diagnostic,
    event::{EventType, Instant, TimeDelta, TypeSet, event_schema, time::Calendar},
    ledger::Grouping,
    lists::Lists,
    say,
    sql::tables::{self, EVENT_COLUMNS, EVENT_TYPES},
    yaml::Document,
};

/// The rules that are evaluated together.
#[derive(Debug, Default, Clone)]
pub struct RuleSet {
    /// The rules, by file and then in the order in which they stand there.
    pub rules: ById<RuleId, CompiledRule>,
    /// The columns of `budget.*` and `original.*` that any of them reads.
    pub beside: Vec<ColumnId>,
    /// The types of the events whose originals any of them asks for, as [`EventType::bit`]s.
    pub originals: TypeSet,
    /// The groups of budget lines that they compare, those that are alike once.
    pub groups: Vec<Arc<CompiledGroup>>,
    /// The sliding windows that they share.
    pub windows: ById<WindowId, SharedWindow>,
    /// Their conditions on single events, so cut that what several ask is asked once.
    pub(crate) in_parts: InParts,
    /// The types of events that schedules read, with the columns that any of them can read, by position in the event
    /// schema.
    pub read: Vec<(EventType, Vec<usize>)>,
    /// What the queries of schedules start from; `None` without such a rule.
    pub session: Option<QuerySession>,
    /// The reference lists that they were compiled with.
    pub lists: Lists,
    /// The rules that were left out, and the first mistake of each.
    pub skipped: Vec<(String, Diagnostic)>,
    /// What they were read from.
    pub manifest: RuleManifest,
}

impl RuleSet {
    /// The rules whose findings may show what is another unit's.
    #[must_use]
    pub fn telling_of_others(&self) -> BTreeSet<String> {
        let telling = self.rules.iter().filter(|rule| rule.tells_of_others());
        telling.map(|rule| rule.rule.id.clone()).collect()
    }

    /// The day until which people agreed that a rule lets a unit be, if they did and it is not over.
    #[must_use]
    pub fn excepted(&self, rule: &str, unit: &str, now: Instant) -> Option<&str> {
        let of_rule = self.rules.iter().find(|compiled| compiled.rule.id == rule)?;
        let holds = |exception: &&Exception| exception.until.is_none_or(|until| until > now);
        let agreed = of_rule.rule.exceptions.iter().filter(holds).filter_map(|one| one.agreed.as_ref());
        agreed.into_iter().find(|agreed| agreed.unit == unit).map(|agreed| agreed.until.as_str())
    }

    /// The set of these rules.
    #[must_use]
    pub fn new(mut rules: Vec<CompiledRule>, compiler: &Compiler) -> Self {
        let windows = share(&mut rules, compiler.lists());
        let groups = share_groups(&mut rules);
        let (beside, originals) = (beside(&rules), originals(&rules));
        let has_schedule = rules.iter().any(|rule| matches!(rule.view, CompiledView::Schedule(_)));
        let read = read_by_schedules(&rules, compiler);
        let session = has_schedule.then(|| compiler.session());
        let lists = compiler.lists().clone();
        let rules = ById::from(rules);
        Self {
            in_parts: InParts::new(&rules, &windows),
            rules,
            beside,
            originals,
            groups,
            windows,
            read,
            session,
            lists,
            skipped: Vec::new(),
            manifest: RuleManifest::default(),
        }
    }

    /// The same rules with the lists of another compiler.
    ///
    /// # Errors
    /// If a rule needs what a list has no longer.
    pub fn with_lists(&self, compiler: &Compiler) -> Result<Arc<Self>, Vec<Diagnostic>> {
        limits::on_a_stack(|| {
            let (mut document, _) = Document::parse(&say!("the rules in force"), "{}");
            let again =
                self.rules.iter().map(|rule| compiler.compile(&mut document, Rule::clone(&rule.rule)));
            let rules = again.flatten().collect();
            if document.problems.is_empty() {
                let (skipped, manifest) = (self.skipped.clone(), self.manifest.clone());
                Ok(Arc::new(Self { skipped, manifest, ..Self::new(rules, compiler) }))
            } else {
                Err(document.problems)
            }
        })
    }

    /// The same rules, of which those that `rests` names are not judged.
    #[must_use]
    pub fn resting(&self, compiler: &Compiler, rests: impl Fn(&CompiledRule) -> bool) -> Self {
        let mut set = self.clone();
        for compiled in set.rules.iter_mut().filter(|compiled| rests(compiled)) {
            Arc::make_mut(&mut compiled.rule).mode = RuleMode::Disabled;
        }
        // Made anew: windows and columns that none needs any more are not kept.
        set.with_lists(compiler).map_or(set, |again| Self::clone(&again))
    }

    /// Some of the rules, those that look at single events, without anything else.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(&CompiledRule) -> bool) -> Self {
        let wanted = |rule: &&CompiledRule| matches!(rule.view, CompiledView::Event) && wanted(rule);
        let rules: ById<RuleId, CompiledRule> = self.rules.iter().filter(wanted).cloned().collect();
        let in_parts = InParts::new(&rules, &ById::default());
        Self { rules, in_parts, beside: self.beside.clone(), groups: self.groups.clone(), ..Self::default() }
    }

    /// What the ledger is to group its lines by for these rules.
    #[must_use]
    pub fn groupings(&self) -> Vec<Arc<dyn Grouping>> {
        self.groups.iter().map(|group| Arc::clone(group) as Arc<dyn Grouping>).collect()
    }

    /// Rules written in a text, for tests and examples.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn from_text(
        text: &str,
        compiler: &Compiler,
        calendar: &Calendar,
    ) -> Result<Arc<Self>, Vec<Diagnostic>> {
        limits::on_a_stack(|| Self::from_text_here(text, compiler, calendar))
    }

    fn from_text_here(
        text: &str,
        compiler: &Compiler,
        calendar: &Calendar,
    ) -> Result<Arc<Self>, Vec<Diagnostic>> {
        let (mut document, root) = Document::parse("rules", text);
        let rules = root.map(|root| parse::rules(&mut document, &root, calendar)).unwrap_or_default();
        let rules: Vec<_> =
            rules.into_iter().filter_map(|rule| compiler.compile(&mut document, rule)).collect();
        if !document.problems.is_empty() {
            return Err(document.problems);
        }
        Ok(Arc::new(Self::new(rules, compiler)))
    }
}

impl CompiledRule {
    /// How far back its windows and their history reach; 0 for a rule that looks at single events, `None`
    /// for a query, whose reach nobody knows.
    #[must_use]
    pub fn horizon(&self) -> Option<TimeDelta> {
        match (&self.view, &self.rule.view) {
            (CompiledView::Sliding(_), View::Sliding(windows)) => {
                windows.iter().map(|over| over.reach.longest()).max()
            }
            (CompiledView::Closing(closing), _) => {
                let windows = closing.anomaly.as_ref().map_or(0, |(anomaly, _)| anomaly.history);
                let windows = i64::try_from(windows).unwrap_or(i64::MAX);
                let history = closing.slide.longest().saturating_mul(windows);
                Some(closing.size.longest().saturating_add(history))
            }
            (CompiledView::Schedule(_), _) => None,
            _ => Some(TimeDelta::ZERO),
        }
    }

    /// Whether it reads `budget.*` or the sums of a group.
    #[must_use]
    pub fn reads_balances(&self) -> bool {
        self.group.is_some() || self.event_columns().iter().any(|column| column.is_of_budget())
    }

    /// Whether it reads `original.*`.
    #[must_use]
    pub fn reads_original(&self) -> bool {
        self.event_columns().iter().any(|column| column.is_of_original())
    }

    /// The columns of [`super::compile::wide_schema`] that it reads, and perhaps some behind them (its measures).
    #[must_use]
    pub fn event_columns(&self) -> Vec<ColumnId> {
        let mut columns: Vec<ColumnId> = self.filter.iter().flat_map(|c| c.inputs.iter().copied()).collect();
        match &self.view {
            CompiledView::Sliding(windows) => columns.extend(windows.iter().flat_map(OverWindow::inputs)),
            CompiledView::Closing(closing) => columns.extend(closing.inputs()),
            CompiledView::Event | CompiledView::Schedule(_) => {}
        }
        if matches!(self.view, CompiledView::Event | CompiledView::Sliding(_)) {
            let conditions = self.when.iter().chain(self.exceptions.iter().map(|e| &e.when));
            columns.extend(conditions.flat_map(|c| &c.inputs));
            columns.extend(self.key.iter().chain(&self.values));
        }
        columns
    }
}

/// The columns of `budget.*` and `original.*` that rules read, wherever they do.
fn beside(rules: &[CompiledRule]) -> Vec<ColumnId> {
    let used: BTreeSet<_> = rules.iter().flat_map(CompiledRule::event_columns).collect();
    used.into_iter().filter(|column| column.is_of_budget() || column.is_of_original()).collect()
}

/// Gives each rule on groups its place among them.
fn share_groups(rules: &mut [CompiledRule]) -> Vec<Arc<CompiledGroup>> {
    let mut groups: Vec<Arc<CompiledGroup>> = Vec::new();
    let live = rules.iter_mut().filter(|rule| rule.rule.mode != RuleMode::Disabled);
    for (group, place) in live.filter_map(|rule| rule.group.as_mut()) {
        let known = groups.iter().position(|known| known.text() == group.text());
        *place = known.unwrap_or(groups.len());
        if known.is_none() {
            groups.push(Arc::clone(group));
        }
    }
    groups
}

/// The types of the events whose originals are asked for.
fn originals(rules: &[CompiledRule]) -> TypeSet {
    let asks = |rule: &&CompiledRule| rule.rule.mode != RuleMode::Disabled && rule.reads_original();
    rules.iter().filter(asks).fold(0, |types, rule| types | rule.rule.trigger)
}

/// The events that schedules read, with the columns that they can read of them.
fn read_by_schedules(rules: &[CompiledRule], compiler: &Compiler) -> Vec<(EventType, Vec<usize>)> {
    let schedules = rules.iter().filter(|rule| rule.rule.mode != RuleMode::Disabled);
    let schedules: Vec<_> = schedules
        .filter_map(|rule| match &rule.view {
            CompiledView::Schedule(schedule) => Some(schedule),
            _ => None,
        })
        .collect();
    let mut read = Vec::new();
    for event_type in EventType::ALL {
        let of_type = |table: &String| tables::event_type(table) == Some(event_type);
        let reading = schedules.iter().filter(|schedule| schedule.tables.iter().any(of_type));
        let forecasts = EVENT_TYPES.contains(&event_type) && schedules.iter().any(|s| s.forecasts);
        let names = reading.clone().flat_map(|schedule| &schedule.columns).map(String::as_str);
        let names: BTreeSet<_> = names.chain(EVENT_COLUMNS.into_iter().filter(|_| forecasts)).collect();
        if forecasts || reading.count() > 0 {
            let schema = event_schema(compiler.zone());
            read.push((event_type, names.into_iter().filter_map(|n| schema.index_of(n).ok()).collect()));
        }
    }
    read
}
