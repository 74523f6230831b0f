use super::*;

fn rows(text: &[u8]) -> String {
    check_text(text, RecordSyntax::Rows).err().unwrap_or_default()
}

fn records(text: &[u8]) -> String {
    check_text(text, RecordSyntax::Lines).err().unwrap_or_default()
}

/// A text in another encoding.
fn encoded(encoding: &'static encoding_rs::Encoding, text: &str) -> Vec<u8> {
    encoding.encode(text).0.into_owned()
}

#[test]
fn an_encoding_is_told_by_all_lines_and_shown_with_one() {
    let text = "event_id,payee_name\n1,Acme\n2,杭州电力\n3,Acme\n4,宁波水务\n";
    assert_eq!(rows(text.as_bytes()), "");
    let gbk = rows(&encoded(encoding_rs::GB18030, text));
    assert!(gbk.contains("it is in GBK (GB18030) and not in UTF-8; line 3 reads `2,杭州电力`"), "{gbk}");
    let latin = rows(&encoded(encoding_rs::WINDOWS_1252, "event_id,payee_name\n1,Café Müller\n2,Acme\n"));
    assert!(
        latin.contains("Windows-1252 (Latin-1)") && latin.contains("line 2 reads `1,Café Müller`"),
        "{latin}"
    );
    let wide: Vec<u8> = "event_id,type\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [b"\xFF\xFE", &wide[..]].concat();
    for text in [&wide, &marked] {
        let told = rows(text);
        assert!(told.contains("UTF-16") && told.contains("line 1 reads `event_id,type`"), "{told}");
    }
}

#[test]
fn a_damaged_line_of_a_text_in_utf8_is_that_line_s_fault() {
    assert_eq!(rows(b"event_id,payee_name\n1,\xE6\x9D\xAD\n2,\xE6\x9D\n"), "");
    // However far apart they are: a line in UTF-8 after many that are ASCII, and one that is not.
    let mut far = b"a,b\n".repeat(600_000);
    far.extend_from_slice(b"x,\xBA\xBC\xD6\xDD\n");
    assert!(rows(&far).contains("line 600001"), "{}", rows(&far));
    far.extend_from_slice("x,杭\n".as_bytes());
    assert_eq!(rows(&far), "");
}

#[test]
fn files_of_another_kind_are_named() {
    for (start, kind) in [
        (&b"PK\x03\x04..."[..], "an Excel workbook or a ZIP archive"),
        (b"\x1f\x8b\x08....", "compressed with gzip"),
        (b"PAR1....", "a Parquet file"),
        (b"<?xml version='1.0'?>", "an XML or HTML document"),
    ] {
        assert!(records(start).contains(kind) && rows(start).contains(kind), "{}", records(start));
    }
}

#[test]
fn envelopes_are_named_if_every_record_is_in_one() {
    for (record, name) in [
        (&b"\0\0\0\0\x2a{\"event_id\":\"1\"}"[..], "schema id 42"),
        (br#"{"before":null,"after":{"id":1},"op":"c"}"#, "Debezium's envelope"),
        (br#"{"schema":{},"payload":{"before":null,"after":{"id":1},"op":"c"}}"#, "Debezium's envelope"),
        (br#"{"schema":{"type":"struct"},"payload":{"event_id":"1"}}"#, "Kafka Connect"),
        (br#"[{"event_id":"1"}]"#, "a JSON array"),
        (br#""{\"event_id\":\"1\"}""#, "JSON inside a JSON text"),
    ] {
        let told = records(&[record, b"\n", record].concat());
        assert!(told.starts_with("line 1 is ") && told.contains(name), "{told}");
        // One among others is that record's fault.
        assert_eq!(records(&[record, b"\n{\"event_id\":\"1\"}\n"].concat()), "");
    }
    assert_eq!(records(b"{\"event_id\":\"1\",\"payload\":{},\"schema\":1}\n"), "");
    assert!(records(b"event_id,type,occurred_at\n1,payment,2026-01-01\n").contains("that is CSV"));
}

#[test]
fn a_first_line_that_is_no_header_is_shown_with_what_to_do() {
    let told = |line: &str, below: &[&str]| read_header(line, below).err().unwrap_or_default();
    assert_eq!(told("\u{feff}event_id , type,occurred_at,amount\r", &[]), "");
    let wanted = "its first line must name the columns, event_id, type, occurred_at among them, and is `";
    for (line, below, hint) in [
        ("event_id;type;occurred_at", &[][..], "separated by ;"),
        ("event_id\ttype\toccurred_at", &[], "separated by TAB"),
        ("EVENT_ID,Type,OCCURRED_AT", &[], "small letters"),
        ("支付明细", &["", "event_id,type,occurred_at"], "Line 3 names them"),
        ("sep=,", &["event_id,type,occurred_at"], "for Excel only"),
        ("支付凭证号,支付日期", &[], "docs/events.md"),
    ] {
        let told = told(line, below);
        let shown = line.replace('\t', "⇥");
        assert!(told.starts_with(&format!("{wanted}{shown}`")) && told.contains(hint), "{told}");
    }
    assert!(told("event_id,amount", &[]).contains("columns, type, occurred_at among them"));
    assert!(told("event_id,type,occurred_at,amount,amount", &[]).contains("\"amount\" appears twice"));
}
