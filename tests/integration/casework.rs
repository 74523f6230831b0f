//! Cases: owners and shifts, last days on the calendar of workdays, the second officer, outcomes, merges, remarks that name
//! somebody; each order with its record in the audit log, or none.

use fiscwatch::{
    access::{Role, Roles},
    alert::{
        Action, Alert, CaseOutcome, State,
        casework::Terms,
        desk::{EntryTopic, Order},
    },
    decode::Decoder,
    event::{Cents, TimeDelta},
    lists::List,
    sql::functions::Workdays,
    store::{Accounts, CaseError, CaseFilter, Cases, HandOver, JournalView, Kinship},
};
use jiff::civil::date;
use serde_json::Value;

use crate::{dispatch::World, support::calendar};

const DAY: TimeDelta = TimeDelta::DAY;

const CONFIG: &str = "
alerts: { escalate_after: {}, due: { critical: 3, high: 5 }, review: { dismiss: [high], close: [] }, inhibit: [] }
routes: { sinks: [boss], group_wait: 0s }
";

/// Orders of officers in a world.
struct Office<'w>(&'w World);

impl Office<'_> {
    fn give(&self, id: &str, who: &str, action: Action, why: &str, terms: Terms) -> Result<Alert, CaseError> {
        let why = Some(why.to_owned()).filter(|why| !why.is_empty());
        let order = Order { action, who: who.to_owned(), why, version: None, letter: None, terms };
        self.cases().act(id, &order, &self.0.desk(), self.0.now)
    }

    fn does(&self, id: &str, who: &str, action: Action) -> Alert {
        self.give(id, who, action, "查", Terms::default()).unwrap()
    }

    fn refused(&self, id: &str, who: &str, action: Action, terms: Terms) -> String {
        self.give(id, who, action, "查", terms).unwrap_err().to_string()
    }

    fn cases(&self) -> Cases {
        Cases::open(self.0.dir.path()).unwrap()
    }

    fn alert(&self, id: &str) -> Alert {
        self.cases().show(id, 1).unwrap().0
    }

    /// The history of an alert: who did what, with its facts.
    fn history(&self, id: &str) -> Vec<String> {
        let (_, history, _) = self.cases().show(id, 1).unwrap();
        let shown =
            |facts: &Value| if *facts == serde_json::json!({}) { String::new() } else { format!(" {facts}") };
        history
            .iter()
            .map(|c| {
                format!("{} {}{}", c.who, c.action.word(), shown(&serde_json::to_value(&c.facts).unwrap()))
            })
            .collect()
    }

    fn count(&self, sql: &str) -> i64 {
        let database = rusqlite::Connection::open(self.0.dir.path().join("fiscwatch.db")).unwrap();
        database.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn found(&self, filter: CaseFilter) -> Vec<String> {
        let wanted = filter.understood(&calendar(), self.0.now).unwrap();
        self.cases().list(&wanted).unwrap().into_iter().map(|alert| alert.alert_id).collect()
    }
}

fn to(name: &str) -> Terms {
    Terms { to: Some(name.to_owned()), ..Terms::default() }
}

fn came_to(outcome: CaseOutcome, amount: Option<i64>) -> Terms {
    let amount = amount.map(|cents| Cents::new(cents.into()));
    Terms { outcome: Some(outcome), amount, ..Terms::default() }
}

