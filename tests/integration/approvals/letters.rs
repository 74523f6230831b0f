//! Who can approve something gets a letter when it waits, and another one before it expires: once each, whatever happens between.

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{Bureau, CONFIG, approve_line, budget};
use crate::{
    notify::smtp::{Fault, Phase, Smtp},
    support::{Daemon, payment, wait_until, write},
};

/// A bureau whose letters go to this server.
fn bureau(smtp: &Smtp) -> Bureau {
    let bureau = Bureau::closed("");
    let sink = format!(
        "sinks: [{{ name: mail, email: {{ servers: ['{}'], security: plain, from: fw@example.cn, to: [all@example.cn] }} }}]\n",
        smtp.address
    );
    let lists = "blocked: { path: blocked.csv }, officers: { path: officers.csv }";
    let config = CONFIG.replace("blocked: { path: blocked.csv }", lists);
    assert_ne!(config, CONFIG);
    let officers = "alerts: { officers: { sink: mail, list: officers, column: email } }\n";
    write(bureau.bench.path(), "fiscwatch.yaml", &format!("{config}{sink}{officers}"));
    // The second supervisor is in no list, and gets nothing.
    let names =
        ["officer", "supervisor", "approver", "both"].map(|name| format!("{name},{name}@example.cn\n"));
    write(bureau.bench.path(), "officers.csv", &format!("name,email\n{}", names.concat()));
    bureau
}

fn told(smtp: &Smtp) -> Vec<String> {
    let mut told: Vec<_> = smtp.mails().iter().map(|mail| mail.to.replace("@example.cn", "")).collect();
    told.sort();
    told
}

#[test]
fn a_letter_goes_to_each_who_can_approve_and_comes_once_also_after_a_kill() {
    let runtime = Runtime::new().unwrap();
    let smtp = runtime.block_on(Smtp::start());
    // Neither goes out before the kill.
    (0..2).for_each(|_| smtp.fault(Phase::Mail, Fault::Close));
    let mut bureau = bureau(&smtp);
    bureau.daemon = Some(Daemon::start(bureau.bench.path()));
    let mut wish = budget(&[approve_line("L1", "5000.00")]);
    wish["reason"] = json!("for 王小明");
    let large = bureau.propose("both", &wish);
    let waits = || {
        let (_, notices) = bureau.ask("supervisor", "GET", "notifications", &Value::Null);
        let all = notices["notifications"].as_array().map(Vec::as_slice).unwrap_or_default();
        all.iter().filter(|notice| notice["reason"] == "approval").count()
    };
    wait_until(|| waits() == 2);
    // Dead between what waits and its mail, and back.
    let daemon = bureau.daemon.take().unwrap();
    assert_eq!(daemon.stop("-KILL"), None);
    bureau.daemon = Some(Daemon::start(bureau.bench.path()));
    wait_until(|| told(&smtp).len() >= 2);
    // Nobody is told of their own, nor who is an officer only.
    assert_eq!(told(&smtp), ["approver", "supervisor"]);
    let mail = smtp.mails().remove(0).text;
    assert!(!mail.contains("王小明") && !mail.contains("=E7=8E=8B=E5=B0=8F"), "{mail}");
    assert!(mail.contains("5000.00") && mail.contains("proposed by both"), "{mail}");
    // Half of it is approved; another one, of a level of its own, waits for supervisors only.
    assert_eq!(bureau.judge("supervisor", &large, "approve").0, 200);
    bureau.propose("officer", &budget(&[approve_line("L2", "5.00")]));
    wait_until(|| told(&smtp).len() >= 4);
    assert_eq!(told(&smtp), ["approver", "both", "supervisor", "supervisor"]);
    assert_eq!(bureau.daemon.take().unwrap().stop("-TERM"), Some(0));
    bureau.daemon = Some(Daemon::start(bureau.bench.path()));
    let metric = || bureau.metrics().contains("fiscwatch_approvals_waiting{level=\"supervisor\"} 1");
    wait_until(metric);
    assert_eq!(told(&smtp).len(), 4, "what was told is not told again");
}

#[test]
fn what_expires_is_told_of_once_more() {
    let runtime = Runtime::new().unwrap();
    let smtp = runtime.block_on(Smtp::start());
    let mut bureau = bureau(&smtp);
    bureau.daemon = Some(Daemon::start(bureau.bench.path()));
    let matter = bureau.propose("officer", &budget(&[approve_line("L1", "100.00")]));
    assert_eq!(bureau.judge("supervisor", &matter, "approve").0, 200);
    bureau.is(&matter, "in_force");
    let before = told(&smtp).len();
    let mut event = payment("a1", "L1", "150.00");
    event["type"] = json!("application");
    assert_eq!(bureau.ask("platform", "POST", "decide", &event).1["decision"], "block");
    let wish =
        json!({ "kind": "override", "reason": "flood relief", "application": "a1", "duration": "12s" });
    let wanted = bureau.propose("officer", &wish);
    wait_until(|| bureau.matter(&wanted)["state"] == "expired");
    let ours = || {
        let mails = smtp.mails();
        mails
            .into_iter()
            .filter(|mail| mail.text.contains("expires at"))
            .map(|mail| mail.to)
            .collect::<Vec<_>>()
    };
    wait_until(|| ours().len() == 4);
    assert_eq!(ours().iter().filter(|to| *to == "supervisor@example.cn").count(), 2, "{before}");
}
