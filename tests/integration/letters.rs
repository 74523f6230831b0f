//! Letters to units: a draft until an officer sends it, sent once, withdrawn when its alert ends; and the mails of shipped
//! rules as officers read them.

use std::{collections::BTreeMap, path::Path};

use fiscwatch::{
    alert::{
        Action, Alert, Notification, NotifiedAlert, Reason, Silence,
        desk::Refusal,
        inquiry::{self, Stage},
    },
    config::office::Office,
    event::TimeDelta,
    lists::List,
    notify::{
        render::{Rendered, Style, render},
        sample::sample,
        template::Templates,
    },
    rule::Language,
    store::{CaseError, CaseFilter, Cases},
};
use serde_json::{Value, json};

use crate::{
    dispatch::{HOUR, MINUTE, World, told},
    support::{calendar, fiscwatch, payment, write},
};

const DRAFTS: &str = "
alerts: { escalate_after: { high: 30m }, due: {}, inhibit: [], explain: { sink: mail, list: contacts, column: email } }
lists: { contacts: { path: contacts.csv } }
routes: { sinks: [boss], group_wait: 0s }
";

fn world(config: &str) -> World {
    let mut w = World::new(config);
    // The Wednesday of the test is followed by a holiday, a workday, and a weekend with a Saturday at work.
    let days: &[&[&str]] = &[&["2026-03-05", "holiday"], &["2026-03-07", "workday"]];
    w.dispatch.lists.insert("holidays", List::of(&["date", "kind"], days));
    w
}

fn alert(w: &World, id: &str) -> Alert {
    Cases::open_read_only(w.dir.path()).unwrap().show(id, 1).unwrap().0
}

fn drafts(w: &World) -> Vec<String> {
    let filter = CaseFilter { inquiry: Some(String::from("draft")), ..CaseFilter::default() };
    let wanted = filter.understood(&calendar(), w.now).unwrap();
    let found = Cases::open_read_only(w.dir.path()).unwrap().list(&wanted).unwrap();
    found.into_iter().map(|alert| alert.alert_id).collect()
}

/// An officer sends an alert's letter.
fn send(w: &World, id: &str, deadline: Option<u16>, again: bool) -> Result<Alert, CaseError> {
    let desk = w.desk();
    let by = (String::from("王芳"), Some(String::from("请附合同。")), None);
    let order = inquiry::order(&alert(w, id), &desk, &w.dispatch.lists, by, (deadline, again), w.now)?;
    Cases::open(w.dir.path()).unwrap().act(id, &order, &desk, w.now)
}

#[test]
fn a_letter_is_a_draft_until_an_officer_sends_it_and_is_sent_once() {
    let mut w = world(DRAFTS);
    let id = w.find("asked", "L1", "101001");
    assert_eq!(told(&w.pass(48 * HOUR, "mail")), [], "nobody has decided");
    assert_eq!(drafts(&w), [&*id]);
    w.now -= 48 * HOUR;
    // Thursday is a holiday, Saturday is worked: the third workday is Monday.
    let sent = send(&w, &id, Some(3), false).unwrap();
    let letter = sent.inquiry.clone().unwrap();
    assert_eq!((letter.stage, letter.due.as_deref()), (Stage::Sent, Some("2026-03-09")));
    assert_eq!((sent.state.word(), sent.owner.as_deref()), ("acknowledged", Some("王芳")));
    assert_eq!(sent.escalates_at, None);
    assert_eq!(drafts(&w), [""; 0]);

    let made = w.pass(TimeDelta::ZERO, "mail");
    assert_eq!(told(&made), [(Reason::Explain, vec![&*id])]);
    assert_eq!(made[0].recipient.as_deref(), Some("unit@x.cn"));
    assert_eq!(made[0].alerts[0].alert.inquiry.as_ref().unwrap().note.as_deref(), Some("请附合同。"));
    assert_eq!(told(&w.pass(24 * HOUR, "mail")), []);
    let refused = send(&w, &id, None, false).unwrap_err().to_string();
    assert!(
        refused.contains("王芳 asked the unit on 2026-03-04") && refused.contains("--again"),
        "{refused}"
    );
    assert_eq!(told(&w.pass(HOUR, "mail")), []);
    send(&w, &id, None, true).unwrap();
    let again = w.pass(TimeDelta::ZERO, "mail");
    assert_eq!(told(&again), [(Reason::Explain, vec![&*id])]);
    assert_ne!((&again[0].id, &again[0].thread), (&made[0].id, &made[0].thread));

    let (_, history, _) = Cases::open(w.dir.path()).unwrap().show(&id, 1).unwrap();
    let asked: Vec<_> = history.iter().filter(|c| c.action == Action::Inquire).collect();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|c| c.who == "王芳" && c.why.as_deref() == Some("请附合同。")));
}

