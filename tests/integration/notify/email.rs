//! Mail: what a real server makes of it, and that nothing is lost or taken for delivered whatever servers do.

use std::{sync::Arc, time::Duration};

use fiscwatch::{
    alert::Reason,
    notify::{Sink, sample::REASONS},
};
use serde_json::Value;
use tokio::net::TcpListener;

use super::{
    notification, numbered, permanent,
    server::MailServer,
    setup, sink,
    smtp::{
        Fault::{self, Close, Say, Silence},
        Phase, Smtp,
    },
    temporary,
};

/// Limits that a loaded machine keeps, and a silent server does not stretch a test with.
const LIMITS: &str = "connect_timeout: 3s, command_timeout: 3s, accept_timeout: 3s";

fn mail_to(servers: &[&str], more: &str) -> Arc<dyn Sink> {
    let servers = servers.join("', '");
    let spec = format!(
        "email: {{ servers: ['{servers}'], from: '国库监控 <fiscwatch@example.gov.cn>', to: [officer@example.cn], {more} }}"
    );
    sink(&spec, &setup())
}

fn plain(servers: &[&str]) -> Arc<dyn Sink> {
    mail_to(servers, &format!("security: plain, {LIMITS}"))
}

/// Every fault at every phase: what is said of it, and that the next mail goes through and is the right one.
#[tokio::test(flavor = "multi_thread")]
async fn faults_at_every_phase_are_told_apart_and_forgotten() {
    use Phase::{Content, Data, Ehlo, End, Greeting, Mail, Rcpt};
    let later = [
        (Greeting, Say("421 busy")),
        (Greeting, Say("554 no service here")),
        (Greeting, Close),
        (Greeting, Silence),
        (Ehlo, Say("421 busy")),
        (Ehlo, Say("550 no such host")),
        (Ehlo, Close),
        (Mail, Say("451 later")),
        (Mail, Say("530 log in first")),
        (Mail, Close),
        (Rcpt, Say("450 greylisted, come back later")),
        (Rcpt, Say("354 what")),
        (Rcpt, Close),
        (Rcpt, Silence),
        (Data, Say("451 later")),
        (Data, Say("250 out of step")),
        (Data, Close),
        (Content, Close),
        (End, Say("452 disk full")),
        (End, Say("354 out of step")),
        (End, Close),
        (End, Silence),
    ];
    let never = [
        (Mail, Say("553 not your address")),
        (Rcpt, Say("550 no such user")),
        (Data, Say("554 no")),
        (End, Say("552 too large")),
        (End, Say("550-several\r\n550 lines")),
    ];
    let checks = later.map(|fault| (fault, false)).into_iter().chain(never.map(|fault| (fault, true)));
    let checks = checks.map(|((phase, fault), is_permanent)| {
        tokio::spawn(async move {
            // On a connection of its own, and on one that has sent a mail already.
            for reused in [false, true] {
                if reused && matches!(phase, Greeting | Ehlo) {
                    continue;
                }
                check(phase, fault, is_permanent, reused).await;
            }
        })
    });
    for check in futures::future::join_all(checks).await {
        check.unwrap();
    }
}

async fn check(phase: Phase, fault: Fault, is_permanent: bool, reused: bool) {
    let what = format!("{phase:?} {fault:?} reused: {reused}");
    let server = Smtp::start().await;
    let sink = plain(&[&server.address]);
    if reused {
        sink.send(&numbered(0)).await.unwrap();
    }
    server.fault(phase, fault);
    let result = sink.send(&numbered(1)).await;
    // A kept connection that turns out dead before anything was handed over is replaced at once.
    let replaced = reused && phase == Phase::Mail && !is_permanent;
    if replaced {
        result.expect(&what);
    } else if is_permanent {
        let text = permanent(result);
        assert!(text.starts_with(&server.address), "{what}: {text}");
    } else {
        let text = temporary(result);
        assert!(text.starts_with(&server.address), "{what}: {text}");
    }
    sink.send(&numbered(2)).await.expect(&what);
    let last = server.mails().pop().unwrap();
    assert_eq!(last.header("X-Fiscwatch-Notification"), Some("n2"), "{what}");
    // Taken for undelivered though the server has it: only where its acceptance was lost.
    let taken = server.mails().iter().filter(|m| m.header("X-Fiscwatch-Notification") == Some("n1")).count();
    let lost_answer = phase == Phase::End && matches!(fault, Close | Silence);
    assert_eq!(taken, usize::from(lost_answer || replaced), "{what}");
}

