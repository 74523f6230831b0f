//! What is wrong with a file, a body or a record is told once, whole, and with what to do; what checks nothing fails.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{Bench, Daemon, agent, lines, payment, run, write};

/// Runs a backtest over a file; its exit code and what it says.
fn backtest(dir: &Path, args: &[&str]) -> (Option<i32>, String) {
    let (code, _, err) = run(dir, &[&["backtest", "--rules", "rules", "--events"][..], args].concat());
    (code, err)
}

const HEADER: &str = "event_id,type,occurred_at,budget_line_id,fiscal_year,region_code,unit_code,function_code,economic_code,payment_mode,settlement,payee_name,payee_account,payee_type,amount";
const ROW: &str =
    "payment,2026-03-04,L,2026,330100000,101001,2050201,30201,direct,transfer,甲,33,entity,10.00";

fn csv(end: &str) -> String {
    [HEADER, &format!("1,{ROW}"), &format!("2,{ROW}"), ""].join(end)
}

#[test]
fn lines_end_in_cr_lf_or_both_in_every_reader() {
    let bench = Bench::new("", "");
    let d = bench.path();
    let records = lines(&[payment("1", "L", "10.00"), payment("2", "L", "10.00")]);
    for (name, end) in [("lf", "\n"), ("crlf", "\r\n"), ("cr", "\r")] {
        let file = format!("{name}.csv");
        write(d, &file, &csv(end));
        let (code, err) = backtest(d, &[&file]);
        assert!(
            code == Some(0) && err.contains("2 events (2 payments of 20.00), 0 duplicates, 0 rej"),
            "{err}"
        );
        let file = format!("{name}.jsonl");
        write(d, &file, &records.replace('\n', end));
        let (code, err) = backtest(d, &[&file]);
        assert!(
            code == Some(0) && err.contains("2 events (2 payments of 20.00), 0 duplicates, 0 rej"),
            "{err}"
        );
    }
    // Rows of empty cells and empty lines are no records, and do not move the numbers of those after them.
    let text = csv("\n").replace("\n2,", &format!("\n\n{}\n2,", ",".repeat(14))) + "3,payment\n";
    write(d, "gaps.csv", &text);
    let (code, err) = backtest(d, &["gaps.csv"]);
    assert!(code == Some(0) && err.contains("gaps.csv:5: invalid_csv: 2 cells, the header has 15"), "{err}");
    // Lists and rule tests read their files so too.
    write(d, "list.csv", "name\r甲\r");
    write(d, "test.jsonl", &records.replace('\n', "\r"));
    write(
        d,
        "rules/tests/t.yaml",
        "rules: ../r.yaml\nlists: { black: ../../list.csv }\ntests:\n  - name: both\n    files: ../../test.jsonl\n    expect: [{ event: '1' }, { event: '2' }]\n",
    );
    write(
        d,
        "rules/r.yaml",
        "rules: [{ id: black, severity: low, trigger: payment, when: \"in_list('black', payee_name) or amount > 0\", key: [] }]\n",
    );
    let (code, out, err) = run(d, &["test", "rules/tests"]);
    assert!(code == Some(0) && out.contains("1 passed"), "{out}{err}");
}

