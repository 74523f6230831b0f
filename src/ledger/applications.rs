//! Applications that reserve money until they are paid or withdrawn.
//!
//! Events can arrive out of order, and the balances must not depend on it: a payment or withdrawal that
//! arrives before its application leaves a mark, and the application then reserves nothing. An application
//! that was settled after it arrived is forgotten: its `event_id` cannot be accepted a second time.

use hashbrown::{HashMap, HashSet};

use super::LineNumber;
use crate::event::Cents;

/// The state of an application that is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Application {
    /// Money is reserved on a line.
    Open { line: LineNumber, amount: Cents },
    /// Settled or withdrawn, and not arrived yet.
    SettledEarly,
}

#[derive(Debug, Default)]
pub(crate) struct Applications {
    states: HashMap<Box<str>, Application>,
    changed: HashSet<Box<str>>,
    open: usize,
}

impl Applications {
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, Application)> {
        self.states.iter().map(|(id, application)| (&**id, *application))
    }

    /// What is known of an application that is not over.
    pub(crate) fn get(&self, id: &str) -> Option<Application> {
        self.states.get(id).copied()
    }

    /// The line that an application reserves money on.
    pub(crate) fn line(&self, id: &str) -> Option<LineNumber> {
        match self.get(id)? {
            Application::Open { line, .. } => Some(line),
            Application::SettledEarly => None,
        }
    }

    /// An application arrives, whose record others may have named by another name. Returns what it reserves: none if it is
    /// settled already.
    pub(crate) fn arrive(
        &mut self,
        (id, other): (&str, Option<&str>),
        line: LineNumber,
        amount: Cents,
    ) -> Cents {
        self.changed.insert(id.into());
        if self.states.remove(id).is_some() {
            return Cents::ZERO;
        }
        let is_settled =
            |other: &&str| is_of_record(id, other) && self.get(other) == Some(Application::SettledEarly);
        if let Some(other) = other.filter(is_settled) {
            self.changed.insert(other.into());
            self.states.remove(other);
            return Cents::ZERO;
        }
        self.restore(id, Application::Open { line, amount });
        amount
    }

    /// An application is paid or withdrawn. Returns what it still reserved, and where.
    pub(crate) fn settle(&mut self, id: &str) -> Option<(LineNumber, Cents)> {
        self.changed.insert(id.into());
        match self.states.remove(id) {
            Some(Application::Open { line, amount }) => {
                self.open -= 1;
                Some((line, amount))
            }
            Some(Application::SettledEarly) | None => {
                self.restore(id, Application::SettledEarly);
                None
            }
        }
    }

    pub(crate) fn restore(&mut self, id: &str, application: Application) {
        if matches!(application, Application::Open { .. }) {
            self.open += 1;
        }
        self.states.insert(id.into(), application);
    }

    /// What changed since the last call: the new state, or `None` for an application that is over.
    pub(crate) fn take_changes(&mut self) -> Vec<(Box<str>, Option<Application>)> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|id| (self.states.get(&id).copied(), id)).map(|(s, id)| (id, s)).collect()
    }
}

/// Whether an id is made of a record's name or of an id before it (`V1/application`, `V1@2`): what any other application
/// names tells nothing of it.
fn is_of_record(id: &str, name: &str) -> bool {
    let record = name.split('@').next().unwrap_or(name);
    id.strip_prefix(record).is_some_and(|rest| rest.starts_with(['/', '@']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_that_was_settled_by_another_name_of_its_record_reserves_nothing() {
        let arrive = |settled: &str, id: &str, other: &str| {
            let mut applications = Applications::default();
            assert_eq!(applications.settle(settled), None);
            applications.arrive((id, Some(other)), 0, Cents::new(500))
        };
        assert_eq!(arrive("V1", "V1/application", "V1"), Cents::ZERO);
        assert_eq!(arrive("V1/application", "V1/application@2", "V1/application"), Cents::ZERO);
        assert_eq!(arrive("V1@2", "V1@3", "V1@2"), Cents::ZERO);
        for (settled, id, other) in
            [("V1", "V12", "V1"), ("V1", "V2/application", "V1"), ("V2", "V1/application", "V1")]
        {
            assert_eq!(arrive(settled, id, other), Cents::new(500), "{id}");
        }
    }
}