#[test]
fn an_alert_has_one_owner_and_its_history_says_how_it_went_from_hand_to_hand() {
    let mut w = World::new(CONFIG);
    let id = w.find("asked", "L1", "101001");
    let office = Office(&w);
    let given = office.give(&id, "主管", Action::Assign, "", to("王芳")).unwrap();
    assert_eq!((given.owner.as_deref(), given.state), (Some("王芳"), State::Open), "giving is not taking on");
    assert!(office.refused(&id, "主管", Action::Assign, to("王芳")).contains("has it already"));
    assert!(office.refused(&id, "主管", Action::Assign, Terms::default()).contains("`to`"));
    assert!(office.refused(&id, "主管", Action::Assign, to("fiscwatch")).contains("the daemon itself"));
    assert!(office.refused(&id, "主管", Action::Comment, to("李")).contains("`to` goes with"));
    office.give(&id, "王芳", Action::Assign, "休假", to("-")).unwrap();
    assert_eq!(
        office.history(&id),
        ["fiscwatch opened", r#"主管 assign {"to":"王芳"}"#, r#"王芳 assign {"from":"王芳"}"#]
    );
    let told = "SELECT count(*) FROM audit WHERE action = 'alerts.assign'";
    assert_eq!(office.count(told), 2, "a refused order is none");
    // Where people are known, an alert goes to one of them who may work on it.
    let mut accounts = Accounts::open(w.dir.path()).unwrap();
    let by = fiscwatch::access::Actor::daemon();
    for (name, role) in [("zhao", Role::Officer), ("shen", Role::Auditor), ("gone", Role::Officer)] {
        accounts.add_user(name, &Roles::of_person([role]).unwrap(), &by, w.now).unwrap();
    }
    accounts.set_enabled("gone", false, &by, w.now).unwrap();
    for name in ["nobody", "shen", "gone"] {
        assert!(
            office.refused(&id, "主管", Action::Assign, to(name)).contains("nobody who works on alerts"),
            "{name}"
        );
    }
    assert_eq!(
        office.give(&id, "主管", Action::Assign, "", to("zhao")).unwrap().owner.as_deref(),
        Some("zhao")
    );
}

#[test]
fn a_shift_is_handed_over_whole_or_not_at_all() {
    let mut w = World::new(CONFIG);
    let ids: Vec<_> = ["L1", "L2", "L3"].map(|line| w.find("asked", line, "101001")).into();
    let office = Office(&w);
    for id in &ids {
        office.does(id, "王", Action::Acknowledge);
    }
    office.does(&ids[2], "王", Action::Confirm);
    office.give(&ids[2], "王", Action::Close, "x", came_to(CaseOutcome::NoFault, None)).unwrap();
    let shift = |from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        HandOver { from, to, who: String::from("王"), why: Some(String::from("夜班")) }
    };
    let mut cases = office.cases();
    let refused = cases.hand_over(&shift("王", "fiscwatch"), &w.desk(), w.now).unwrap_err();
    assert!(refused.to_string().contains("the daemon itself"));
    assert_eq!(office.alert(&ids[0]).owner.as_deref(), Some("王"), "nothing of a refused shift is done");
    assert_eq!(cases.hand_over(&shift("王", "李"), &w.desk(), w.now).unwrap(), 2);
    let owners: Vec<_> = ids.iter().map(|id| office.alert(id).owner.unwrap()).collect();
    assert_eq!(owners, ["李", "李", "王"], "what is over stays with whoever ended it");
    let none = cases.hand_over(&shift("王", "李"), &w.desk(), w.now).unwrap_err();
    assert!(none.to_string().contains("no alert that is not over"), "{none}");
    assert_eq!(office.count("SELECT count(*) FROM audit WHERE action = 'alerts.assign'"), 2);
}

#[test]
fn the_last_day_is_a_workday_and_what_is_past_it_is_escalated_once() {
    let mut w = World::new(CONFIG);
    // Days that are no workdays put it off; START is a Wednesday.
    let days: &[&[&str]] = &[&["2026-03-05", "holiday"], &["2026-03-07", "workday"]];
    let workdays = Workdays::new(Some(&List::of(&["date", "kind"], days)));
    assert_eq!(workdays.after(date(2026, 3, 4), 5), date(2026, 3, 11));
    let id = w.find("asked", "L1", "101001");
    let office = Office(&w);
    let due = office.alert(&id).case.due.unwrap();
    assert_eq!(due, "2026-03-11", "five workdays after Wednesday, 4 March 2026");
    office.does(&id, "王", Action::Acknowledge);
    let past_due = |w: &World, is: bool| {
        Office(w).found(CaseFilter { past_due: Some(is), ..CaseFilter::default() }).contains(&id)
    };
    assert!(!past_due(&w, true) && past_due(&w, false));
    let escalations =
        |w: &World| Office(w).history(&id).iter().filter(|line| line.contains("escalate")).count();
    w.now += 7 * DAY;
    w.bundle();
    assert_eq!(escalations(&w), 0, "the last day counts whole");
    w.now += DAY;
    w.bundle();
    w.now += DAY;
    w.bundle();
    assert_eq!((escalations(&w), past_due(&w, true)), (1, true));
    // Another last day can be missed again.
    let until = |day| Terms { due: Some(day), ..Terms::default() };
    let office = Office(&w);
    for (day, says) in [(date(2026, 3, 1), "from 2026-03-13 on"), (date(2028, 3, 1), "within 366 days")] {
        let refused = office.refused(&id, "王", Action::Postpone, until(day));
        assert!(refused.contains(says), "{refused}");
    }
    assert!(
        office.give(&id, "王", Action::Postpone, "", until(date(2026, 3, 20))).is_err(),
        "it needs a reason"
    );
    office.give(&id, "王", Action::Postpone, "等凭证", until(date(2026, 3, 20))).unwrap();
    assert!(!past_due(&w, true));
    w.now += 9 * DAY;
    w.bundle();
    assert_eq!(escalations(&w), 2);
    assert_eq!(EntryTopic::parse("escalated"), Some(EntryTopic::Escalated));
}

