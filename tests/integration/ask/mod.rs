//! Questions in plain words: whether a text finds its question, what is answered, and to whom.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
};

use fiscwatch::{
    access::{Actor, Limits, Role, Roles},
    ask::{Names, Understood, catalogue, understand},
    event::Instant,
    store::{Accounts, Store, TokenSpec},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::{Bench, Daemon, agent, calendar, lines, payment, run};

#[derive(Deserialize)]
struct Paraphrase {
    id: String,
    ask: String,
    names: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Paraphrases {
    now: String,
    units: BTreeMap<String, String>,
    regions: BTreeMap<String, String>,
    tuned: Vec<Paraphrase>,
    kept: Vec<Paraphrase>,
}

/// The titles of the shipped rules.
fn rules() -> Vec<(String, Vec<String>)> {
    #[derive(Deserialize)]
    struct File {
        rules: Vec<Rule>,
    }
    #[derive(Deserialize)]
    struct Rule {
        id: String,
        title: BTreeMap<String, String>,
    }
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let rules = files.filter(|path| path.extension().is_some_and(|e| e == "yaml")).flat_map(|path| {
        let file: File = serde_saphyr::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        file.rules
    });
    rules.map(|rule| (rule.id, rule.title.into_values().collect())).collect()
}

/// How many find their question with exactly their parameters, and those that do not.
fn found(of: &[Paraphrase], names: &Names, now: &str) -> (usize, Vec<String>) {
    let mut missed = Vec::new();
    for Paraphrase { id, ask, names: wanted } in of {
        let got = match understand(ask, names, now.parse().unwrap(), &calendar()) {
            Understood::This(meaning) => {
                let given: BTreeMap<_, _> = meaning
                    .given
                    .iter()
                    .map(|(kind, value)| (kind.word().to_owned(), value.clone()))
                    .collect();
                if meaning.question.id == *id && given == *wanted {
                    continue;
                }
                format!("{} {given:?}", meaning.question.id)
            }
            Understood::OneOf(nearest) => {
                nearest.iter().map(|meaning| meaning.question.id.as_str()).collect::<Vec<_>>().join(" or ")
            }
        };
        missed.push(format!("{ask}: {id} {wanted:?}, not {got}"));
    }
    (of.len() - missed.len(), missed)
}

/// The half that was kept aside was written with the other before there was anything that understands either.
#[test]
fn nine_of_ten_paraphrases_find_their_question_with_its_parameters() {
    let all: Paraphrases = serde_saphyr::from_str(include_str!("paraphrases.yaml")).unwrap();
    let units = all.units.iter().map(|(code, name)| (code.clone(), name.clone(), Some(code[..6].to_owned())));
    let names = Names::new(&Limits::default(), units, all.regions.clone().into_iter(), rules().into_iter());
    assert_eq!((all.tuned.len(), all.kept.len()), (100, 100));
    for (half, of) in [("tuned", &all.tuned), ("kept", &all.kept)] {
        let (right, missed) = found(of, &names, &all.now);
        assert!(right >= 90, "{half}: {right}\n{}", missed.join("\n"));
    }
}

#[test]
fn what_is_not_clear_is_asked_back() {
    let units = [("101001", "云州市教育局"), ("102001", "青山区教育局")];
    let units = units.map(|(code, name)| (code.to_owned(), name.to_owned(), None)).into_iter();
    let names = Names::new(&Limits::default(), units, std::iter::empty(), std::iter::empty());
    let asked = |text: &str| understand(text, &names, "2026-06-15".parse().unwrap(), &calendar());
    let Understood::OneOf(nearest) = asked("教育局的执行率") else { panic!("one of two was taken") };
    assert_eq!(nearest[0].question.id, "execution-rate");
    assert_eq!(nearest[0].unclear[0].1, ["101001", "102001"]);
    for nonsense in ["今天天气怎么样", "asdf", "'; DROP TABLE x; --", "给我讲个笑话"] {
        assert!(matches!(asked(nonsense), Understood::OneOf(_)), "{nonsense}");
    }
}

const CONFIG: &str = "state: { dir: state }
http: { listen: '127.0.0.1:0', auth: true }
log: { level: warn }
rules: { paths: [rules.yaml] }
";
const RULES: &str = "
rules:
  - id: cash
    title: { zh: 现金, en: cash }
    severity: high
    trigger: payment
    when: settlement = 'cash'
    key: [event_id]
    summary: '{{ unit_code }} {{ amount }}'
";
const OWN: &str = "101001";
const OTHER: &str = "999888";

fn by() -> Actor {
    Actor { who: String::from("test"), place: String::from("test") }
}

fn token(accounts: &mut Accounts, name: &str, roles: &[Role], units: &[&str]) -> String {
    let units = units.iter().map(|unit| (*unit).to_owned()).collect();
    let roles = Roles::of_person(roles.iter().copied()).unwrap();
    let roles = roles.limited_to(Limits::new(units, Vec::new()).unwrap());
    accounts.add_user(name, &roles, &by(), Instant::EPOCH).unwrap();
    let owner = Some(name.to_owned());
    let spec =
        TokenSpec { name: String::from("t"), owner, roles: Roles::default(), expires_at: Instant::MAX };
    format!("Bearer {}", accounts.add_token(&spec, &by(), Instant::EPOCH).unwrap().text)
}

/// Two units, each with a line, payments of every kind, and what follows up on them.
fn events() -> Vec<Value> {
    let mut events = Vec::new();
    for (unit, region, line) in [(OWN, "320100", "L-own"), (OTHER, "650000", "L-other")] {
        let at = "2026-03-02T10:00:00+08:00";
        let attributes = json!({ "fiscal_year": 2026, "unit_code": unit, "unit_name": format!("{unit}单位"),
            "region_code": region, "function_code": "2050202", "economic_code": "30201", "project_code": format!("X{unit}") });
        let with = |event: Value| {
            let mut all = attributes.as_object().unwrap().clone();
            all.extend(event.as_object().unwrap().clone());
            Value::Object(all)
        };
        events.push(with(json!({ "event_id": format!("B-{line}"), "type": "budget", "action": "approve",
            "occurred_at": "2026-01-02", "budget_line_id": line, "amount": "50000.00" })));
        events.push(json!({ "event_id": format!("R-{line}"), "type": "budget", "action": "reduce",
            "occurred_at": at, "budget_line_id": line, "amount": "1000.00" }));
        for n in 0..3 {
            let mut event = payment(&format!("{line}-{n}"), line, "20000.00");
            for (name, value) in attributes.as_object().unwrap() {
                event[name] = value.clone();
            }
            event["settlement"] = json!("cash");
            event["payee_name"] = json!("云岭建工有限公司");
            event["occurred_at"] = json!(at);
            events.push(event);
        }
        events.push(json!({ "event_id": format!("F-{line}"), "type": "refund", "occurred_at": at,
            "budget_line_id": line, "original_event_id": format!("{line}-0"), "amount": "100.00", "reason": "退" }));
        events.push(with(json!({ "event_id": format!("I-{line}"), "type": "indicator", "occurred_at": at,
            "indicator_id": format!("I-{line}"), "indicator_name": "覆盖率", "target": "100", "actual": "50" })));
    }
    for event in &mut events {
        if event["type"] == "indicator" {
            for name in ["function_code", "economic_code"] {
                event.as_object_mut().unwrap().remove(name);
            }
        }
    }
    events
}

struct Served {
    bench: Bench,
    daemon: Daemon,
    tokens: BTreeMap<&'static str, String>,
}

fn served(extra: &str) -> Served {
    let bench = Bench::new("", "");
    std::fs::write(bench.path().join("fiscwatch.yaml"), format!("{CONFIG}{extra}")).unwrap();
    std::fs::write(bench.path().join("rules.yaml"), RULES).unwrap();
    let state = bench.path().join("state");
    drop(Store::open(&state).unwrap());
    let mut accounts = Accounts::open(&state).unwrap();
    let all = [Role::Officer, Role::Supervisor, Role::Author, Role::Approver, Role::Auditor];
    let mut tokens = BTreeMap::from([
        ("all", token(&mut accounts, "all", &all, &[])),
        ("unit", token(&mut accounts, "unit", &all, &["101"])),
        ("author", token(&mut accounts, "author", &[Role::Author], &[])),
        ("system", token(&mut accounts, "system", &[Role::System], &[])),
    ]);
    let roles = Roles::of_program([Role::Ingest]).unwrap();
    let spec = TokenSpec { name: String::from("feed"), owner: None, roles, expires_at: Instant::MAX };
    tokens
        .insert("feed", format!("Bearer {}", accounts.add_token(&spec, &by(), Instant::EPOCH).unwrap().text));
    drop(accounts);
    let daemon = Daemon::start(bench.path());
    let request = ureq::http::Request::builder()
        .method("POST")
        .uri(format!("{}/api/v1/events", daemon.address))
        .header("authorization", &tokens["feed"]);
    let mut posted = agent().run(request.body(lines(&events())).unwrap()).unwrap();
    let told = posted.body_mut().read_to_string().unwrap();
    assert!(posted.status().as_u16() == 200 && told.contains("\"rejected\":0"), "{told}");
    Served { bench, daemon, tokens }
}

impl Served {
    fn ask(&self, who: &str, body: &Value) -> (u16, String) {
        let request = ureq::http::Request::builder()
            .method("POST")
            .uri(format!("{}/api/v1/ask", self.daemon.address))
            .header("authorization", &self.tokens[who])
            .header("content-type", "application/json");
        let mut answer = agent().run(request.body(body.to_string()).unwrap()).unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }

    fn answer(&self, who: &str, body: &Value) -> Value {
        let (status, text) = self.ask(who, body);
        assert_eq!(status, 200, "{body}: {text}");
        serde_json::from_str(&text).unwrap()
    }
}

/// Values that every question has rows for, of the unit that everybody may see.
fn params(question: &catalogue::Question) -> Value {
    let mut params = serde_json::Map::new();
    for kind in &question.needs {
        let value = match kind.word() {
            "unit" => OWN,
            "line" => "L-own",
            "amount" => "1000",
            "payee" => "建工",
            "text" => "x",
            "rule" => "cash",
            "severity" => "high",
            "event" => "L-own-1",
            other => panic!("{other}"),
        };
        params.insert(kind.word().to_owned(), value.into());
    }
    Value::Object(params)
}

#[test]
fn every_question_is_answered_and_nothing_outside_the_askers_units_is_in_any_byte() {
    let served = served("");
    let mut with_rows = 0;
    let mut hidden = 0;
    for question in &catalogue().questions {
        let body = json!({ "question": question.id, "params": params(question) });
        let (status, text) = served.ask("all", &body);
        assert_eq!(status, 200, "{}: {text}", question.id);
        let answer: Value = serde_json::from_str(&text).unwrap();
        let columns = answer["columns"].as_array().unwrap();
        assert!(
            columns.iter().all(|column| column["title"]["zh"].is_string()),
            "{}: {columns:?}",
            question.id
        );
        with_rows += usize::from(!answer["rows"].as_array().unwrap().is_empty());
        hidden += usize::from(text.contains(OTHER) || text.contains("L-other"));
        let (status, text) = served.ask("unit", &body);
        assert_eq!(status, 200, "{}: {text}", question.id);
        for outside in [OTHER, "L-other", "650000"] {
            assert!(!text.contains(outside), "{}: {text}", question.id);
        }
    }
    // Most questions have rows, and many of them tell of the other unit whoever may hear of it.
    assert!(with_rows > 40 && hidden > 15, "{with_rows} with rows, {hidden} of them of both units");
    for text in [
        "999888单位的执行率",
        "各单位的执行率",
        "单位999888花了多少钱",
        "各单位预警数",
        "付给“云岭建工有限公司”多少钱",
    ] {
        let (status, text) = served.ask("unit", &json!({ "text": text }));
        assert!(status == 200 && !text.contains(OTHER) && !text.contains("L-other"), "{text}");
    }
    // Of a unit that is not theirs nothing is answered: neither its rate, nor that of their own units in its place.
    for text in ["999888单位的执行率", "单位999888花了多少钱", "how much has unit 999888 spent"]
    {
        let told = served.answer("unit", &json!({ "text": text }));
        assert!(told["question"].is_null() && told["offered"][0]["missing"] == json!(["unit"]), "{told}");
        assert!(!served.answer("all", &json!({ "text": text }))["question"].is_null());
    }
    let (status, text) =
        served.ask("unit", &json!({ "question": "executed-total", "params": { "unit": OTHER } }));
    assert!(status == 422 && !text.contains(OTHER), "{text}");
}

#[test]
fn an_answer_shows_its_query_and_the_same_query_gives_the_same_rows() {
    let served = served("");
    let answer = served.answer("all", &json!({ "text": "101001单位2026年执行了多少钱" }));
    assert_eq!(answer["question"]["id"], "executed-total");
    assert_eq!(answer["params"][0], json!({ "kind": "year", "value": "2026", "label": null }));
    let columns: Vec<_> =
        answer["columns"].as_array().unwrap().iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(columns, ["fiscal_year", "total", "executed", "executed_ratio"]);
    let row = answer["rows"][0].as_array().unwrap();
    assert_eq!((&row[1], &row[2]), (&json!("49000.00"), &json!("59900.00")));
    let sql = answer["sql"].as_str().unwrap();
    assert!(sql.contains("starts_with(unit_code, '101001')"), "{sql}");
    served.daemon.stop("-TERM");
    let query = ["state", "query", sql, "--json", "--config", "fiscwatch.yaml"];
    let (code, out, err) = run(served.bench.path(), &query);
    assert_eq!(code, Some(0), "{err}");
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&told["total"], &told["executed"]), (&row[1], &row[2]));
    let asked = ["ask", "101001单位2026年执行了多少钱", "--json", "--config", "fiscwatch.yaml"];
    let (code, again, err) = run(served.bench.path(), &asked);
    assert!(code == Some(0) && again == out && err.contains(sql), "{again} {err}");
    let (code, out, err) = run(served.bench.path(), &["ask", "今天天气怎么样", "--config", "fiscwatch.yaml"]);
    assert!(code == Some(1) && out.is_empty() && !err.is_empty(), "{out} {err}");
}

