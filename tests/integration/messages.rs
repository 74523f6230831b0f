//! Workbooks and messages, read by the maps that are shipped: the same day in any format is the same events, and what
//! cannot be read is told with its place.

use std::{fmt::Write as _, path::Path, sync::Arc};

use encoding_rs::{GB18030, GBK};
use fiscwatch::{
    config::feeds,
    decode::{Decoded, Decoder},
    event::schema::FIELDS,
    map::Map,
    source::{Chunks, Format},
    sql::value,
};
use rust_xlsxwriter::{Format as Style, Workbook};
use serde_json::{Value, json};

use crate::{
    kafka::{broker, debezium},
    postgres,
    support::{Bench, Daemon, calendar, lines, run, write},
};

fn root(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn shipped(name: &str) -> (Arc<Map>, Decoder) {
    let told = |problems: Vec<fiscwatch::diagnostic::Diagnostic>| {
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let map = feeds::read(&root(&format!("config/maps/{name}.yaml"))).map_err(told).unwrap();
    let reading = feeds::reading(map).unwrap();
    (Arc::clone(reading.map().unwrap()), Decoder::new(calendar()).reading(reading))
}

pub fn read(path: &Path, name: &str) -> Result<Decoded, String> {
    let (map, decoder) = shipped(name);
    let format = Format::of(path, map.format);
    let chunks = Chunks::open(path, format, 1 << 16, (0, 0), false, Some(&map));
    let chunk = chunks.and_then(|mut chunks| chunks.next_chunk()).map_err(|e| e.to_string())?;
    Ok(decoder.decode(&[crate::support::block(chunk.ok_or("no records")?.payload)], None))
}

/// Events by their fields, and what is told of the others.
fn told(decoded: &Decoded) -> String {
    let mut text = String::new();
    for row in 0..decoded.types.len() {
        let field = |(at, field): (usize, &fiscwatch::event::schema::FieldSpec)| {
            let value = value(decoded.events.column(at), row, &calendar());
            (!value.is_null()).then(|| format!("{}={value}", field.name))
        };
        let fields: Vec<_> = FIELDS.iter().enumerate().filter_map(field).collect();
        let _ = writeln!(text, "{}", fields.join(" "));
    }
    for reject in &decoded.rejects {
        let _ = writeln!(text, "{}: {}", reject.reason.code(), reject.detail);
    }
    text
}

pub fn fixture(name: &str) -> std::path::PathBuf {
    root(&format!("tests/integration/fixtures/messages/{name}"))
}

#[test]
fn messages_of_banks_are_events() {
    for (message, map) in [
        ("pain.001.001.03.xml", "iso20022-pain.001"),
        ("pacs.008.001.08.xml", "iso20022-pacs.008"),
        ("pacs.004.001.09.xml", "iso20022-pacs.004"),
        ("camt.054.001.08.xml", "iso20022-camt.054"),
        ("voucher.gbk.xml", "voucher"),
    ] {
        insta::assert_snapshot!(message, told(&read(&fixture(message), map).unwrap()));
    }
}

#[test]
fn versions_of_a_message_mean_the_same() {
    let contents = |message: &str, map: &str| read(&fixture(message), map).unwrap().contents;
    let first = contents("pain.001.001.03.xml", "iso20022-pain.001");
    let ninth = contents("pain.001.001.09.xml", "iso20022-pain.001");
    assert_eq!((first.len(), ninth.len()), (1, 2), "one amount of the older message has three decimals");
    assert_eq!(first[0], ninth[0]);
    let settled = |message: &str| contents(message, "iso20022-pacs.008");
    assert_eq!(settled("pacs.008.001.02.xml"), settled("pacs.008.001.08.xml"));
    let confirmed = |message: &str| contents(message, "iso20022-camt.054");
    assert_eq!(confirmed("camt.054.001.02.xml"), confirmed("camt.054.001.08.xml"));
}

#[test]
fn what_a_bank_has_not_booked_is_no_confirmation_and_no_amount_is_of_another_currency() {
    let folder = tempfile::tempdir().unwrap();
    let changed = |message: &str, map: &str, changes: &[(&str, &str)]| {
        let mut text = std::fs::read_to_string(fixture(message)).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        let path = folder.path().join(message);
        std::fs::write(&path, text).unwrap();
        let decoded = read(&path, map).unwrap();
        (decoded.types.len(), decoded.rejects.iter().map(|reject| reject.reason.code()).collect::<Vec<_>>())
    };
    for (message, booked) in
        [("camt.054.001.02.xml", "<Sts>BOOK</Sts>"), ("camt.054.001.08.xml", "<Cd>BOOK</Cd>")]
    {
        let camt = |changes: &[(&str, &str)]| changed(message, "iso20022-camt.054", changes);
        let as_it_is = camt(&[]);
        assert_eq!(as_it_is.0, 1, "{message}: {as_it_is:?}");
        assert_eq!(camt(&[(booked, &booked.replace("BOOK", "PDNG"))]), (0, vec![]), "{message}");
        let of_a_credit = [("</CdtDbtInd><Sts>", "</CdtDbtInd><RvslInd>true</RvslInd><Sts>")];
        assert_eq!(camt(&of_a_credit), (0, vec![]), "{message}");
        assert_eq!(camt(&[("Ccy=\"CNY\"", "Ccy=\"USD\"")]).1.first(), Some(&"currency"), "{message}");
    }
    let returned = changed("pacs.004.001.09.xml", "iso20022-pacs.004", &[("Ccy=\"CNY\"", "Ccy=\"USD\"")]);
    assert_eq!(returned, (0, vec!["currency"]));
}

/// One payment of a made up day.
struct Payment {
    number: usize,
    cents: i64,
    payee: &'static str,
}

fn day() -> Vec<Payment> {
    let payees = ["丰华建材有限公司", "宏远商贸公司", "清源市第一中学（本部）", "Acme & Co <Ltd>"];
    let payment = |number: usize| Payment {
        number,
        cents: i64::try_from(number * number * 7919 + 1).unwrap() % 9_999_999_999,
        payee: payees[number % payees.len()],
    };
    (1..=60).map(payment).collect()
}

impl Payment {
    fn amount(&self) -> String {
        format!("{}.{:02}", self.cents / 100, self.cents % 100)
    }

    fn event(&self) -> Value {
        json!({
            "event_id": format!("{:06}-1", self.number), "type": "payment", "occurred_at": "2026-03-05",
            "budget_line_id": format!("L{}", self.number % 5), "fiscal_year": 2026, "region_code": "330100000", "unit_code": "101001",
            "unit_name": "清源市教育局", "function_code": "2050201", "economic_code": "30201", "payment_mode": "direct",
            "settlement": "transfer", "payer_account": "33010000000000001", "payee_name": self.payee,
            "payee_account": "6222021234567890123", "payee_type": "entity", "amount": self.amount(), "purpose": "办公用品",
        })
    }

    /// The same as a table of a database has it.
    fn stored(&self) -> Value {
        json!({
            "pay_cert_no": format!("{:06}-1", self.number), "xpay_date": "2026-03-05", "bgt_id": format!("L{}", self.number % 5),
            "fiscal_year": "2026", "mof_div_code": "330100000", "agency_code": "101001", "agency_name": "清源市教育局",
            "exp_func_code": "2050201", "dep_bgt_eco_code": "30201", "pay_type_code": "11", "set_mode_code": "2",
            "pay_acct_no": "33010000000000001", "payee_acct_name": self.payee, "payee_acct_no": "6222021234567890123",
            "pay_amt": self.amount(), "use_des": "办公用品", "is_deleted": "2", "seq": self.number.to_string(),
        })
    }

    /// The same by the headers of an export.
    fn row(&self) -> [(&'static str, String); 15] {
        [
            ("支付凭证号", format!("{:06}-1", self.number)),
            ("支付日期", "20260305".to_owned()),
            ("指标编号", format!("L{}", self.number % 5)),
            ("预算年度", "2026".to_owned()),
            ("财政区划代码", "330100000".to_owned()),
            ("预算单位编码", "101001".to_owned()),
            ("预算单位名称", "清源市教育局".to_owned()),
            ("支出功能分类编码", "2050201".to_owned()),
            ("部门经济分类编码", "30201".to_owned()),
            ("付款人账号", "33010000000000001".to_owned()),
            ("收款人全称", self.payee.to_owned()),
            ("收款人账号", "6222021234567890123".to_owned()),
            ("支付金额", self.amount()),
            ("用途", "办公用品".to_owned()),
            ("结算方式", "转账".to_owned()),
        ]
    }

    fn voucher(&self) -> String {
        let payee = self.payee.replace('&', "&amp;").replace('<', "&lt;");
        format!(
            "<Voucher><StYear>2026</StYear><VtDate>20260305</VtDate><PayVoucherNo>{:06}</PayVoucherNo><AgencyCode>101001</AgencyCode>\
             <AgencyName>清源市教育局</AgencyName><PayTypeCode>11</PayTypeCode><SetModeCode>2</SetModeCode>\
             <PayAcctNo>33010000000000001</PayAcctNo><DetailList><Detail><Id>1</Id><BgtId>L{}</BgtId><ExpFuncCode>2050201</ExpFuncCode>\
             <ExpEcoCode>30201</ExpEcoCode><PayeeAcctName>{payee}</PayeeAcctName><PayeeAcctNo>6222021234567890123</PayeeAcctNo>\
             <PayAmt>{}</PayAmt><UseOfFunds>办公用品</UseOfFunds></Detail></DetailList></Voucher>\n",
            self.number,
            self.number % 5,
            self.amount()
        )
    }
}

/// The day as a workbook: numbers as numbers, days as days, text as text.
fn sheet(day: &[Payment]) -> Vec<u8> {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    let date = Style::new().set_num_format("yyyy-mm-dd");
    sheet.merge_range(0, 0, 0, 14, "支付明细表", &Style::new()).unwrap();
    for (column, (name, _)) in (0..).zip(day[0].row()) {
        sheet.write(1, column, name).unwrap();
    }
    for (row, payment) in (2..).zip(day) {
        for (column, (name, text)) in (0..).zip(payment.row()) {
            match name {
                "支付金额" => sheet.write(row, column, text.parse::<f64>().unwrap()).unwrap(),
                "支付日期" => sheet.write_with_format(row, column, 46086, &date).unwrap(),
                _ => sheet.write(row, column, text).unwrap(),
            };
        }
    }
    workbook.save_to_buffer().unwrap()
}

fn csv(day: &[Payment]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(day[0].row().map(|(name, _)| name)).unwrap();
    day.iter().for_each(|payment| writer.write_record(payment.row().map(|(_, text)| text)).unwrap());
    GB18030.encode(&String::from_utf8(writer.into_inner().unwrap()).unwrap()).0.into_owned()
}

fn vouchers(day: &[Payment]) -> Vec<u8> {
    let vouchers: String = day.iter().map(Payment::voucher).collect();
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"GBK\"?><MOF><VoucherBody AdmDivCode=\"330100000\">{vouchers}</VoucherBody></MOF>"
    );
    GBK.encode(&text).0.into_owned()
}

#[test]
fn a_day_is_the_same_in_every_format() {
    let day = day();
    let events: Vec<Value> = day.iter().map(Payment::event).collect();
    let expected = Bench::new(&lines(&events), "").backtest(&[]);
    let bench = Bench::new("", "");
    let maps = root("config/maps");
    for (name, bytes, map) in [
        ("day.csv", csv(&day), "payments-zh.yaml"),
        ("day.xlsx", sheet(&day), "payments-zh.yaml"),
        ("day.xml", vouchers(&day), "voucher.yaml"),
    ] {
        std::fs::write(bench.path().join(name), bytes).unwrap();
        let map = maps.join(map).display().to_string();
        let args = ["backtest", "--events", name, "--map", &map, "--findings", "f", "--ledger", "l"];
        let (code, _, err) = run(bench.path(), &args);
        assert_eq!(code, Some(0), "{name}: {err}");
        let found = (
            crate::support::file_lines(&bench.path().join("f")),
            crate::support::file_lines(&bench.path().join("l")),
        );
        crate::support::assert_same(&found, &expected, name);
    }
    of_databases(&day, &expected);
}

/// The day from a table and from its change events, where there are servers.
fn of_databases(day: &[Payment], expected: &(Vec<String>, Vec<String>)) {
    let map = format!("map: {},", root("config/maps/debezium.yaml").display());
    let mapped = |config: String| config.replace("name: core,", &format!("name: core, {map}"));
    let read = |bench: &Bench, what: &str| {
        let (code, _, err) = run(bench.path(), &["run", "--once", "--config", "fiscwatch.yaml"]);
        assert_eq!(code, Some(0), "{what}: {err}");
        crate::support::assert_same(&bench.state(), expected, what);
    };
    if let Some(server) = postgres::server::shared() {
        let rows = day.iter().map(Payment::stored).collect::<Vec<_>>();
        postgres::schema(server, "day");
        let columns: Vec<_> =
            rows[0].as_object().unwrap().keys().map(|name| format!("{name} text")).collect();
        let columns = columns.join(", ").replace("pay_amt text", "pay_amt numeric(18, 2)");
        server.sql(&format!("CREATE TABLE day.voucher ({})", columns.replace("seq text", "seq bigint")));
        postgres::reading::insert(server, "day.voucher", &rows);
        let config = postgres::config(server, "table: day.voucher, cursor: seq, key: [pay_cert_no]", "");
        read(&postgres::bench("", &mapped(config)), "the table");
    }
    let Some(broker) = broker::shared() else { return };
    broker.create("day", 1, &[]);
    let changes = day
        .iter()
        .zip(1..)
        .map(|(payment, lsn)| Some(debezium::change("c", &Value::Null, &payment.stored(), lsn).to_string()));
    debezium::send(broker, "day", changes);
    let upsert = "name: core, mode: upsert, upsert: { key: [pay_cert_no] },";
    let config = debezium::config(broker, "day").replace("name: core,", upsert);
    read(&Bench::new("", &mapped(config)), "its change events");
}

#[test]
fn workbooks_are_dropped_and_posted() {
    let day = day();
    let (first, second) = day.split_at(30);
    let config = format!(
        "sources:\n  - name: sheets\n    directory: {{ path: drop, settle: 0s, format: excel }}\n    map: {}\n  - name: vouchers\n    directory: {{ path: other, settle: 0s }}\n    map: {}\n",
        root("config/maps/payments-zh.yaml").display(),
        root("config/maps/voucher.yaml").display()
    );
    let bench = Bench::new("", &config);
    for (folder, file, bytes) in [("drop", "a.xlsx", sheet(first)), ("other", "a.xml", vouchers(first))] {
        std::fs::create_dir(bench.path().join(folder)).unwrap();
        std::fs::write(bench.path().join(folder).join(file), bytes).unwrap();
    }
    let (code, _, err) = run(bench.path(), &["run", "--config", "fiscwatch.yaml", "--once"]);
    assert_eq!(code, Some(0), "{err}");
    let daemon = Daemon::start(bench.path());
    let count = |answer: &str, name: &str| serde_json::from_str::<Value>(answer).unwrap()[name].as_u64();
    let (status, answer) = daemon.post_bytes("/api/v1/events?as=vouchers", &vouchers(second));
    assert_eq!((status, count(&answer, "accepted")), (200, Some(30)), "{answer}");
    let (status, answer) = daemon.post_bytes("/api/v1/events?as=vouchers", &vouchers(&day));
    assert_eq!((status, count(&answer, "duplicates")), (200, Some(60)), "{answer}");
    let (status, answer) = daemon.post_bytes("/api/v1/events?as=vouchers", b"<MOF><!DOCTYPE x></MOF>");
    assert!(status == 400 && answer.contains("document type"), "{answer}");
    assert_eq!(daemon.stop("-TERM"), Some(0));
}

#[test]
fn each_bad_cell_is_one_clear_line() {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet();
    sheet.set_name("三月").unwrap();
    let header = day()[0].row();
    let column =
        |name: &str| u16::try_from(header.iter().position(|(known, _)| *known == name).unwrap()).unwrap();
    for row in 0..6 {
        for (at, (name, text)) in (0..).zip(day()[row].row()) {
            let text = if row == 0 { name.to_owned() } else { text };
            sheet.write(u32::try_from(row).unwrap(), at, text).unwrap();
        }
    }
    sheet.write(1, column("收款人账号"), 6_222_021_234_567_890_123_f64).unwrap();
    sheet.write(2, column("支付金额"), 0.1 + 0.2).unwrap();
    sheet.write(3, column("支付金额"), "1.23E+05").unwrap();
    sheet.merge_range(4, column("支付金额"), 5, column("支付金额"), "7", &Style::new()).unwrap();
    sheet.write(6, 0, "合计").unwrap();
    sheet.write(6, column("支付金额"), 99.5).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("三月.xlsx");
    std::fs::write(&path, workbook.save_to_buffer().unwrap()).unwrap();
    let decoded = read(&path, "payments-zh").unwrap();
    assert_eq!((decoded.types.len(), decoded.skipped[0]), (1, 1));
    insta::assert_snapshot!(told(&decoded));

    // A column that is called otherwise, and a file that is none.
    let refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        read(&path, "payments-zh").unwrap_err().replace(&path.display().to_string(), "三月.xlsx")
    };
    let mut other = Workbook::new();
    let sheet = other.add_worksheet();
    for (at, (name, _)) in (0..).zip(&header) {
        sheet.write(0, at, name.replace("收款人账号", "收款人号")).unwrap();
        sheet.write(1, at, "x").unwrap();
    }
    let told = [refused(&other.save_to_buffer().unwrap()), refused(b"<html><table>"), refused(b"a,b\n")];
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn spending_of_councils_is_read() {
    let text = "Organisation Name: Clearwater Council\nBody Name,Payment Date,Transaction Number,Amount,Supplier Name,Supplier ID,Expense Type\n\
                Children's Services,05/03/2026,5100001,\"1,234.50\",Fenghua Ltd,V001,Supplies\n\
                Highways,06/03/2026,5100002,(500.00),Hongyuan plc,V002,Works\n";
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "spend.csv", text.split_once('\n').unwrap().1);
    insta::assert_snapshot!(told(&read(&dir.path().join("spend.csv"), "uk-council-spending").unwrap()));
}
