//! Records of other systems that a map makes events of: the same events in every format, and one clear line for each that
//! cannot be read.

use std::{path::Path, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, StringArray},
    datatypes::{DataType, Field, Schema},
};
use encoding_rs::GB18030;
use fiscwatch::{
    config::Config,
    decode::{Decoded, Decoder, Reading},
    map::{Map, MapShape},
    source::{Chunks, Compression, Encoding, Format},
    stream::Payload,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::support::{Bench, Daemon, block, calendar, decoder, lines, run, write};

/// A map of an export as bureaus have it.
const MAP: &str = "
columns:
  支付日期: occurred_at
  指标编号: budget_line_id
  年度: fiscal_year
  区划: region_code
  预算单位编码: unit_code
  功能分类: function_code
  经济分类: economic_code
  收款人全称|收款人: payee_name
  收款人账号: payee_account
  结算方式: settlement
  支付金额(元): amount
  用途: purpose
  原凭证: original_event_id
optional: [原凭证, 用途]
id: [支付凭证号, 明细序号]
constants: { type: payment, payment_mode: direct, payee_type: entity }
values: { 结算方式: { 1: transfer, 2: cash, 公务卡: card } }
dates: ['%Y%m%d', '%Y年%m月%d日', '%Y-%m-%d %H:%M:%S']
money: { thousands: ',', negative: refund }
zone: Asia/Shanghai
when: 状态 = '已支付'
";

fn map(yaml: &str) -> Arc<Map> {
    let shape: MapShape = serde_saphyr::from_str(yaml).unwrap();
    Arc::new(Map::compile(&shape).unwrap())
}

fn mapped(map: &Arc<Map>) -> Decoder {
    let zone = map.zone.as_deref().map(|name| jiff::tz::TimeZone::get(name).unwrap());
    let reading = Reading::new(zone, map.times.unwrap_or_default(), map.nulls.as_deref());
    Decoder::new(calendar()).reading(reading.mapped(Arc::clone(map)))
}

/// A payment as two systems have it: as an event, and as a row of an export by its columns.
struct Payment {
    event: Value,
    row: Vec<(&'static str, String)>,
}

fn grouped(cents: u64) -> String {
    let whole = (cents / 100).to_string();
    let groups: Vec<_> = whole.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).unwrap()).collect();
    format!("{}.{:02}", groups.join(","), cents % 100)
}

fn payments(seed: u64, count: usize) -> Vec<Payment> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|n| one(&mut rng, n)).collect()
}

fn one(rng: &mut impl Rng, n: usize) -> Payment {
    let digits = rng.random_range(2..17);
    let cents: u64 = rng.random_range(1..10u64.pow(digits));
    let (month, day, hour) = (rng.random_range(1..=12), rng.random_range(1..=28), rng.random_range(0..24));
    let (at, written) = match rng.random_range(0..3) {
        0 => (format!("2025-{month:02}-{day:02}"), format!("2025{month:02}{day:02}")),
        1 => (format!("2025-{month:02}-{day:02}"), format!("2025年{month}月{day}日")),
        _ => (
            format!("2025-{month:02}-{day:02}T{hour:02}:30:05+08:00"),
            format!("2025-{month:02}-{day:02} {hour:02}:30:05"),
        ),
    };
    let (settlement, word) = [("transfer", "1"), ("cash", "2"), ("card", "公务卡")][rng.random_range(0..3)];
    let payee =
        ["丰华建材有限公司", "清源市第一中学（本部）", "㐂木商行", "Acme, \"Ltd\""][rng.random_range(0..4)];
    let amount = match rng.random_range(0..4) {
        0 => format!("{}.{:02}", cents / 100, cents % 100),
        1 => format!("￥{}", grouped(cents)),
        2 => grouped(cents)
            .chars()
            .map(|c| if c.is_ascii_digit() { char::from_u32(u32::from(c) + 0xFEE0).unwrap() } else { c })
            .collect(),
        _ => format!("{} 元", grouped(cents)),
    };
    let line = format!("ZB2025-{}", rng.random_range(0..9));
    let event = json!({
        "event_id": format!("PZ{n}-1"), "type": "payment", "occurred_at": at, "budget_line_id": line,
        "fiscal_year": 2025, "region_code": "330100000", "unit_code": "101001", "function_code": "2050201",
        "economic_code": "30201", "payment_mode": "direct", "settlement": settlement, "payee_name": payee,
        "payee_account": "6222021234567890123", "payee_type": "entity", "amount": format!("{}.{:02}", cents / 100, cents % 100),
        "purpose": "办公用品采购款项",
    });
    let row = vec![
        ("支付凭证号", format!("PZ{n}")),
        ("明细序号", String::from("1")),
        ("状态", String::from("已支付")),
        ("支付日期", written),
        ("指标编号", line),
        ("年度", String::from("2025年")),
        ("区划", String::from("330100000")),
        ("预算单位编码", String::from("'101001")),
        ("功能分类", String::from("2050201")),
        ("经济分类", String::from("30201")),
        ("收款人全称", payee.to_owned()),
        ("收款人账号", String::from("=\"6222021234567890123\"")),
        ("结算方式", word.to_owned()),
        ("支付金额（元）", amount),
        ("用途", String::from("办公用品采购款项")),
        ("备注", String::from("不读")),
    ];
    Payment { event, row }
}