#[test]
fn a_question_is_for_those_who_may_see_what_its_answer_is_made_of() {
    let served = served("");
    let list = |who: &str| {
        let request = agent().get(format!("{}/api/v1/questions", served.daemon.address));
        let mut answer = request.header("authorization", &served.tokens[who]).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    };
    let ids = |who: &str| -> Vec<String> {
        let list: Value = serde_json::from_str(&list(who).1).unwrap();
        let all = list["questions"].as_array().unwrap().iter();
        all.map(|question| question["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("all").len(), catalogue().questions.len());
    // Authors see no notifications and no silences.
    let of_author = ids("author");
    assert!(
        of_author.contains(&String::from("executed-total"))
            && !of_author.contains(&String::from("notifications-failed"))
    );
    let failed = json!({ "question": "notifications-failed" });
    assert_eq!((served.ask("author", &failed).0, served.ask("all", &failed).0), (422, 200));
    let told = served.answer("author", &json!({ "text": "哪些通知没发出去" }));
    assert!(
        told["question"].is_null() && !told["offered"].to_string().contains("notifications-failed"),
        "{told}"
    );
    assert_eq!((list("system").0, served.ask("system", &json!({ "text": "执行率" })).0), (403, 403));
    for wrong in [
        json!({}),
        json!({ "text": "" }),
        json!({ "text": "x".repeat(301) }),
        json!({ "text": "执行率", "question": "execution-rate" }),
        json!({ "question": "nothing" }),
        json!({ "question": "lines-of-unit" }),
        json!({ "question": "execution-rate", "params": { "payee": "x" } }),
        json!({ "question": "payments-above", "params": { "amount": "1 OR true" } }),
        json!({ "question": "executed-total", "params": { "year": "2026 OR true" } }),
    ] {
        assert_eq!(served.ask("all", &wrong).0, 422, "{wrong}");
    }
    // What could be SQL is a text.
    let odd = served
        .answer("all", &json!({ "question": "payments-to-payee", "params": { "payee": "') OR ('a' = 'a" } }));
    assert_eq!(odd["rows"], json!([]));
}

/// A model that answers each request with the next of these, and hands over what it was asked.
fn model(answers: Vec<&'static str>) -> (u16, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = n.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
                head += &line;
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            sender.send(head + &String::from_utf8(body).unwrap()).unwrap();
            let body = json!({ "choices": [{ "message": { "content": answer } }] }).to_string();
            let length = body.len();
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
                .unwrap();
        }
    });
    (port, asked)
}

