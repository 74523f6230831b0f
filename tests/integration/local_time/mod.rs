//! Instants are read in local time by every function and operator there is, or refused: against an independent
//! calendar, in zones with and without daylight saving, at the edges of hours, days, months and fiscal years.

mod functions;

use std::{cell::RefCell, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, TimestampMicrosecondArray},
    compute::cast,
    datatypes::{DataType, Field, Schema, TimeUnit, TimestampMicrosecondType},
    record_batch::RecordBatch,
};
use datafusion::{datasource::MemTable, prelude::SessionContext};
use fiscwatch::{
    diagnostic::failure,
    event::{Instant, schema::time_type, time::Calendar},
    lists::Lists,
    rule::{Language, compile::Compiler, query::asked},
};
use jiff::{SignedDuration, Timestamp, ToSpan, ZonedDateTime, civil::Date, tz::TimeZone};

const ZONES: [&str; 4] = ["Asia/Shanghai", "America/New_York", "Europe/London", "Australia/Lord_Howe"];

/// Days at whose edges something changes: months, years, fiscal years, a leap day, and daylight saving in each zone.
const DAYS: [&str; 14] = [
    "2025-12-31",
    "2026-01-01",
    "2026-02-28",
    "2026-03-01",
    "2026-03-08",
    "2026-03-29",
    "2026-04-01",
    "2026-04-05",
    "2026-07-01",
    "2026-10-01",
    "2026-10-04",
    "2026-10-25",
    "2026-11-01",
    "2028-02-29",
];

fn start(day: &str, zone: &TimeZone) -> Timestamp {
    day.parse::<Date>().unwrap().to_zoned_datetime(zone.clone()).unwrap().timestamp()
}

/// Instants around the edges.
fn instants(zone: &TimeZone) -> Vec<Timestamp> {
    let around = [
        -1,
        0,
        1,
        1_800_000_000,
        3_600_000_000,
        9_000_000_000,
        28_800_000_000,
        43_200_000_000,
        72_000_000_000,
    ];
    DAYS.iter()
        .flat_map(|day| around.map(|micros| start(day, zone) + SignedDuration::from_micros(micros)))
        .collect()
}

struct Bench {
    compiler: Compiler,
    context: SessionContext,
    zone: TimeZone,
    instants: Vec<Timestamp>,
    checks: RefCell<Vec<Check>>,
}

/// An expression, and what it is of an instant.
type Check = (String, Box<dyn Fn(&ZonedDateTime) -> String>);

impl Bench {
    fn new(name: &str) -> Self {
        Self::over(name, instants(&TimeZone::get(name).unwrap()))
    }

