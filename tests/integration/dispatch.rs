//! What the outbox makes of alerts over time, at a clock of our own: groups, repetitions, escalation, digests, storms, and
//! everything that mutes. Whatever happens, no alert is left untold.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use async_trait::async_trait;
use fiscwatch::{
    alert::{
        Action, Alert, Cleared, Desk, Filing, Notification, Policy, Reason, Silence, desk::Order,
        policy::Reviews,
    },
    config::Config,
    event::{Instant, TimeDelta},
    finding::Finding,
    lists::{List, Lists},
    notify::{SendError, Sink, Sinks, dispatch::Dispatch},
    personal::{Kinds, PersonalKind},
    rule::{Language, Rule, RuleSet, compile::Compiler},
    store::{Cases, Commit, Fate, Outbox, Store},
};
use serde_json::{Map, json};

use crate::support::calendar;

pub const MINUTE: TimeDelta = TimeDelta::MINUTE;
pub const HOUR: TimeDelta = TimeDelta::HOUR;
/// 2026-03-04, a Wednesday, 10:00 in China.
const START: Instant = Instant::from_micros(1_772_589_600_000_000);

const RULES: &str = "
rules:
  - { id: exhausted, title: 透支, severity: critical, trigger: payment, when: 1 = 1, key: [budget_line_id] }
  - { id: used, title: 将尽, severity: medium, trigger: payment, when: 1 = 1, key: [budget_line_id] }
  - { id: round, title: 整数, severity: low, handling: remind, trigger: payment, when: 1 = 1, key: [budget_line_id] }
  - { id: asked, title: 大额, severity: high, handling: explain, trigger: payment, when: 1 = 1, key: [budget_line_id] }
";

/// A sink that is only named.
#[derive(Debug)]
struct Named(Vec<String>);

#[async_trait]
impl Sink for Named {
    async fn send(&self, _: &Notification) -> Result<(), SendError> {
        Ok(())
    }

    fn recipients(&self) -> &[String] {
        &self.0
    }
}

pub struct World {
    pub dir: tempfile::TempDir,
    store: Store,
    pub(crate) outbox: Outbox,
    rules: Arc<RuleSet>,
    pub dispatch: Dispatch,
    pub now: Instant,
    findings: usize,
    /// What the columns of findings tell of persons.
    personal: Kinds,
    untold: u64,
}

impl World {
    pub fn new(config: &str) -> Self {
        let text = format!("sinks: [{{ name: mail, log: {{}} }}, {{ name: boss, log: {{}} }}]\n{config}");
        let config = Config::parse("test", &text, Path::new(""), std::iter::empty()).unwrap();
        let mut policy = Policy::clone(&config.policy);
        if !text.contains("review:") {
            // One officer is enough where nothing is said of a second.
            policy.reviews = Reviews::default();
        }
        let mut lists = Lists::default();
        lists.insert("contacts", List::of(&["unit_code", "email"], &[&["101001", "unit@x.cn"]]));
        let compiler = Compiler::new(&calendar(), Lists::default(), Language::Zh);
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let sink = |recipients: &[&str]| -> Arc<dyn Sink> {
            Arc::new(Named(recipients.iter().map(|r| (*r).to_owned()).collect()))
        };
        let sinks: Sinks = [("mail".to_owned(), sink(&["a@x.cn"])), ("boss".to_owned(), sink(&[]))].into();
        Self {
            outbox: Outbox::open(dir.path()).unwrap(),
            store,
            rules: RuleSet::from_text(RULES, &compiler, &calendar()).unwrap(),
            dispatch: Dispatch { policy: Arc::new(policy), sinks: Arc::new(sinks), lists },
            now: START,
            findings: 0,
            personal: Kinds::default(),
            untold: 0,
            dir,
        }
    }

    pub fn desk(&self) -> Desk {
        Desk::new(Arc::clone(&self.dispatch.policy))
    }

    fn rule(&self, id: &str) -> Arc<Rule> {
        Arc::clone(&self.rules.rules.iter().find(|rule| rule.rule.id == id).unwrap().rule)
    }

