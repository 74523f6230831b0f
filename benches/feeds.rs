//! What a map costs: the same payments as plain CSV, and as an export with Chinese headers, in UTF-8 and in GB18030. The
//! aim is at least half the throughput of plain CSV.

use std::{hint::black_box, io::Read, sync::Arc};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use encoding_rs::GB18030;
use fiscwatch::{
    decode::{Decoder, Reading},
    event::time::Calendar,
    map::{Map, MapShape, utf8_reader},
    stream::{Block, Dialect, Payload},
};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROWS: usize = 4096;

const MAP: &str = "
columns: { 支付日期: occurred_at, 指标编号: budget_line_id, 年度: fiscal_year, 区划: region_code, 单位: unit_code, 功能: function_code,
  经济: economic_code, 收款人: payee_name, 账号: payee_account, 方式: settlement, 金额: amount, 用途: purpose }
id: [凭证号, 明细]
constants: { type: payment, payment_mode: direct, payee_type: entity }
values: { 方式: { 1: transfer, 2: cash } }
dates: ['%Y%m%d']
money: { thousands: ',' }
when: 状态 = '已支付'
";

fn texts() -> (String, String, String, String) {
    let plain_header = "event_id,type,occurred_at,budget_line_id,fiscal_year,region_code,unit_code,function_code,economic_code,payee_name,payee_account,settlement,amount,purpose,payment_mode,payee_type";
    let header = "凭证号,明细,状态,支付日期,指标编号,年度,区划,单位,功能,经济,收款人,账号,方式,金额,用途";
    let (mut plain, mut mapped) = (String::new(), String::new());
    for n in 0..ROWS {
        let common = format!(
            "ZB2026-{},2026,330100000,101001,2050201,30201,丰华建材有限责任公司,6222021234567890{n:03}",
            n % 97
        );
        let day = n % 28 + 1;
        plain += &format!(
            "PZ2026{n:06}-1,payment,2026-03-{day:02},{common},transfer,{n}.50,办公用品采购,direct,entity\n"
        );
        mapped += &format!(
            "PZ2026{n:06},1,已支付,202603{day:02},{common},1,\"1,{:03}.50\",办公用品采购\n",
            n % 1000
        );
    }
    (plain_header.to_owned(), plain, header.to_owned(), mapped)
}

fn block(header: &str, rows: &Bytes) -> Vec<Block> {
    let dialect = Dialect::default();
    let payload = Payload::Csv { header: dialect.cells(header).into(), rows: rows.clone(), dialect };
    vec![Block::new("bench".into(), "bench".into(), 0, payload)]
}

fn feeds(c: &mut Criterion) {
    let calendar = Arc::new(Calendar::new("Asia/Shanghai", 1, 1).expect("a calendar"));
    let shape: MapShape = serde_saphyr::from_str(MAP).expect("a map");
    let map = Arc::new(Map::compile(&shape).expect("a map"));
    let plain = Decoder::new(Arc::clone(&calendar));
    let mapped = Decoder::new(calendar).reading(Reading::default().mapped(Arc::clone(&map)));
    let (plain_header, plain_rows, header, rows) = texts();
    let gbk = GB18030.encode(&rows).0.into_owned();
    let (plain_rows, rows) = (Bytes::from(plain_rows), Bytes::from(rows));
    let all =
        |decoder: &Decoder, blocks: &[Block]| assert_eq!(decoder.decode(blocks, None).types.len(), ROWS);
    let mut group = c.benchmark_group("feeds");
    group.sample_size(20).throughput(Throughput::Elements(ROWS as u64));
    let blocks = block(&plain_header, &plain_rows);
    group.bench_function("plain CSV", |b| b.iter(|| all(&plain, &blocks)));
    let blocks = block(&header, &rows);
    group.bench_function("mapped CSV", |b| b.iter(|| all(&mapped, &blocks)));
    group.bench_function("mapped CSV in GB18030", |b| {
        b.iter(|| {
            let mut text = Vec::with_capacity(gbk.len() * 3 / 2);
            let bytes = std::io::Cursor::new(gbk.clone());
            utf8_reader(Box::new(bytes), map.charset, Some(GB18030)).read_to_end(&mut text).expect("text");
            all(&mapped, black_box(&block(&header, &Bytes::from(text))));
        });
    });
    group.finish();
}

criterion_group!(benches, feeds);
criterion_main!(benches);
