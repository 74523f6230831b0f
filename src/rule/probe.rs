//! A rule taken apart, to say why it found something, or why not: each part of its conditions becomes a rule of its own,
//! which is compiled and evaluated as every rule is. So an explanation cannot differ from what the rule does.

mod query;
mod without;

use std::{collections::BTreeSet, sync::Arc};

use super::{
    ById, ColumnId, Exception, Id, Rule, RuleId, RuleMode, RuleSet,
    budget_part::parts,
    compile::{CompiledRule, CompiledView, Compiler, KeyPart},
    limits,
    window::View,
};
use crate::{
    event::Column,
    say,
    yaml::{Document, Placed},
};

/// What a part is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Of {
    Whole,
    /// Every event that the rule may be asked of; it shows what `where` reads.
    Asked,
    /// Every event, window or row of a query that passes `where`; it shows what `when` and the exceptions read.
    Passed,
    /// Every event that is in a window, of a rule on windows that close.
    Counted,
    /// Every event that passes `where` and that the first window begins again at (`since`).
    Since,
    /// One of the conditions that `where` joins.
    Where,
    /// One of the conditions that `when`, or a SELECT of a query, joins. Of a query the part is the query without it.
    When,
    /// An exception, by its name.
    Exception(String),
    /// Every event that `where` is judged of and does not hold for: a condition that fails holds as little as its contrary.
    LeftOut,
    /// The same of `when`.
    Refuted,
}

impl Of {
    /// Whether the part is for us alone.
    pub(crate) fn is_shown(&self) -> bool {
        !matches!(self, Self::Where | Self::When | Self::Exception(_))
    }
}

/// A part of a rule. It finds something on an event exactly if it holds.
#[derive(Debug, Clone)]
pub(crate) struct RulePart {
    /// What it is of.
    pub of: Of,
    /// The condition as the rule has it.
    pub text: String,
}

/// A rule taken apart.
#[derive(Debug)]
pub(crate) struct Probes {
    /// The parts as rules, whose ids are their numbers.
    pub rules: Arc<RuleSet>,
    /// The parts, each at the place of its rule.
    pub parts: ById<RuleId, RulePart>,
}

impl Probes {
    /// Takes a rule apart.
    ///
    /// # Errors
    /// If a part cannot stand by itself.
    pub(crate) fn new(rule: &Rule, compiler: &Compiler) -> Result<Self, String> {
        limits::on_a_stack(|| Self::new_here(rule, compiler))
    }

    /// The number of the part that finds something on each event that passes `where`.
    pub(crate) fn counting(&self) -> Option<RuleId> {
        self.part(&Of::Counted).or_else(|| self.part(&Of::Passed))
    }

    /// The first part that is of this.
    pub(crate) fn part(&self, of: &Of) -> Option<RuleId> {
        self.parts.find(|part| part.of == *of)
    }

