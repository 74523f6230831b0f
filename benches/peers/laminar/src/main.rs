//! Windows over payments by `LaminarDB`: `laminar-peer PAYMENTS.csv KIND LEAST`, where each line of the file is a payment in the
//! order of time (milliseconds, region, unit, account, cents). Every window that is found is a line `key TAB start TAB count
//! TAB cents`; the error stream has the time from the first payment that is pushed to the last window that is received.

use std::{
    error::Error,
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use arrow::{
    array::{
        ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
        TimestampMillisecondArray,
    },
    datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType},
};
use laminar_db::{FromBatch, LaminarDB, TypedSubscriptionFrame};

/// As many as fiscwatch takes at once.
const ROWS: usize = 4096;
/// It hands windows that close on in a batch each, and gives up where that are more than 256.
const WINDOWS_AT_ONCE: usize = 10_000_000;
/// A payment that comes after all others, so that their windows close. It must not be later than today: then none would.
const END: (i64, &str) = (30 * 86_400_000, "~end");
const SOURCE: &str =
    "CREATE SOURCE payments (region VARCHAR NOT NULL, unit VARCHAR NOT NULL, account VARCHAR NOT NULL,
    cents BIGINT NOT NULL, ts TIMESTAMP NOT NULL, WATERMARK FOR ts AS ts - INTERVAL '1' MILLISECOND)";

struct Payment {
    at: i64,
    region: String,
    unit: String,
    account: String,
    cents: i64,
}

/// One window: its key, when it begins in milliseconds, how many payments, and their cents.
struct Window(String, i64, i64, i64);

impl FromBatch for Window {
    fn from_batch(batch: &RecordBatch, row: usize) -> Self {
        Self::from_batch_all(&batch.slice(row, 1)).remove(0)
    }

    fn from_batch_all(batch: &RecordBatch) -> Vec<Self> {
        let column = |name: &str| batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
        let starts = milliseconds(column("bucket"));
        let (counts, sums) =
            (column("n").as_primitive::<Int64Type>(), column("total").as_primitive::<Int64Type>());
        let keys: Vec<_> =
            ["region", "unit", "account"].iter().filter_map(|name| batch.column_by_name(name)).collect();
        let key =
            |row| keys.iter().map(|key| key.as_string::<i32>().value(row)).collect::<Vec<_>>().join("/");
        (0..batch.num_rows())
            .map(|row| Self(key(row), starts[row], counts.value(row), sums.value(row)))
            .collect()
    }
}

fn milliseconds(times: &ArrayRef) -> Vec<i64> {
    match times.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            times.as_primitive::<TimestampMicrosecondType>().values().iter().map(|at| at / 1000).collect()
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            times.as_primitive::<TimestampMillisecondType>().values().to_vec()
        }
        other => panic!("a window begins at a {other}"),
    }
}

/// The windows, and those of them that are found.
fn queries(kind: &str, least: &str) -> Result<[String; 2], String> {
    let (keys, window, found) = match kind {
        "tumble" => ("unit, account", "TUMBLE(ts, INTERVAL '1' DAY)", "total > 1000000"),
        "hops" => ("region", "HOP(ts, INTERVAL '1' MINUTE, INTERVAL '1' HOUR)", "total > 0"),
        other => return Err(format!("there is no {other}: tumble, hops")),
    };
    let windows = format!(
        "CREATE STREAM windows AS SELECT {keys}, {window} AS bucket, COUNT(*) AS n, SUM(cents) AS total
         FROM payments GROUP BY {keys}, {window} EMIT ON WINDOW CLOSE"
    );
    let found = format!(
        "CREATE STREAM found AS SELECT {keys}, bucket, n, total FROM windows WHERE n >= {least} AND {found}
         WITH ('retain_history' = '128mb')"
    );
    Ok([windows, found])
}

fn read(path: &str) -> Result<Vec<Payment>, Box<dyn Error>> {
    let mut payments = Vec::new();
    for line in std::fs::read_to_string(path)?.lines() {
        let [at, region, unit, account, cents] = line.split(',').collect::<Vec<_>>()[..] else {
            return Err(format!("not five columns: {line}").into());
        };
        let (at, cents) = (at.parse()?, cents.parse()?);
        payments.push(Payment {
            at,
            region: region.into(),
            unit: unit.into(),
            account: account.into(),
            cents,
        });
    }
    let last = payments.last().ok_or("no payments")?.at;
    payments.push(Payment {
        at: last + END.0,
        region: END.1.into(),
        unit: END.1.into(),
        account: END.1.into(),
        cents: 0,
    });
    Ok(payments)
}

fn batch(payments: &[Payment], schema: &arrow::datatypes::SchemaRef) -> Result<RecordBatch, Box<dyn Error>> {
    let text = |of: fn(&Payment) -> &str| -> ArrayRef {
        Arc::new(payments.iter().map(|p| Some(of(p))).collect::<StringArray>())
    };
    let at = payments.iter().map(|p| p.at);
    let at: ArrayRef = match schema.field_with_name("ts")?.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Arc::new(TimestampMillisecondArray::from_iter_values(at))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Arc::new(TimestampMicrosecondArray::from_iter_values(at.map(|at| at * 1000)))
        }
        other => return Err(format!("a TIMESTAMP is a {other}").into()),
    };
    let cents: ArrayRef = Arc::new(payments.iter().map(|p| p.cents).collect::<Int64Array>());
    let columns = vec![text(|p| &p.region), text(|p| &p.unit), text(|p| &p.account), cents, at];
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let [_, path, kind, least] = &std::env::args().collect::<Vec<_>>()[..] else {
        return Err("laminar-peer PAYMENTS.csv tumble|hops LEAST".into());
    };
    let db = LaminarDB::builder().pipeline_max_input_buf_batches(WINDOWS_AT_ONCE).build().await?;
    db.execute(SOURCE).await?;
    for query in queries(kind, least)? {
        db.execute(&query).await?;
    }
    let payments = read(path)?;
    let source = db.source_untyped("payments")?;
    let batches =
        payments.chunks(ROWS).map(|some| batch(some, source.schema())).collect::<Result<Vec<_>, _>>()?;
    db.start().await?;
    let mut windows = db.subscribe::<Window>("found").await?;

    let began = Instant::now();
    let pushing = tokio::task::spawn_blocking(move || -> Result<(), String> {
        for batch in batches {
            while let Err(full) = source.push_arrow(batch.clone()) {
                if !matches!(full, laminar_core::streaming::StreamingError::ChannelFull) {
                    return Err(full.to_string());
                }
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        Ok(())
    });
    let (mut found, mut last) = (Vec::new(), began);
    // Nobody tells that the last window has come: it has when nothing more comes for long after all is pushed. Those of an hour
    // come after more than ten seconds.
    loop {
        let patience = Duration::from_secs(if kind == "hops" { 60 } else { 10 });
        match tokio::time::timeout(patience, windows.next_frame()).await {
            Ok(Ok(Some(TypedSubscriptionFrame::Rows { rows, .. }))) => {
                found.extend(rows);
                last = Instant::now();
            }
            Ok(Ok(Some(_))) => {}
            Ok(other) => return Err(format!("the subscription ended: {:?}", other.err()).into()),
            Err(_) if pushing.is_finished() => break,
            Err(_) => {}
        }
    }
    pushing.await??;
    eprintln!("{:.3}", (last - began).as_secs_f64());
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for Window(key, start, count, cents) in found.iter().filter(|window| !window.0.contains(END.1)) {
        writeln!(out, "{key}\t{start}\t{count}\t{cents}")?;
    }
    Ok(())
}
