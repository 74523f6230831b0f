//! The local calendar: `local_hour`, `is_workday`, `workdays_between`, `fiscal_year_of`,
//! `fiscal_quarter`, `fiscal_month`.

use std::sync::Arc;

use arrow::{
    array::{Array, AsArray, BooleanArray, Date32Array, Int32Array, Int64Array, TimestampMicrosecondArray},
    datatypes::{DataType, Date32Type, TimestampMicrosecondType},
};
use datafusion::{
    common::Result,
    logical_expr::{ColumnarValue, ScalarUDF},
};
use jiff::{
    ToSpan,
    civil::{Date, date},
};

use super::{immutable, pair, shaped, workdays::Workdays};
use crate::{
    event::{Instant, local::LocalDays, period::Stretch, schema::time_type, time::Calendar},
    lists::List,
};

/// Instants are `Timestamp(Microsecond, zone)`; days and texts are cast to the start of a local day.
///
/// - `local_hour(time) -> Int32`: 0 to 23;
/// - `is_workday(time) -> Boolean`: by the list of holidays, else Monday to Friday;
/// - `workdays_between(a, b) -> Int64`: the working days from a's day, exclusive, to b's, inclusive; negative when
///   b's day is before a's;
/// - `fiscal_year_of(time) -> Int32`: the calendar year in which the fiscal year began;
/// - `fiscal_quarter(time) -> Int32`: 1 to 4, and `fiscal_month(time) -> Int32`: 1 to 12, of the fiscal year.
pub(crate) fn functions(calendar: &Arc<Calendar>, holidays: Option<&List>) -> [ScalarUDF; 6] {
    let workdays = Arc::new(Workdays::new(holidays));
    let time = time_type(&calendar.zone_name);
    let one = [time.clone()];
    let [hours, days, spans, years, quarters, months] = std::array::from_fn(|_| Arc::clone(calendar));
    let listed = Arc::clone(&workdays);
    [
        immutable("local_hour", &one, DataType::Int32, move |args| {
            by_time::<Int32Array, _>(args, |micros| {
                Some(i32::from(hours.local(Instant::from_micros(micros)).hour()))
            })
        }),
        immutable("is_workday", &one, DataType::Boolean, move |args| {
            by_time::<BooleanArray, _>(args, by_day(&days, |day| listed.contains(day)))
        }),
        immutable("workdays_between", &[time.clone(), time], DataType::Int64, move |args| {
            workdays_between(args, &spans, &workdays)
        }),
        immutable("fiscal_year_of", &one, DataType::Int32, move |args| {
            let mut last = None;
            by_time::<Int32Array, _>(args, |micros| fiscal_year(&years, micros, &mut last))
        }),
        immutable("fiscal_quarter", &one, DataType::Int32, move |args| {
            let quarter = |day| (quarters.fiscal_month(day) + 2) / 3;
            by_time::<Int32Array, _>(args, by_day(&quarters, quarter))
        }),
        immutable("fiscal_month", &one, DataType::Int32, move |args| {
            by_time::<Int32Array, _>(args, by_day(&months, |day| months.fiscal_month(day)))
        }),
    ]
}

/// `day_start(day: Date32) -> Timestamp(Microsecond, zone)`: what a day means where an instant is wanted. Planning puts it in.
#[must_use]
pub fn day_start(calendar: &Arc<Calendar>) -> ScalarUDF {
    let (time, zone) = (time_type(&calendar.zone_name), Arc::clone(calendar));
    immutable("day_start", &[DataType::Date32], time.clone(), move |args| {
        let array = args[0].to_array(1)?;
        let days = array.as_primitive::<Date32Type>();
        let starts: TimestampMicrosecondArray = days.unary_opt(|day| start_of(&zone, day));
        Ok(shaped(Arc::new(starts.with_data_type(time.clone())), &args[0]))
    })
}

/// `local_day(time) -> Date32`: the day that an instant lies in. Planning puts it in the place of a cast, which looks the
/// offset of the zone up for every row.
#[must_use]
pub fn local_day(calendar: &Arc<Calendar>) -> ScalarUDF {
    let zone = Arc::clone(calendar);
    immutable("local_day", &[time_type(&calendar.zone_name)], DataType::Date32, move |args| {
        let mut days = LocalDays::new(zone.zone());
        by_time::<Date32Array, _>(args, |micros| i32::try_from(days.number(micros)).ok())
    })
}

/// The start of a day that is counted from the epoch; NULL outside of the years that events may lie in.
fn start_of(calendar: &Calendar, days: i32) -> Option<i64> {
    let day = date(1970, 1, 1).checked_add(days.days()).ok()?;
    calendar.start_of_day(day).ok().map(Instant::as_micros)
}

fn by_time<A, T>(args: &[ColumnarValue], mut f: impl FnMut(i64) -> Option<T>) -> Result<ColumnarValue>
where
    A: FromIterator<Option<T>> + Array + 'static,
{
    let array = args[0].to_array(1)?;
    let times = array.as_primitive::<TimestampMicrosecondType>();
    let result: A = times.iter().map(|time| f(time?)).collect();
    Ok(shaped(Arc::new(result), &args[0]))
}

/// A function of the local day. Neighbouring events are mostly of the same one.
fn by_day<T: Copy>(calendar: &Calendar, f: impl Fn(Date) -> T) -> impl FnMut(i64) -> Option<T> {
    let (mut days, mut last) = (LocalDays::new(calendar.zone()), None);
    move |micros| {
        let number = days.number(micros);
        match last {
            Some((day, value)) if day == number => Some(value),
            _ => Some(last.insert((number, f(LocalDays::date(number)))).1),
        }
    }
}

fn workdays_between(
    args: &[ColumnarValue],
    calendar: &Calendar,
    workdays: &Workdays,
) -> Result<ColumnarValue> {
    let (from, to, like) = pair(args)?;
    let (mut before, mut after) =
        (by_day(calendar, |day| workdays.until(day)), by_day(calendar, |day| workdays.until(day)));
    let times = from.as_primitive::<TimestampMicrosecondType>().iter();
    let pairs = times.zip(to.as_primitive::<TimestampMicrosecondType>());
    let result: Int64Array = pairs.map(|(from, to)| Some(after(to?)? - before(from?)?)).collect();
    Ok(shaped(Arc::new(result), like))
}

/// The fiscal year that an instant lies in; `last` is the year found last, with its start and end.
fn fiscal_year(calendar: &Calendar, micros: i64, last: &mut Option<(i32, i64, i64)>) -> Option<i32> {
    if let Some((year, start, end)) = last
        && (*start..*end).contains(&micros)
    {
        return Some(*year);
    }
    let year = calendar.fiscal_year_of(calendar.local(Instant::from_micros(micros)).date());
    let Stretch { start, end } = calendar.fiscal_year(year)?;
    let (start, end) = (start.as_micros(), end.as_micros());
    *last = Some((year, start, end));
    Some(year)
}