#[test]
fn a_draft_is_withdrawn_with_its_alert_and_a_letter_that_was_ordered_is_not() {
    let mut w = world(DRAFTS);
    let (ends, ordered) = (w.find("asked", "L1", "101001"), w.find("asked", "L2", "101001"));
    w.clear("asked", "L1");
    let letter = alert(&w, &ends).inquiry.unwrap();
    assert_eq!((letter.stage, letter.at), (Stage::Withdrawn, w.now));
    assert!(matches!(send(&w, &ends, None, false), Err(CaseError::Refused(Refusal::State(_)))));
    // Nothing holds back what an officer sends, not even the end of the alert in the same second.
    let silence = Silence {
        silence_id: 0,
        matchers: Vec::from([String::from("rule=asked")]).try_into().unwrap(),
        starts_at: w.now,
        ends_at: w.now + HOUR,
        author: String::from("王"),
        reason: String::from("盘点"),
        created_at: w.now,
        expired_by: None,
    };
    Cases::open(w.dir.path()).unwrap().silence(&silence, w.now).unwrap();
    send(&w, &ordered, None, false).unwrap();
    w.clear("asked", "L2");
    assert_eq!(told(&w.pass(TimeDelta::ZERO, "mail")), [(Reason::Explain, vec![&*ordered])]);
    assert_eq!(alert(&w, &ordered).inquiry.unwrap().stage, Stage::Sent);
}

#[test]
fn whoever_cannot_be_reached_is_named_before_anything_is_stored() {
    let mut w = world(DRAFTS);
    let unknown = w.find("asked", "L2", "999");
    let refused = send(&w, &unknown, None, false).unwrap_err().to_string();
    assert!(refused.contains("unit 999") && refused.contains("list contacts"), "{refused}");
    let refused = send(&w, &unknown, Some(0), false).unwrap_err().to_string();
    assert!(refused.contains("no contact"), "{refused}");
    let known = w.find("asked", "L3", "101001");
    let refused = send(&w, &known, Some(61), false).unwrap_err().to_string();
    assert!(refused.contains("from 1 to 60"), "{refused}");
    assert_eq!(alert(&w, &unknown).version, 1);
    // An alert of another handling has no draft, and can be asked about all the same.
    let other = w.find("used", "L4", "101001");
    assert_eq!(alert(&w, &other).inquiry, None);
    send(&w, &other, None, false).unwrap();
    assert_eq!(told(&w.pass(TimeDelta::ZERO, "mail")), [(Reason::Explain, vec![&*other])]);
    let nobody = world("alerts: { escalate_after: {}, inhibit: [] }");
    let order = inquiry::order(
        &alert(&w, &known),
        &nobody.desk(),
        &w.dispatch.lists,
        (String::from("王"), None, None),
        (None, false),
        w.now,
    );
    assert!(order.unwrap_err().to_string().contains("alerts.explain"));
}

#[test]
fn a_route_sends_letters_without_an_officer_only_if_it_says_so() {
    let automatic = DRAFTS.replace("routes: {", "routes: { send_letters: true,");
    let mut w = world(&automatic);
    let (a, b) = (w.find("asked", "L1", "101001"), w.find("asked", "L2", "101001"));
    let unknown = w.find("asked", "L3", "999");
    let faster = w.find("asked", "L4", "101001");
    send(&w, &faster, None, false).unwrap();
    w.clear("asked", "L2");
    let mut made = w.pass(TimeDelta::ZERO, "mail");
    assert_eq!(told(&made), [(Reason::Explain, vec![&*faster])]);
    made = w.pass(MINUTE, "mail");
    assert_eq!(told(&made), [(Reason::Explain, vec![&*a])], "one ended, one an officer has sent");
    assert_eq!(told(&w.pass(24 * HOUR, "mail")), []);

    let sent = alert(&w, &a);
    assert_eq!(sent.state.word(), "open", "nobody has taken it on");
    let letter = sent.inquiry.unwrap();
    assert_eq!((letter.by.as_deref(), letter.due.as_deref()), (Some("fiscwatch"), Some("2026-03-11")));
    let (_, history, _) = Cases::open(w.dir.path()).unwrap().show(&a, 1).unwrap();
    assert!(history.iter().any(|c| c.action == Action::Inquire && c.who == "fiscwatch"));
    assert_eq!(alert(&w, &b).inquiry.unwrap().stage, Stage::Withdrawn);
    let (alert, history, _) = Cases::open(w.dir.path()).unwrap().show(&unknown, 1).unwrap();
    assert_eq!(alert.inquiry.unwrap().stage, Stage::Draft);
    assert!(history.iter().any(|c| c.why.as_deref().is_some_and(|why| why.contains("unit 999"))));
}

