//! The routing tree, with Alertmanager's meaning: an alert goes down the first child that matches, further ones only
//! while they say `continue`, and stays at a route when no child matches.

use super::{Alert, Labels, Matchers};

use crate::{event::TimeDelta, say};

/// One route, with what it does not say taken from its parent.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)] // Each is a switch of the configuration.
pub struct Route {
    /// Its place in the configuration, such as `routes.routes[0]`.
    pub path: String,
    /// What an alert must be like.
    pub matchers: Matchers,
    /// Where its alerts go, by the names of the sinks.
    pub sinks: Vec<String>,
    /// Alerts with equal values of these labels are told together; `alert` is a label that no two alerts share.
    pub group_by: Vec<String>,
    /// How long a new group waits for more alerts.
    pub group_wait: TimeDelta,
    /// How long a group that was told of waits before it is told of again.
    pub group_interval: TimeDelta,
    /// How long until alerts that nobody acknowledged are told of again; `None` never.
    pub repeat_interval: Option<TimeDelta>,
    /// Whether it is also told when alerts end.
    pub tell_ended: bool,
    /// Whether its alerts wait for the digest, whatever their handling.
    pub digest: bool,
    /// Whether letters to the units of its alerts go out by themselves.
    pub send_letters: bool,
    /// Whether siblings after a match are tried too.
    pub continues: bool,
    pub routes: Vec<Route>,
}

/// What became of an alert at a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// It stays here, and goes to the route's sinks.
    Taken,
    /// It matches, and goes on to a child.
    GoesDown,
    /// The matchers say no.
    Differs,
    /// The parent was not taken, or a sibling before has it.
    NotReached,
}

impl Passage {
    /// The same in words.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Taken => say!("taken"),
            Self::GoesDown => say!("matches, goes down"),
            Self::Differs => say!("does not match"),
            Self::NotReached => say!("not asked"),
        }
    }
}

/// The label by which every alert is a group of its own.
pub(crate) const ALERT: &str = "alert";
/// What stands for a route where an officer is told what became of a letter.
pub(crate) const OFFICERS: &str = "alerts.officers";

impl Route {
    /// The routes that an alert with these labels takes.
    #[must_use]
    pub fn select(&self, labels: &Labels) -> Vec<&Self> {
        let mut taken = Vec::new();
        if self.matchers.matches(labels) {
            self.descend(labels, &mut taken);
        }
        taken
    }

    /// Every route below and with this one in order, how deep it stands, and what became of an alert there.
    #[must_use]
    pub fn explain(&self, labels: &Labels) -> Vec<(usize, &Self, Passage)> {
        let mut seen = Vec::new();
        let passage = if self.matchers.matches(labels) { Passage::Taken } else { Passage::Differs };
        self.pass(labels, 0, passage, &mut seen);
        seen
    }

    /// Goes down as [`Self::select`] does; `passage` tells whether the alert gets here at all.
    fn pass<'r>(
        &'r self,
        labels: &Labels,
        depth: usize,
        passage: Passage,
        seen: &mut Vec<(usize, &'r Self, Passage)>,
    ) {
        let here = seen.len();
        seen.push((depth, self, passage));
        let mut open = passage == Passage::Taken;
        for child in &self.routes {
            let matches = child.matchers.matches(labels);
            let passage = match (open, matches) {
                (false, _) => Passage::NotReached,
                (true, true) => Passage::Taken,
                (true, false) => Passage::Differs,
            };
            child.pass(labels, depth + 1, passage, seen);
            if passage == Passage::Taken {
                seen[here].2 = Passage::GoesDown;
                open = child.continues;
            }
        }
    }

    fn descend<'r>(&'r self, labels: &Labels, taken: &mut Vec<&'r Self>) {
        let mut matched = false;
        for child in &self.routes {
            if child.matchers.matches(labels) {
                matched = true;
                child.descend(labels, taken);
                if !child.continues {
                    return;
                }
            }
        }
        if !matched {
            taken.push(self);
        }
    }

    /// The labels that an alert shares with the others of its group.
    #[must_use]
    pub fn group(&self, alert: &Alert) -> Labels {
        let mut labels = alert.labels.only(&self.group_by);
        if self.group_by.iter().any(|name| name == ALERT) {
            labels.set(ALERT, &alert.alert_id);
        }
        labels
    }

    /// This route and all below it, in order.
    pub fn all(&self) -> Vec<&Self> {
        let mut all = vec![self];
        self.routes.iter().for_each(|route| all.extend(route.all()));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(path: &str, matcher: &[&str], continues: bool, routes: Vec<Route>) -> Route {
        let texts: Vec<_> = matcher.iter().map(|m| (*m).to_owned()).collect();
        Route {
            path: path.to_owned(),
            matchers: Matchers::parse(&texts).unwrap(),
            sinks: vec![path.to_owned()],
            group_by: Vec::new(),
            group_wait: TimeDelta::ZERO,
            group_interval: TimeDelta::ZERO,
            repeat_interval: None,
            tell_ended: true,
            digest: false,
            send_letters: false,
            continues,
            routes,
        }
    }

    /// The example of Alertmanager's documentation on routing, with its answers.
    #[test]
    fn an_alert_takes_the_routes_that_alertmanager_would_choose() {
        let tree = route(
            "root",
            &[],
            false,
            vec![
                route("log", &[], true, vec![]),
                route(
                    "critical",
                    &["severity=critical"],
                    false,
                    vec![
                        route("education", &["unit_code=~\"101.*\""], true, vec![]),
                        route("all units", &["rule=~\".*budget\""], false, vec![]),
                    ],
                ),
                route("cash", &["tag=cash"], false, vec![]),
            ],
        );
        let taken = |pairs: &[&str]| -> Vec<String> {
            let pairs: Vec<_> = pairs.iter().map(|p| (*p).to_owned()).collect();
            let labels = Labels::parse(&pairs).unwrap();
            let taken: Vec<_> = tree.select(&labels).iter().map(|r| r.path.clone()).collect();
            let explained = tree.explain(&labels);
            let told = explained.iter().filter(|(.., passage)| *passage == Passage::Taken);
            assert_eq!(told.map(|(_, r, _)| r.path.clone()).collect::<Vec<_>>(), taken);
            assert_eq!(explained.len(), tree.all().len());
            taken
        };
        assert_eq!(taken(&["severity=low"]), ["log"]);
        assert_eq!(taken(&["severity=critical"]), ["log", "critical"]);
        assert_eq!(taken(&["severity=critical", "unit_code=101001"]), ["log", "education"]);
        assert_eq!(
            taken(&["severity=critical", "unit_code=101001", "rule=no-budget", "tag=cash"]),
            ["log", "education", "all units"]
        );
        assert_eq!(taken(&["severity=low", "tag=cash"]), ["log", "cash"]);
    }
}
