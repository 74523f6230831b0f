//! The register of cases and a month's report as workbooks: what the filter finds, codes as text and money as numbers, masked
//! as for the role, and recorded.

use std::io::Read as _;

use serde_json::json;

use super::{get, ids, overspend, post, transitions};
use crate::support::{agent, fiscwatch};

fn part(bytes: &[u8], name: &str) -> String {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    let mut text = String::new();
    archive.by_name(name).unwrap().read_to_string(&mut text).unwrap();
    text
}

/// The cells of a sheet by row: texts of the shared table, numbers as they stand.
fn cells(bytes: &[u8], sheet: &str) -> Vec<Vec<String>> {
    let shared = part(bytes, "xl/sharedStrings.xml");
    let texts: Vec<String> = shared
        .split("<si>")
        .skip(1)
        .map(|one| {
            let inner = one.split_once('>').map_or("", |(_, rest)| rest);
            inner.split("</t>").next().unwrap_or_default().to_owned()
        })
        .collect();
    let rows = part(bytes, sheet);
    let row = |row: &str| {
        row.split("<c ")
            .skip(1)
            .map(|cell| {
                let value = cell
                    .split_once("<v>")
                    .and_then(|(_, rest)| rest.split_once("</v>"))
                    .map_or("", |(value, _)| value);
                match cell.contains("t=\"s\"") {
                    true => format!("'{}", texts[value.parse::<usize>().unwrap()]),
                    false => value.to_owned(),
                }
            })
            .collect()
    };
    rows.split("<row ").skip(1).map(row).collect()
}