#[test]
fn nobody_acts_under_the_daemons_name() {
    let mut w = world(DRAFTS);
    let id = w.find("asked", "L1", "101001");
    for name in ["fiscwatch", " Fiscwatch ", "ＦＩＳＣＷＡＴＣＨ", "fisc\u{200b}watch"] {
        let order = fiscwatch::alert::desk::Order {
            action: Action::Acknowledge,
            who: name.to_owned(),
            why: None,
            version: None,
            letter: None,
            terms: fiscwatch::alert::casework::Terms::default(),
        };
        let refused = Cases::open(w.dir.path()).unwrap().act(&id, &order, &w.desk(), w.now).unwrap_err();
        assert!(refused.to_string().contains("the daemon itself"), "{refused}");
    }
    assert_eq!(alert(&w, &id).version, 1);
}

/// No word of a letter is one of ours.
#[test]
fn a_letter_has_no_word_that_only_we_know() {
    let office = Office {
        bureau: Some(String::from("示例市财政局")),
        sender: Some(String::from("示例市财政局国库处")),
        signature: Some(String::from("联系电话：0571-00000000")),
    };
    let calendar = calendar();
    for language in [Language::Zh, Language::En] {
        let notification = sample(Reason::Explain, language);
        let style = Style { office: &office, ..Style::new(language, &calendar) };
        let Rendered { subject, text, html, attachments, .. } =
            render(&Templates::default(), &notification, &style);
        let csv = String::from_utf8(attachments[0].content.clone()).unwrap();
        let all = [subject, text, html, csv, attachments[0].name.clone()].join("\n");
        for word in [
            "fiscwatch",
            "large-cash",
            "rule",
            "critical",
            "红色",
            "block",
            "拦截",
            "水位线",
            "路由",
            "route",
            "severity",
            "finding",
            "疑点",
            "待受理",
            "http://",
            "routes[0]",
            "watermark",
        ] {
            assert!(!all.to_lowercase().contains(word), "{word} stands in\n{all}");
        }
        for word in ["示例市财政局国库处", "0571-00000000", "PAY-2026-000187", "2026"] {
            assert!(all.contains(word), "{word} is not in\n{all}");
        }
    }
}

fn event(id: &str, minute: u32, more: &Value) -> Value {
    let mut event = payment(id, "L1", "100.00");
    event["occurred_at"] = json!(format!("2026-03-04T10:{minute:02}:00+08:00"));
    event["unit_name"] = json!("市第一中学");
    for (name, value) in more.as_object().unwrap() {
        event[name] = value.clone();
    }
    event
}

/// Payments that ten shipped rules find something in.
fn events() -> String {
    let approve = |line: &str, amount: &str| {
        json!({
            "event_id": format!("B-{line}"), "type": "budget", "action": "approve", "budget_line_id": line,
            "occurred_at": "2026-01-02T09:00:00+08:00", "amount": amount, "fiscal_year": 2026,
            "region_code": "330100000", "unit_code": "101001", "unit_name": "市第一中学",
            "function_code": "2050201", "economic_code": "30201",
        })
    };
    let known = |n: u32| {
        let day = json!({ "payee_name": "长青物业有限公司", "payee_account": "33010160007",
            "occurred_at": format!("2026-02-{:02}T10:00:00+08:00", n + 1), "amount": format!("{n}01.17"),
            "purpose": format!("物业服务费第{n}期") });
        event(&format!("P-K{n}"), n, &day)
    };
    let mut events = vec![approve("L1", "9000000.00"), approve("L2", "100.00"), approve("L3", "1000.00")];
    events.extend((1..=3).map(known));
    let own = [
        (
            "A-01",
            1,
            json!({ "type": "application", "budget_line_id": "L2", "amount": "15931.89", "purpose": "办公用品" }),
        ),
        ("P-02", 2, json!({ "budget_line_id": "L3", "amount": "1250.50", "purpose": "办公用品" })),
        ("P-03", 3, json!({ "budget_line_id": "L9", "amount": "320.00", "purpose": "办公用品" })),
        (
            "P-04",
            4,
            json!({ "settlement": "cash", "payee_name": "张小明", "payee_type": "person",
            "payee_account": "6222021202000012345", "amount": "12000.00", "purpose": "困难学生补助" }),
        ),
        (
            "A-05",
            5,
            json!({ "type": "application", "settlement": "cash", "payee_name": "张小明", "payee_type": "person",
            "payee_account": "6222021202000012345", "amount": "60000.00", "purpose": "困难学生补助" }),
        ),
        ("P-06", 6, json!({ "purpose": "慰问职工购物卡", "amount": "2000.01" })),
        (
            "P-07",
            7,
            json!({ "actual_payee_name": "青山贸易有限公司", "actual_payee_account": "33010160099",
            "amount": "8800.63", "purpose": "印刷费" }),
        ),
        (
            "P-08",
            8,
            json!({ "payee_name": "长青物业有限公司", "payee_account": "33010160008", "amount": "250000.00",
            "contract_no": "HT-9", "purpose": "物业服务费" }),
        ),
        ("P-09", 0, json!({ "invoice_no": "00881", "amount": "4568.88", "purpose": "印刷费" })),
        ("P-10", 10, json!({ "invoice_no": "00881", "amount": "4568.88", "purpose": "印刷费" })),
        (
            "P-11",
            11,
            json!({ "payee_name": "示例商贸有限公司", "payee_account": "6222020000000000029",
            "amount": "3000.01", "purpose": "办公用品" }),
        ),
    ];
    events.extend(own.iter().map(|(id, minute, more)| event(id, *minute, more)));
    crate::support::lines(&events)
}

