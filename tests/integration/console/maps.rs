//! A map for a file that no map reads: guessed, corrected, tried.

use serde_json::Value;

use crate::support::{Bench, Daemon, wait_until};

const FILE: &str = "凭证号,支付日期,收款人,收款人账号,支付金额,栏七\n\
                    V1,2026/03/05,一号公司,6222000000000001,1200.00,甲\nV2,2026/03/06,二号公司,6222000000000002,壹元,乙\n";

fn tried(daemon: &Daemon, query: &str, body: &[u8]) -> (u16, Value) {
    let (status, text) = daemon.post_bytes(&format!("/api/v1/maps/trial?{query}"), body);
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

fn field<'v>(told: &'v Value, column: &str) -> &'v Value {
    let columns = told["columns"].as_array().unwrap();
    &columns.iter().find(|one| one["name"] == column).unwrap()["field"]
}

#[test]
fn a_file_is_guessed_corrected_and_tried() {
    let bench = Bench::new("", "state: { dir: state }\n");
    let daemon = Daemon::start(bench.path());
    let (status, told) = tried(&daemon, "name=a.csv", FILE.as_bytes());
    assert_eq!(status, 200, "{told}");
    assert_eq!(
        (field(&told, "支付金额"), field(&told, "凭证号"), field(&told, "栏七")),
        (&"amount".into(), &"event_id".into(), &Value::Null)
    );
    assert!(told["missing"].as_array().unwrap().contains(&"budget_line_id".into()), "{told}");
    // Without what is missing there is nothing to try.
    assert_eq!((&told["events"], &told["first"]), (&0.into(), &Value::Array(Vec::new())));
    let set = [
        "purpose=@栏七",
        "budget_line_id=L1",
        "fiscal_year=2026",
        "region_code=330100000",
        "unit_code=201001",
        "function_code=2050201",
        "economic_code=30201",
    ];
    let set: String = set.join("\n").bytes().fold(String::new(), |set, byte| set + &format!("%{byte:02X}"));
    let (_, told) = tried(&daemon, &format!("name=a.csv&set={set}"), FILE.as_bytes());
    assert_eq!(
        (&told["missing"], field(&told, "栏七")),
        (&Value::Array(Vec::new()), &"purpose".into()),
        "{told}"
    );
    assert_eq!((&told["events"], &told["rejected"]), (&1.into(), &1.into()), "{told}");
    assert_eq!(
        (&told["first"][0]["amount"], &told["first"][0]["payee_name"]),
        (&"1200.00".into(), &"一号公司".into())
    );
    assert!(told["faults"][0].as_str().unwrap().contains("amount"), "{told}");
    assert!(told["map"].as_str().unwrap().contains("栏七: purpose"), "{told}");
    // What was wrong is taken back by an empty value; what is no field is told.
    assert_eq!(
        field(&tried(&daemon, "name=a.csv&set=amount%3D", FILE.as_bytes()).1, "支付金额"),
        &Value::Null
    );
    assert_eq!(tried(&daemon, "name=a.csv&set=amuont%3D1", FILE.as_bytes()).0, 400);
    assert_eq!(tried(&daemon, "name=a.xlsx", b"no workbook").0, 422);
    assert_eq!(tried(&daemon, "", b"").0, 400);
    let (status, told) = tried(&daemon, "name=a.csv", b"");
    assert!(status == 422 && told["detail"].as_str().unwrap().contains("a.csv"), "{told}");
    // A library does not speak: what is too large is told as everything else is.
    let (status, told) = tried(&daemon, "name=a.csv", &vec![b'x'; (4 << 20) + 1]);
    assert!(status == 413 && told["detail"].is_string(), "{told}");
}

#[test]
fn only_files_that_a_source_tells_of_are_looked_at_and_persons_are_hidden() {
    let bench = Bench::new("", "");
    let drop = bench.path().join("drop");
    std::fs::create_dir(&drop).unwrap();
    std::fs::write(drop.join("三月.csv"), FILE).unwrap();
    std::fs::write(bench.path().join("secret.csv"), FILE).unwrap();
    let config = "sources: [{ name: drop, directory: { path: drop, pattern: '*.jsonl', settle: 0s } }]\n\
                  state: { dir: state }\n";
    std::fs::write(bench.path().join("fiscwatch.yaml"), config).unwrap();
    let daemon = Daemon::start(bench.path());
    let waiting = || daemon.json("/api/v1/status")["sources"]["drop"]["left"]["names"].to_string();
    wait_until(|| waiting().contains("三月.csv"));
    let (status, told) = tried(&daemon, "source=drop&file=%E4%B8%89%E6%9C%88.csv", b"");
    assert_eq!(status, 200, "{told}");
    assert_eq!(field(&told, "支付金额"), "amount");
    let shown = told["columns"].to_string();
    assert!(
        shown.contains("1200.00") && !shown.contains("一号公司") && !shown.contains("62220000"),
        "{told}"
    );
    for file in ["secret.csv", "..%2Fsecret.csv", "%2Fetc%2Fpasswd", "none.csv"] {
        assert_eq!(tried(&daemon, &format!("source=drop&file={file}"), b"").0, 404, "{file}");
    }
    assert_eq!(tried(&daemon, "source=none&file=a.csv", b"").0, 404);
}
