//! In which order alerts are told of together.

use std::{cmp::Reverse, collections::BTreeMap};

use super::round::{Round, RoundResult};
use crate::{alert::Alert, store::listed};

impl Round<'_> {
    /// Puts first what is gravest; in a digest, where there are many of little weight, what is most worth somebody's time.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn put_in_order(&self, alerts: &mut [&Alert], by_worth: bool) -> RoundResult<()> {
        if !by_worth {
            alerts.sort_by_key(|alert| (alert.severity, alert.opened_at));
            return Ok(());
        }
        let verdicts = listed::verdicts(self.transaction)?;
        let mut worths = BTreeMap::new();
        for alert in alerts.iter() {
            let (worth, _) = listed::worth(self.transaction, alert, &verdicts)?;
            worths.insert(alert.alert_id.clone(), worth.total());
        }
        alerts.sort_by_key(|alert| (Reverse(worths.get(&alert.alert_id).copied()), alert.opened_at));
        Ok(())
    }
}