const SHOWN: [&str; 10] = [
    "line-exhausted",
    "no-budget",
    "overspend-rate-critical",
    "large-cash",
    "large-cash-critical",
    "sensitive-purpose",
    "payee-mismatch",
    "known-name-new-account",
    "duplicate-strict",
    "blacklisted-payee",
];

/// Runs the shipped rules over the events, and gives an alert of each with its evidence.
fn shipped(language: &str) -> BTreeMap<String, Vec<NotifiedAlert>> {
    let dir = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shipped = std::fs::read_to_string(root.join("config/fiscwatch.yaml")).unwrap();
    let config = shipped
        .replace("language: zh", &format!("language: {language}"))
        .replace("../state", "state")
        .replace("[../rules]", &format!("['{}']", root.join("rules").display()))
        .replace("path: lists/", &format!("path: {}/config/lists/", root.display()))
        .replace("127.0.0.1:9464", "127.0.0.1:0")
        .replace("sources: []", "sources: [{ name: bank, file: { path: events.jsonl } }]");
    write(dir.path(), "fiscwatch.yaml", &config);
    write(dir.path(), "events.jsonl", &events());
    let run =
        fiscwatch().current_dir(dir.path()).args(["run", "--once", "--config", "fiscwatch.yaml"]).output();
    let run = run.unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let cases = Cases::open_read_only(&dir.path().join("state")).unwrap();
    let mut told: BTreeMap<String, Vec<NotifiedAlert>> = BTreeMap::new();
    for alert in cases.all().unwrap() {
        let (mut alert, _, evidence) = cases.show(&alert.alert_id, 50).unwrap();
        // What depends on the clock.
        alert.opened_at = alert.last_at;
        told.entry(alert.rule_id.clone()).or_default().push(NotifiedAlert { alert, evidence });
    }
    told
}

/// A page as it is read: without tags, a line a block.
fn words_of(html: &str) -> String {
    let body = html.split("<body").nth(1).unwrap_or_default();
    let body = body.split_once('>').map_or("", |(_, rest)| rest);
    let blocks = regex::Regex::new(r"(?s)<!--.*?-->|</(p|tr|td|th)>|<br>").unwrap().replace_all(body, "\n");
    let text = regex::Regex::new("<[^>]*>").unwrap().replace_all(&blocks, "").into_owned();
    let text =
        text.replace("&nbsp;", " ").replace("&emsp;", "  ").replace("&ensp;", " ").replace("&#x2f;", "/");
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("\n")
}

#[test]
fn the_mails_of_ten_shipped_rules_read_as_an_officer_would_write_them() {
    let office = Office { bureau: Some(String::from("示例市财政局")), ..Office::default() };
    let calendar = calendar();
    for (language, code) in [(Language::Zh, "zh"), (Language::En, "en")] {
        let found = shipped(code);
        let mut pages = String::new();
        for rule in SHOWN {
            let alerts =
                found.get(rule).unwrap_or_else(|| panic!("{rule} found nothing: {:?}", found.keys()));
            let notification = Notification {
                alerts: alerts.clone(),
                created_at: alerts[0].alert.last_at,
                ..sample(Reason::First, language)
            };
            let style = Style { office: &office, attach: false, ..Style::new(language, &calendar) };
            let Rendered { subject, text, html, .. } = render(&Templates::default(), &notification, &style);
            for word in ["水位线", "路由", "route", "watermark", "fiscwatch", " -1", rule] {
                assert!(
                    ![&subject, &text].iter().any(|t| t.contains(word)),
                    "{word} stands in\n{subject}\n{text}"
                );
            }
            // Nobody can hold what is paid.
            assert!(!text.contains("拦截") || text.contains("款项尚未支付"), "{text}");
            let page = words_of(&html);
            assert!(page.contains("建议处置") || page.contains("Advice"), "{page}");
            pages.push_str(&format!("##### {rule}\n{subject}\n\n{text}\n===== the page\n{page}\n\n"));
        }
        insta::assert_snapshot!(format!("mails_of_ten_rules_{code}"), pages);
    }
}