    fn new_here(rule: &Rule, compiler: &Compiler) -> Result<Self, String> {
        if let View::Schedule(_) = &rule.view {
            return query::taken_apart(rule, compiler);
        }
        let (mut document, _) = Document::parse(&rule.id, "{}");
        let always = || Placed { text: String::from("1 = 1"), span: rule.when.span };
        let conditions = |placed: &Placed| parts(compiler.state(), placed);
        let mut rules = Vec::new();
        let mut found = Vec::new();
        let mut add = |of: Of, text: &str, probe: Rule| {
            let probe =
                Rule { id: found.len().to_string(), mode: RuleMode::Live, summary: Vec::new(), ..probe };
            found.push(RulePart { of, text: text.to_owned() });
            rules.extend(compiler.compile(&mut document, probe));
        };
        let bare = Rule { exceptions: Vec::new(), ..rule.clone() };
        // What comes before the window is judged by the event alone.
        let alone = Rule { view: View::Event, filter: None, when: always(), key: Vec::new(), ..bare.clone() };
        add(Of::Whole, "", rule.clone());
        add(Of::Asked, "", alone.clone());
        add(Of::Passed, "", Rule { when: always(), ..bare.clone() });
        if let View::Window(_) = &rule.view {
            add(Of::Counted, "", Rule { filter: rule.filter.clone(), ..alone.clone() });
        }
        if let View::Sliding(windows) = &rule.view
            && let Some(since) = windows.first().and_then(|over| over.since.as_ref())
        {
            let marks = Rule { filter: rule.filter.clone(), when: since.clone(), ..alone.clone() };
            add(Of::Since, &since.text, marks);
        }
        let contrary =
            |of: &Placed| Placed { text: format!("not coalesce(({}), false)", of.text), span: of.span };
        if let Some(filter) = &rule.filter {
            add(Of::LeftOut, "", Rule { when: contrary(filter), ..alone.clone() });
        }
        add(Of::Refuted, "", Rule { when: contrary(&rule.when), ..bare.clone() });
        for when in rule.filter.iter().flat_map(conditions) {
            add(Of::Where, &when.text, Rule { when: when.clone(), ..alone.clone() });
        }
        for when in conditions(&rule.when) {
            add(Of::When, &when.text, Rule { when: when.clone(), ..bare.clone() });
        }
        for Exception { name, when, .. } in &rule.exceptions {
            add(Of::Exception(name.clone()), &when.text, Rule { when: when.clone(), ..bare.clone() });
        }
        if let Some(problem) = document.problems.first() {
            return Err(problem.to_string());
        }
        if rules.len() != found.len() {
            return Err(say!("the rule cannot be taken apart"));
        }
        show(&mut rules, &found);
        Ok(Self { rules: Arc::new(RuleSet::new(rules, compiler)), parts: found.into() })
    }
}

/// Has the parts for everything show what the conditions read.
fn show(rules: &mut [CompiledRule], parts: &[RulePart]) {
    let inputs = |of: &[&Of]| -> BTreeSet<ColumnId> {
        let read = rules.iter().zip(parts).filter(|(_, part)| of.iter().any(|of| same_kind(of, &part.of)));
        read.filter_map(|(rule, _)| rule.when.as_ref()).flat_map(|when| when.inputs.iter().copied()).collect()
    };
    let asked = inputs(&[&Of::Where]);
    let by: BTreeSet<ColumnId> = (rules.iter())
        .find_map(|rule| match &rule.view {
            CompiledView::Closing(view) => Some(view.by.iter().flat_map(KeyPart::inputs).copied().collect()),
            _ => None,
        })
        .unwrap_or_default();
    let mut passed = inputs(&[&Of::When, &Of::Exception(String::new())]);
    for (rule, part) in rules.iter_mut().zip(parts) {
        match part.of {
            Of::Asked => rule.values = with_amount(asked.clone()),
            Of::Passed => {
                passed.extend(&rule.key);
                let all = rule.columns.fields().len();
                rule.values = match &rule.view {
                    CompiledView::Sliding(windows) => {
                        let measures: usize = windows.iter().map(|window| window.measures.fields.len()).sum();
                        passed.extend((all - measures..all).map(ColumnId::new));
                        with_amount(std::mem::take(&mut passed))
                    }
                    // These have columns of their own: what their windows or queries bring.
                    CompiledView::Closing(_) | CompiledView::Schedule(_) => {
                        (0..all).map(ColumnId::new).collect()
                    }
                    CompiledView::Event => with_amount(std::mem::take(&mut passed)),
                };
            }
            Of::Counted => rule.values = with_amount(by.clone()),
            // A window is told by what it is of.
            _ => match rule.view {
                CompiledView::Closing(_) => {
                    rule.values = (0..rule.columns.fields().len()).map(ColumnId::new).collect();
                }
                _ => rule.values.clear(),
            },
        }
    }
}

fn with_amount(mut columns: BTreeSet<ColumnId>) -> Vec<ColumnId> {
    columns.insert(Column::Amount.into());
    columns.into_iter().collect()
}

fn same_kind(one: &Of, other: &Of) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}
