//! What becomes of a letter that is out: its link opens one case for a while, answers and their files are in the history
//! and in the audit log or nowhere, silence and refusals are told.

use std::path::Path;

use fiscwatch::{
    access::{Actor, LINK_KEY, Limits, LinkKey, Role, Roles},
    alert::{
        Action, Alert, Notification, Reason,
        casework::Terms,
        desk::Order,
        inquiry::{self, Stage},
    },
    decode::Decoder,
    event::TimeDelta,
    lists::List,
    store::{
        ATTACHMENTS, Accounts, BackupOptions, Cases, Fate, JournalView, LateOf, LinkError, Store, StoredFile,
        Upload, UploadError, back_up, restore, verify_backup,
    },
};

use crate::{
    dispatch::{HOUR, World, told},
    support::calendar,
};

const DAY: TimeDelta = TimeDelta::DAY;

const CONFIG: &str = "
alerts:
  escalate_after: {}
  due: {}
  inhibit: []
  explain: { sink: mail, list: contacts, column: email, answer_url: https://answers.example.cn, link_days: 2 }
  files: { file_mib: 1, case_mib: 2, files: 3 }
lists: { contacts: { path: contacts.csv } }
routes: { sinks: [boss], group_wait: 0s }
";

fn world(config: &str) -> World {
    let mut w = World::new(config);
    w.dispatch.lists.insert("holidays", List::of(&["date", "kind"], &[]));
    w
}

fn show(w: &World, id: &str) -> (Alert, Vec<String>) {
    let (alert, history, _) = Cases::open_read_only(w.dir.path()).unwrap().show(id, 1).unwrap();
    (alert, history.iter().map(|c| format!("{} {}", c.who, c.action.word())).collect())
}

/// An officer sends the letter; gives the token of its link.
fn send(w: &World, id: &str, again: bool) -> String {
    let desk = w.desk();
    let by = (String::from("王芳"), None, None);
    let order =
        inquiry::order(&show(w, id).0, &desk, &w.dispatch.lists, by, (Some(1), again), w.now).unwrap();
    let alert = Cases::open(w.dir.path()).unwrap().act(id, &order, &desk, w.now).unwrap();
    LinkKey::of(w.dir.path()).token(id, alert.inquiry.unwrap().at).unwrap()
}

fn file(w: &World, name: &str, bytes: &[u8]) -> Result<StoredFile, UploadError> {
    let mut incoming = Upload::begin(w.dir.path(), 1 << 20)?;
    bytes.chunks(1000).try_for_each(|part| incoming.add(part))?;
    incoming.finish(name)
}

fn answer(w: &World, token: &str, text: &str, files: &[StoredFile]) -> Result<Alert, LinkError> {
    let mut cases = Cases::open(w.dir.path()).unwrap();
    cases.answer(token, (text.to_owned(), String::from("李会计")), files, &w.desk(), w.now)
}

fn count(dir: &Path, sql: &str) -> i64 {
    let database = rusqlite::Connection::open(dir.join("fiscwatch.db")).unwrap();
    database.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn stored(w: &World) -> usize {
    std::fs::read_dir(w.dir.path().join(ATTACHMENTS)).map_or(0, Iterator::count)
}

#[test]
fn an_answer_is_in_the_history_with_its_files_and_its_record() {
    let mut w = world(CONFIG);
    let id = w.find("asked", "L1", "101001");
    let token = send(&w, &id, false);
    let kept = std::fs::read(w.dir.path().join("fiscwatch.db")).unwrap();
    assert!(!kept.windows(token.len()).any(|part| part == token.as_bytes()), "only its digest is kept");
    let (alert, _, answers) = Cases::open(w.dir.path()).unwrap().linked(&token, w.now, 9).unwrap();
    assert_eq!((&alert.alert_id, answers.len()), (&id, 0));

    let voucher = file(&w, "../凭证.pdf", b"%PDF-1.7 voucher").unwrap();
    assert_eq!((&*voucher.name, &*voucher.kind, voucher.bytes), ("凭证.pdf", "pdf", 16));
    let answered = answer(&w, &token, "合同见附件。", std::slice::from_ref(&voucher)).unwrap();
    let letter = answered.inquiry.unwrap();
    assert_eq!((letter.stage, letter.answered_at), (Stage::Answered, Some(w.now)));
    let (_, history) = show(&w, &id);
    assert_eq!(history.last().unwrap(), "unit:101001 (李会计) answer");
    assert_eq!(
        count(
            w.dir.path(),
            "SELECT count(*) FROM audit WHERE action = 'alerts.answer' AND detail LIKE '%凭证.pdf%'"
        ),
        1
    );
    let files = Cases::open(w.dir.path()).unwrap().attachments(&id).unwrap();
    assert_eq!((files.len(), &files[0].file), (1, &voucher));
    assert_eq!(told(&w.pass(10 * DAY, "boss")).len(), 1, "it was answered: nothing escalates");

    // Nothing of an answer that is refused stays in the history.
    w.now -= 10 * DAY;
    for (text, files) in
        [("", vec![]), (&*"长".repeat(4001), vec![]), ("多", vec![voucher.clone(), voucher.clone(), voucher])]
    {
        assert!(matches!(answer(&w, &token, text, &files), Err(LinkError::Case(_))), "{}", text.len());
    }
    assert_eq!(show(&w, &id).1.len(), history.len());
    assert_eq!(stored(&w), 1, "what the case has stays");
    let other = file(&w, "b.txt", b"another").unwrap();
    assert!(answer(&w, &token, &"长".repeat(4001), &[other]).is_err());
    assert_eq!(stored(&w), 1, "what came with what is refused goes");
}

#[test]
fn a_link_opens_one_case_until_it_expires_is_taken_back_or_replaced() {
    let mut w = world(CONFIG);
    let (id, other) = (w.find("asked", "L1", "101001"), w.find("asked", "L2", "101001"));
    let token = send(&w, &id, false);
    for unknown in [
        "",
        "x",
        &token[1..],
        &LinkKey::of(w.dir.path()).token(&other, w.now).unwrap(),
        &token.replace('a', "b").replace('0', "1"),
    ] {
        assert!(matches!(answer(&w, unknown, "说明", &[]), Err(LinkError::Unknown)), "{unknown}");
    }
    w.now += HOUR;
    let newer = send(&w, &id, true);
    assert!(matches!(answer(&w, &token, "说明", &[]), Err(LinkError::Ended)), "a newer letter has another");
    answer(&w, &newer, "说明", &[]).unwrap();
    let revoked = w.act(&id, Action::Revoke);
    assert!(!revoked.inquiry.unwrap().linked);
    assert!(matches!(answer(&w, &newer, "说明", &[]), Err(LinkError::Ended)));

    let token = send(&w, &other, false);
    let now = w.now;
    w.now += 10 * DAY;
    assert!(matches!(answer(&w, &token, "说明", &[]), Err(LinkError::Expired)));
    w.now = now;
    w.clear("asked", "L2");
    assert!(matches!(answer(&w, &token, "说明", &[]), Err(LinkError::Over)));
}

#[test]
fn a_flood_of_answers_is_stopped() {
    let mut w = world(CONFIG);
    let id = w.find("asked", "L1", "101001");
    let token = send(&w, &id, false);
    let mut taken = 0;
    for _ in 0..40 {
        match answer(&w, &token, "说明", &[]) {
            Ok(_) => taken += 1,
            Err(error) => assert!(matches!(error, LinkError::Flood), "{error}"),
        }
        w.now += HOUR / 20;
    }
    assert!((5..=10).contains(&taken), "{taken}");
    for _ in 0..40 {
        let _ = answer(&w, &token, "说明", &[]);
        w.now += HOUR;
    }
    assert_eq!(show(&w, &id).1.iter().filter(|line| line.ends_with(" answer")).count(), 20);
}

/// What is told of letters that nobody answers, among all that is told again.
fn urgent(made: &[Notification]) -> Vec<(Reason, Vec<&str>)> {
    told(made).into_iter().filter(|(reason, _)| *reason == Reason::Unanswered).collect()
}

/// What is late is counted by unit and officer, and a unit that comes again by its confirmed alerts.
#[test]
fn what_nobody_answered_and_units_that_come_again_are_counted() {
    let mut w = world(CONFIG);
    let [silent, one, other] = ["L1", "L2", "L3"].map(|line| w.find("asked", line, "101001"));
    w.pass(TimeDelta::ZERO, "boss");
    send(&w, &silent, false);
    w.pass(TimeDelta::ZERO, "mail");
    w.pass(2 * DAY, "boss");
    for (id, action) in
        [&one, &other].into_iter().flat_map(|id| [(id, Action::Acknowledge), (id, Action::Confirm)])
    {
        let (who, why) = (String::from("李强"), None);
        let order = Order { action, who, why, version: None, letter: None, terms: Terms::default() };
        Cases::open(w.dir.path()).unwrap().act(id, &order, &w.desk(), w.now).unwrap();
    }
    let service = Cases::open_read_only(w.dir.path()).unwrap().service(w.now - 90 * DAY, w.now).unwrap();
    assert_eq!(service.units, [(String::from("101001"), 0, 1)]);
    assert_eq!(service.officers, [(String::from("王芳"), 0, 1)]);
    let again: Vec<_> = service.repeated.iter().map(|(unit, confirmed, _)| (&**unit, *confirmed)).collect();
    assert_eq!(again, [("101001", 2)]);
}

/// What the gauge `fiscwatch_cases_late` is set to.
#[test]
fn alerts_past_their_last_day_are_counted_by_unit_and_officer() {
    let due = "due: { critical: 1, high: 1, medium: 1, low: 1 }";
    let mut w = world(&CONFIG.replace("due: {}", due));
    for (line, unit) in [("L1", "101001"), ("L2", "101001"), ("L3", "102001")] {
        w.find("asked", line, unit);
    }
    let late = |by, days: i64, most| w.outbox.late(by, w.now + days * DAY, most).unwrap();
    let of = |value: &str, late: i64| (value.to_owned(), late);
    assert_eq!(late(LateOf::Unit, 0, 20), []);
    assert_eq!(late(LateOf::Unit, 30, 20), [of("101001", 2), of("102001", 1)]);
    assert_eq!(late(LateOf::Unit, 30, 1), [of("101001", 2), of("other", 1)]);
    assert_eq!(late(LateOf::Officer, 30, 20), [of("", 3)], "nobody has taken them on");
}

/// Whoever asked, by the list of officers; the routes, where nobody says how officers are reached.
#[test]
fn whoever_asked_is_told_of_the_answer_and_of_silence() {
    let officers = "officers: { sink: mail, list: officers, column: email }";
    let config = CONFIG.replace("inhibit: []", &format!("inhibit: []\n  {officers}"));
    let config = config.replace("contacts.csv } }", "contacts.csv }, officers: { path: officers.csv } }");
    let mut w = world(&config);
    let rows: &[&[&str]] = &[&["王芳", "wangfang@treasury.example.cn"]];
    w.dispatch.lists.insert("officers", List::of(&["name", "email"], rows));
    let [answered, silent, refused] = ["L1", "L2", "L3"].map(|line| w.find("asked", line, "101001"));
    w.pass(TimeDelta::ZERO, "boss");
    let tokens = [&answered, &silent, &refused].map(|id| send(&w, id, false));
    let letters = w.pass(TimeDelta::ZERO, "mail");
    answer(&w, &tokens[0], "已核实。", &[]).unwrap();
    let to_officer = |made: &[Notification]| -> Vec<(Reason, Option<String>, String)> {
        let of = |n: &Notification| (n.reason, n.recipient.clone(), n.alerts[0].alert.alert_id.clone());
        made.iter().filter(|n| n.reason != Reason::Explain).map(of).collect()
    };
    let her = Some(String::from("wangfang@treasury.example.cn"));
    let told_of = |reason, id: &String| (reason, her.clone(), id.clone());
    assert_eq!(to_officer(&w.pass(TimeDelta::ZERO, "mail")), [told_of(Reason::Answered, &answered)]);
    assert!(
        told(&w.pass(TimeDelta::ZERO, "boss")).iter().all(|(reason, _)| *reason != Reason::Answered),
        "she is told alone"
    );
    let of_refused = letters.iter().find(|letter| letter.alerts[0].alert.alert_id == refused).unwrap();
    let fate = Fate::Parked(String::from("550 no such user"));
    w.outbox.record(&[(of_refused.id.clone(), fate)], w.now).unwrap();
    assert_eq!(to_officer(&w.pass(TimeDelta::ZERO, "mail")), [told_of(Reason::Unanswered, &refused)]);
    assert_eq!(to_officer(&w.pass(2 * DAY, "mail")), [told_of(Reason::Unanswered, &silent)]);

    // Who may no longer see the case, or has left, hears nothing of it.
    let id = w.find("asked", "L4", "101001");
    w.pass(TimeDelta::ZERO, "boss");
    let token = send(&w, &id, false);
    let mut accounts = Accounts::open(w.dir.path()).unwrap();
    let by = Actor { who: String::from("test"), place: String::from("test") };
    let limits = Limits::new(vec![String::from("999")], Vec::new()).unwrap();
    let roles = Roles::of_person([Role::Officer]).unwrap().limited_to(limits);
    accounts.add_user("王芳", &roles, &by, w.now).unwrap();
    answer(&w, &token, "已核实。", &[]).unwrap();
    let made = to_officer(&w.pass(TimeDelta::ZERO, "mail"));
    assert!(made.iter().all(|(_, recipient, _)| *recipient != her), "{made:?}");
    assert!(made.iter().any(|(reason, _, of)| (*reason, of) == (Reason::Answered, &id)), "{made:?}");

    let mut w = world(CONFIG);
    let id = w.find("asked", "L1", "101001");
    w.pass(TimeDelta::ZERO, "boss");
    let token = send(&w, &id, false);
    answer(&w, &token, "已核实。", &[]).unwrap();
    assert_eq!(told(&w.pass(TimeDelta::ZERO, "boss")), [(Reason::Answered, vec![&*id])]);
}

#[test]
fn silence_escalates_once_and_a_letter_that_no_server_takes_at_once() {
    let mut w = world(CONFIG);
    let (silent, refused) = (w.find("asked", "L1", "101001"), w.find("asked", "L2", "101001"));
    w.pass(TimeDelta::ZERO, "boss");
    send(&w, &silent, false);
    assert_eq!(urgent(&w.pass(DAY, "boss")), [], "its last day is not over");
    w.pass(TimeDelta::ZERO, "mail");
    assert_eq!(urgent(&w.pass(DAY, "boss")), [(Reason::Unanswered, vec![&*silent])]);
    assert_eq!(urgent(&w.pass(30 * DAY, "boss")), []);
    let (_, history) = show(&w, &silent);
    assert_eq!(history.iter().filter(|line| *line == "fiscwatch unanswered").count(), 1);

    send(&w, &refused, false);
    let mail = w.pass(TimeDelta::ZERO, "mail");
    let fate = Fate::Parked(String::from("550 no such user"));
    w.outbox.record(&[(mail[0].id.clone(), fate)], w.now).unwrap();
    assert_eq!(urgent(&w.pass(TimeDelta::ZERO, "boss")), [(Reason::Unanswered, vec![&*refused])]);
    let (_, history, _) = Cases::open(w.dir.path()).unwrap().show(&refused, 1).unwrap();
    let last = history.last().unwrap();
    assert_eq!((last.action, last.why.as_deref()), (Action::Undelivered, Some("550 no such user")));
    // A letter without a link is answered by mail, which nobody here sees.
    let mut w = world(&CONFIG.replace("answer_url: https://answers.example.cn, ", ""));
    let id = w.find("asked", "L1", "101001");
    w.pass(TimeDelta::ZERO, "boss");
    let order = inquiry::order(
        &show(&w, &id).0,
        &w.desk(),
        &w.dispatch.lists,
        (String::from("王"), None, None),
        (Some(1), false),
        w.now,
    );
    Cases::open(w.dir.path()).unwrap().act(&id, &order.unwrap(), &w.desk(), w.now).unwrap();
    assert!(!w.dir.path().join(LINK_KEY).exists());
    assert_eq!(told(&w.pass(30 * DAY, "boss")), []);
}

#[test]
fn files_are_bounded_decided_by_content_and_leave_nothing_when_refused() {
    let w = world(CONFIG);
    for wrong in [&b"MZ\x90\x00program"[..], b"<html><script>alert(1)</script>", b"", b"#!/bin/sh\nrm"] {
        assert!(matches!(file(&w, "发票.pdf", wrong), Err(UploadError::Kind(_))), "{wrong:?}");
    }
    let mut incoming = Upload::begin(w.dir.path(), 1 << 20).unwrap();
    incoming.add(&vec![b'x'; 1 << 20]).unwrap();
    assert!(matches!(incoming.add(b"x"), Err(UploadError::TooLarge(_))));
    assert_eq!(stored(&w), 1);
    drop(incoming);
    assert_eq!(stored(&w), 0);
    let mode = |path: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    let kept = file(&w, "a.txt", "收据".as_bytes()).unwrap();
    assert_eq!(mode(&w.dir.path().join(ATTACHMENTS).join(kept.digest)), 0o600);
}

#[test]
fn files_are_in_backups_and_checked_and_what_nothing_names_is_swept() {
    let mut w = world(CONFIG);
    let id = w.find("asked", "L1", "101001");
    let token = send(&w, &id, false);
    let kept = file(&w, "收据.txt", "收据一张".as_bytes()).unwrap();
    answer(&w, &token, "", std::slice::from_ref(&kept)).unwrap();
    file(&w, "left.txt", b"of a crash").unwrap();
    assert_eq!(stored(&w), 2);
    let schema = Decoder::new(calendar()).schema().clone();
    let verified = |dir: &Path| {
        let checks = JournalView::open(dir, &schema).unwrap().verify(&schema).unwrap();
        checks.into_iter().find(|check| check.name == "attachments").unwrap().problems
    };
    assert_eq!(verified(w.dir.path()), [""; 0]);
    let away = tempfile::tempdir().unwrap();
    let (backup, back) = (away.path().join("backup"), away.path().join("back"));
    back_up(w.dir.path(), &backup, BackupOptions::default()).unwrap();
    assert_eq!(verify_backup(&backup).unwrap().unwrap().problems, [""; 0]);
    assert!(!backup.join(LINK_KEY).exists(), "who has a backup has no links");
    restore(&backup, &back).unwrap();
    assert_eq!(verified(&back), [""; 0]);
    let (found, _) = Cases::open(&back).unwrap().open_attachment(&id, 1, w.now).unwrap();
    assert_eq!(found.file, kept);
    drop(Store::open(&back).unwrap());
    // The link of before still leads to its case.
    let limits = w.desk().policy.files;
    let room = Cases::open(&back).unwrap().takes_answer(&token, limits, w.now).unwrap();
    assert_eq!(room, limits.case - kept.bytes);

    let path = back.join(ATTACHMENTS).join(&kept.digest);
    std::fs::write(&path, "收据二张").unwrap();
    assert!(verified(&back)[0].contains("not those that came"));
    assert!(
        Cases::open(&back).unwrap().open_attachment(&id, 1, w.now).is_err(),
        "what is damaged is not handed out"
    );
    assert!(back_up(&back, &away.path().join("again"), BackupOptions::default()).is_err());
    std::fs::remove_file(&path).unwrap();
    assert_eq!(verified(&back).len(), 1);
    std::fs::write(back.join(ATTACHMENTS).join("coming-1"), "x").unwrap();
    drop(Store::open(&back).unwrap());
    assert_eq!(std::fs::read_dir(back.join(ATTACHMENTS)).unwrap().count(), 0);
}