    fn over(name: &str, instants: Vec<Timestamp>) -> Self {
        let calendar = Arc::new(Calendar::new(name, 4, 1).unwrap());
        let compiler = Compiler::new(&calendar, Lists::default(), Language::En);
        let context = compiler.session().context(256 << 20);
        let zone = TimeZone::get(name).unwrap();
        let times =
            TimestampMicrosecondArray::from_iter_values(instants.iter().map(|at| at.as_microsecond()))
                .with_data_type(time_type(name));
        let fields = vec![Field::new("occurred_at", time_type(name), true)];
        let schema = Arc::new(Schema::new(fields));
        let rows = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(times)]).unwrap();
        context
            .register_table("payments", Arc::new(MemTable::try_new(schema, vec![vec![rows]]).unwrap()))
            .unwrap();
        Self { compiler, context, zone, instants, checks: RefCell::default() }
    }

    /// Asks for several expressions in one statement of a schedule, so that SQL's own words for instants mean the same.
    fn ask(&self, exprs: &[String]) -> Result<RecordBatch, String> {
        let columns: Vec<_> = exprs.iter().enumerate().map(|(at, expr)| format!("{expr} AS x{at}")).collect();
        let (rule, _) = asked(&self.compiler, &format!("SELECT {} FROM payments", columns.join(", ")))?;
        let run = async {
            let plan = self.context.state().statement_to_plan(rule.at(Instant::EPOCH)).await?;
            self.context.execute_logical_plan(plan).await?.collect().await
        };
        let batches = futures::executor::block_on(run).map_err(|e| failure(&e).0)?;
        Ok(batches[0].clone())
    }

    /// Notes that `expr` is to be what `expected` says of each instant.
    fn same(&self, expr: &str, expected: impl Fn(&ZonedDateTime) -> String + 'static) {
        self.checks.borrow_mut().push((expr.to_owned(), Box::new(expected)));
    }

    fn holds(&self, expr: impl AsRef<str>, expected: impl Fn(Timestamp) -> bool + 'static) {
        self.same(expr.as_ref(), move |at| expected(at.timestamp()).to_string());
    }

    fn instant(&self, expr: impl AsRef<str>, expected: impl Fn(Timestamp) -> Timestamp + 'static) {
        self.same(expr.as_ref(), move |at| expected(at.timestamp()).to_string());
    }

    /// Checks all that was noted.
    fn check(&self) {
        let checks = self.checks.take();
        let exprs: Vec<_> = checks.iter().map(|(expr, _)| expr.clone()).collect();
        let rows = self.ask(&exprs).unwrap_or_else(|e| {
            let alone =
                exprs.iter().find_map(|expr| Some((expr, self.ask(std::slice::from_ref(expr)).err()?)));
            panic!("{alone:?} in {:?}: {e}", self.zone.iana_name())
        });
        for ((expr, expected), column) in checks.iter().zip(rows.columns()) {
            for (at, found) in self.instants.iter().zip(texts(column)) {
                let local = at.to_zoned_datetime(self.zone.clone());
                assert_eq!(found, expected(&local), "{expr} of {local}");
            }
        }
    }
}

/// Values as text; instants in UTC.
fn texts(array: &ArrayRef) -> Vec<String> {
    if let DataType::Timestamp(..) = array.data_type() {
        let times = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None)).unwrap();
        let times = times.as_primitive::<TimestampMicrosecondType>().values().to_vec();
        return times.iter().map(|at| Timestamp::from_microsecond(*at).unwrap().to_string()).collect();
    }
    let array = cast(array, &DataType::Utf8).unwrap();
    array.as_string::<i32>().iter().map(|text| text.unwrap_or("NULL").to_owned()).collect()
}

fn first(at: &ZonedDateTime, day: Date) -> String {
    day.to_zoned_datetime(at.time_zone().clone()).unwrap().timestamp().to_string()
}

