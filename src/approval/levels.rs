//! Who has to approve what: by kind and amount, from the configuration. A level names a role for each approver, and each has to
//! be another person.

use std::collections::BTreeMap;

use super::Kind;
use crate::{access::Role, event::Cents};

/// The roles that can approve.
pub const APPROVERS: [Role; 2] = [Role::Supervisor, Role::Approver];
/// The most approvers of one matter.
pub const SLOTS_MAX: usize = 5;

/// Who approves matters up to an amount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// Up to which amount; `None` for any.
    pub up_to: Option<Cents>,
    /// A role for each approver.
    pub by: Vec<Role>,
}

/// The levels of each kind, the smallest amount first.
#[derive(Debug, Clone)]
pub struct Levels(pub BTreeMap<Kind, Vec<Level>>);

impl Default for Levels {
    fn default() -> Self {
        let one = |role| vec![Level { up_to: None, by: vec![role] }];
        let two = |by: [Role; 2]| {
            vec![
                Level { up_to: Some(Cents::new(100_000_000)), by: vec![Role::Supervisor] },
                Level { up_to: None, by: by.to_vec() },
            ]
        };
        Self(BTreeMap::from([
            (Kind::Budget, two([Role::Supervisor, Role::Approver])),
            (Kind::Override, two([Role::Supervisor, Role::Supervisor])),
            (Kind::Rules, one(Role::Approver)),
            (Kind::Exception, one(Role::Approver)),
            (Kind::List, one(Role::Approver)),
        ]))
    }
}

impl Levels {
    /// The roles that have to approve a matter of this kind and amount, one for each person. What has no amount goes to the
    /// highest level.
    #[must_use]
    pub fn of(&self, kind: Kind, cents: Option<Cents>) -> Vec<Role> {
        let levels = self.0.get(&kind).map(Vec::as_slice).unwrap_or_default();
        let fits = |level: &&Level| match (level.up_to, cents) {
            (None, _) => true,
            (Some(most), Some(cents)) => cents <= most,
            (Some(_), None) => false,
        };
        // A level that is missing is no permission: one approver at least.
        levels.iter().find(fits).map_or_else(|| vec![Role::Approver], |level| level.by.clone())
    }
}

/// The roles that are still missing when these people, each with roles, have approved: as many as can be are filled.
#[must_use]
pub fn missing(needed: &[Role], people: &[&[Role]]) -> Vec<Role> {
    let mut filled: Vec<Option<usize>> = vec![None; needed.len()];
    for person in 0..people.len() {
        fill(person, needed, people, &mut filled, &mut vec![false; needed.len()]);
    }
    needed.iter().zip(&filled).filter(|(_, by)| by.is_none()).map(|(role, _)| *role).collect()
}

/// Gives a person a place, moving others if need be: Kuhn's way.
fn fill(
    person: usize,
    needed: &[Role],
    people: &[&[Role]],
    filled: &mut [Option<usize>],
    tried: &mut [bool],
) -> bool {
    for (at, role) in needed.iter().enumerate() {
        if tried[at] || !people[person].contains(role) {
            continue;
        }
        tried[at] = true;
        let is_free = match filled[at] {
            None => true,
            Some(other) => fill(other, needed, people, filled, tried),
        };
        if is_free {
            filled[at] = Some(person);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use Role::{Approver, Supervisor};

    #[test]
    fn a_level_is_that_of_the_amount() {
        let levels = Levels::default();
        assert_eq!(levels.of(Kind::Budget, Some(Cents::new(100_000_000))), [Supervisor]);
        assert_eq!(levels.of(Kind::Budget, Some(Cents::new(100_000_001))), [Supervisor, Approver]);
        assert_eq!(levels.of(Kind::Budget, None), [Supervisor, Approver], "no amount is no small amount");
        assert_eq!(levels.of(Kind::Rules, None), [Approver]);
        assert_eq!(Levels(BTreeMap::new()).of(Kind::List, None), [Approver]);
    }

    #[test]
    fn each_role_wants_a_person_of_its_own() {
        let both: &[Role] = &[Supervisor, Approver];
        let needed = [Supervisor, Approver];
        assert_eq!(missing(&needed, &[]), needed);
        assert_eq!(missing(&needed, &[both]), [Approver]);
        // Who can do either makes room for who can do one only.
        assert_eq!(missing(&needed, &[both, &[Supervisor]]), []);
        assert_eq!(missing(&needed, &[&[Supervisor], both]), []);
        assert_eq!(missing(&needed, &[&[Supervisor], &[Supervisor]]), [Approver]);
        assert_eq!(missing(&[Supervisor, Supervisor], &[&[Supervisor], &[Supervisor]]), []);
    }

    /// Compared with all ways to seat people, tried out.
    #[test]
    fn as_many_places_are_filled_as_can_be() {
        fn most(needed: &[Role], people: &[&[Role]]) -> usize {
            let Some((first, rest)) = people.split_first() else { return 0 };
            let seated = needed.iter().enumerate().filter(|(_, role)| first.contains(role)).map(|(at, _)| {
                let mut left = needed.to_vec();
                left.remove(at);
                1 + most(&left, rest)
            });
            seated.max().unwrap_or(0).max(most(needed, rest))
        }
        let kinds: [&[Role]; 4] = [&[], &[Supervisor], &[Approver], &[Supervisor, Approver]];
        for code in 0..(1 << 12) {
            let people: Vec<&[Role]> = (0..4).map(|at| kinds[(code >> (2 * at)) & 3]).collect();
            let needed: Vec<Role> =
                (0..4).map(|at| if (code >> (8 + at)) & 1 == 1 { Supervisor } else { Approver }).collect();
            assert_eq!(needed.len() - missing(&needed, &people).len(), most(&needed, &people), "{people:?}");
        }
    }
}