#[test]
fn a_file_that_is_wrong_as_a_whole_is_refused_before_its_rows() {
    let bench = Bench::new("", "");
    let d = bench.path();
    let header = "its first line must name the columns, ";
    let files: [(&str, Vec<u8>, &str); 7] = [
        ("gbk.csv", encoding_rs::GB18030.encode(&csv("\n")).0.into_owned(), "it is in GBK (GB18030)"),
        ("cp.csv", csv("\n").replace('甲', "Caf\u{e9} x").chars().map(|c| c as u8).collect(), "Windows-1252"),
        ("semi.csv", csv("\n").replace(',', ";").into(), header),
        ("title.csv", format!("支付明细\n\n{}", csv("\n")).into(), "Line 3 names them"),
        ("blank.csv", format!("{HEADER}\n,,\n\n").into(), "and no record"),
        ("array.jsonl", format!("[{}]", payment("1", "L", "1.00")).into(), "line 1 is a JSON array"),
        ("change.jsonl", br#"{"before":null,"after":{"event_id":"1"},"op":"c"}"#.to_vec(), "Debezium"),
    ];
    for (name, bytes, said) in files {
        std::fs::write(d.join(name), bytes).unwrap();
        let (code, err) = backtest(d, &[name]);
        assert!(code == Some(1) && err.contains(said) && !err.contains("rejected: "), "{name}: {err}");
    }
}

#[test]
fn a_column_that_no_field_can_have_is_one_fault() {
    use datafusion::{
        arrow::{
            array::{ArrayRef, Float64Array, StringArray},
            record_batch::RecordBatch,
        },
        parquet::arrow::ArrowWriter,
    };
    use std::sync::Arc;
    let bench = Bench::new("", "");
    let text = |value: &str| Arc::new(StringArray::from(vec![value; 3])) as ArrayRef;
    let empty = Arc::new(Float64Array::from(vec![None::<f64>; 3])) as ArrayRef;
    let amount = Arc::new(Float64Array::from(vec![1.0; 3])) as ArrayRef;
    let columns = [
        ("event_id", text("1")),
        ("type", text("payment")),
        ("occurred_at", text("2026-03-04")),
        ("amount", Arc::clone(&amount)),
        ("unit_code", amount),
        ("purpose", empty),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = std::fs::File::create(bench.path().join("f.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let (code, err) = backtest(bench.path(), &["f.parquet"]);
    let said = "amount is a floating-point number in all 3 rows, but must be a decimal, a whole number or text; unit_code is a floating-point number in all 3 rows, but must be text.";
    assert!(code == Some(1) && err.contains(said) && !err.contains("purpose"), "{err}");
}

#[test]
fn all_faults_of_a_record_are_told_together_and_a_conflict_names_what_differs() {
    let mut wrong = payment("1", "L", "1.005");
    wrong["settlement"] = json!("barter");
    wrong.as_object_mut().unwrap().remove("payee_name");
    wrong.as_object_mut().unwrap().remove("unit_code");
    let mut other = payment("2", "L", "2.00");
    other["purpose"] = json!("paper");
    let events = [wrong, payment("2", "L", "1.00"), other, json!({"event_id": "3"})];
    let bench = Bench::new(&lines(&events), "");
    let (_, err) = backtest(bench.path(), &["events.jsonl"]);
    for said in [
        "events.jsonl:1: bad_amount: amount \"1.005\": ",
        "unit_code, payee_name are missing",
        "settlement \"barter\" is not one of transfer, cash, card, cheque",
        "events.jsonl:3: conflict: the event_id is known with other content: amount, purpose differ",
        "events.jsonl:4: missing_field: type, occurred_at are missing",
    ] {
        assert!(err.contains(said), "{said}: {err}");
    }
    // In another batch, as it is over HTTP.
    let bench = Bench::new("", "state: { dir: state }\n");
    let daemon = Daemon::start(bench.path());
    for (id, amount) in [("a", "1.00"), ("b", "1.00"), ("a", "3.00")] {
        assert_eq!(daemon.post("/api/v1/events", &lines(&[payment(id, "L", amount)])).0, 200);
    }
    let (_, out, _) = run(bench.path(), &["rejects", "list", "--json", "--config", "fiscwatch.yaml"]);
    assert!(out.contains("known with other content: amount differs"), "{out}");
}

#[test]
fn what_checks_nothing_fails() {
    let bench = Bench::new("", "state: { dir: state }\n");
    let d = bench.path();
    std::fs::create_dir(d.join("none")).unwrap();
    write(d, "t/empty.yaml", "rules: ../rules\ntests: []\n");
    write(
        d,
        "u/norules.yaml",
        "rules: ../none\ntests: [{ name: a, events: [{ event_id: a }], expect: [] }]\n",
    );
    write(d, "empty.jsonl", "");
    write(d, "wrong.jsonl", "{\"event_id\":\"1\"}\n");
    let config = ["--config", "fiscwatch.yaml"];
    for (args, said) in [
        (&["test", "t/empty.yaml"][..], "there are no tests in this file"),
        (&["test", "u"], "there is no rule"),
        (&["test", "none"], "there are no tests in this folder"),
        (&["check", "--rules", "none"], "none: there is no rule"),
        (&["backtest", "--rules", "none", "--events", "events.jsonl"], "there is no rule"),
        (&["backtest", "--rules", "rules", "--events", "empty.jsonl"], "there is no event in these files"),
        (
            &["backtest", "--rules", "rules", "--events", "wrong.jsonl"],
            "none of 1 records is an event; the first: wrong.jsonl:1: type, occurred_at are missing",
        ),
        (&["backtest", "--compare", "rules", "rules", "--events", "empty.jsonl"], "there is no event"),
        (&["tune", "large-cash", "--rules", "rules", "--events", "empty.jsonl"], "there is no event"),
        (&["forecast", "--events", "empty.jsonl"], "there is no event"),
    ] {
        let (code, out, err) = run(d, args);
        assert!(code == Some(1) && format!("{out}{err}").contains(said), "{args:?}: {code:?} {out}{err}");
    }
    write(d, "fiscwatch.yaml", "rules: { paths: [none] }\nstate: { dir: state }\n");
    for command in [&["run", "--once"][..], &["check"]] {
        let (code, _, err) = run(d, &[command, &config].concat());
        assert!(code == Some(1) && err.contains("there is no rule"), "{err}");
    }
}

#[test]
fn a_list_that_cannot_be_read_is_one_problem() {
    let bench = Bench::new("", "lists: { black: { path: none.csv } }\n");
    let rule = |n| {
        format!(
            "  - {{ id: r{n}, severity: low, trigger: payment, when: \"in_list('black', payee_name)\", key: [] }}\n"
        )
    };
    let rules = (0..5).map(rule).collect::<Vec<_>>().concat();
    let query = "  - { id: q, severity: low, trigger: schedule, every: 1d, sql: \"SELECT b.name FROM black b\", key: [name] }\n";
    let own = "  - { id: own, severity: low, trigger: payment, when: amuont > 1, key: [] }\n";
    write(bench.path(), "rules/lists.yaml", &format!("rules:\n{rules}{query}"));
    let check = || run(bench.path(), &["check", "--config", "fiscwatch.yaml"]).2;
    let err = check();
    assert!(err.contains("lists.black") && err.contains("\n1 problem found"), "{err}");
    // A rule that does not use it is judged all the same.
    write(bench.path(), "rules/own.yaml", &format!("rules:\n{own}"));
    let err = check();
    assert!(err.contains("amuont") && err.contains("\n2 problems found"), "{err}");
}

#[test]
fn a_constant_is_proposed_only_for_a_wish_that_was_stated() {
    let mut cash = payment("a", "L", "30000.00");
    cash["settlement"] = json!("cash");
    let bench = Bench::new(&lines(&[cash]), "");
    let tune = |more: &[&str]| {
        let args = ["tune", "large-cash", "--rules", "rules", "--events", "events.jsonl"];
        run(bench.path(), &[&args[..], more].concat()).1
    };
    let curve = tune(&[]);
    assert!(
        curve.lines().any(|row| row.contains(" 20000 ") && row.contains(" now "))
            && curve.contains("no value is proposed"),
        "{curve}"
    );
    assert!(!curve.contains('◀') && !curve.contains("overrides"), "{curve}");
    let json: Value = serde_json::from_str(&tune(&["--json"])).unwrap();
    assert_eq!(json["proposed"], Value::Null);
    assert!(tune(&["--alerts-a-day", "0.5"]).contains("for at most 0.5 alerts a day"));
}

#[test]
fn a_body_is_what_it_says_or_is_refused() {
    let bench = Bench::new("", "");
    let config = "state: { dir: state }\nhttp: { listen: '127.0.0.1:0', body_bytes_max: 100000 }\n";
    write(bench.path(), "fiscwatch.yaml", config);
    let daemon = Daemon::start(bench.path());
    let post = |headers: &[(&str, &str)], body: &[u8]| {
        let mut request = agent().post(format!("{}/api/v1/events", daemon.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = request.send(body).unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    };
    let event = |id: &str| lines(&[payment(id, "L", "1.00")]);
    let accepted = |n: u64| (200, format!("{{\"accepted\":{n},\"duplicates\":0,\"rejected\":0}}"));
    let gzip = |text: &[u8]| {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut packed, text).unwrap();
        packed.finish().unwrap()
    };
    let csv = csv("\r\n");
    assert_eq!(post(&[("content-encoding", "gzip")], &gzip(event("g").as_bytes())), accepted(1));
    let zstd = zstd::encode_all(event("z").as_bytes(), 1).unwrap();
    assert_eq!(post(&[("content-encoding", "zstd")], &zstd), accepted(1));
    assert_eq!(post(&[("content-type", "text/csv; charset=utf-8")], csv.as_bytes()), accepted(2));
    // One object over several lines is one event.
    let pretty = serde_json::to_string_pretty(&payment("p", "L", "1.00")).unwrap();
    assert_eq!(post(&[("content-type", "application/json")], pretty.as_bytes()), accepted(1));

    let bomb = gzip(&vec![b' '; 50 << 20]);
    assert!(bomb.len() < 100_000, "the bomb must pass the limit while it is packed");
    let array = format!("[{}]", payment("x", "L", "1.00"));
    let gbk = encoding_rs::GB18030.encode(&csv).0.into_owned();
    for (headers, body, status, said) in [
        (&[("content-encoding", "gzip")][..], &bomb[..], 413, "http.body_bytes_max"),
        (&[("content-encoding", "gzip")], b"not packed", 400, "cannot be unpacked"),
        (&[("content-encoding", "br")], b"?", 415, "gzip or zstd"),
        (&[("content-type", "multipart/form-data; boundary=x")], b"--x", 415, "multipart/form-data"),
        (&[("content-type", "application/xml")], b"<a/>", 415, "application/x-ndjson"),
        (&[("content-type", "application/json")], array.as_bytes(), 400, "a JSON array"),
        (&[("content-type", "text/csv")], b"a,b\n1,2\n", 400, "its first line must name the columns"),
        (&[("content-type", "text/csv")], &gbk, 400, "GBK"),
        (&[], b"PK\x03\x04", 400, "an Excel workbook"),
    ] {
        let (found, answer) = post(headers, body);
        assert!(found == status && answer.contains(said), "{headers:?}: {found} {answer}");
    }
    assert_eq!(daemon.json("/api/v1/status")["since_start"]["rejected"], 0);
}

#[test]
fn standard_input_is_csv_if_that_is_said() {
    use std::{io::Write, process::Stdio};
    let bench = Bench::new("", "");
    let mut child = crate::support::fiscwatch()
        .current_dir(bench.path())
        .args(["backtest", "--rules", "rules", "--events", "-", "--format", "csv"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(csv("\n").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && err.contains("2 events"), "{err}");
}

#[test]
fn what_lies_in_a_drop_directory_and_is_not_read_is_in_status_and_metrics() {
    let bench = Bench::new(
        "",
        "sources: [{ name: drop, directory: { path: drop, pattern: '*.csv', settle: 1ms } }]\nstate: { dir: state }\n",
    );
    let drop = bench.path().join("drop");
    write(&drop, "a.csv", &csv("\n"));
    write(&drop, "b.csv", "a;b\n");
    write(&drop, "UP.CSV.txt", "x");
    write(&drop, "deep/c.csv", "x");
    let daemon = Daemon::start(bench.path());
    crate::support::wait_until(|| {
        let drop = &daemon.json("/api/v1/status")["sources"]["drop"];
        drop["files"].as_array().is_some_and(|files| files.len() == 2) && drop["left"]["refused"] == 1
    });
    let told = daemon.json("/api/v1/status")["sources"]["drop"].clone();
    assert_eq!(
        told["left"],
        json!({"unmatched": 1, "folders": 1, "refused": 1, "names": ["UP.CSV.txt", "deep/"]})
    );
    assert_eq!((&told["files_read"], &told["files_refused"]), (&json!(1), &json!(1)));
    let files = told["files"].as_array().unwrap();
    assert_eq!(
        (&files[0]["file"], &files[0]["seen"], &files[0]["accepted"], &files[0]["fault"]),
        (&json!("a.csv"), &json!(2), &json!(2), &Value::Null)
    );
    assert!(files[1]["fault"].as_str().unwrap().contains("is not a CSV file"));
    let metrics = daemon.get("/metrics").1;
    for line in [
        "fiscwatch_source_files_left{kind=\"unmatched\",source=\"drop\"} 1",
        "fiscwatch_source_files_left{kind=\"folder\",source=\"drop\"} 1",
        "fiscwatch_source_files_left{kind=\"refused\",source=\"drop\"} 1",
        "fiscwatch_source_files_total{result=\"read\",source=\"drop\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}
