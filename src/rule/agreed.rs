//! Exceptions that people agreed on over the API: a unit whose events a rule lets be, until a day. They stand in the state
//! among the constants of the rule lab, under names that no constant can have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Exception, Rule};
use crate::{
    event::{Instant, time::Calendar},
    say,
    yaml::Placed,
};

/// What their names begin with. A constant has letters, digits and `_`.
const BEGINS: &str = "exception:";
/// The most characters of a unit's code.
const UNIT_MAX: usize = 64;

/// An exception as the state has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agreed {
    pub unit: String,
    /// The day from whose beginning it no longer holds, `2027-03-01`.
    pub until: String,
    pub reason: String,
}

impl Agreed {
    /// Its name and what is kept.
    #[must_use]
    pub fn entry(&self) -> (String, Value) {
        (format!("{BEGINS}{}", self.unit), serde_json::to_value(self).unwrap_or_default())
    }

    /// The name of the exception in counts and on pages.
    #[must_use]
    pub fn name(unit: &str) -> String {
        format!("unit-{unit}")
    }

    /// Checks what somebody proposes.
    ///
    /// # Errors
    /// In words.
    pub fn check(&self, calendar: &Calendar, now: Instant) -> Result<(), String> {
        let unit = self.unit.chars().count();
        if !(1..=UNIT_MAX).contains(&unit) || self.unit.chars().any(|c| c.is_control() || c == '\'') {
            return Err(say!(
                "a unit's code has 1 to {most} characters, and no quotation mark",
                most = UNIT_MAX
            ));
        }
        let until = day(&self.until, calendar)
            .ok_or_else(|| say!("write the day until which it holds such as 2026-12-31"))?;
        match until > now {
            true => Ok(()),
            false => Err(say!("the day until which it holds is over")),
        }
    }
}

fn day(text: &str, calendar: &Calendar) -> Option<Instant> {
    text.parse::<jiff::civil::Date>().ok().and_then(|day| calendar.start_of_day(day).ok())
}

/// Whether a name in the rule lab's changes is that of an exception.
pub(super) fn is_exception(name: &str) -> bool {
    name.starts_with(BEGINS)
}

/// The unit of an exception's name.
pub(super) fn unit_of(name: &str) -> Option<&str> {
    name.strip_prefix(BEGINS)
}

/// An exception in one line, for whoever approves it.
pub(super) fn shown(value: &Value) -> String {
    match serde_json::from_value::<Agreed>(value.clone()) {
        Ok(Agreed { unit, until, reason }) => format!("unit_code = '{unit}' < {until}: {reason}"),
        Err(_) => value.to_string(),
    }
}

/// The exceptions among the changes of the rule lab, as the rule takes them; what cannot be read is left out and told.
pub(super) fn exceptions(
    adopted: &BTreeMap<String, Value>,
    rule: &Rule,
    calendar: &Calendar,
) -> Vec<Exception> {
    let one = |(name, value): (&String, &Value)| {
        is_exception(name).then_some(())?;
        let agreed = serde_json::from_value::<Agreed>(value.clone()).ok();
        let until = agreed.as_ref().and_then(|agreed| day(&agreed.until, calendar));
        let Some((agreed, until)) = agreed.zip(until) else {
            tracing::warn!(rule = %rule.id, exception = %name, "an exception that was agreed on is left out: it cannot be read");
            return None;
        };
        let text = format!("unit_code = '{}'", agreed.unit.replace('\'', "''"));
        Some(Exception {
            name: Agreed::name(&agreed.unit),
            when: Placed { text, span: rule.span },
            reason: agreed.reason.clone(),
            basis: None,
            until: Some(until),
            agreed: Some(agreed),
        })
    };
    adopted.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agreed(unit: &str, until: &str) -> Agreed {
        Agreed { unit: unit.to_owned(), until: until.to_owned(), reason: String::from("r") }
    }

    #[test]
    fn an_exception_ends_and_breaks_out_of_no_text() {
        let calendar = Calendar::new("Asia/Shanghai", 1, 1).unwrap();
        let now = calendar.parse("2026-05-01").unwrap();
        assert!(agreed("101001", "2026-05-02").check(&calendar, now).is_ok());
        for (unit, until) in [
            ("101001", "2026-05-01"),
            ("101001", "soon"),
            ("", "2026-05-02"),
            ("1' OR '1' = '1", "2026-05-02"),
            ("1\n2", "2026-05-02"),
        ] {
            assert!(agreed(unit, until).check(&calendar, now).is_err(), "{unit:?} {until}");
        }
        let (name, value) = agreed("101001", "2026-05-02").entry();
        assert_eq!(unit_of(&name), Some("101001"));
        assert_eq!(shown(&value), "unit_code = '101001' < 2026-05-02: r");
        assert_eq!(unit_of("floor"), None);
    }
}
