//! LaminarDB's side of laminar.sh: windows over payments that are in memory already, from the first row that is pushed to the
//! last window that has come out.
//! laminar-peer PAYMENTS.csv SQL OUT; a line of the file is `microseconds,unit,cents`, in the order of time. Prints the seconds.

use std::{
    error::Error,
    fs,
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use arrow::{
    array::{Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray},
    compute::cast,
    datatypes::{DataType, TimeUnit},
};
use laminar_db::{
    LaminarDB,
    subscription::{PortalFrame, SubscribeStart, SubscriptionPortal},
};

/// The unit of the rows behind the last payment, by which the end is known.
const END: &str = "end";
const ROWS: usize = 4096;
const DAY: i64 = 86_400_000_000;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[derive(Default)]
struct Rows {
    at: Vec<i64>,
    unit: Vec<String>,
    cents: Vec<i64>,
}

impl Rows {
    fn push(&mut self, at: i64, unit: &str, cents: i64) {
        self.at.push(at);
        self.unit.push(unit.to_owned());
        self.cents.push(cents);
    }

    fn batches(&self) -> Vec<Vec<Arc<dyn Array>>> {
        let parts = self.at.chunks(ROWS).zip(self.unit.chunks(ROWS)).zip(self.cents.chunks(ROWS));
        let columns = parts.map(|((at, unit), cents)| -> Vec<Arc<dyn Array>> {
            vec![
                Arc::new(StringArray::from_iter_values(unit)),
                Arc::new(Int64Array::from(cents.to_vec())),
                Arc::new(TimestampMicrosecondArray::from(at.to_vec())),
            ]
        });
        columns.collect()
    }
}

/// The payments, and behind them rows whose window is found, and one that closes that window.
fn read(path: &str) -> Result<Rows> {
    let mut rows = Rows::default();
    for line in fs::read_to_string(path)?.lines() {
        let mut fields = line.split(',');
        let mut next = || fields.next().ok_or("a line is too short");
        let (at, unit, cents) = (next()?.parse()?, next()?, next()?.parse()?);
        rows.push(at, unit, cents);
    }
    let last = *rows.at.last().ok_or("no payments")?;
    (0..9).for_each(|_| rows.push(last + DAY, END, 1_000_000_000_000));
    rows.push(last + 3 * DAY, "after", 0);
    Ok(rows)
}

/// Takes what has come out. Whether the end is among it.
fn take(frame: PortalFrame, found: &mut Vec<(String, i64)>) -> Result<bool> {
    match frame {
        PortalFrame::Batch { batch, .. } => {
            let before = found.len();
            collect(&batch, found)?;
            Ok(found[before..].iter().any(|(unit, _)| unit == END))
        }
        PortalFrame::Barrier { .. } => Ok(false),
        PortalFrame::Lagged(skipped) => Err(format!("{skipped} batches of windows were lost").into()),
        PortalFrame::Error { message } => Err(message.into()),
    }
}

fn collect(batch: &RecordBatch, found: &mut Vec<(String, i64)>) -> Result<()> {
    let column = |name: &str, kind: &DataType| -> Result<Arc<dyn Array>> {
        Ok(cast(batch.column_by_name(name).ok_or("a column is missing")?, kind)?)
    };
    let units = column("unit", &DataType::Utf8)?;
    let starts =
        cast(&column("starts", &DataType::Timestamp(TimeUnit::Microsecond, None))?, &DataType::Int64)?;
    let units = units.as_any().downcast_ref::<StringArray>().ok_or("units are no text")?;
    let starts = starts.as_any().downcast_ref::<Int64Array>().ok_or("starts are no numbers")?;
    found.extend(units.iter().zip(starts).filter_map(|(unit, at)| Some((unit?.to_owned(), at?))));
    Ok(())
}

fn drain(portal: &mut SubscriptionPortal, found: &mut Vec<(String, i64)>) -> Result<bool> {
    let mut ended = false;
    while let Some(frame) = portal.try_next_frame() {
        ended |= take(frame, found)?;
    }
    Ok(ended)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, payments, sql, out] = &args[..] else { return Err("PAYMENTS.csv SQL OUT".into()) };
    let batches = read(payments)?.batches();
    let db = LaminarDB::open()?;
    let source = "CREATE SOURCE payments (unit VARCHAR, cents BIGINT, ts TIMESTAMP, \
                  WATERMARK FOR ts AS ts - INTERVAL '0' SECOND)";
    db.execute(source).await?;
    db.execute(&format!("CREATE STREAM found AS {sql}")).await?;
    db.start().await?;
    let source = db.source_untyped("payments")?;
    let mut portal = db.open_subscription("found", None, SubscribeStart::Tail).await?;
    let (mut found, mut ended) = (Vec::new(), false);
    let started = Instant::now();
    for columns in batches {
        let batch = RecordBatch::try_new(source.schema().clone(), columns)?;
        // It refuses what does not fit its queue.
        while source.push_arrow(batch.clone()).is_err() {
            if started.elapsed() > Duration::from_mins(30) {
                return Err("nothing goes in any more".into());
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        ended |= drain(&mut portal, &mut found)?;
    }
    while !ended {
        let next = tokio::time::timeout(Duration::from_mins(5), portal.next_frame()).await;
        ended = take(
            next.map_err(|_| "no more windows, and no end")?.ok_or("the stream has ended")?,
            &mut found,
        )?;
    }
    let seconds = started.elapsed().as_secs_f64();
    // Windows of the same moment may come in another order.
    tokio::time::sleep(Duration::from_millis(500)).await;
    drain(&mut portal, &mut found)?;
    found.retain(|(unit, _)| unit != END);
    let mut file = std::io::BufWriter::new(fs::File::create(out)?);
    for (unit, start) in &found {
        writeln!(file, "{unit} {start}")?;
    }
    file.flush()?;
    println!("{seconds:.3}");
    db.shutdown().await?;
    Ok(())
}
