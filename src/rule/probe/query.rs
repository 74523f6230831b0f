//! A rule on a schedule taken apart: its query without each of its conditions, and its exceptions one by one.

use super::{Of, Probes, RulePart, show};
use crate::{
    rule::{
        Exception, Rule, RuleMode, RuleSet,
        compile::{CompiledRule, CompiledView, Compiler},
    },
    say,
    yaml::Document,
};
use std::sync::Arc;

/// Conditions of a query that are looked at, the first.
const CONDITIONS_MAX: usize = 32;

pub(super) fn taken_apart(rule: &Rule, compiler: &Compiler) -> Result<Probes, String> {
    let (mut document, _) = Document::parse(&rule.id, "{}");
    let mut rules: Vec<CompiledRule> = Vec::new();
    let mut parts = Vec::new();
    let bare = Rule { mode: RuleMode::Live, summary: Vec::new(), exceptions: Vec::new(), ..rule.clone() };
    let mut add = |of: Of, text: &str, probe: Rule| {
        let probe = Rule { id: parts.len().to_string(), ..probe };
        parts.push(RulePart { of, text: text.to_owned() });
        rules.extend(compiler.compile(&mut document, probe));
    };
    add(Of::Whole, "", Rule { exceptions: rule.exceptions.clone(), ..bare.clone() });
    add(Of::Passed, "", bare.clone());
    for exception in &rule.exceptions {
        let Exception { name, when, .. } = exception;
        let only = Rule { exceptions: vec![exception.clone()], ..bare.clone() };
        add(Of::Exception(name.clone()), &when.text, only);
    }
    if let Some(problem) = document.problems.first() {
        return Err(problem.to_string());
    }
    let Some(passed) = rules.get(1).filter(|_| rules.len() == parts.len()).cloned() else {
        return Err(say!("the rule cannot be taken apart"));
    };
    if let CompiledView::Schedule(query) = &passed.view {
        for (text, without) in query.without_each(CONDITIONS_MAX) {
            let inner = Rule { id: parts.len().to_string(), ..bare.clone() };
            let view = CompiledView::Schedule(Box::new(without));
            rules.push(CompiledRule { rule: Arc::new(inner), view, ..passed.clone() });
            parts.push(RulePart { of: Of::When, text });
        }
    }
    show(&mut rules, &parts);
    Ok(Probes { rules: Arc::new(RuleSet::new(rules, compiler)), parts: parts.into() })
}
