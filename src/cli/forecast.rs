//! `fiscwatch forecast`: what forecasts of the year's end would have been worth.

use std::{process::ExitCode, sync::Arc};

use arrow::{array::AsArray, datatypes::TimestampMicrosecondType, record_batch::RecordBatch};
use clap::Args;
use serde_json::{Value, json};

use super::{
    ConfigArg, EventsArg, runtime,
    table::{Cell, Screen, Table, TableColumn},
};
use crate::{
    app::replay::Replay,
    engine::{Committable, EngineError, Output, OutputDetail},
    evaluate::{
        forecasts::{self, Forecaster},
        tables::budget_lines,
    },
    event::{EventType, Instant, TimeDelta, time::Calendar},
    forecast::{ForecastLevel, YearPosition},
    ledger::Ledger,
    say,
    sql::tables::EVENT_COLUMNS,
    trial::forecast::{ForecastScore, ForecastTrial},
};

/// A last year counts if events reach so far before its end.
const NEARLY_OVER: TimeDelta = TimeDelta::days(7);

#[derive(Debug, Args)]
pub(crate) struct ForecastArgs {
    #[command(flatten)]
    events: EventsArg,
    #[command(flatten)]
    config: ConfigArg,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn forecast(args: &ForecastArgs) -> anyhow::Result<ExitCode> {
    let config = args.config.load_beside(&args.events)?;
    let replay = Replay { record: OutputDetail::Whole, ..args.events.replay(&config)? };
    let mut months = Months::new(&config.calendar, config.lateness);
    let (judged, read) = runtime()?.block_on(replay.run(&config, Arc::default(), &mut months));
    judged?;
    read?;
    months.end();
    if args.json {
        println!("{}", as_json(&months.trial));
    } else {
        print(&months.trial);
    }
    Ok(ExitCode::SUCCESS)
}

/// The events as they come, stopped at each month's end.
struct Months {
    calendar: Arc<Calendar>,
    lateness: TimeDelta,
    ledger: Ledger,
    /// What forecasts need of the events so far.
    events: Vec<RecordBatch>,
    latest: Instant,
    /// The earliest event: years that it lies within have no known beginning.
    first: Option<Instant>,
    /// The month's end that comes next.
    next: Option<Instant>,
    trial: ForecastTrial,
}

impl Months {
    fn new(calendar: &Arc<Calendar>, lateness: TimeDelta) -> Self {
        Self {
            calendar: Arc::clone(calendar),
            lateness,
            ledger: Ledger::default(),
            events: Vec::new(),
            latest: Instant::MIN,
            first: None,
            next: None,
            trial: ForecastTrial::default(),
        }
    }

    /// Applies events, and looks at each month's end right after the event that moved the watermark past it.
    fn take(&mut self, events: &RecordBatch, types: &[EventType]) -> Option<()> {
        let times = events.column_by_name("occurred_at")?.as_primitive_opt::<TimestampMicrosecondType>()?;
        let mut start = 0;
        for row in 0..events.num_rows() {
            let at = Instant::from_micros(times.value(row));
            (self.first, self.latest) = (self.first.min(Some(at)).or(Some(at)), self.latest.max(at));
            if self.next.is_none() {
                self.next = self.month_end(self.latest);
            }
            if self.next.is_some_and(|next| self.latest - self.lateness >= next) {
                self.apply(events, types, start..row + 1);
                start = row + 1;
                self.pass(self.latest - self.lateness);
            }
        }
        self.apply(events, types, start..events.num_rows());
        Some(())
    }

    fn apply(&mut self, events: &RecordBatch, types: &[EventType], rows: std::ops::Range<usize>) {
        let part = events.slice(rows.start, rows.len());
        self.ledger.whole_from(self.whole_from());
        self.ledger.apply(&part, &types[rows]);
        let columns = EVENT_COLUMNS.iter().filter_map(|name| part.schema().index_of(name).ok());
        self.events.extend(part.project(&columns.collect::<Vec<_>>()));
    }

    /// The first fiscal year that the events have from its beginning.
    fn whole_from(&self) -> Option<i32> {
        self.first.map(|first| self.calendar.journal_start(first).year)
    }

    fn month_end(&self, at: Instant) -> Option<Instant> {
        Some(YearPosition::at(&self.calendar, at)?.month_end())
    }

    /// Looks at the month's ends up to a time.
    fn pass(&mut self, until: Instant) {
        while let Some(at) = self.next.filter(|at| *at <= until) {
            self.look(at);
            self.next = self.month_end(at);
        }
    }

