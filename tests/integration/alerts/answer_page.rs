//! The page by which units answer: over HTTP, without an account, and refused with a page that says why.

use std::io::{Read as _, Write as _};

use fiscwatch::{access::LinkKey, event::Instant};
use serde_json::json;

use super::{Answer, ask, get, ids, overspend, post};
use crate::support::{Bench, Daemon};

fn desk() -> (Bench, Daemon) {
    let bench = Bench::new("", "");
    let config = "state: { dir: state }\nsinks: [{ name: book, log: {} }]\nroutes: { group_wait: 0s, group_interval: 0s }\n\
         alerts: { review: { dismiss: [] }, files: { file_mib: 1, case_mib: 2 },\n\
           explain: { sink: book, list: contacts, column: email, answer_url: 'https://answers.example.cn' } }\n\
         lists: { contacts: { path: contacts.csv } }\nhttp: { listen: '127.0.0.1:0' }\n";
    std::fs::write(bench.path().join("fiscwatch.yaml"), config).unwrap();
    std::fs::write(bench.path().join("contacts.csv"), "unit_code,email\n101001,unit@example.cn\n").unwrap();
    let daemon = Daemon::start(bench.path());
    (bench, daemon)
}

/// Sends a letter; gives the path of its page.
fn letter(bench: &Bench, daemon: &Daemon, id: &str, body: &serde_json::Value) -> String {
    let sent = post(daemon, &format!("/api/v1/alerts/{id}/inquire"), body);
    assert_eq!(sent.status, 200, "{}", sent.body);
    assert_eq!(sent.body["inquiry"]["linked"], true);
    // The transition's instant is what the link was made of; the database has it to the microsecond.
    let state = bench.path().join("state");
    let database = rusqlite::Connection::open(state.join("fiscwatch.db")).unwrap();
    let at = database
        .query_row("SELECT json_extract(body, '$.inquiry.at') FROM alerts WHERE alert_id = ?1", [id], |row| {
            row.get(0)
        })
        .unwrap();
    format!("/answer/{}", LinkKey::of(&state).token(id, at).unwrap())
}

const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=edge");

fn form(text: &str, files: &[(&str, &str)]) -> String {
    let mut body = format!("--edge\r\ncontent-disposition: form-data; name=\"text\"\r\n\r\n{text}\r\n");
    for (name, content) in files {
        body += &format!(
            "--edge\r\ncontent-disposition: form-data; name=\"files\"; filename=\"{name}\"\r\ncontent-type: image/png\r\n\r\n{content}\r\n"
        );
    }
    body + "--edge--\r\n"
}

fn send(daemon: &Daemon, path: &str, body: &str) -> Answer {
    ask(daemon, "POST", path, &[FORM], body)
}

#[test]
fn a_unit_answers_by_its_link_and_officers_take_its_file() {
    let (bench, daemon) = desk();
    overspend(&daemon, &["L1"]);
    let id = ids(&daemon)[0].clone();
    let path = letter(&bench, &daemon, &id, &json!({"who": "王芳"}));
    let page = get(&daemon, &format!("{path}?lang=zh"));
    let html = page.body.as_str().unwrap();
    assert_eq!((page.status, &*page.kind), (200, "text/html; charset=utf-8"));
    assert!(html.contains("书面说明") && html.contains(&id) && !html.contains("<script"), "{html}");
    assert!(html.contains("请在下方提交") && !html.contains("附件 payments-"), "as a page says it: {html}");
    assert!(get(&daemon, &format!("{path}?lang=en")).body.as_str().unwrap().contains("Written explanation"));
    assert_eq!(get(&daemon, "/answer.css").status, 200);

    // Of two texts neither is dropped without a word.
    let twice = form("one", &[]).replace("--edge--\r\n", "") + &form("two", &[]);
    assert!((400..500).contains(&send(&daemon, &path, &twice).status));
    let sent = send(&daemon, &path, &form("合同<b>见</b>附件", &[("合同.pdf", "%PDF-1.7 x"), ("", "")]));
    assert_eq!(sent.status, 200, "led back to the page: {}", sent.body);
    let html = sent.body.as_str().unwrap();
    assert!(html.contains("合同.pdf") && html.contains("SHA-256"), "{html}");
    let shown = get(&daemon, &format!("/api/v1/alerts/{id}")).body;
    assert_eq!(shown["alert"]["inquiry"]["stage"], "answered");
    let last = shown["history"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["action"], &last["who"]), (&json!("answer"), &json!("unit:101001")));
    assert_eq!(
        (&last["why"], &last["facts"]["files"][0]["name"]),
        (&json!("合同<b>见</b>附件"), &json!("合同.pdf"))
    );

    let list = format!("/api/v1/alerts/{id}/attachments");
    let files = get(&daemon, &list).body;
    assert_eq!(files["attachments"][0]["kind"], "pdf");
    let url = format!("{}{list}/1", daemon.address);
    let mut file = crate::support::agent().get(&url).call().unwrap();
    let header = |name: &str| file.headers().get(name).unwrap().to_str().unwrap().to_owned();
    assert!(header("content-disposition").starts_with("attachment; filename="));
    assert_eq!(
        (&*header("content-type"), &*header("x-content-type-options")),
        ("application/pdf", "nosniff")
    );
    assert!(header("content-security-policy").contains("sandbox"));
    assert_eq!(file.body_mut().read_to_string().unwrap(), "%PDF-1.7 x");
    let audit = get(&daemon, "/api/v1/audit").body.to_string();
    assert!(audit.contains("alerts.answer") && audit.contains("alerts.download"), "{audit}");

    // An officer adds a file, too.
    let octets = [("content-type", "application/octet-stream")];
    let added = ask(&daemon, "POST", &format!("{list}?name=note.txt&who=wang"), &octets, "called the unit");
    assert_eq!(added.status, 200, "{}", added.body);
    assert_eq!(added.body["attachments"][1]["who"], "wang");
    assert_eq!(ask(&daemon, "POST", &format!("{list}?name=x.pdf&who=wang"), &octets, "MZ\u{1}").status, 415);
    assert_eq!(ask(&daemon, "POST", &format!("{list}?name=x.pdf&who=wang"), &[], "text").status, 415);
    let large = "x".repeat((1 << 20) + 1);
    assert_eq!(ask(&daemon, "POST", &format!("{list}?name=x.txt&who=wang"), &octets, &large).status, 413);
    assert_eq!(get(&daemon, &format!("{list}/9")).status, 404);
}

