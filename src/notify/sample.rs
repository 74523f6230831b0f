//! Made-up notifications of every reason: templates are tried on them, and `notify preview` shows them.

use serde_json::{Map, Value, json};

use crate::{
    alert::{
        Alert, Case, Inquiry, Labels, Notification, NotifiedAlert, OmittedAlerts, Reason, State,
        inquiry::Stage,
    },
    event::{Instant, TimeDelta},
    finding::{Finding, Handling, RuleMode, Severity},
    personal::{Kinds, PersonalKind},
    rule::Language,
};

/// Every reason, so that a sample of each can be shown.
pub const REASONS: [Reason; 14] = [
    Reason::First,
    Reason::New,
    Reason::SomeEnded,
    Reason::AllEnded,
    Reason::Escalated,
    Reason::Repeat,
    Reason::Digest,
    Reason::Storm,
    Reason::Explain,
    Reason::Answered,
    Reason::Unanswered,
    Reason::Approval,
    Reason::Daemon,
    Reason::Test,
];

/// 2026-03-04 10:00 in China.
const AT: Instant = Instant::from_micros(1_772_589_600_000_000);
const MINUTE: TimeDelta = TimeDelta::MINUTE;

/// A notification as it could be sent for this reason. It is the same every time.
#[must_use]
pub fn sample(reason: Reason, language: Language) -> Notification {
    let alerts = match reason {
        Reason::Approval | Reason::Daemon | Reason::Test => Vec::new(),
        Reason::First
        | Reason::Escalated
        | Reason::Repeat
        | Reason::Explain
        | Reason::Answered
        | Reason::Unanswered => vec![cash(language)],
        Reason::New | Reason::SomeEnded | Reason::AllEnded | Reason::Digest | Reason::Storm => {
            vec![cash(language), split(language), purpose(language)]
        }
    };
    let omitted_by_rule = omitted(&alerts, reason);
    let mut notification = Notification {
        id: format!("{}5a3f0c1de29b47", &blake3::hash(reason_word(reason).as_bytes()).to_hex()[..18]),
        sink: String::from("mail"),
        recipient: Some(String::from("officer@finance.example.gov.cn")),
        reason,
        route: String::from("routes[0]"),
        group: Labels::default(),
        thread: String::from("5bd0c3f2a1e94c7783d1f0aa4e6b9c12"),
        begins_thread: matches!(reason, Reason::First | Reason::Digest | Reason::Storm | Reason::Explain),
        alerts,
        omitted: omitted_by_rule.iter().map(|row| row.alerts).sum(),
        omitted_by_rule,
        message: message(reason, language),
        created_at: AT + MINUTE * 5,
        received_at: AT,
    };
    notification.group.set("unit_code", "101001");
    let ended = match reason {
        Reason::SomeEnded => 1,
        Reason::AllEnded => 3,
        _ => 0,
    };
    notification.alerts.iter_mut().rev().take(ended).for_each(|told| end(&mut told.alert));
    if let Some(told) = notification.alerts.first_mut() {
        let due = Some(String::from("2026-03-11"));
        let letter =
            |stage| Inquiry { by: Some(String::from("lihua")), due, ..Inquiry::at(stage, AT + MINUTE * 5) };
        match reason {
            Reason::Explain => {
                let note = language.pick(
                    "请一并说明现金的保管和使用情况。",
                    "Please also say how the cash is kept and spent.",
                );
                told.alert.inquiry = Some(Inquiry { note: Some(note.to_owned()), ..letter(Stage::Sent) });
            }
            Reason::Answered => told.alert.inquiry = Some(letter(Stage::Answered)),
            Reason::Unanswered => told.alert.inquiry = Some(letter(Stage::Sent)),
            Reason::Escalated => told.alert.escalation = 1,
            _ => {}
        }
    }
    notification
}

