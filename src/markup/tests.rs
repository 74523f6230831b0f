use serde_json::{Value, json};

use super::*;

fn rows(text: &str, path: &str) -> Result<(DocumentSummary, Vec<Value>), String> {
    let mut out = Vec::new();
    let summary = to_lines(text, path, &mut out).map_err(|fault| {
        assert!(out.is_empty(), "a document that is refused leaves nothing");
        fault.to_string()
    })?;
    let lines = std::str::from_utf8(&out).unwrap().lines();
    Ok((summary, lines.map(|line| serde_json::from_str(line).unwrap()).collect()))
}

const VOUCHERS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<MOF>
  <VoucherHead><Unit>330100</Unit></VoucherHead>
  <VoucherBody AdmDivCode="330100000">
    <Voucher>
      <PayVoucherNo>0001</PayVoucherNo>
      <DetailList>
        <Detail><Id>1</Id><PayAmt>100.00</PayAmt></Detail>
        <Detail><Id>2</Id><PayAmt Ccy="CNY">1 &amp; &#x4e00;</PayAmt></Detail>
      </DetailList>
      <Total>200.00</Total>
    </Voucher>
    <Voucher><PayVoucherNo>0002</PayVoucherNo></Voucher>
  </VoucherBody>
</MOF>"#;

#[test]
fn a_row_has_its_fields_and_what_stands_around_it() {
    let (summary, rows) = rows(VOUCHERS, "VoucherBody/Voucher/DetailList/Detail").unwrap();
    assert_eq!(summary, DocumentSummary { rows: 3, incomplete: 1 });
    assert_eq!(
        rows[1],
        json!({
            "Id": "2", "PayAmt@Ccy": "CNY", "PayAmt": "1 & 一",
            // What follows the row is there too.
            "Voucher": { "PayVoucherNo": "0001", "Total": "200.00" },
            "VoucherBody": { "@AdmDivCode": "330100000" },
            "MOF": { "VoucherHead": { "Unit": "330100" } },
            "$place": "line 9"
        })
    );
    // A voucher without details does not vanish.
    assert_eq!(rows[2]["Voucher"]["PayVoucherNo"], "0002");
    assert_eq!(rows[2]["$place"], "line 13");
}

#[test]
fn what_comes_several_times_stays() {
    let text = "<r><x><t>a</t><t>b</t><o><i>1</i></o><o><i>2</i></o><m>one<n/>two</m><e/></x></r>";
    let (_, rows) = rows(text, "r/x").unwrap();
    let fields = json!({
        "t": "a; b", "o": {"i": "1"}, "o[2]": {"i": "2"}, "m": {"n": "", "$text": "onetwo"}, "e": "", "$place": "line 1"
    });
    assert_eq!(rows[0], fields);
}

#[test]
fn namespaces_and_envelopes_do_not_matter() {
    let text = r#"<e:Envelope xmlns:e="urn:e"><e:Head>h</e:Head><d:Document xmlns:d="urn:d"><d:Tx><d:Id>1</d:Id></d:Tx></d:Document></e:Envelope>"#;
    let (_, rows) = rows(text, "Document/Tx").unwrap();
    assert_eq!(rows[0], json!({"Id": "1", "Envelope": {"Head": "h"}, "$place": "line 1"}));
}

#[test]
fn documents_that_are_refused() {
    let deep = format!("{}{}", "<a>".repeat(100), "</a>".repeat(100));
    let attributes = " a='1'".repeat(100);
    let long = format!("<a>{}</a>", "x".repeat(5 << 20));
    let around = format!("<r><h>{}</h><x/></r>", "h".repeat(300 << 10));
    let cases = [
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><a/>".to_owned(), "a document type"),
        ("<r><x>&bomb;</x></r>".to_owned(), "the entity &bomb;"),
        ("<r>\n<x>1</y></r>".to_owned(), "line 2: <x> is closed by </y>"),
        ("<r><x>1</x>".to_owned(), "breaks off"),
        ("<r><x>1</x></r>\nand more".to_owned(), "text before or behind the document's element"),
        ("x<r><x>1</x></r>".to_owned(), "text before or behind the document's element"),
        ("<r><x>1</x></r>&amp;".to_owned(), "text before or behind the document's element"),
        ("<r><x a=1>1</x></r>".to_owned(), "an attribute that is none"),
        ("<r><x>&#0;</x></r>".to_owned(), "no character has"),
        (deep, "more than 64 elements"),
        (format!("<r><x{attributes}/></r>"), "more than 64 attributes"),
        (long, "too long"),
        (around, "256 KiB"),
        (
            "<r><z><a/></z><z/></r>".to_owned(),
            "it has no element r/x, which the map's `rows` names. It has: r (1), r/z (2)",
        ),
        (String::new(), "it has no element r/x"),
    ];
    for (text, told) in cases {
        let fault = rows(&text, "r/x").unwrap_err();
        assert!(fault.contains(told), "{fault}");
    }
}

#[test]
fn encodings_are_named_by_the_document() {
    let text = "<?xml version=\"1.0\" encoding=\"GBK\"?><r>付款</r>";
    let (gbk, _, _) = encoding_rs::GBK.encode(text);
    assert_eq!(decode(&gbk, None).unwrap(), text);
    let wide = |mark: &[u8], encode: fn(u16) -> [u8; 2]| {
        mark.iter().copied().chain(text.encode_utf16().flat_map(encode)).collect::<Vec<u8>>()
    };
    for bytes in
        [wide(&[0xFF, 0xFE], u16::to_le_bytes), wide(&[], u16::to_le_bytes), wide(&[], u16::to_be_bytes)]
    {
        assert_eq!(decode(&bytes, None).unwrap(), text);
    }
    // A program that says UTF-16 and writes UTF-8.
    let said = "<?xml version='1.0' encoding='utf-16'?><r>付款</r>";
    assert_eq!(decode(said.as_bytes(), None).unwrap(), said);
    // The configuration's word holds over the document's, not over a mark.
    let wrong = text.replace("GBK", "UTF-8");
    let (gbk, _, _) = encoding_rs::GBK.encode(&wrong);
    assert_eq!(decode(&gbk, Some("gb18030")).unwrap(), wrong);
    let told = decode(&gbk, None).unwrap_err().to_string();
    assert!(told.contains("not in UTF-8") && told.contains("line 1"), "{told}");
    let unknown = b"<?xml version='1.0' encoding='nonsense'?><r/>";
    assert!(decode(unknown, None).unwrap_err().to_string().contains("\"nonsense\""));
}

#[test]
fn kinds_of_elements_are_counted() {
    let kinds = elements(VOUCHERS).unwrap();
    let detail = kinds.iter().find(|kind| kind.path.ends_with("/Detail")).unwrap();
    assert_eq!((detail.count, detail.children), (2, 4));
}