fn csv(payments: &[Payment], delimiter: u8) -> String {
    let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
    writer.write_record(payments[0].row.iter().map(|(name, _)| name)).unwrap();
    payments.iter().for_each(|p| writer.write_record(p.row.iter().map(|(_, text)| text)).unwrap());
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

/// All events of a file, read in chunks of so many rows.
fn read(path: &Path, map: &Arc<Map>, rows: usize) -> Vec<Decoded> {
    let format = Format::of(path, map.format);
    let mut chunks = Chunks::open(path, format, rows, (0, 0), false, Some(map)).unwrap();
    let mut decoded = Vec::new();
    let mut at = (0, 0);
    while let Some(chunk) = chunks.next_chunk().unwrap() {
        let mut block = block(chunk.payload);
        block.first_record = chunk.first_record;
        decoded.push(mapped(map).decode(&[block], None));
        // Whoever starts again at this place reads the same from there on.
        if at != (0, 0) && decoded.len() == 2 {
            let again = Chunks::open(path, format, rows, at, false, Some(map))
                .unwrap()
                .next_chunk()
                .unwrap()
                .unwrap();
            assert_eq!(
                (again.from, again.to, again.first_record),
                (chunk.from, chunk.to, chunk.first_record)
            );
        }
        at = (chunk.to, chunk.next_record);
    }
    decoded
}

fn events(decoded: &[Decoded]) -> RecordBatch {
    let schema = Arc::clone(decoder().schema());
    arrow::compute::concat_batches(&schema, decoded.iter().map(|d| &d.events)).unwrap()
}

fn same(decoded: &[Decoded], plain: &Decoded, what: &str) {
    let rejects: Vec<_> = decoded.iter().flat_map(|d| &d.rejects).map(|r| r.detail.as_str()).collect();
    assert_eq!(rejects, Vec::<&str>::new(), "{what}");
    assert_eq!(events(decoded), plain.events, "{what}");
    let contents: Vec<u64> = decoded.iter().flat_map(|d| d.contents.clone()).collect();
    assert_eq!(contents, plain.contents, "{what}");
}

#[test]
fn the_same_events_in_every_format() {
    let dir = tempfile::tempdir().unwrap();
    let payments = payments(7, 300);
    let jsonl: Vec<Value> = payments.iter().map(|p| p.event.clone()).collect();
    let plain = decoder().decode(&[block(Payload::JsonLines(lines(&jsonl).into()))], None);
    assert_eq!(plain.types.len(), 300);

    let text = csv(&payments, b',');
    for (encoding, bytes) in [
        ("gb18030", GB18030.encode(&text).0.into_owned()),
        ("utf-8", text.clone().into_bytes()),
        ("utf-16", [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()),
        ("cr", text.replace('\n', "\r").into_bytes()),
        ("crlf", text.replace('\n', "\r\n").into_bytes()),
    ] {
        let path = dir.path().join(format!("{encoding}.csv"));
        std::fs::write(&path, bytes).unwrap();
        for rows in [1, 7, 1000] {
            same(&read(&path, &map(MAP), rows), &plain, &format!("{encoding}, {rows} rows"));
        }
    }

    // A title above the header, a row of notes below it, and another delimiter.
    let titled =
        format!("清源市财政局 \"支付\" 明细\n\n{}", csv(&payments, b'\t').replacen('\n', "\n单位：元\n", 1));
    let path = write(dir.path(), "titled.txt", &titled);
    let titled = map(&format!("{MAP}format: csv\nheader_row: 3\nskip: 1\ndelimiter: tab\n"));
    same(&read(&path, &titled, 13), &plain, "titled");

    // Without a header, by numbers.
    let numbered = payments[0].row.iter().enumerate().fold(MAP.to_owned(), |map, (at, (name, _))| {
        map.replace(&name.replace('（', "(").replace('）', ")"), &format!("'#{}'", at + 1))
    });
    let numbered = numbered
        .replace("'#11'|收款人", "'#11'")
        .replace("'#3' = ", "#3 = ")
        .replace("原凭证: original_event_id", "")
        .replace("原凭证, ", "");
    let path = write(dir.path(), "bare.csv", text.split_once('\n').unwrap().1);
    same(&read(&path, &map(&format!("{numbered}\nheader_row: 0\n")), 13), &plain, "numbered");

    // Objects, nested ones, and columns of texts.
    let object = |p: &Payment, nested: bool| {
        let mut object = serde_json::Map::new();
        for (name, text) in &p.row {
            match (nested, name.strip_prefix("收款人")) {
                (true, Some(part)) => object.entry("收款人").or_insert_with(|| json!({}))[part] = json!(text),
                _ => drop(object.insert((*name).to_owned(), json!(text))),
            }
        }
        Value::Object(object)
    };
    let flat: Vec<Value> = payments.iter().map(|p| object(p, false)).collect();
    same(
        &[mapped(&map(MAP)).decode(&[block(Payload::JsonLines(lines(&flat).into()))], None)],
        &plain,
        "objects",
    );
    let nested: Vec<Value> = payments.iter().map(|p| object(p, true)).collect();
    let paths = map(&MAP.replace("收款人全称|收款人", "收款人.全称").replace("收款人账号", "收款人.账号"));
    same(
        &[mapped(&paths).decode(&[block(Payload::JsonLines(lines(&nested).into()))], None)],
        &plain,
        "nested",
    );
    let fields: Vec<_> =
        payments[0].row.iter().map(|(name, _)| Field::new(*name, DataType::Utf8, true)).collect();
    let columns = (0..fields.len()).map(|at| {
        Arc::new(payments.iter().map(|p| Some(p.row[at].1.as_str())).collect::<StringArray>()) as ArrayRef
    });
    let table = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.collect()).unwrap();
    same(&[mapped(&map(MAP)).decode(&[block(Payload::Table(table))], None)], &plain, "columns");
}

/// The rows of a file below the usual header, and what becomes of them.
fn fates(map_text: &str, rows: &[u8]) -> (Vec<String>, u64, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.csv");
    let header = "支付凭证号,明细序号,状态,支付日期,指标编号,年度,区划,预算单位编码,功能分类,经济分类,收款人,收款人账号,结算方式,支付金额(元),用途,原凭证\n";
    let mut bytes = GB18030.encode(header).0.into_owned();
    bytes.extend_from_slice(rows);
    std::fs::write(&path, bytes).unwrap();
    let map = map(map_text);
    let decoded = read(&path, &map, 1000);
    let ids = decoded.iter().flat_map(|d| {
        let ids = arrow::array::AsArray::as_string_view(d.events.column(0));
        ids.iter().map(|id| id.unwrap().to_owned()).collect::<Vec<_>>()
    });
    let told = decoded.iter().flat_map(|d| &d.rejects);
    let told = told.map(|r| format!("{} {}: {}", r.record, r.reason.code(), r.detail));
    (ids.collect(), decoded.iter().flat_map(|d| &d.skipped).sum(), told.collect())
}

fn row(id: &str, state: &str, at: &str, how: &str, amount: &str) -> Vec<u8> {
    let text = format!(
        "{id},1,{state},{at},L1,2026,330100000,101001,2050201,30201,丰华建材,6222,{how},{amount},,\n"
    );
    GB18030.encode(&text).0.into_owned()
}

#[test]
fn what_is_no_event_is_counted_and_what_is_wrong_is_told() {
    let paid = |id: &str, at: &str, how: &str, amount: &str| row(id, "已支付", at, how, amount);
    let header = "支付凭证号,明细序号,状态,支付日期,指标编号,年度,区划,预算单位编码,功能分类,经济分类,收款人,收款人账号,结算方式,支付金额(元),用途,原凭证\n";
    let gbk = |text: &str| GB18030.encode(text).0.into_owned();
    let (ids, skipped, told) = fates(
        MAP,
        &[
            paid("P1", "20260305", "1", "\"1,234.50\""),
            row("P2", "作废", "20260305", "1", "5.00"),
            gbk("\n"),
            gbk(",,,,,,,,,,,,,,,\n"),
            gbk(header),
            paid("P3", "2026111", "1", "1.23E+05"),
            paid("P4", "2026年13月1日", "支票", "\"1,23\""),
            paid("", "20260305", "1", "12.345"),
            paid("P6", "46085", "1", "(7.50)"),
            gbk("P7,1,已支付,20260305,L1,2026,330100000,101001,2050201,30201,丰华建材,6222,1,(7.50),,P1-1\n"),
            "P8,1,已支付,20260305,L1,2026,330100000,101001,2050201,30201,丰华建材有限公司,6222,1,1.00,,\n"
                .into(),
            gbk("P9,1,已支付,20260305,L1\n"),
            gbk("小计,,,,,,,,,,,,,\"1,234.50\",,\n"),
            gbk("合  计：,,,,,,,,,,,,,\"1,234.50\"\n"),
        ]
        .concat(),
    );
    assert_eq!(ids, ["P1-1", "P7-1"]);
    assert_eq!(skipped, 6, "void, blank twice, header, two rows of totals");
    insta::assert_snapshot!(told.join("\n"));
    let amount = |map: &str, amount: &str| fates(map, &paid("P1", "20260305", "1", amount)).2.join("\n");
    let wan = MAP.replace("thousands: ','", "unit: 万元, thousands: ','");
    assert_eq!(amount(&wan, "12.345678"), "");
    assert!(amount(&wan, "12.3456789").contains("more decimals than 万元 can have"));
    assert!(amount(MAP, "3万元").contains("it is in 万元"));
    let strict = MAP.replace(", negative: refund", "");
    assert!(amount(&strict, "-5").contains("`negative: refund`"));
}

#[test]
fn a_cell_without_an_exact_value_is_refused_with_its_place() {
    let text = r#"{"$place":"sheet 付款, row 12","支付凭证号":"P1","明细序号":1,"状态":"已支付","支付日期":"20260305","指标编号":"L1","年度":2026,"区划":"330100000","预算单位编码":"101001","功能分类":"2050201","经济分类":"30201","收款人":"丰华","收款人账号":{"$fault":"inexact","shown":"6.22E+18"},"结算方式":"1","支付金额(元)":{"$fault":"inexact","shown":"1.23E+05"}}
{"$place":"sheet 付款, row 13","序号":"合计","支付金额(元)":"5"}
{"支付凭证号":"P2","支付凭证号":"P3","明细序号":1,"状态":"已支付"}
{"支付凭证号":"P2","状态":"已支付"
{"备注":null}
"#;
    let decoded = mapped(&map(MAP)).decode(&[block(Payload::JsonLines(text.to_owned().into()))], None);
    let told: Vec<_> =
        decoded.rejects.iter().map(|r| format!("{} {}: {}", r.record, r.reason.code(), r.detail)).collect();
    assert_eq!((decoded.types.len(), decoded.skipped[0]), (0, 2));
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn a_file_that_is_not_the_maps_is_refused_as_a_whole() {
    let dir = tempfile::tempdir().unwrap();
    let header = "支付凭证号,明细序号,状态,支付日期,指标编号,年度,区划,预算单位编码,功能分类,经济分类,收款人,收款人账号,结算方式,支付金额(元)\n";
    let refused = |name: &str, text: &[u8], map_text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let format = Format { encoding: Encoding::Csv, compression: Compression::None };
        let error = Chunks::open(&path, format, 10, (0, 0), false, Some(&map(map_text))).err().unwrap();
        error.to_string().replace(&path.display().to_string(), name)
    };
    let told = [
        refused("moved.csv", header.replace("支付金额(元)", "支付金额（万元）").as_bytes(), MAP),
        refused("title.csv", format!("清源市财政局\n\n{header}").as_bytes(), MAP),
        refused("semicolons.csv", header.replace(',', ";").as_bytes(), MAP),
        refused(
            "twice.csv",
            header.replace("区划", "年度").replace("年度,年度", "年度,年度,区划").as_bytes(),
            MAP,
        ),
        refused("short.csv", b"a,b\n", &format!("{MAP}header_row: 3\n")),
        refused("book.csv", b"PK\x03\x04rest", MAP),
        refused("utf8.csv", header.as_bytes(), &format!("{MAP}encoding: gbk\n")),
    ];
    insta::assert_snapshot!(told.join("\n"));
}

fn config(text: &str) -> String {
    format!(
        "sources:\n  - name: vouchers\n    directory: {{ path: drop, pattern: '*.csv', settle: 0s }}\n    map:{}",
        text.replace('\n', "\n      ")
    )
}

#[test]
fn mistakes_are_told_with_their_line() {
    let wrong = config(MAP)
        .replace("occurred_at", "ocurred_at")
        .replace("2: cash", "2: chash")
        .replace("%Y%m%d", "%Q")
        .replace("区划: region_code", "");
    let problems = Config::parse("c.yaml", &wrong, Path::new(""), std::iter::empty()).unwrap_err();
    insta::assert_snapshot!(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));
    let shape = config(MAP).replace("optional:", "optionl:").replace("money: {", "money: { unit: 亿,");
    let problems = Config::parse("c.yaml", &shape, Path::new(""), std::iter::empty()).unwrap_err();
    insta::assert_snapshot!(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"));

    // A map in a file of its own, and a file of the source that lacks a column.
    let bench = Bench::new("", "");
    std::fs::create_dir(bench.path().join("drop")).unwrap();
    write(bench.path(), "map.yaml", MAP);
    let text =
        csv(&payments(1, 3), b',').replace("预算单位编码", "预算单位代码").replace("支付凭证号", "凭证号");
    write(bench.path(), "drop/a.csv", &text);
    write(
        bench.path(),
        "fiscwatch.yaml",
        "sources:\n  - name: vouchers\n    directory: { path: drop }\n    map: map.yaml\n",
    );
    let (code, _, err) = run(bench.path(), &["check", "--config", "fiscwatch.yaml"]);
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(err);
}

#[test]
fn the_daemon_a_request_and_a_backtest_read_alike() {
    let payments = payments(11, 400);
    let events: Vec<Value> = payments.iter().map(|p| p.event.clone()).collect();
    let expected = Bench::new(&lines(&events), "").backtest(&[]);
    assert!(!expected.0.is_empty());
    let (first, second) = payments.split_at(200);
    let gbk = |part: &[Payment]| GB18030.encode(&csv(part, b',')).0.into_owned();

    let bench = Bench::new("", &format!("{}\n", config(MAP)));
    let drop = bench.path().join("drop");
    std::fs::create_dir(&drop).unwrap();
    std::fs::write(drop.join("a.csv"), gbk(first)).unwrap();
    let (code, _, err) = run(bench.path(), &["run", "--config", "fiscwatch.yaml", "--once"]);
    assert_eq!(code, Some(0), "{err}");
    let daemon = Daemon::start(bench.path());
    let (status, answer) = daemon.post_bytes("/api/v1/events?as=vochers", &gbk(second));
    assert!(status == 400 && answer.contains("vouchers"), "{answer}");
    let (status, answer) = daemon.post_bytes("/api/v1/events?as=vouchers", &gbk(second));
    assert_eq!(
        (status, serde_json::from_str::<Value>(&answer).unwrap()["accepted"].as_u64()),
        (200, Some(200)),
        "{answer}"
    );
    let (_, answer) = daemon.post_bytes("/api/v1/events?as=vouchers", csv(first, b',').as_bytes());
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap()["duplicates"].as_u64(), Some(200), "{answer}");
    daemon.stop("-TERM");
    crate::support::assert_same(&bench.state(), &expected, "a mapped directory and request");

    write(bench.path(), "map.yaml", MAP);
    std::fs::write(bench.path().join("all.csv"), gbk(&payments)).unwrap();
    let args = [
        "backtest",
        "--config",
        "fiscwatch.yaml",
        "--events",
        "all.csv",
        "--map",
        "map.yaml",
        "--findings",
        "f",
        "--ledger",
        "l",
    ];
    let (code, _, err) = run(bench.path(), &args);
    assert_eq!(code, Some(0), "{err}");
    let found = (
        crate::support::file_lines(&bench.path().join("f")),
        crate::support::file_lines(&bench.path().join("l")),
    );
    crate::support::assert_same(&found, &expected, "a mapped backtest");
}

#[test]
fn a_file_in_another_encoding_is_followed_and_gone_on_with() {
    let payments = payments(5, 60);
    let text = csv(&payments, b',');
    let lines: Vec<&str> = text.lines().collect();
    let gbk = |part: &[&str]| GB18030.encode(&format!("{}\n", part.join("\n"))).0.into_owned();
    let config = config(MAP).replace(
        "directory: { path: drop, pattern: '*.csv', settle: 0s }",
        "file: { path: grows.csv, follow: true }",
    );
    let bench = Bench::new("", &format!("{config}\n"));
    let path = bench.path().join("grows.csv");
    std::fs::write(&path, gbk(&lines[..20])).unwrap();
    let count = |daemon: &Daemon| {
        let metrics = daemon.get("/metrics").1;
        let counts = metrics.lines().filter(|line| line.starts_with("fiscwatch_events_total{"));
        counts
            .map(|line| (line.contains("accepted"), line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()))
            .fold(
                (0, 0),
                |(accepted, others), (is, n)| {
                    if is { (accepted + n, others) } else { (accepted, others + n) }
                },
            )
    };
    let daemon = Daemon::start(bench.path());
    crate::support::wait_until(|| count(&daemon) == (19, 0));
    crate::support::append_bytes(&path, &gbk(&lines[20..40]));
    crate::support::wait_until(|| count(&daemon) == (39, 0));
    daemon.stop("-TERM");
    crate::support::append_bytes(&path, &gbk(&lines[40..]));
    let daemon = Daemon::start(bench.path());
    crate::support::wait_until(|| count(&daemon) == (21, 0));
    // Time for a second reading of the same rows to show.
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(count(&daemon), (21, 0));
    daemon.stop("-TERM");
}