    /// Commits a finding of a rule about a line, and gives the id of its alert.
    pub fn find(&mut self, rule: &str, line: &str, unit: &str) -> String {
        self.findings += 1;
        let rule = self.rule(rule);
        let key = Map::from_iter([("budget_line_id".to_owned(), json!(line))]);
        let mut labels = key.clone();
        labels.insert("unit_code".to_owned(), json!(unit));
        let finding = Finding {
            finding_id: format!("f{}", self.findings),
            rule_id: rule.id.clone(),
            severity: rule.severity,
            handling: rule.handling,
            mode: rule.mode,
            key,
            at: calendar().format(self.now),
            event_id: Some(format!("e{}", self.findings)),
            window: None,
            values: Map::new(),
            summary: format!("{line} {}", self.findings),
            labels,
        };
        let personal = Arc::new(self.personal.clone());
        let filing = Filing { finding, at: self.now, rule, personal, clears: true };
        let commit = Commit { now: self.now, findings: vec![filing], ..Commit::default() };
        let committed = self.store.commit(&commit, &self.desk()).unwrap();
        committed.findings[0].1.clone().unwrap()
    }

    /// The condition of a rule stops being true for a line.
    pub fn clear(&mut self, rule: &str, line: &str) {
        let (rule_id, line) = (rule.to_owned(), line.to_owned());
        let cleared = vec![Cleared { before: 0, rule_id, line, event_id: String::from("e") }];
        let commit = Commit { now: self.now, cleared, ..Commit::default() };
        self.store.commit(&commit, &self.desk()).unwrap();
    }

    pub fn act(&self, id: &str, action: Action) -> Alert {
        let order = Order {
            action,
            who: String::from("王"),
            why: Some(String::from("查")),
            version: None,
            letter: None,
            terms: fiscwatch::alert::casework::Terms::default(),
        };
        Cases::open(self.dir.path()).unwrap().act(id, &order, &self.desk(), self.now).unwrap()
    }

    /// Bundles what is due.
    pub fn bundle(&mut self) {
        let (dispatch, now) = (self.dispatch.clone(), self.now);
        loop {
            let pass = dispatch.pass(&self.outbox, now).unwrap();
            let report = self.outbox.round(|round| dispatch.round(round, &pass)).unwrap();
            self.untold += report.untold;
            if !report.more {
                break;
            }
        }
    }

    /// Lets time pass, bundles what is due, and gives what was made for a sink, taken as accepted.
    pub fn pass(&mut self, after: TimeDelta, sink: &str) -> Vec<Notification> {
        self.now += after;
        self.bundle();
        let now = self.now;
        let pending = self.outbox.pending(sink, now, &[], 10_000).unwrap();
        let made: Vec<_> = pending.into_iter().map(|pending| pending.notification).collect();
        let sent: Vec<_> = made.iter().map(|n| (n.id.clone(), Fate::Sent)).collect();
        self.outbox.record(&sent, now).unwrap();
        made
    }
}

/// The reason, and the alerts by their ids.
pub fn told(made: &[Notification]) -> Vec<(Reason, Vec<&str>)> {
    made.iter().map(|n| (n.reason, n.alerts.iter().map(|a| a.alert.alert_id.as_str()).collect())).collect()
}

pub const PLAIN: &str = "
alerts: { escalate_after: {}, inhibit: [] }
routes: { sinks: [mail], group_by: [unit_code], group_wait: 1m, group_interval: 5m, repeat_interval: 4h }
";

#[test]
fn a_group_waits_then_tells_of_new_ones_and_of_ends_to_those_who_know() {
    let mut w = World::new(PLAIN);
    let a = w.find("exhausted", "L1", "101001");
    let b = w.find("used", "L2", "101001");
    let other = w.find("used", "L3", "101002");
    assert_eq!(told(&w.pass(TimeDelta::seconds(59), "mail")), []);
    let first = w.pass(TimeDelta::SECOND, "mail");
    assert_eq!(told(&first), [(Reason::First, vec![&*a, &*b]), (Reason::First, vec![&*other])]);
    // Another finding of an open alert is not told by itself; a new alert is, after the interval.
    w.find("exhausted", "L1", "101001");
    let c = w.find("exhausted", "L4", "101001");
    assert_eq!(told(&w.pass(4 * MINUTE, "mail")), []);
    let new = w.pass(MINUTE, "mail");
    assert_eq!(told(&new), [(Reason::New, vec![&*c])]);
    assert_eq!((&new[0].thread, new[0].begins_thread), (&first[0].thread, false));
    // One that ended before anybody heard of it is told as what it is; the others by those who know them.
    w.act(&b, Action::Acknowledge);
    w.act(&b, Action::Dismiss);
    assert_eq!(told(&w.pass(5 * MINUTE, "mail")), [(Reason::SomeEnded, vec![&*b])]);
    for line in ["L1", "L4"] {
        w.clear("exhausted", line);
    }
    let ended = w.pass(5 * MINUTE, "mail");
    assert_eq!(ended[0].reason, Reason::AllEnded);
    assert!(ended[0].alerts.iter().all(|told| told.alert.state.word() == "resolved"));
}

