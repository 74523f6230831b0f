//! A digest of all that a rule's findings depend on, so that it can be told whether the rule was another one before.

use std::fmt::Write;

use xxhash_rust::xxh3::xxh3_64;

use super::{
    Rule,
    window::{Measure, View, WindowForm},
};
use crate::yaml::Placed;

impl Rule {
    /// A digest of the rule as it is evaluated: its own words and its constants, not where they stand, what it is
    /// called by people, or what the reference lists hold.
    #[must_use]
    pub fn digest(&self) -> i64 {
        let mut text = String::new();
        // Debug output quotes texts, so that no two different rules write the same.
        let head =
            (&self.id, &self.title, self.severity, self.handling, self.mode, self.trigger, &self.params);
        let _ = write!(text, "{head:?}");
        for exception in &self.exceptions {
            let _ = write!(text, "{:?}", (&exception.name, &exception.when.text, exception.until));
        }
        let _ = write!(text, "{:?}", texts(&self.key));
        for (language, line) in &self.summary {
            let _ = write!(text, "{:?}", (language, &line.text));
        }
        let _ = write!(text, "{:?}", (self.filter.as_ref().map(|filter| &filter.text), &self.when.text));
        if let Some(group) = &self.group {
            text.push_str(&group.text());
        }
        match &self.view {
            View::Event => {}
            View::Sliding(windows) => {
                for over in windows {
                    let by = texts(&over.by);
                    let _ = write!(text, "{:?}", (by, over.reach, over.current, measures(&over.measures)));
                    if let Some(since) = &over.since {
                        let _ = write!(text, "{:?}", ("since", &since.text));
                    }
                }
            }
            View::Window(closing) => {
                let by = texts(&closing.by);
                let _ = write!(text, "{:?}", (by, closing.size, closing.slide, measures(&closing.measures)));
                match &closing.form {
                    WindowForm::Calendar => {}
                    WindowForm::Session(gap) => {
                        let _ = write!(text, "{:?}", ("gap", gap));
                    }
                    WindowForm::From(from, within) => {
                        let _ = write!(text, "{:?}", ("from", &from.text, within));
                    }
                }
                if let Some(a) = &closing.anomaly {
                    let method =
                        (&a.of.text, a.method, a.history, a.min_history, a.direction, a.season, a.alpha);
                    let _ = write!(text, "{method:?}");
                }
            }
            View::Schedule(schedule) => {
                let _ = write!(text, "{:?}", (&schedule.ticks, &schedule.sql.text));
            }
        }
        xxh3_64(text.as_bytes()).cast_signed()
    }
}

fn texts(placed: &[Placed]) -> Vec<&str> {
    placed.iter().map(|p| p.text.as_str()).collect()
}

fn measures(measures: &[Measure]) -> Vec<(&str, &str)> {
    measures.iter().map(|m| (m.name.text.as_str(), m.expression.text.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::{
        event::time::Calendar,
        lists::Lists,
        rule::{Language, RuleSet, compile::Compiler},
    };

    fn digest(text: &str) -> i64 {
        let calendar = Arc::new(Calendar::new("Asia/Shanghai", 1, 1).unwrap());
        let compiler = Compiler::new(&calendar, Lists::default(), Language::Zh);
        RuleSet::from_text(text, &compiler, &calendar).unwrap().rules.first().unwrap().rule.digest()
    }

    #[test]
    fn it_is_another_one_if_findings_can_be_others() {
        let rule = "rules: [{ id: a, title: t, severity: low, trigger: payment, params: { n: 3 }, over: { by: [unit_code], last: 7d }, measure: { n: count(*) }, when: n > $n, key: [unit_code] }]";
        let same = ["\n\n".to_owned() + rule, rule.replace("title: t", "title: t, description: d, owner: o")];
        same.iter().for_each(|text| assert_eq!(digest(text), digest(rule), "{text}"));
        let changes = [
            ("severity: low", "severity: high"),
            ("{ n: 3 }", "{ n: 4 }"),
            ("7d", "8d"),
            ("count(*)", "count(unit_code)"),
            ("n > $n", "n >= $n"),
            ("key: [unit_code]", "key: [payee_account]"),
            ("trigger: payment", "trigger: application"),
        ];
        for (from, to) in changes {
            assert_ne!(digest(&rule.replacen(from, to, 1)), digest(rule), "{to}");
        }
    }
}