/// The naive way gives the next mail the answer to the one that was given up.
#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_was_given_up_leaves_no_answer_to_the_next() {
    let server = Smtp::start().await;
    let sink = mail_to(&[&server.address], "security: plain");
    for (n, phase) in [Phase::Mail, Phase::Rcpt, Phase::Data, Phase::End].into_iter().enumerate() {
        sink.send(&numbered(10 * n)).await.unwrap();
        server.fault(phase, Silence);
        let before = server.commands().len();
        let mail = numbered(10 * n + 1);
        let sending = sink.send(&mail);
        let reached = async {
            let word = ["MAIL", "RCPT", "DATA", "DATA"][n];
            while !server.commands()[before..].iter().any(|command| command.starts_with(word)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            result = sending => panic!("nobody answered, but {result:?}"),
            () = reached => {}
        }
        // One that is given up before its end does not meet the fault there.
        server.forget_faults();
        let refused = numbered(10 * n + 2);
        server.fault(Phase::Rcpt, Say("550 no such user"));
        permanent(sink.send(&refused).await);
        sink.send(&numbered(10 * n + 3)).await.unwrap();
        let last = server.mails().pop().unwrap();
        assert_eq!(last.header("X-Fiscwatch-Notification"), Some(format!("n{}", 10 * n + 3).as_str()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_surplus_answer_accepts_nothing() {
    let server = Smtp::start().await;
    let sink = plain(&[&server.address]);
    server.fault(Phase::End, Say("250 queued\r\n250 surplus"));
    sink.send(&numbered(1)).await.unwrap();
    // Every answer is now one behind.
    let text = temporary(sink.send(&numbered(2)).await);
    assert!(text.contains("DATA was answered 250, which is no answer to it"), "{text}");
    sink.send(&numbered(3)).await.unwrap();
    let ids: Vec<_> = server.mails();
    let ids: Vec<_> = ids.iter().filter_map(|mail| mail.header("X-Fiscwatch-Notification")).collect();
    assert_eq!(ids, ["n1", "n3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_reused_and_many_mails_go_at_once() {
    let server = Smtp::start().await;
    let sink = plain(&[&server.address]);
    for n in 0..20 {
        sink.send(&numbered(n)).await.unwrap();
    }
    assert_eq!(server.connections(), 1);
    let mails: Vec<_> = (20..60).map(numbered).collect();
    let results = futures::future::join_all(mails.iter().map(|mail| sink.send(mail))).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let mut ids: Vec<_> = server.mails().iter().map(|m| m.header("Message-ID").unwrap().to_owned()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_has_the_same_id_and_bytes() {
    let server = Smtp::start().await;
    let mail = numbered(1);
    server.fault(Phase::End, Close);
    temporary(plain(&[&server.address]).send(&mail).await);
    // As after a restart.
    plain(&[&server.address]).send(&mail).await.unwrap();
    let mails = server.mails();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].text, mails[1].text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_recipient_costs_nobody_else_a_mail() {
    let server = Smtp::start().await;
    let sink = sink(
        &format!(
            "email: {{ servers: ['{}'], security: plain, from: fw@example.cn, to: [a@example.cn, unknown@example.cn, 'B <b@example.cn>'] }}",
            server.address
        ),
        &setup(),
    );
    assert_eq!(sink.recipients(), ["a@example.cn", "unknown@example.cn", "b@example.cn"]);
    for to in sink.recipients() {
        let result = sink.send(&notification(Reason::First, to)).await;
        match to.starts_with("unknown") {
            true => assert!(permanent(result).contains("550"), "{to}"),
            false => result.unwrap(),
        }
    }
    let got: Vec<_> = server.mails().iter().map(|mail| mail.to.clone()).collect();
    assert_eq!(got, ["a@example.cn", "b@example.cn"]);
    for wrong in ["", "nobody", "a@b\r\nRCPT TO:<x@y.cn>", "a@b>\r\n", "a@b, c@d"] {
        let text = permanent(sink.send(&notification(Reason::First, wrong)).await);
        assert!(text.contains("is no mail address"), "{text}");
    }
    assert_eq!(server.mails().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_gives_way_to_the_next_and_is_used_again() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = port.local_addr().unwrap().to_string();
    drop(port);
    let second = Smtp::start().await;
    let sink = plain(&[&dead, &second.address]);
    for n in 0..3 {
        sink.send(&numbered(n)).await.unwrap();
    }
    assert_eq!(second.mails().len(), 3);

    // Refused for now by one, taken by the other.
    let first = Smtp::start().await;
    first.fault(Phase::Rcpt, Say("451 later"));
    let sink = plain(&[&first.address, &second.address]);
    sink.send(&numbered(3)).await.unwrap();
    sink.send(&numbered(4)).await.unwrap();
    assert_eq!((second.mails().len(), first.mails().len()), (4, 1));

    // A sender that one server does not take may be another's.
    first.fault(Phase::Mail, Say("553 not your address"));
    sink.send(&numbered(5)).await.unwrap();
    assert_eq!(second.mails().len(), 5);

    // All down, and what they said.
    let sink = plain(&[&dead]);
    let text = temporary(sink.send(&numbered(6)).await);
    assert!(text.starts_with(&dead) && text.contains("nobody listens there"), "{text}");
    let revived = Smtp::listen(TcpListener::bind(&dead).await.unwrap(), false);
    sink.send(&numbered(6)).await.unwrap();
    assert_eq!(revived.mails().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_out_without_the_protection_asked_for() {
    let stripped = Smtp::start().await;
    let text = temporary(mail_to(&[&stripped.address], LIMITS).send(&numbered(1)).await);
    assert!(text.contains("does not offer STARTTLS"), "{text}");
    let refusing = Smtp::start_with_starttls().await;
    refusing.fault(Phase::Starttls, Say("454 not now"));
    temporary(mail_to(&[&refusing.address], LIMITS).send(&numbered(1)).await);
    let broken = Smtp::start_with_starttls().await;
    broken.fault(Phase::Starttls, Close);
    temporary(mail_to(&[&broken.address], LIMITS).send(&numbered(1)).await);
    // A server that speaks no TLS where TLS is to come first.
    let text = temporary(
        mail_to(&[&stripped.address], &format!("security: tls, {LIMITS}")).send(&numbered(1)).await,
    );
    assert!(!text.is_empty());
    for server in [stripped, refusing, broken] {
        assert!(!server.commands().iter().any(|c| c.starts_with("MAIL") || c.starts_with("AUTH")));
        assert!(server.mails().is_empty());
    }
}

const CA: &str = "ca_file: tests/integration/fixtures/tls/ca.pem";

#[tokio::test(flavor = "multi_thread")]
async fn a_real_server_reads_every_reason_as_it_is_meant() {
    let Some(server) = MailServer::start("plain", &[]) else { return };
    let setup = setup();
    let spec = format!(
        "email: {{ servers: ['127.0.0.1:{}'], security: plain, from: '国库监控 <fiscwatch@example.gov.cn>', reply_to: treasury@example.gov.cn, to: [officer@example.cn] }}",
        server.port
    );
    let sink = sink(&spec, &setup);
    let Value::Object(email) = serde_saphyr::from_str(&spec).unwrap() else { panic!() };
    let email = serde_json::from_value(email["email"].clone()).unwrap();
    let renderer = fiscwatch::notify::email::Email::new("test", &email, &setup).unwrap();
    for reason in REASONS {
        let mut notification = notification(reason, "officer@example.cn");
        // What servers stumble over: a line that is a point, and very long lines.
        notification.message =
            notification.message.map(|text| format!("{text}\n.\n..\n{}", "长".repeat(1500)));
        sink.send(&notification).await.unwrap();
        let mail = server.mail();
        assert_eq!(
            (&mail["from"], &mail["to"]),
            (&"fiscwatch@example.gov.cn".into(), &vec!["officer@example.cn"].into())
        );
        assert_eq!(mail["defects"], Value::Array(Vec::new()), "{reason:?}");
        let header = |name: &str| {
            let all = mail["headers"].as_array().unwrap();
            let found: Vec<_> =
                all.iter().filter(|pair| pair[0] == name).map(|pair| pair[1].as_str().unwrap()).collect();
            assert_eq!(found.len(), 1, "{name} {reason:?}");
            found[0]
        };
        let expected = renderer.render(&notification);
        assert_eq!(header("Subject"), expected.subject);
        assert_eq!(header("From"), "国库监控 <fiscwatch@example.gov.cn>");
        assert_eq!(header("Reply-To"), "treasury@example.gov.cn");
        assert_eq!(header("Auto-Submitted"), "auto-generated");
        assert_eq!(header("Date"), "Wed, 04 Mar 2026 02:05:00 +0000");
        let parts = mail["parts"].as_array().unwrap();
        let content = |at: usize| parts[at]["content"].as_str().unwrap().replace("\r\n", "\n");
        assert_eq!((&parts[0]["type"], &parts[1]["type"]), (&"text/plain".into(), &"text/html".into()));
        assert_eq!(content(0).trim_end(), expected.text.trim_end());
        assert_eq!(content(1).trim_end(), expected.html.trim_end());
        assert_eq!(parts.len(), 2 + expected.attachments.len());
        if let Some(file) = expected.attachments.first() {
            assert_eq!(
                (&parts[2]["type"], parts[2]["file"].as_str()),
                (&"text/csv".into(), Some(file.name.as_str()))
            );
            assert_eq!(content(2), String::from_utf8_lossy(&file.content).replace("\r\n", "\n"));
        }
    }
    assert!(server.nothing_more());
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_and_login_against_a_real_server() {
    let dir = tempfile::tempdir().unwrap();
    let password = dir.path().join("password");
    std::fs::write(&password, "s3cret 密\n").unwrap();
    let login = |file: &std::path::Path| format!("user: fiscwatch, password_file: '{}'", file.display());
    for kind in ["starttls", "tls"] {
        let Some(server) = MailServer::start(kind, &["fiscwatch", "s3cret 密"]) else { return };
        let address = format!("localhost:{}", server.port);
        let good = format!("security: {kind}, {CA}, {}", login(&password));
        mail_to(&[&address], &good).send(&numbered(1)).await.unwrap();
        let mail = server.mail();
        assert_eq!((&mail["tls"], &mail["user"]), (&true.into(), &"fiscwatch".into()), "{kind}");

        // A certificate of nobody we know, and one for another name.
        let unknown = format!("security: {kind}, {}", login(&password));
        let text = temporary(mail_to(&[&address], &unknown).send(&numbered(2)).await);
        assert!(text.contains("Check ca_file"), "{text}");
        let other = format!("127.0.0.1:{}", server.port);
        let text = temporary(mail_to(&[&other], &good).send(&numbered(3)).await);
        assert!(text.contains("Check ca_file"), "{text}");

        // A wrong password is not about the mail: it waits, and the next server may take it.
        let wrong = dir.path().join("wrong");
        std::fs::write(&wrong, "guess").unwrap();
        let bad = format!("security: {kind}, {CA}, {}", login(&wrong));
        let text = temporary(mail_to(&[&address], &bad).send(&numbered(4)).await);
        assert!(text.contains("Check user and password_file") && !text.contains("guess"), "{text}");
        // Without a login the server refuses the sender, which is no word about the mail either.
        let none = format!("security: {kind}, {CA}");
        let text = temporary(mail_to(&[&address], &none).send(&numbered(5)).await);
        assert!(text.contains("Check user and password_file"), "{text}");
        assert!(server.nothing_more());
    }
}