#[test]
fn parts_and_starts_are_local() {
    for name in ZONES {
        let bench = Bench::new(name);
        let part = |part: &str, of: fn(&ZonedDateTime) -> i64| {
            for expr in [
                format!("date_part('{part}', occurred_at)"),
                format!("datepart('{part}', occurred_at)"),
                format!("extract({part} FROM occurred_at)"),
            ] {
                bench.same(&format!("cast({expr} AS bigint)"), move |at| of(at).to_string());
            }
        };
        part("year", |at| at.year().into());
        part("quarter", |at| i64::from(at.month() - 1) / 3 + 1);
        part("month", |at| at.month().into());
        part("week", |at| at.date().iso_week_date().week().into());
        part("day", |at| at.day().into());
        part("hour", |at| at.hour().into());
        part("minute", |at| at.minute().into());
        part("dow", |at| at.weekday().to_sunday_zero_offset().into());
        part("doy", |at| at.day_of_year().into());
        bench.same("date_trunc('year', occurred_at)", |at| first(at, at.date().first_of_year()));
        bench.same("date_trunc('month', occurred_at)", |at| first(at, at.date().first_of_month()));
        bench.same("date_trunc('quarter', occurred_at)", |at| {
            let month = (at.month() - 1) / 3 * 3 + 1;
            first(at, Date::new(at.year(), month, 1).unwrap())
        });
        bench.same("date_trunc('week', occurred_at)", |at| {
            let back = i64::from(at.weekday().to_monday_zero_offset());
            first(at, at.date().checked_sub(back.days()).unwrap())
        });
        bench.same("date_trunc('day', occurred_at)", |at| first(at, at.date()));
        bench.same("date_trunc('minute', occurred_at)", |at| {
            (at.timestamp()
                - SignedDuration::from_micros(at.timestamp().as_microsecond().rem_euclid(60_000_000)))
            .to_string()
        });
        bench.same("datetrunc('day', occurred_at)", |at| first(at, at.date()));
        for day in [
            "cast(occurred_at AS date)",
            "to_date(occurred_at)",
            "arrow_cast(occurred_at, 'Date32')",
            "arrow_try_cast(occurred_at, 'Date32')",
            "cast_to_type(occurred_at, date '2026-01-01')",
            "try_cast_to_type(occurred_at, date '2026-01-01')",
        ] {
            bench.same(day, |at| at.date().to_string());
        }
        bench.same("to_time(occurred_at)", |at| at.strftime("%H:%M:%S%.f").to_string());
        bench.same("occurred_at::date", |at| at.date().to_string());
        for writes in ["to_char", "date_format"] {
            bench.same(&format!("{writes}(occurred_at, '%Y-%m-%d %H:%M')"), |at| {
                at.strftime("%Y-%m-%d %H:%M").to_string()
            });
        }
        bench.same("to_char(cast(occurred_at AS date), '%Y-%m-%d')", |at| at.date().to_string());
        bench.same("substr(cast(occurred_at AS varchar), 1, 16)", |at| {
            at.strftime("%Y-%m-%dT%H:%M").to_string()
        });
        bench.same("cast(occurred_at AS timestamp)", |at| at.timestamp().to_string());
        bench.same("cast(cast(occurred_at AS date) AS timestamp)", |at| first(at, at.date()));
        bench.same("local_hour(occurred_at)", |at| at.hour().to_string());
        bench.same("fiscal_year_of(occurred_at)", |at| (at.year() - i16::from(at.month() < 4)).to_string());
        bench.same("fiscal_month(occurred_at)", |at| ((at.month() + 8) % 12 + 1).to_string());
        bench.same("fiscal_quarter(occurred_at)", |at| ((at.month() + 8) % 12 / 3 + 1).to_string());
        bench.same("is_workday(occurred_at)", |at| (at.weekday().to_monday_zero_offset() < 5).to_string());
        bench.check();
    }
}

#[test]
fn days_meet_instants_at_the_start_of_the_local_day() {
    for name in ZONES {
        let bench = Bench::new(name);
        for day in DAYS {
            let begins = start(day, &bench.zone);
            let ends = day.parse::<Date>().unwrap().tomorrow().unwrap().to_string();
            let ended = start(&ends, &bench.zone);
            for written in [
                format!("date '{day}'"),
                format!("'{day}'"),
                format!("cast('{day}' AS date)"),
                format!("timestamp '{day}'"),
                format!("to_timestamp('{day}')"),
            ] {
                bench.holds(format!("occurred_at >= {written}"), move |at| at >= begins);
                bench.holds(format!("occurred_at < {written}"), move |at| at < begins);
                bench.holds(format!("{written} < occurred_at"), move |at| begins < at);
                bench.holds(format!("occurred_at = {written}"), move |at| at == begins);
                bench.holds(format!("occurred_at <> {written}"), move |at| at != begins);
                bench.holds(format!("occurred_at IS DISTINCT FROM {written}"), move |at| at != begins);
                bench.holds(format!("occurred_at IN ({written}, date '1999-01-01')"), move |at| at == begins);
                bench.holds(format!("occurred_at NOT IN ({written}, date '1999-01-01')"), move |at| {
                    at != begins
                });
            }
            bench.holds(format!("occurred_at BETWEEN date '{day}' AND date '{ends}'"), move |at| {
                at >= begins && at <= ended
            });
            bench.holds(format!("occurred_at NOT BETWEEN date '{day}' AND date '{ends}'"), move |at| {
                at < begins || at > ended
            });
            bench.holds(format!("cast(occurred_at AS date) = date '{day}'"), move |at| {
                at >= begins && at < ended
            });
            bench.holds(format!("cast(occurred_at AS date) >= '{day}'"), move |at| at >= begins);
            bench.holds(format!("cast(occurred_at AS date) IN ('{day}')"), move |at| {
                at >= begins && at < ended
            });
            bench.holds(format!("date_trunc('day', occurred_at) = date '{day}'"), move |at| {
                at >= begins && at < ended
            });
            bench.holds(format!("try_cast('{day}' AS date) <= occurred_at"), move |at| at >= begins);
            bench.holds(
                format!("coalesce(nullif(occurred_at, date '{day}'), date '1999-01-01') = date '1999-01-01'"),
                move |at| at == begins,
            );
            bench
                .holds(format!("occurred_at - date '{day}' >= interval '0 seconds'"), move |at| at >= begins);
            bench.instant(format!("greatest(occurred_at, date '{day}')"), move |at| at.max(begins));
            bench.instant(format!("least(occurred_at, date '{day}')"), move |at| at.min(begins));
            bench.instant(
                format!("CASE WHEN occurred_at > date '{day}' THEN occurred_at ELSE date '{day}' END"),
                move |at| at.max(begins),
            );
            bench.instant(
                format!("coalesce(CASE WHEN occurred_at > date '{day}' THEN occurred_at END, date '{day}')"),
                move |at| at.max(begins),
            );
            bench.check();
        }
    }
}