#[test]
fn what_is_refused_is_told_by_a_page_and_nothing_is_kept() {
    let (bench, daemon) = desk();
    overspend(&daemon, &["L1", "L2"]);
    let all = ids(&daemon);
    let path = letter(&bench, &daemon, &all[0], &json!({"who": "王芳"}));
    let refused = |path: &str, body: &str| {
        let page = send(&daemon, path, body);
        assert_eq!(page.kind, "text/html; charset=utf-8", "{}", page.body);
        (page.status, page.body.as_str().unwrap().to_owned())
    };
    let unknown = format!("/answer/{}", "0".repeat(64));
    assert_eq!(get(&daemon, &unknown).status, 404);
    assert_eq!(refused(&unknown, &form("x", &[])).0, 404);
    let state = bench.path().join("state");
    let other = format!("/answer/{}", LinkKey::of(&state).token(&all[1], Instant::from_micros(1)).unwrap());
    assert_eq!(refused(&other, &form("x", &[])).0, 404, "no letter of that case is out");
    assert_eq!(refused(&path, &form(" ", &[])).0, 422);
    let (status, html) = refused(&path, &form("x", &[("发票.png", "MZ\u{1} program")]));
    assert!(status == 415 && html.contains("PDF"), "{html}");
    assert_eq!(refused(&path, &form("x", &[("a.txt", &"x".repeat((1 << 20) + 1))])).0, 413);
    assert_eq!(refused(&path, &form(&"x".repeat(40_000), &[])).0, 422);
    assert_eq!(ask(&daemon, "POST", &path, &[("content-type", "text/plain")], "x").status, 415);
    assert_eq!(ask(&daemon, "POST", &path, &[FORM], "--edge\r\nbroken").status, 400);
    assert_eq!(ask(&daemon, "PUT", &path, &[], "").status, 405);
    let folder = state.join("attachments");
    assert_eq!(std::fs::read_dir(folder).map_or(0, Iterator::count), 0, "nothing of it is kept");
    // A gigabyte is refused before it is sent.
    let address = daemon.address.strip_prefix("http://").unwrap();
    let mut client = std::net::TcpStream::connect(address).unwrap();
    write!(
        client,
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {}\r\ncontent-length: 1000000000\r\n\r\n",
        FORM.1
    )
    .unwrap();
    client.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let mut answer = [0; 12];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    // Nor can another site's page send one.
    let elsewhere = [FORM, ("origin", "https://evil.example")];
    assert_eq!(ask(&daemon, "POST", &path, &elsewhere, &form("x", &[])).status, 403);

    for _ in 0..5 {
        assert_eq!(send(&daemon, &path, &form("说明", &[])).status, 200);
    }
    assert_eq!(refused(&path, &form("说明", &[])).0, 429);
    let revoke = json!({"action": "revoke", "who": "王芳"});
    assert_eq!(post(&daemon, &super::transitions(&all[0]), &revoke).status, 200);
    assert_eq!(get(&daemon, &path).status, 410);
    assert_eq!(refused(&path, &form("说明", &[])).0, 410);
    let again = letter(&bench, &daemon, &all[0], &json!({"who": "王芳", "again": true}));
    assert_eq!(get(&daemon, &again).status, 200);
}