/// The rule may be another one by the time its alert is told of, and the daemon may have been started again.
#[test]
fn an_alert_remembers_what_its_columns_told_of_persons() {
    let mut w = World::new(PLAIN);
    w.personal.add("known", PersonalKind::NAME);
    w.find("exhausted", "L1", "101001");
    w.personal = Kinds::default();
    w.personal.add("known", PersonalKind::ACCOUNT);
    w.find("exhausted", "L1", "101001");
    w.personal = Kinds::default();
    w.find("exhausted", "L1", "101001");
    let made = w.pass(MINUTE, "mail");
    let kinds = made[0].alerts[0].alert.personal.as_ref().unwrap();
    assert_eq!(kinds.of("known"), PersonalKind::ACCOUNT.and(PersonalKind::NAME));
}

#[test]
fn only_what_nobody_acknowledged_is_repeated() {
    let mut w = World::new(PLAIN);
    let (a, b) = (w.find("exhausted", "L1", "101001"), w.find("exhausted", "L2", "101001"));
    assert_eq!(w.pass(MINUTE, "mail").len(), 1);
    w.act(&a, Action::Acknowledge);
    assert_eq!(told(&w.pass(4 * HOUR, "mail")), [(Reason::Repeat, vec![&*b])]);
    let again = w.pass(4 * HOUR, "mail");
    assert_eq!(told(&again), [(Reason::Repeat, vec![&*b])]);
    w.act(&b, Action::Acknowledge);
    assert_eq!(told(&w.pass(8 * HOUR, "mail")), []);
}

#[test]
fn what_nobody_acknowledges_is_escalated_to_the_route_for_it_and_not_for_ever() {
    let mut w = World::new(
        "
alerts: { escalate_after: { critical: 30m }, escalations_max: 2, inhibit: [] }
routes: { sinks: [mail], group_wait: 0s, repeat_interval: never, routes: [{ match: ['escalation=~\"[1-9]\"'], sinks: [boss] }] }
",
    );
    let (a, b) = (w.find("exhausted", "L1", "101001"), w.find("exhausted", "L2", "101001"));
    assert_eq!(w.pass(TimeDelta::ZERO, "mail").len(), 2);
    w.act(&b, Action::Acknowledge);
    assert_eq!(told(&w.pass(29 * MINUTE, "boss")), []);
    assert_eq!(told(&w.pass(MINUTE, "boss")), [(Reason::Escalated, vec![&*a])]);
    assert_eq!(told(&w.pass(30 * MINUTE, "boss")), [(Reason::Escalated, vec![&*a])]);
    assert_eq!(told(&w.pass(30 * MINUTE, "boss")), []);
    let (alert, history, _) = Cases::open(w.dir.path()).unwrap().show(&a, 1).unwrap();
    assert_eq!((alert.escalation, history.len()), (2, 3));
}

#[test]
fn reminders_wait_for_the_digest_and_each_digest_is_a_mail_of_its_own() {
    let mut w = World::new(PLAIN);
    let a = w.find("round", "L1", "101001");
    let b = w.find("round", "L2", "101002");
    // 10:00 to 08:30 on the next morning.
    assert_eq!(told(&w.pass(22 * HOUR, "mail")), []);
    let first = w.pass(HOUR / 2, "mail");
    assert_eq!(told(&first), [(Reason::Digest, vec![&*a, &*b])]);
    w.clear("round", "L1");
    let second = w.pass(24 * HOUR, "mail");
    assert_eq!(told(&second), [(Reason::Digest, vec![&*a])]);
    assert!(first[0].begins_thread && second[0].begins_thread);
    assert_ne!(first[0].thread, second[0].thread, "two mails would have one Message-ID");
}

