//! `approvals`: who has to approve what one person proposes, by kind and amount.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::resolve::Resolver;
use crate::{
    access::Role,
    approval::{APPROVERS, Kind, Level, Levels, SLOTS_MAX},
    event::{Cents, money::parse_amount},
    say,
    text::quoted,
};

/// Approvals: what one person proposes and others approve. For each kind the levels, the smallest amount first.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ApprovalsSpec {
    /// Budget actions that are entered by hand. Without levels a supervisor approves up to 1,000,000.00, and beyond that an
    /// approver too.
    pub budget: Vec<LevelSpec>,
    /// Overrides of blocked applications. Without levels one supervisor grants up to `decide.overrides.two_above`, and two
    /// beyond that.
    #[serde(rename = "override")]
    pub overriding: Vec<LevelSpec>,
    /// Rules and constants of rules, which have no amount: one level. Without it an approver.
    pub rules: Vec<LevelSpec>,
    /// Exceptions of rules: one level. Without it an approver.
    pub exception: Vec<LevelSpec>,
    /// Rows of lists: one level. Without it an approver.
    pub list: Vec<LevelSpec>,
}

/// Who approves up to an amount.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LevelSpec {
    /// Up to which amount, such as `'100000.00'`; the last level has none.
    pub up_to: Option<String>,
    /// A role for each person who has to approve: `supervisor` or `approver`. Each has to be another person, and none who
    /// proposed.
    pub by: Vec<String>,
}

impl Resolver<'_> {
    /// The levels; those of overrides without levels follow `two_above`.
    pub(super) fn approvals(&mut self, spec: ApprovalsSpec, two_above: Cents) -> Levels {
        let mut levels = Levels::default();
        if let Some(first) = levels.0.get_mut(&Kind::Override).and_then(|of| of.first_mut()) {
            first.up_to = Some(two_above);
        }
        let written = [
            (Kind::Budget, spec.budget),
            (Kind::Override, spec.overriding),
            (Kind::Rules, spec.rules),
            (Kind::Exception, spec.exception),
            (Kind::List, spec.list),
        ];
        let mut found = BTreeMap::new();
        for (kind, specs) in written.into_iter().filter(|(_, specs)| !specs.is_empty()) {
            match read(kind, &specs) {
                Ok(read) => {
                    found.insert(kind, read);
                }
                Err(why) => self.problem(format!("approvals.{}: {why}", kind.word())),
            }
        }
        levels.0.extend(found);
        levels
    }
}

fn read(kind: Kind, specs: &[LevelSpec]) -> Result<Vec<Level>, String> {
    let (mut levels, mut before) = (Vec::new(), Cents::ZERO);
    for (at, LevelSpec { up_to, by }) in specs.iter().enumerate() {
        let is_last = at + 1 == specs.len();
        let up_to = match up_to {
            None => None,
            Some(text) => Some(parse_amount(text).map_err(|why| {
                let text = quoted(text);
                say!("{text} is no amount: {why}", text, why)
            })?),
        };
        if up_to.is_none() != is_last {
            return Err(say!(
                "every level but the last has `up_to`, and the last has none: it is for all that is more"
            ));
        }
        if up_to.is_some() && !matches!(kind, Kind::Budget | Kind::Override) {
            return Err(say!("it has no amount, so it has one level, without `up_to`"));
        }
        if up_to.is_some_and(|most| most <= before) {
            return Err(say!("the levels stand in the order of their amounts, the smallest first"));
        }
        before = up_to.unwrap_or(before);
        if !(1..=SLOTS_MAX).contains(&by.len()) {
            return Err(say!("a level names 1 to {most} roles", most = SLOTS_MAX));
        }
        let role = |word: &String| match word.parse::<Role>() {
            Ok(role) if APPROVERS.contains(&role) => Ok(role),
            _ => Err(say!(
                "{role} approves nothing: a level names `supervisor` and `approver`",
                role = quoted(word)
            )),
        };
        levels.push(Level { up_to, by: by.iter().map(role).collect::<Result<_, _>>()? });
    }
    Ok(levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(up_to: Option<&str>, by: &[&str]) -> LevelSpec {
        LevelSpec { up_to: up_to.map(str::to_owned), by: by.iter().map(|role| (*role).to_owned()).collect() }
    }

    #[test]
    fn levels_that_make_no_sense_are_told() {
        let told = |kind, specs: &[LevelSpec]| read(kind, specs).unwrap_err();
        let fine = level(None, &["supervisor", "approver"]);
        assert!(told(Kind::Budget, &[level(Some("5"), &["approver"])]).contains("the last has none"));
        assert!(told(Kind::Budget, &[fine.clone(), fine.clone()]).contains("every level but the last"));
        let falling = [level(Some("5"), &["approver"]), level(Some("4"), &["approver"]), fine.clone()];
        assert!(told(Kind::Budget, &falling).contains("the smallest first"));
        assert!(told(Kind::Rules, &[level(Some("5"), &["approver"]), fine.clone()]).contains("no amount"));
        assert!(told(Kind::List, &[level(None, &["officer"])]).contains("approves nothing"));
        assert!(told(Kind::List, &[level(None, &[])]).contains("1 to 5 roles"));
        let levels = read(Kind::Override, &[level(Some("5"), &["supervisor"]), fine]).unwrap();
        assert_eq!((levels[0].up_to, levels[1].by.len()), (Some(Cents::new(500)), 2));
    }
}
