//! Which reference lists a rule asks. What it finds depends on what they hold as on its own words.

use std::{collections::BTreeSet, fmt::Write};

use xxhash_rust::xxh3::xxh3_64;

use super::{
    Param, RuleSet,
    compile::{CompiledRule, CompiledView},
    window::{Measure, View, WindowForm},
};
use crate::{
    lists::{Lists, list_name},
    sql::functions::{HOLIDAYS, codes},
    yaml::Placed,
};

/// Whether an expression asks a list.
fn asks_in(text: &str, list: &str) -> bool {
    // Working days are counted by the list of that name without naming it.
    text.contains(&format!("'{list}'"))
        || list == HOLIDAYS && text.to_lowercase().contains("workday")
        || asks_codes(text, list)
}

/// Whether it asks a table of codes, by the column that the table is of.
fn asks_codes(text: &str, list: &str) -> bool {
    let calls = || codes::FUNCTIONS.iter().any(|function| text.to_lowercase().contains(function));
    list.strip_prefix(&list_name("")).is_some_and(|column| text.contains(&format!("'{column}'")) && calls())
}

/// An expression, and what the lists hold that it asks: the same words over another list mean something else.
#[must_use]
pub fn with_lists(text: &str, lists: &Lists) -> String {
    let mut whole = text.to_owned();
    for (list, print, _) in lists.prints().filter(|(list, ..)| asks_in(text, list)) {
        let _ = write!(whole, " {list}={print:x}");
    }
    whole
}

impl CompiledRule {
    /// Whether it asks this list, in a condition, a measure, its group or its query.
    fn asks_list(&self, list: &str) -> bool {
        let conditions = self.filter.iter().chain(&self.when).chain(self.exceptions.iter().map(|e| &e.when));
        let mut conditions = conditions.map(|condition| condition.text.as_str());
        // Measures and queries stand here as they are written; a constant may be the name.
        let named = |param: &Param| matches!(param, Param::Text(text) if text == list);
        let in_constant = || self.rule.params.iter().any(|(_, param)| named(param));
        let expressions = |by: &[Placed], more: Option<&Placed>, measures: &[Measure]| {
            by.iter()
                .chain(more)
                .chain(measures.iter().map(|measure| &measure.expression))
                .any(|e| asks_in(&e.text, list))
        };
        let in_windows = || match &self.rule.view {
            View::Sliding(windows) => {
                windows.iter().any(|over| expressions(&over.by, over.since.as_ref(), &over.measures))
            }
            View::Window(closing) => {
                let from = match &closing.form {
                    WindowForm::From(from, _) => Some(from),
                    WindowForm::Calendar | WindowForm::Session(_) => None,
                };
                expressions(&closing.by, from, &closing.measures)
            }
            View::Event | View::Schedule(_) => false,
        };
        let in_query = || match (&self.view, &self.rule.view) {
            (CompiledView::Schedule(query), View::Schedule(schedule)) => {
                query.tables.contains(list) || asks_in(&schedule.sql.text, list)
            }
            _ => false,
        };
        let in_group = || self.rule.group.as_ref().is_some_and(|group| asks_in(&group.text(), list));
        conditions.any(|text| asks_in(text, list))
            || in_group()
            || in_windows()
            || in_constant()
            || in_query()
    }

    /// Whether it asks one of these lists.
    #[must_use]
    pub fn asks(&self, lists: &BTreeSet<String>) -> bool {
        lists.iter().any(|list| self.asks_list(list))
    }

    /// A digest of all that its findings depend on: [`super::Rule::digest`], and what the lists hold that it asks.
    fn digest(&self, lists: &Lists) -> i64 {
        let own = self.rule.digest();
        let mut text = format!("{own}");
        for (list, print, _) in lists.prints().filter(|(list, ..)| self.asks_list(list)) {
            let _ = write!(text, " {list:?} {print}");
        }
        let asks_none = !text.contains(' ');
        if asks_none { own } else { xxh3_64(text.as_bytes()).cast_signed() }
    }
}

