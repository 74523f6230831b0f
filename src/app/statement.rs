//! The completeness statement of the day before as gauges, computed again now and then: it changes until everything is cleared.

use std::{sync::Arc, time::Duration};

use crate::{
    daemon::{Shared, run_blocking},
    event::event_schema,
    http::day_span,
    store::{DayStatement, JournalView},
};

/// How often it is made. It reads the journal of a month.
const EVERY: Duration = Duration::from_hours(1);

/// Makes the statement until the daemon stops.
pub(crate) async fn keep(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let asked = Arc::clone(&shared);
        match run_blocking(move || of_yesterday(&asked)).await {
            Ok(statement) => gauge(&shared, &statement),
            Err(why) => tracing::warn!(why, "the completeness statement of yesterday cannot be made"),
        }
    }
}

fn of_yesterday(shared: &Shared) -> Result<DayStatement, String> {
    let (_, span) = day_span(&shared.calendar, None, shared.clock.now())?;
    let history = JournalView::open(&shared.state_dir, &event_schema(&shared.calendar.zone_name));
    let approved = |line: &str| {
        let ledger = shared.ledger.read();
        ledger.line(line).is_some_and(|(_, attributes)| attributes.approved)
    };
    let statement = history.and_then(|history| history.completeness(span, &approved));
    statement.map_err(|error| error.to_string())
}

// Gauges are floats by nature; the exact figures are in the statement.
#[allow(clippy::cast_precision_loss)]
fn gauge(shared: &Shared, statement: &DayStatement) {
    let f = &statement.figures;
    let figures = [
        ("ordered", f.ordered),
        ("cleared", f.cleared),
        ("open", f.open),
        ("budgeted", f.budgeted),
        ("unbudgeted", f.unbudgeted),
        ("confirmed", f.confirmed),
        ("matched", f.matched),
        ("without_order", f.without_order),
        ("quarantined", statement.quarantined),
    ];
    let m = &shared.metrics;
    for (name, figure) in figures {
        m.completeness_count.with_label_values(&[name]).set(figure.count.try_into().unwrap_or(i64::MAX));
        m.completeness_amount.with_label_values(&[name]).set(figure.cents.as_i128() as f64 / 100.0);
    }
}