#[test]
fn intervals_are_counted_on_the_local_calendar() {
    for name in ZONES {
        let zone = TimeZone::get(name).unwrap();
        let steps = [
            ("interval '1 day'", 1.day()),
            ("interval '30 days'", 30.days()),
            ("interval '1 month'", 1.month()),
            ("interval '36 hours'", 36.hours()),
            ("interval '15 minutes'", 15.minutes()),
        ];
        for (written, span) in steps {
            // An hour that is not there is an error of its row, and one that is there twice is the engine's choice.
            let clear = |at: &Timestamp| {
                [span, 7.days(), 90.days()].iter().all(|span| {
                    let there = at.to_zoned_datetime(zone.clone()).datetime().checked_add(*span).unwrap();
                    !zone.to_ambiguous_zoned_datetime(there).is_ambiguous()
                })
            };
            let bench = Bench::over(name, instants(&zone).into_iter().filter(clear).collect());
            bench.same(&format!("occurred_at + {written}"), move |at| {
                at.checked_add(span).unwrap().timestamp().to_string()
            });
            for list in ["range", "generate_series"] {
                let expr = format!("{list}(occurred_at, occurred_at + interval '90 days', {written})[2]");
                bench.same(&expr, move |at| at.checked_add(span).unwrap().timestamp().to_string());
            }
            bench.same("workdays_between(occurred_at, occurred_at + interval '7 days')", |_| "5".into());
            bench.check();
        }
    }
}

/// `now` is an instant like any other.
#[test]
fn now_is_local() {
    for name in ZONES {
        let bench = Bench::new(name);
        for at in bench.instants.iter().step_by(5) {
            let local = at.to_zoned_datetime(bench.zone.clone());
            let sql = "SELECT cast(now AS date) AS day, date_part('hour', now) AS hour, date_trunc('month', now) = \
                       cast(date_trunc('month', now) AS date) AS same, now >= cast(now AS date) AS later";
            let (rule, _) = asked(&bench.compiler, sql).unwrap();
            let run = async {
                let rule = rule.at(Instant::from_micros(at.as_microsecond()));
                let plan = bench.context.state().statement_to_plan(rule).await?;
                bench.context.execute_logical_plan(plan).await?.collect().await
            };
            let rows = futures::executor::block_on(run).unwrap();
            let text = |column: usize| {
                cast(rows[0].column(column), &DataType::Utf8).unwrap().as_string::<i32>().value(0).to_owned()
            };
            let expected = [local.date().to_string(), local.hour().to_string(), "true".into(), "true".into()];
            assert_eq!([text(0), text(1), text(2), text(3)], expected, "now = {local}");
        }
    }
}