#[test]
fn a_storm_becomes_one_summary_and_nothing_is_lost() {
    let mut w = World::new(
        "
alerts: { escalate_after: {}, inhibit: [], storm: { notifications: 5, window: 10m } }
routes: { sinks: [mail], group_wait: 0s }
",
    );
    let mut expected = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut count = 0;
    let mut hear = |made: &[Notification]| {
        for n in made {
            assert_eq!(n.omitted, 0);
            seen.extend(n.alerts.iter().map(|told| told.alert.alert_id.clone()));
        }
        made.iter().map(|n| n.reason).collect::<Vec<_>>()
    };
    for line in 0..3 {
        expected.insert(w.find("exhausted", &format!("A{line}"), "101001"));
    }
    assert_eq!(hear(&w.pass(TimeDelta::ZERO, "mail")), [Reason::First; 3]);
    for line in 0..40 {
        expected.insert(w.find("exhausted", &format!("B{line}"), "101001"));
    }
    let reasons = hear(&w.pass(MINUTE, "mail"));
    count += reasons.len();
    assert_eq!(reasons.iter().filter(|r| **r == Reason::Storm).count(), 1);
    assert!(reasons.len() <= 3, "{reasons:?}");
    for line in 0..20 {
        expected.insert(w.find("exhausted", &format!("C{line}"), "101001"));
    }
    // Another summary only when the window is over.
    assert_eq!(hear(&w.pass(MINUTE, "mail")), []);
    count += hear(&w.pass(10 * MINUTE, "mail")).len();
    count += hear(&w.pass(10 * MINUTE, "mail")).len();
    assert!(count <= 12, "{count} mails for 60 alerts");
    assert_eq!(seen, expected);
}

#[test]
fn a_graver_alert_mutes_the_same_thing_said_less_gravely_while_it_lasts() {
    let mut w = World::new(
        "
alerts:
  escalate_after: {}
  inhibit: [{ source: ['rule=exhausted'], target: ['rule=used'], equal: [budget_line_id] }]
routes: { sinks: [mail], group_wait: 0s, repeat_interval: never }
",
    );
    let grave = w.find("exhausted", "L1", "101001");
    let lesser = w.find("used", "L1", "101001");
    let elsewhere = w.find("used", "L2", "101001");
    let made = w.pass(TimeDelta::ZERO, "mail");
    assert_eq!(told(&made), [(Reason::First, vec![&*grave]), (Reason::First, vec![&*elsewhere])]);
    assert_eq!(told(&w.pass(HOUR, "mail")), []);
    w.clear("exhausted", "L1");
    let made = w.pass(10 * MINUTE, "mail");
    assert!(told(&made).contains(&(Reason::First, vec![&*lesser])), "{:?}", told(&made));
}

#[test]
fn silences_and_quiet_hours_hold_back_and_then_tell_what_is_still_so() {
    let mut w = World::new(
        "
alerts:
  escalate_after: {}
  inhibit: []
  quiet_hours: [{ name: noon, match: ['severity=critical'], time: '11:00-12:00' }]
routes: { sinks: [mail], group_wait: 0s, repeat_interval: never }
",
    );
    let silence = Silence {
        silence_id: 0,
        matchers: Vec::from([String::from("rule=used")]).try_into().unwrap(),
        starts_at: w.now,
        ends_at: w.now + HOUR,
        author: String::from("王"),
        reason: String::from("盘点"),
        created_at: w.now,
        expired_by: None,
    };
    Cases::open(w.dir.path()).unwrap().silence(&silence, w.now).unwrap();
    let stays = w.find("used", "L1", "101001");
    w.find("used", "L2", "101001");
    assert_eq!(told(&w.pass(MINUTE, "mail")), []);
    w.clear("used", "L2");
    // 11:01: the silence is over, the quiet hours have begun.
    assert_eq!(told(&w.pass(HOUR, "mail")), [(Reason::First, vec![&*stays])]);
    let quiet = w.find("exhausted", "L3", "101001");
    assert_eq!(told(&w.pass(30 * MINUTE, "mail")), []);
    assert_eq!(told(&w.pass(HOUR, "mail")), [(Reason::First, vec![&*quiet])]);
}

#[test]
fn what_ended_before_it_would_have_been_told_is_no_news_and_is_counted() {
    let mut w = World::new(PLAIN);
    w.find("exhausted", "L1", "101001");
    let stays = w.find("used", "L2", "101002");
    w.clear("exhausted", "L1");
    assert_eq!(told(&w.pass(MINUTE, "mail")), [(Reason::First, vec![&*stays])]);
    assert_eq!(w.untold, 1);
    // Together with one that stays, the one that ended is left out.
    let ends = w.find("exhausted", "L3", "101003");
    let new = w.find("used", "L4", "101003");
    for action in [Action::Acknowledge, Action::Dismiss] {
        w.act(&ends, action);
    }
    assert_eq!(told(&w.pass(MINUTE, "mail")), [(Reason::First, vec![&*new])]);
    assert_eq!(w.untold, 2);
    // Nobody who did not hear of it hears of its end, now or later.
    assert_eq!(told(&w.pass(HOUR, "mail")), []);
    // Whoever knows it does.
    w.clear("used", "L4");
    assert_eq!(told(&w.pass(HOUR, "mail")), [(Reason::AllEnded, vec![&*new])]);
    assert_eq!(w.untold, 2);
}
