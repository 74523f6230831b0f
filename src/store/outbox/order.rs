//! In which order alerts are told of together, and to whom alone.

use std::{cmp::Reverse, collections::BTreeMap};

use super::round::{Round, RoundResult};
use crate::{
    access::{LimitScope, Limits},
    alert::Alert,
    event::Instant,
    store::{
        casework::{self, Assignable},
        listed,
    },
};

impl Round<'_> {
    /// Whether somebody may be told of an alert: they work on alerts and see it, or the state knows no people.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn may_hear(
        &self,
        name: &str,
        alert_id: &str,
        (scope, now): (&LimitScope, Instant),
    ) -> RoundResult<bool> {
        let officer = casework::officer(self.transaction, (name, alert_id), (scope, now))?;
        Ok(matches!(officer, Assignable::Unknown | Assignable::Works))
    }

    /// Puts first what is gravest; in a digest, where there are many of little weight, what is most worth somebody's time.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn put_in_order(&self, alerts: &mut [&Alert], by_worth: bool) -> RoundResult<()> {
        if !by_worth {
            alerts.sort_by_key(|alert| (alert.severity, alert.opened_at));
            return Ok(());
        }
        let verdicts = listed::verdicts(self.transaction, &Limits::default())?;
        let mut worths = BTreeMap::new();
        for alert in alerts.iter() {
            let (worth, _) = listed::worth(self.transaction, alert, &verdicts)?;
            worths.insert(alert.alert_id.clone(), worth.total());
        }
        alerts.sort_by_key(|alert| (Reverse(worths.get(&alert.alert_id).copied()), alert.opened_at));
        Ok(())
    }
}