    fn look(&mut self, at: Instant) -> Option<()> {
        let lines = budget_lines(self.ledger.lines_covered(), &self.calendar, at, &|_| true)?;
        let mut forecaster = Forecaster::new(&lines, &self.calendar, at)?;
        let month = forecaster.position().months();
        if month == 0 {
            let year = forecaster.position().year() - 1;
            self.trial.close(year, &forecaster, self.whole_from().is_some_and(|whole| year >= whole));
            return Some(());
        }
        let mut early = forecaster.early();
        self.events.iter().for_each(|events| {
            forecasts::add(&mut early, events);
        });
        early.finish();
        let forecasts = forecaster.forecasts();
        self.trial.keep(month, &forecaster, &forecasts);
        Some(())
    }

    /// After the last event.
    fn end(&mut self) {
        self.pass(self.latest.saturating_add(NEARLY_OVER));
    }
}

impl Output for Months {
    async fn commit(&mut self, batches: Vec<Committable>) -> Result<(), EngineError> {
        for (events, types) in batches.iter().filter_map(|batch| batch.whole.as_ref()) {
            self.take(events, types);
        }
        Ok(())
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| String::from("-"), |share| format!("{:.1} %", share * 100.0))
}

fn cells(score: &ForecastScore) -> [Cell; 5] {
    let shares = score.shares();
    let share = |at: usize| Cell::text(percent(shares.map(|shares| shares[at])));
    [
        Cell::count(score.made),
        share(1),
        share(0),
        Cell::text(percent(score.coverage())),
        Cell::text(percent(score.width())),
    ]
}

/// A table of scores under some columns of their own.
fn scores(own: impl IntoIterator<Item = TableColumn>) -> Table {
    let right = |name: &str, title: String| TableColumn::new(name, title).right();
    Table::new(own.into_iter().chain([
        right("forecasts", say!("forecasts")),
        right("naive_error", say!("error of the pace")),
        right("error", say!("error")),
        right("coverage", say!("in interval")),
        right("width", say!("width")),
    ]))
}

fn print(trial: &ForecastTrial) {
    let level = || TableColumn::new("level", say!("level"));
    let word = |level: ForecastLevel| Cell::Word(level.word().to_owned(), level_word(level));
    let by_month = trial.by_month();
    let mut months = scores([level(), TableColumn::new("month", say!("months over")).right()]);
    for ((level, month), score) in &by_month {
        months.row([word(*level), Cell::count(month)].into_iter().chain(cells(score)));
    }
    let by_year = trial.by_year();
    if by_year.is_empty() {
        let text = say!(
            "no year came whole from its beginning to its end: there is nothing to compare a forecast with"
        );
        return println!("{text}");
    }
    if !by_month.is_empty() {
        println!("{}", months.render(Screen::stdout()));
    }
    let year = TableColumn::new("fiscal_year", say!("year")).right();
    let mut years = scores([level(), year, TableColumn::new("years_before", say!("years before")).right()]);
    for ((level, year, history), score) in &by_year {
        let own = [word(*level), Cell::text(year.to_string()), Cell::count(history)];
        years.row(own.into_iter().chain(cells(score)));
    }
    println!("{}", years.render(Screen::stdout()));
    let text = say!(
        "errors and widths are sums over the sum of what was executed at the end; of ten intervals eight should hold the end"
    );
    println!("{text}");
}

fn level_word(level: ForecastLevel) -> String {
    match level {
        ForecastLevel::Line => say!("line"),
        ForecastLevel::Unit => say!("unit"),
        ForecastLevel::EconomicClass => say!("economic class"),
    }
}

fn as_json(trial: &ForecastTrial) -> Value {
    let row = |level: ForecastLevel, mut row: Value, score: &ForecastScore| {
        let shares = score.shares();
        let share = |at: usize| json!(shares.map(|shares| shares[at]));
        row["level"] = json!(level.word());
        row["forecasts"] = json!(score.made);
        row["error"] = share(0);
        row["naive_error"] = share(1);
        row["width"] = json!(score.width());
        row["coverage"] = json!(score.coverage());
        row
    };
    let months = trial.by_month();
    let months = months.iter().map(|((level, month), score)| row(*level, json!({"month": month}), score));
    let years = trial.by_year();
    let years = years.iter().map(|((level, year, before), score)| {
        row(*level, json!({"fiscal_year": year, "years_before": before}), score)
    });
    json!({"by_month": months.collect::<Vec<_>>(), "by_year": years.collect::<Vec<_>>()})
}
