//! Exports that a map makes events of: any encoding, rows that come again, totals and headers in between.

use std::{io::Read, path::Path, sync::Arc};

use encoding_rs::{BIG5, Encoding, GB18030, UTF_16BE, UTF_16LE, WINDOWS_1252};
use fiscwatch::{
    decode::{Decoder, Reading},
    map::{Charset, Map, MapShape, UpsertShape, Versioned, utf8_reader},
    source::{Chunks, Format},
};

use rand::RngExt;

use super::{fuzz, json::outcome, seeds};
use crate::support::{block, calendar};

const MAP: &str = "
columns: { 支付日期: occurred_at, 指标: budget_line_id, 收款人: payee_name, 账号: payee_account, 方式: settlement, 金额: amount, 摘要: purpose }
id: [凭证号, 明细序号]
constants: { type: payment, payment_mode: direct, payee_type: entity, fiscal_year: 2026, region_code: '330100000', unit_code: '101001',
  function_code: '2050201', economic_code: '30201' }
values: { 方式: { 1: transfer, 2: cash, 公务卡: card } }
dates: ['%Y%m%d', '%Y年%m月%d日', '%Y-%m-%d %H:%M:%S']
zone: Asia/Shanghai
money: { thousands: ',', negative: refund }
when: 状态 = '已支付'
";

/// The map, of records that come once or again.
fn map(upsert: bool) -> Arc<Map> {
    let shape: MapShape = serde_saphyr::from_str(MAP).unwrap();
    let key = ["凭证号", "明细序号"].map(String::from).to_vec();
    let versions = UpsertShape { key, version: Some("更新时间".into()), ..UpsertShape::default() };
    let versions = upsert.then_some((&versions, Versioned::Not));
    Arc::new(Map::compile_versions(&shape, versions).unwrap())
}

/// What a file gives: the events, the rejects, the keys and versions of records, the rows that hold none.
type Found = Result<(String, Vec<String>, Vec<String>, u64), String>;

fn read(path: &Path, map: &Arc<Map>, rows: usize) -> Found {
    let zone = jiff::tz::TimeZone::get("Asia/Shanghai").unwrap();
    let reading = Reading::new(Some(zone), map.times.unwrap_or_default(), None).mapped(Arc::clone(map));
    let decoder = Decoder::new(calendar()).reading(reading);
    let format = Format::of(path, None);
    let mut chunks = Chunks::open(path, format, rows, (0, 0), false, Some(map)).map_err(|e| e.to_string())?;
    let mut blocks = Vec::new();
    while let Some(chunk) = chunks.next_chunk().map_err(|e| e.to_string())? {
        blocks.push(block(chunk.payload));
    }
    let decoded = decoder.decode(&blocks, None);
    let (events, rejects) = outcome(&decoded);
    let rejects =
        rejects.iter().map(|(reason, raw)| format!("{} {}", reason.code(), String::from_utf8_lossy(raw)));
    let versions = decoded.versions.iter().flat_map(|versions| &versions.rows);
    let versions = versions.map(|v| format!("{} {:?} {:?}", v.key, v.version, v.stated)).collect();
    Ok((events, rejects.collect(), versions, decoded.skipped.iter().sum()))
}

#[test]
fn mapped_rows_are_all_accounted_for_however_they_are_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("export.csv");
    let maps = [map(false), map(true)];
    fuzz("mapped", 300, &seeds("mapped"), |input, _| {
        std::fs::write(&path, input).unwrap();
        for map in &maps {
            let whole = read(&path, map, 100_000);
            for rows in [1, 3] {
                assert_eq!(read(&path, map, rows), whole, "{rows} rows at a time");
            }
            let Ok((events, rejects, versions, skipped)) = whole else { continue };
            // Pieces of another encoding are no words in a file of wide characters.
            if Encoding::for_bom(input).is_some_and(|(found, _)| !found.is_ascii_compatible()) {
                continue;
            }
            // A row with an id of ours is an event, a version or in quarantine, or is counted as one that is none.
            let text = String::from_utf8_lossy(input);
            let body = text.split_once('\n').map_or("", |(_, body)| body);
            let words = body.split(|c: char| !c.is_ascii_alphanumeric());
            let ids: std::collections::BTreeSet<_> = words.filter(|word| word.starts_with("mapid")).collect();
            let told = |id: &&&str| {
                events.contains(**id) || rejects.iter().chain(&versions).any(|told| told.contains(**id))
            };
            let vanished = ids.iter().filter(|id| !told(id)).count();
            assert!(vanished as u64 <= skipped, "{vanished} of {ids:?}, and {skipped} are skipped");
        }
    });
}

/// Gives a few bytes at a time.
struct Slow(std::io::Cursor<Vec<u8>>, usize);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let most = self.1.min(buffer.len());
        self.0.read(&mut buffer[..most])
    }
}

#[test]
fn a_text_is_what_its_encoding_says_however_it_comes() {
    let encodings: [&'static Encoding; 5] = [GB18030, BIG5, UTF_16LE, UTF_16BE, WINDOWS_1252];
    fuzz("mapped", 200, &seeds("mapped"), |input, rng| {
        let (input, encoding) =
            (&input[..input.len().min(512)], encodings[rng.random_range(0..encodings.len())]);
        let read = |most: usize| {
            let slow = Slow(std::io::Cursor::new(input.to_vec()), most);
            let mut text = Vec::new();
            let charset = Charset::named(encoding.name()).unwrap();
            utf8_reader(Box::new(slow), charset, Some(encoding)).read_to_end(&mut text).unwrap();
            String::from_utf8(text).expect("UTF-8")
        };
        let whole = read(usize::MAX);
        assert_eq!(read(1), whole, "{}", encoding.name());
        assert_eq!(read(7), whole, "{}", encoding.name());
    });
}