#[test]
fn what_a_second_officer_decides_nobody_decides_alone() {
    let mut w = World::new(CONFIG);
    let (id, other) = (w.find("asked", "L1", "101001"), w.find("asked", "L2", "101001"));
    let office = Office(&w);
    office.does(&id, "王芳", Action::Acknowledge);
    assert!(office.refused(&id, "李", Action::Approve, Terms::default()).contains("nothing waits"));
    let proposed = office.does(&id, "王芳", Action::Dismiss);
    assert_eq!(proposed.state, State::Acknowledged, "it is proposed, not done");
    let in_review = || office.found(CaseFilter { review: Some(true), ..CaseFilter::default() });
    assert_eq!(in_review(), std::slice::from_ref(&id));
    // It does not go on meanwhile, and the proposer does not decide, however the name is written.
    for action in [Action::Confirm, Action::Dismiss] {
        assert!(office.refused(&id, "李", action, Terms::default()).contains("a second officer decides"));
    }
    for name in ["王芳", " 王芳 ", "王\u{200b}芳"] {
        let refused = office.refused(&id, name, Action::Approve, Terms::default());
        assert!(
            refused.contains("somebody else") || refused.contains("say who you are"),
            "{name}: {refused}"
        );
        assert!(office.give(&id, name, Action::Return, "x", Terms::default()).is_err());
    }
    assert!(office.refused(&id, "李", Action::Withdraw, Terms::default()).contains("alone can withdraw"));
    office.does(&id, "李", Action::Return);
    assert_eq!(in_review(), [] as [String; 0]);
    office.does(&id, "王芳", Action::Dismiss);
    office.does(&id, "王芳", Action::Withdraw);
    office.does(&id, "王芳", Action::Dismiss);
    let done = office.does(&id, "李", Action::Approve);
    assert_eq!((done.state, done.case.review), (State::Dismissed, None));
    assert_eq!(
        office.history(&id)[2..],
        [
            r#"王芳 propose {"proposed":"dismiss"}"#,
            r#"李 return {"proposed":"dismiss","proposed_by":"王芳"}"#,
            r#"王芳 propose {"proposed":"dismiss"}"#,
            r#"王芳 withdraw {"proposed":"dismiss"}"#,
            r#"王芳 propose {"proposed":"dismiss"}"#,
            r#"李 dismiss {"proposed_by":"王芳"}"#,
        ]
    );
    // The rule's precision counts the verdict once.
    let verdicts = office.cases().verdicts().unwrap();
    assert_eq!((verdicts["asked"].dismissed, verdicts["asked"].confirmed), (1, 0));
    // A proposal ends with its alert.
    office.does(&other, "王芳", Action::Acknowledge);
    office.does(&other, "王芳", Action::Dismiss);
    w.clear("asked", "L2");
    let alert = Office(&w).alert(&other);
    assert_eq!((alert.state, alert.case.review), (State::Resolved, None));
}