/// The word of a reason in templates, JSON and metrics.
#[must_use]
pub fn reason_word(reason: Reason) -> String {
    serde_json::to_value(reason).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

fn message(reason: Reason, language: Language) -> Option<String> {
    let (zh, en) = match reason {
        Reason::Approval => (
            "审批事项 7（预算操作，125000.00 元，王芳于 2026-03-04 提请）待您审批。",
            "Approval 7 (budget, 125000.00, proposed by wangfang on 2026-03-04) waits for you.",
        ),
        Reason::Daemon => (
            "数据源 core 自 09:45 起已 15 分钟没有新数据。请检查与国库支付系统的连接。",
            "The source core has had no events since 09:45, for 15 minutes. Check its connection.",
        ),
        Reason::Test => ("这是一条测试通知。", "This is a test."),
        _ => return None,
    };
    Some(language.pick(zh, en).to_owned())
}

fn cash(language: Language) -> NotifiedAlert {
    let title = language.pick("大额提取现金", "Large cash withdrawal");
    let line = language.pick(
        "市第一中学提取现金 60,000.00 元，超过单笔限额 50,000 元",
        "The First School drew 60,000.00 in cash, above the limit of 50,000",
    );
    let earlier = language.pick(
        "市第一中学提取现金 52,000.00 元，超过单笔限额 50,000 元",
        "The First School drew 52,000.00 in cash, above the limit of 50,000",
    );
    let mut told = told(
        "large-cash",
        title,
        (Severity::Critical, Handling::Block),
        &[("unit_code", json!("101001"))],
        line,
    );
    let values = |amount: &str| {
        object(&[
            ("unit_name", json!(language.pick("市第一中学", "First School"))),
            ("amount", json!(amount)),
            ("settlement", json!("cash")),
            ("payee_name", json!(language.pick("王小明", "John Smith"))),
            ("payee_type", json!("person")),
            ("payee_account", json!("6222021202000012345")),
        ])
    };
    told.evidence = vec![
        finding(&told.alert, "PAY-2026-000187", 0, line, values("60000.00")),
        finding(&told.alert, "PAY-2026-000112", 95, earlier, values("52000.00")),
    ];
    told.alert.findings = 2;
    told
}

fn split(language: Language) -> NotifiedAlert {
    let title = language.pick("疑似拆分采购", "Split procurement");
    let line = language.pick(
        "101001 向同一收款人 30 天内支付 4 笔，合计 612,000.00 元，单笔均低于限额 500,000 元",
        "101001 paid one payee 4 times in 30 days, 612,000.00 in all, each below the limit of 500,000",
    );
    let key = [("unit_code", json!("101001")), ("payee_account", json!("33010160006123456"))];
    let mut told = told("split-procurement", title, (Severity::High, Handling::Explain), &key, line);
    let values = object(&[("n", json!(4)), ("total", json!("612000.00")), ("amount", json!("153000.00"))]);
    told.evidence = vec![finding(&told.alert, "PAY-2026-000203", 12, line, values)];
    told
}

fn purpose(language: Language) -> NotifiedAlert {
    let title = language.pick("敏感用途", "Sensitive purpose");
    let line = language.pick("用途含敏感词：购物卡", "The purpose names shopping cards");
    let mut told = told(
        "sensitive-purpose",
        title,
        (Severity::Medium, Handling::Warn),
        &[("unit_code", json!("101001"))],
        line,
    );
    let values = object(&[
        ("purpose", json!(language.pick("购物卡", "shopping cards"))),
        ("amount", json!("2000.00")),
    ]);
    told.evidence = vec![finding(&told.alert, "PAY-2026-000210", 3, line, values)];
    told
}

fn told(
    rule: &str,
    title: &str,
    (severity, handling): (Severity, Handling),
    key: &[(&str, Value)],
    summary: &str,
) -> NotifiedAlert {
    let mut labels = Labels::default();
    for (name, value) in key {
        labels.set(name, value.as_str().unwrap_or_default());
    }
    for (name, value) in
        [("rule", rule), ("severity", severity.word()), ("handling", handling.word()), ("tag", "cash")]
    {
        labels.set(name, value);
    }
    let alert = Alert {
        alert_id: blake3::hash(rule.as_bytes()).to_hex()[..32].to_owned(),
        rule_id: rule.to_owned(),
        title: title.to_owned(),
        key: object(key),
        severity,
        handling,
        event_type: Some(String::from("payment")),
        state: State::Open,
        version: 1,
        labels,
        summary: summary.to_owned(),
        findings: 1,
        opened_at: AT,
        first_at: AT - MINUTE * 95,
        last_at: AT,
        changed_at: AT,
        owner: None,
        acknowledged_at: None,
        ended_at: None,
        escalation: 0,
        escalates_at: None,
        previous: None,
        personal: Some(kinds()),
        inquiry: None,
        lines: Vec::new(),
        case: Case::default(),
    };
    NotifiedAlert { alert, evidence: Vec::new() }
}

/// The kinds of the columns in these samples.
fn kinds() -> Kinds {
    let mut kinds = Kinds::default();
    for column in ["payee_name", "payee_account", "purpose"] {
        kinds.add(column, PersonalKind::of_column(column).unwrap_or_default());
    }
    kinds
}

fn finding(
    alert: &Alert,
    event: &str,
    minutes_before: i64,
    summary: &str,
    values: Map<String, Value>,
) -> Finding {
    let at =
        jiff::Timestamp::from_microsecond((AT - MINUTE * minutes_before).as_micros()).unwrap_or_default();
    let offset = jiff::tz::TimeZone::fixed(jiff::tz::offset(8));
    Finding {
        finding_id: blake3::hash(event.as_bytes()).to_hex()[..32].to_owned(),
        rule_id: alert.rule_id.clone(),
        severity: alert.severity,
        handling: alert.handling,
        mode: RuleMode::Live,
        key: alert.key.clone(),
        at: offset.to_datetime(at).strftime("%Y-%m-%dT%H:%M:%S+08:00").to_string(),
        event_id: Some(event.to_owned()),
        window: None,
        values,
        summary: summary.to_owned(),
        labels: Map::new(),
    }
}

fn object(pairs: &[(&str, Value)]) -> Map<String, Value> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn end(alert: &mut Alert) {
    alert.state = State::Closed;
    alert.ended_at = Some(AT + MINUTE * 4);
    alert.owner = Some(String::from("lihua"));
}

/// What a storm tells of and does not list.
fn omitted(alerts: &[NotifiedAlert], reason: Reason) -> Vec<OmittedAlerts> {
    match alerts.last() {
        Some(NotifiedAlert { alert, .. }) if reason == Reason::Storm => {
            vec![OmittedAlerts { alerts: 3418, findings: 3420, ..OmittedAlerts::of(&[alert]).remove(0) }]
        }
        _ => Vec::new(),
    }
}

/// One alert in a notification that is never sent, for what works on notifications.
pub(super) fn bare(told: NotifiedAlert) -> Notification {
    Notification {
        id: String::new(),
        sink: String::new(),
        recipient: None,
        reason: Reason::Repeat,
        route: String::new(),
        group: Labels::default(),
        thread: String::new(),
        begins_thread: false,
        alerts: vec![told],
        omitted: 0,
        omitted_by_rule: Vec::new(),
        message: None,
        created_at: Instant::EPOCH,
        received_at: Instant::EPOCH,
    }
}