impl RuleSet {
    /// The digest of each rule, with what the lists hold that it asks.
    pub fn digests(&self) -> impl Iterator<Item = (&str, i64)> {
        self.rules.iter().map(|rule| (rule.rule.id.as_str(), rule.digest(&self.lists)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{
        event::time::Calendar,
        lists::{CodeColumns, List, Lists},
        rule::{Language, RuleSet, compile::Compiler},
    };

    const RULES: &str = r#"
rules:
  - { id: condition, title: t, severity: low, trigger: payment, when: "in_list('black', payee_account)", key: [event_id] }
  - { id: constant, title: t, severity: low, trigger: schedule, every: 1d, params: { list: black }, key: [event_id],
      sql: "SELECT event_id FROM payments WHERE in_list($list, payee_account)" }
  - { id: exception, title: t, severity: low, trigger: payment, when: amount > 1, key: [event_id],
      exceptions: [{ name: e, when: "lookup('black', payee_account, 'reason') = 'x'", reason: r }] }
  - { id: measure, title: t, severity: low, trigger: payment, over: { by: [unit_code], last: 7d }, key: [unit_code],
      measure: { n: "count(*) filter (where in_list('black', payee_account))" }, when: n > 1 }
  - { id: table, title: t, severity: low, trigger: schedule, every: 1d, key: [event_id],
      sql: "SELECT event_id FROM payments JOIN black ON payee_account = black.account" }
  - { id: query, title: t, severity: low, trigger: schedule, every: 1d, key: [event_id],
      sql: "SELECT event_id FROM payments WHERE in_list('black', payee_account)" }
  - { id: none, title: t, severity: low, trigger: payment, when: amount > 1, key: [event_id] }
"#;

    fn digests(rows: &[&[&str]]) -> Vec<(String, i64)> {
        let calendar = Arc::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap());
        let mut lists = Lists::default();
        lists.insert("black", List::of(&["account", "reason"], rows));
        let compiler = Compiler::new(&calendar, lists, Language::Zh);
        let rules = RuleSet::from_text(RULES, &compiler, &calendar).unwrap_or_else(|e| panic!("{e:?}"));
        rules.digests().map(|(id, digest)| (id.to_owned(), digest)).collect()
    }

    #[test]
    fn a_rule_is_another_one_if_a_list_that_it_asks_is() {
        let (old, new) = (digests(&[&["A1", "x"]]), digests(&[&["A1", "x"], &["A2", "x"]]));
        assert_eq!(old, digests(&[&["A1", "x"]]));
        let same: Vec<_> = old.iter().filter(|rule| new.contains(rule)).map(|(id, _)| id.as_str()).collect();
        assert_eq!(same, ["none"]);
    }

    /// States keep these numbers: with others, every rule would be another one after an upgrade, and its past be judged again.
    #[test]
    fn digests_are_what_they_were() {
        const KEPT: [(&str, i64); 7] = [
            ("exact", 3_053_881_193_754_717_865),
            ("calendar", 7_652_437_893_819_973_859),
            ("closing", 1_774_342_266_295_736_662),
            ("session", 3_135_168_577_730_336_209),
            ("floating", 1_674_467_703_761_772_981),
            ("scheduled", 5_804_106_278_797_867_350),
            ("coded", 2_815_486_140_554_068_408),
        ];
        let rules = r#"
rules:
  - { id: exact, title: t, severity: low, trigger: payment, over: { by: [unit_code], last: 36h }, measure: { n: count(*) },
      when: n > 3, key: [unit_code], exceptions: [{ name: e, when: amount < 1, reason: r, until: 2026-12-31 }] }
  - { id: calendar, title: t, severity: low, trigger: payment, over: { by: [unit_code], to_date: quarter },
      measure: { n: count(*) }, when: n > 3, key: [unit_code] }
  - { id: closing, title: t, severity: high, trigger: window, of: payment, key: [unit_code], when: n > 3,
      window: { by: [unit_code], size: 90m, slide: 30m }, measure: { n: count(*) } }
  - { id: session, title: t, severity: high, trigger: window, of: payment, key: [unit_code], when: n > 3,
      window: { by: [unit_code], gap: 45m }, measure: { n: count(*) } }
  - { id: floating, title: t, severity: high, trigger: window, of: payment, key: [unit_code], when: n > 3,
      window: { by: [unit_code], from: amount > 5, within: 36h }, measure: { n: count(*) } }
  - { id: scheduled, title: t, severity: high, trigger: schedule, every: 90m, sql: SELECT unit_code FROM payments,
      key: [unit_code] }
  - { id: coded, title: t, severity: low, trigger: payment, when: "code_known('unit_code', unit_code, occurred_at)",
      key: [event_id] }
"#;
        let calendar = Arc::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap());
        let units = List::of(
            &["code", "name", "parent", "from", "to"],
            &[&["101", "A", "", "2020-01-01", "2026-06-30"], &["102", "B", "101", "", ""]],
        );
        let units = units.into_codes(&CodeColumns::default(), &calendar).unwrap();
        assert_eq!(units.print().cast_signed(), -1_851_161_955_147_484_964);
        let mut lists = Lists::default();
        lists.insert("codes_unit_code", units);
        let compiler = Compiler::new(&calendar, lists, Language::Zh);
        let rules = RuleSet::from_text(rules, &compiler, &calendar).unwrap_or_else(|e| panic!("{e:?}"));
        assert_eq!(rules.digests().collect::<Vec<_>>(), KEPT);
    }
}