fn download(address: &str, path: &str) -> Vec<u8> {
    let mut answer = agent().get(format!("{address}{path}")).call().unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    assert!(answer.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
    answer.body_mut().read_to_vec().unwrap()
}

#[test]
fn the_register_has_what_the_filter_finds() {
    let (bench, daemon) = super::desk();
    overspend(&daemon, &["0012345678901234567", "L2"]);
    let all = ids(&daemon);
    let closes = all
        .iter()
        .find(|id| {
            get(&daemon, &format!("/api/v1/alerts/{id}")).body["alert"]["labels"]["budget_line_id"][0]
                == "0012345678901234567"
        })
        .unwrap();
    for step in [
        json!({"action": "acknowledge", "who": "王芳"}),
        json!({"action": "confirm", "who": "王芳"}),
        json!({"action": "close", "who": "王芳", "why": "已全部退回", "outcome": "money_returned", "amount": "110.00"}),
    ] {
        assert_eq!(post(&daemon, &transitions(closes), &step).status, 200);
    }
    let rows = cells(&download(&daemon.address, "/api/v1/alerts/register.xlsx"), "xl/worksheets/sheet1.xml");
    assert_eq!(rows.len(), 1 + all.len());
    assert_eq!(&rows[0][..3], ["'序号", "'预警编号", "'规则编号"]);
    let rows = cells(
        &download(&daemon.address, "/api/v1/alerts/register.xlsx?state=closed"),
        "xl/worksheets/sheet1.xml",
    );
    assert_eq!(rows.len(), 2);
    let closed = &rows[1];
    assert_eq!((&*closed[0], &*closed[8]), ("1", "'0012345678901234567"), "a code is a text, zeros and all");
    assert_eq!((&*closed[20], &*closed[21]), ("'追回资金", "110"), "money is a number");
    assert!(closed[24].contains("已全部退回"), "{closed:?}");
    let audit = get(&daemon, "/api/v1/audit?action=alerts.export").body;
    assert!(audit.to_string().contains("1 cases"), "{audit}");

    let now = jiff::Timestamp::now().in_tz("Asia/Shanghai").unwrap();
    let month = now.strftime("%Y-%m").to_string();
    let report = get(&daemon, &format!("/api/v1/reports/month?month={month}")).body;
    assert_eq!((&report["total"]["returned"], &report["total"]["closed"]), (&json!("110.00"), &json!(1)));
    assert_eq!(
        (&report["total"]["precision"], &report["outcomes"][0]["outcome"]),
        (&json!(1.0), &json!("money_returned"))
    );
    assert_eq!(report["total"]["opened"].as_u64(), Some(all.len() as u64));
    let book = download(&daemon.address, &format!("/api/v1/reports/month.xlsx?month={month}"));
    assert!(part(&book, "xl/sharedStrings.xml").contains("追回资金"));
    for wrong in ["2026", "2026-13", "x"] {
        assert_eq!(get(&daemon, &format!("/api/v1/reports/month?month={wrong}")).status, 400, "{wrong}");
    }
    let service = get(&daemon, "/api/v1/reports/service").body;
    assert_eq!(service["times"]["close"]["count"], 1);
    assert_eq!((&service["units"], &service["exceptions"]), (&json!([]), &json!([])));

    // The commands write the same, and nothing over what is there.
    let run = |args: &[&str]| fiscwatch().current_dir(bench.path()).args(args).output().unwrap();
    let file = bench.path().join("a.xlsx");
    let name = file.to_str().unwrap();
    let wrote = run(&["alerts", "register", "--state", "closed", "--by", "王芳", "--xlsx", name]);
    assert!(wrote.status.success(), "{wrote:?}");
    assert_eq!(cells(&std::fs::read(&file).unwrap(), "xl/worksheets/sheet1.xml").len(), 2);
    assert!(!run(&["alerts", "register", "--by", "王芳", "--xlsx", name]).status.success());
    let told = run(&["alerts", "report", "--month", &month]);
    assert!(String::from_utf8_lossy(&told.stdout).contains("\"returned\": \"110.00\""), "{told:?}");
    assert_eq!(run(&["alerts", "report", "--month", "May"]).status.code(), Some(2));
}

#[test]
fn alerts_are_sorted_by_a_product_that_is_shown() {
    let (_bench, daemon) = super::desk();
    overspend(&daemon, &["L1", "L2"]);
    let listed = get(&daemon, "/api/v1/alerts?sort=worth").body;
    let worth = |alert: &serde_json::Value| {
        let id = alert["alert_id"].as_str().unwrap();
        let shown = get(&daemon, &format!("/api/v1/alerts/{id}/worth")).body;
        let of = |name: &str| shown[name].as_i64().unwrap();
        let product =
            of("severity") * of("amount") * of("repeated") * of("agreeing") * of("precision").pow(3);
        assert_eq!(of("worth"), product / 1_000_000);
        of("worth")
    };
    let worths: Vec<_> = listed["alerts"].as_array().unwrap().iter().map(worth).collect();
    assert!(worths.len() > 1 && worths.is_sorted_by(|a, b| a >= b), "{worths:?}");
    let any = get(&daemon, "/api/v1/alerts?state=all").body;
    assert_eq!(any["alerts"].as_array().unwrap().len(), worths.len());
    // Pages lead on by it.
    let first = get(&daemon, "/api/v1/alerts?sort=worth&limit=1").body;
    let next = first["next"].as_str().unwrap();
    let second = get(&daemon, &format!("/api/v1/alerts?sort=worth&limit=1&before={next}")).body;
    assert_eq!(second["alerts"][0]["alert_id"], listed["alerts"][1]["alert_id"]);
    // What officers find false falls behind.
    let id = listed["alerts"][0]["alert_id"].as_str().unwrap();
    let before = worths[0];
    for action in ["acknowledge", "dismiss"] {
        assert_eq!(
            post(&daemon, &transitions(id), &json!({"action": action, "who": "王", "why": "误报"})).status,
            200
        );
    }
    assert!(worth(&listed["alerts"][0]) < before);
    // What it is made of is told: all verdicts, the rule's, the unit's.
    let shown = get(&daemon, &format!("/api/v1/alerts/{id}/worth")).body;
    assert_eq!((&shown["all_confirmed"], &shown["all_dismissed"]), (&json!(0), &json!(1)), "{shown}");
    assert_eq!(get(&daemon, "/api/v1/alerts/none/worth").status, 404);
}