#[test]
fn a_case_is_closed_with_an_outcome_and_returned_money_with_its_amount() {
    let mut w = World::new(CONFIG);
    let id = w.find("asked", "L1", "101001");
    let office = Office(&w);
    for action in [Action::Acknowledge, Action::Confirm] {
        office.does(&id, "王", action);
    }
    let close = |terms| office.refused(&id, "王", Action::Close, terms);
    assert!(
        close(Terms { amount: Some(Cents::new(1)), ..Terms::default() }).contains("goes with an outcome")
    );
    assert!(close(came_to(CaseOutcome::MoneyReturned, None)).contains("how much money"));
    assert!(close(came_to(CaseOutcome::MoneyReturned, Some(0))).contains("how much money"));
    assert!(
        office
            .refused(&id, "王", Action::Rectify, came_to(CaseOutcome::NoFault, None))
            .contains("`outcome` goes with")
    );
    let fault = came_to(CaseOutcome::NoFault, Some(1_200));
    assert!(office.refused(&id, "王", Action::Close, fault).contains("no amount came of it"));
    let closed = office
        .give(&id, "王", Action::Close, "已追回", came_to(CaseOutcome::MoneyReturned, Some(120_000)))
        .unwrap();
    assert_eq!((closed.state, closed.case.outcome_amount), (State::Closed, Some(Cents::new(120_000))));
    let last = office.history(&id).pop().unwrap();
    assert_eq!(last, r#"王 close {"outcome":"money_returned","amount":"1200.00"}"#);
    let detail = "SELECT detail LIKE '已追回 %money_returned%1200.00%' FROM audit ORDER BY seq DESC LIMIT 1";
    assert_eq!(office.count(detail), 1);
    let of = |outcome: &str| {
        office.found(CaseFilter { outcome: Some(outcome.to_owned()), ..CaseFilter::default() })
    };
    assert_eq!((of("money_returned"), of("no_fault")), (vec![id], vec![]));
}

#[test]
fn a_merged_alert_is_over_and_both_say_so_in_one_transaction() {
    let mut w = World::new(CONFIG);
    let ids: Vec<_> = ["L1", "L2", "L3"].map(|line| w.find("asked", line, "101001")).into();
    let office = Office(&w);
    let into = |id: &str| Terms { into: Some(id.to_owned()), ..Terms::default() };
    assert!(office.refused(&ids[0], "王", Action::Merge, into(&ids[0])).contains("itself"));
    assert!(office.refused(&ids[0], "王", Action::Merge, into("none")).contains("there is no alert"));
    assert!(office.refused(&ids[0], "王", Action::Merge, Terms::default()).contains("`into`"));
    office.give(&ids[0], "王", Action::Merge, "同一事项", into(&ids[1])).unwrap();
    office.give(&ids[1], "王", Action::Merge, "同一事项", into(&ids[2])).unwrap();
    let last = office.alert(&ids[2]);
    assert_eq!((last.state, last.case.merged), (State::Open, vec![ids[1].clone(), ids[0].clone()]));
    let merged = office.alert(&ids[1]);
    assert_eq!((merged.state, merged.case.merged_into.as_ref()), (State::Closed, Some(&ids[2])));
    assert!(office.refused(&ids[2], "王", Action::Merge, into(&ids[0])).contains("it is over"));
    let acts = "SELECT count(*) FROM audit WHERE action IN ('alerts.merge', 'alerts.absorb')";
    assert_eq!(office.count(acts), 4);
    let related = office.cases().related(&ids[2], 10).unwrap();
    let related: Vec<_> = related.iter().map(|(by, alert)| (*by, alert.alert_id.as_str())).collect();
    assert_eq!(related.len(), 2);
    assert!(related.contains(&(Kinship::Merged, &ids[0])) && related.contains(&(Kinship::Merged, &ids[1])));
    let unit = office.cases().related(&ids[0], 10).unwrap();
    assert!(unit.iter().any(|(by, alert)| *by == Kinship::Unit && alert.alert_id == ids[2]));
}

/// Else one officer joins what two must decide with what one may dismiss.
#[test]
fn what_a_second_officer_decides_goes_on_only_with_what_one_decides_too() {
    let mut w = World::new(CONFIG);
    let asked: Vec<_> = ["L1", "L2"].map(|line| w.find("asked", line, "101001")).into();
    let round = w.find("round", "L1", "101001");
    let office = Office(&w);
    let into = |id: &str| Terms { into: Some(id.to_owned()), ..Terms::default() };
    assert!(office.refused(&asked[0], "王", Action::Merge, into(&round)).contains("join"));
    assert_eq!(office.alert(&asked[0]).state, State::Open);
    office.give(&round, "王", Action::Merge, "同一事项", into(&asked[0])).unwrap();
    office.give(&asked[0], "王", Action::Merge, "同一事项", into(&asked[1])).unwrap();
    office.does(&asked[1], "王", Action::Acknowledge);
    let proposed = office.does(&asked[1], "王", Action::Dismiss);
    assert_eq!(proposed.state, State::Acknowledged, "it is proposed, not done");
}

#[test]
fn a_remark_finds_whom_it_names() {
    let mut w = World::new(CONFIG);
    let id = w.find("asked", "L1", "101001");
    let office = Office(&w);
    office.give(&id, "王", Action::Comment, "@李雷 请复核；发至 a@b.cn", Terms::default()).unwrap();
    let named =
        |name: &str| office.found(CaseFilter { mentions: Some(name.to_owned()), ..CaseFilter::default() });
    assert_eq!((named("李雷"), named("b.cn"), named("李")), (vec![id], vec![], vec![]));
}

/// A change whose facts were altered is found, whoever keeps the sums.
#[test]
fn facts_are_in_the_chain() {
    let mut w = World::new(CONFIG);
    let id = w.find("asked", "L1", "101001");
    let office = Office(&w);
    office.give(&id, "王", Action::Assign, "", to("李")).unwrap();
    let changed = "UPDATE alert_history SET facts = replace(facts, '李', '赵') WHERE facts IS NOT NULL";
    let database = rusqlite::Connection::open(w.dir.path().join("fiscwatch.db")).unwrap();
    assert_eq!(database.execute(changed, []).unwrap(), 1);
    drop(database);
    let schema = std::sync::Arc::clone(Decoder::new(calendar()).schema());
    let checks = JournalView::open(w.dir.path(), &schema).unwrap().verify(&schema).unwrap();
    let said = format!("{checks:?}");
    assert!(said.contains("alert_history: record 2 does not follow"), "{said}");
}
