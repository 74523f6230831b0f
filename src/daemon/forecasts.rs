//! 执行预测 for readers. A forecast of one line rests on all lines, and on the events of the years before, so those of all
//! lines are made at once, when somebody asks, and are good for a while.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::sync::Mutex;

use super::Shared;
use crate::{
    event::Instant,
    forecast::{Basis, Forecast},
    ledger::LedgerCopy,
};

/// How long forecasts are good for: a quarter of an hour says nothing of a year's end.
const GOOD_FOR: Duration = Duration::from_mins(15);
/// How long it is not tried again when they could not be made.
const BAD_FOR: Duration = Duration::from_mins(1);

/// What a budget line is expected to have executed at the end of its year.
#[derive(Debug, Clone, Copy)]
pub struct LineForecast {
    pub(crate) forecast: Forecast,
    /// What the even pace would bring, in cents.
    pub naive: Option<i128>,
    /// What the forecast is made of; `None` for a year that is over.
    pub basis: Option<Basis>,
}

/// The forecasts of budget lines.
#[derive(Debug, Default)]
pub struct LineForecasts {
    /// By `budget_line_id`.
    pub lines: HashMap<String, LineForecast>,
    /// The closed years that they learned from.
    pub years: Vec<i32>,
}

/// Makes the forecasts of all lines at a time. It takes its time, on a thread that may wait.
pub type MakeForecasts = Box<dyn Fn(&LedgerCopy, Instant) -> Result<LineForecasts, String> + Send + Sync>;

/// The forecasts of a moment.
#[derive(Debug)]
pub struct Outlook {
    /// The latest event time that they rest on.
    pub at: Instant,
    pub(crate) made: LineForecasts,
}

/// What came of making them, and when.
type Kept = (std::time::Instant, Result<Arc<Outlook>, String>);

/// Forecasts, made when they are asked for.
#[derive(Default)]
pub struct ForecastCache {
    make: OnceLock<Arc<MakeForecasts>>,
    kept: Mutex<Option<Kept>>,
}

impl std::fmt::Debug for ForecastCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forecasts").finish_non_exhaustive()
    }
}

impl ForecastCache {
    /// Says who makes them; the first one stays.
    pub fn are_made_by(&self, make: MakeForecasts) {
        let _ = self.make.set(Arc::new(make));
    }

    /// The forecasts of a moment ago. Who comes while they are made waits for them.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn get(&self, shared: &Arc<Shared>) -> Result<Arc<Outlook>, String> {
        let mut kept = self.kept.lock().await;
        if let Some((made, outlook)) = kept.as_ref()
            && made.elapsed() < if outlook.is_ok() { GOOD_FOR } else { BAD_FOR }
        {
            return outlook.clone();
        }
        let (make, shared) = (self.make.get().cloned(), Arc::clone(shared));
        let making = tokio::task::spawn_blocking(move || {
            let at = shared.last_event_at.get().unwrap_or(Instant::EPOCH);
            let made = make.map_or_else(|| Ok(LineForecasts::default()), |make| make(&shared.lines(), at))?;
            Ok(Arc::new(Outlook { at, made }))
        });
        let outlook = making.await.unwrap_or_else(|error| Err(error.to_string()));
        *kept = Some((std::time::Instant::now(), outlook.clone()));
        outlook
    }
}