#[test]
fn a_model_chooses_a_question_and_nothing_else_of_it_is_believed() {
    let (port, asked) = model(vec![
        r#"{"question": "payments-above", "params": {"amount": "15000"}}"#,
        "SELECT * FROM payments",
        r#"{"question": "executed-total", "params": {"unit": "999888"}}"#,
        r#"{"question": "drop-everything"}"#,
        r#"{"question": null}"#,
        r#"{"question": "notifications-failed"}"#,
    ]);
    let served = served(&format!("ask: {{ model_url: 'http://127.0.0.1:{port}/v1', model: small }}\n"));
    // What is understood is sent nowhere.
    served.answer("all", &json!({ "text": "执行率" }));
    assert!(asked.try_recv().is_err());
    let unclear = json!({ "text": "肥羊在哪儿" });
    let answer = served.answer("all", &unclear);
    assert_eq!((&answer["question"]["id"], &answer["by_model"]), (&json!("payments-above"), &json!(true)));
    assert_eq!(answer["rows"].as_array().unwrap().len(), 6);
    let sent = asked.recv().unwrap();
    assert!(
        sent.starts_with("POST /v1/chat/completions") && sent.contains("肥羊") && sent.contains("\"small\""),
        "{sent}"
    );
    for stored in [OWN, OTHER, "建工", "L-own"] {
        assert!(!sent.contains(stored), "{sent}");
    }
    // The last answer is of what this officer may not see.
    for (who, is_trouble) in [("all", true), ("unit", true), ("all", true), ("all", false), ("author", true)]
    {
        let answer = served.answer(who, &unclear);
        assert!(answer["question"].is_null() && answer["rows"] == json!([]), "{answer}");
        assert_eq!(answer["model_trouble"].is_string(), is_trouble, "{answer}");
        assert!(!answer.to_string().contains(OTHER));
        assert_eq!(answer["offered"].as_array().unwrap().len(), 3);
    }
    // Nobody listens any more, and what the catalogue understands is answered all the same.
    let gone = served.answer("all", &unclear);
    assert!(gone["model_trouble"].is_string() && gone["question"].is_null(), "{gone}");
    assert_eq!(served.answer("all", &json!({ "text": "执行率" }))["question"]["id"], "execution-rate");
}
