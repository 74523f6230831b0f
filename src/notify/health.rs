//! Whether the daemon itself is well. Pure: figures and the time go in, what begins and ends comes out. What is wrong is
//! told directly, past the outbox, for the outbox may be what is wrong.

use std::collections::BTreeMap;

use crate::{
    config::office::Thresholds,
    event::{Instant, TimeDelta},
};

/// What can be wrong with the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// No event came for too long.
    Silent,
    /// A source is too far behind.
    Lag,
    /// Notifications are not accepted.
    Outbox,
    /// Notifications were refused for good.
    Parked,
    RuleErrors,
    /// Many records are put into quarantine.
    Quarantine,
    /// The disk of the state is nearly full.
    Disk,
    /// The store or the outbox could not be written.
    Store,
    /// The last reload was refused.
    Reload,
}

impl Trouble {
    pub(crate) const ALL: [Self; 9] = [
        Self::Silent,
        Self::Lag,
        Self::Outbox,
        Self::Parked,
        Self::RuleErrors,
        Self::Quarantine,
        Self::Disk,
        Self::Store,
        Self::Reload,
    ];

    /// The word in metrics and messages.
    #[must_use]
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::Lag => "lag",
            Self::Outbox => "outbox",
            Self::Parked => "parked",
            Self::RuleErrors => "rule_errors",
            Self::Quarantine => "quarantine",
            Self::Disk => "disk",
            Self::Store => "store",
            Self::Reload => "reload",
        }
    }
}

/// The daemon's figures at a time. Counts are since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct HealthFigures {
    /// When the last event was committed, or the daemon started.
    pub last_event: Instant,
    /// Records that sources are behind.
    pub lag_records: u64,
    /// How long the oldest of the outbox is due.
    pub outbox_age: TimeDelta,
    /// The sinks that something waits for.
    pub waiting_for: Vec<String>,
    /// Notifications refused for good.
    pub parked: u64,
    pub rule_errors: u64,
    /// Records put into quarantine.
    pub quarantined: u64,
    /// Bytes free on the disk of the state, if that is known.
    pub disk_free: Option<u64>,
    /// Times that the store, the outbox or sealing failed.
    pub store_errors: u64,
    /// Whether the last reload worked.
    pub reloaded: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HealthNotice {
    /// What it is about.
    pub trouble: Trouble,
    /// Whether it is over.
    pub is_over: bool,
    /// In words, Chinese and English.
    pub text: String,
}

/// What a count is compared with: what it was an hour ago, in steps of five minutes.
const HOUR: TimeDelta = TimeDelta::HOUR;
const STEP: TimeDelta = TimeDelta::minutes(5);
/// How long an error counts as present.
const RECENT: TimeDelta = TimeDelta::minutes(10);

/// Remembers what was wrong.
#[derive(Debug)]
pub(crate) struct Health {
    thresholds: Thresholds,
    /// What is wrong, and when it was last told.
    present: BTreeMap<Trouble, Instant>,
    /// Counts of quarantined records at steps of time, oldest first; at most an hour's.
    quarantined: Vec<(Instant, u64)>,
    /// Counts of errors, and when they last grew.
    grown: BTreeMap<Trouble, (u64, Instant)>,
}

impl Health {
    /// All well so far.
    #[must_use]
    pub(crate) fn new(thresholds: Thresholds) -> Self {
        Self { thresholds, present: BTreeMap::new(), quarantined: Vec::new(), grown: BTreeMap::new() }
    }

    /// What is wrong at the moment.
    pub(crate) fn present(&self) -> impl Iterator<Item = Trouble> {
        self.present.keys().copied()
    }

    /// Looks at the figures, and says what has begun, is still there after long, or is over.
    pub(crate) fn look(&mut self, figures: &HealthFigures, now: Instant) -> Vec<HealthNotice> {
        let wrong = self.wrong(figures, now);
        let mut told = Vec::new();
        for trouble in Trouble::ALL {
            match (wrong.get(&trouble), self.present.get(&trouble)) {
                (Some(text), last) => {
                    if last.is_none_or(|last| now - *last >= self.thresholds.repeat) {
                        self.present.insert(trouble, now);
                        told.push(HealthNotice { trouble, is_over: false, text: text.clone() });
                    }
                }
                (None, Some(_)) => {
                    self.present.remove(&trouble);
                    let text = format!("恢复正常 / well again: {}", trouble.word());
                    told.push(HealthNotice { trouble, is_over: true, text });
                }
                (None, None) => {}
            }
        }
        told
    }

    fn wrong(&mut self, f: &HealthFigures, now: Instant) -> BTreeMap<Trouble, String> {
        let mut wrong: BTreeMap<_, _> = self.beyond_thresholds(f, now).collect();
        for (trouble, count, text) in [
            (
                Trouble::Parked,
                f.parked,
                "通知被永久拒收 / notifications were refused for good; see `fiscwatch notify list --parked`",
            ),
            (Trouble::RuleErrors, f.rule_errors, "规则求值出错 / rules fail; see /api/v1/status"),
            (
                Trouble::Store,
                f.store_errors,
                "状态库读写出错 / the store could not be read or written; see the log",
            ),
        ] {
            if self.grew_lately(trouble, count, now) {
                wrong.insert(trouble, text.to_owned());
            }
        }
        wrong
    }

    /// The figures that are worse than they may be.
    fn beyond_thresholds(
        &mut self,
        f: &HealthFigures,
        now: Instant,
    ) -> impl Iterator<Item = (Trouble, String)> + use<> {
        let rejects = self.within_an_hour(f.quarantined, now);
        let t = &self.thresholds;
        let silent = now.saturating_since(f.last_event);
        let judged = [
            (
                t.silent_after.is_some_and(|after| silent >= after),
                Trouble::Silent,
                format!(
                    "{0} 分钟没有新事件 / no event for {0} minutes. Is the feed up?",
                    silent / TimeDelta::MINUTE
                ),
            ),
            (
                f.lag_records >= t.lag_records,
                Trouble::Lag,
                format!("落后 {0} 条记录 / {0} records behind", f.lag_records),
            ),
            (
                f.outbox_age >= t.outbox_age,
                Trouble::Outbox,
                format!(
                    "通知已积压 {0} 分钟（{1}） / notifications wait for {0} minutes ({1}); see `fiscwatch notify list`",
                    f.outbox_age / TimeDelta::MINUTE,
                    f.waiting_for.join(", ")
                ),
            ),
            (
                rejects >= t.rejects_per_hour,
                Trouble::Quarantine,
                format!(
                    "一小时内 {rejects} 条记录进入隔离区 / {rejects} records put into quarantine within an hour; see `fiscwatch rejects list`"
                ),
            ),
            (
                f.disk_free.is_some_and(|free| free < t.disk_free),
                Trouble::Disk,
                format!("磁盘仅剩 {0} MiB / only {0} MiB of disk are left", f.disk_free.unwrap_or(0) >> 20),
            ),
            (
                !f.reloaded,
                Trouble::Reload,
                String::from(
                    "重新加载失败，仍用旧规则 / the last reload was refused, the old rules stay; run `fiscwatch check`",
                ),
            ),
        ];
        judged.into_iter().filter(|(is_wrong, ..)| *is_wrong).map(|(_, trouble, text)| (trouble, text))
    }

    fn within_an_hour(&mut self, count: u64, now: Instant) -> u64 {
        if self.quarantined.last().is_none_or(|(at, _)| now - *at >= STEP) {
            self.quarantined.push((now, count));
        }
        self.quarantined.retain(|(at, _)| now - *at <= HOUR);
        count - self.quarantined.first().map_or(count, |(_, first)| (*first).min(count))
    }

    fn grew_lately(&mut self, trouble: Trouble, count: u64, now: Instant) -> bool {
        // The first look sees what there was before; that is counted too, for it was since the start.
        let (before, since) = self.grown.entry(trouble).or_insert((0, Instant::from_micros(i64::MIN / 2)));
        if count > *before {
            (*before, *since) = (count, now);
        }
        now - *since < RECENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    fn health() -> Health {
        Health::new(Thresholds {
            silent_after: Some(TimeDelta::from_micros(60 * MINUTE)),
            lag_records: 1000,
            outbox_age: TimeDelta::from_micros(15 * MINUTE),
            rejects_per_hour: 100,
            disk_free: 1 << 30,
            repeat: TimeDelta::from_micros(240 * MINUTE),
        })
    }

    fn fine(now: i64) -> HealthFigures {
        HealthFigures {
            last_event: Instant::from_micros(now),
            reloaded: true,
            disk_free: Some(1 << 40),
            ..HealthFigures::default()
        }
    }

    fn words(told: &[HealthNotice]) -> Vec<(&'static str, bool)> {
        told.iter().map(|t| (t.trouble.word(), t.is_over)).collect()
    }

    #[test]
    fn what_is_wrong_is_told_once_then_seldom_and_when_it_is_over() {
        let mut health = health();
        assert_eq!(health.look(&fine(0), Instant::EPOCH), []);
        let silent = HealthFigures { last_event: Instant::EPOCH, ..fine(0) };
        assert_eq!(words(&health.look(&silent, Instant::from_micros(59 * MINUTE))), []);
        assert_eq!(words(&health.look(&silent, Instant::from_micros(60 * MINUTE))), [("silent", false)]);
        assert_eq!(words(&health.look(&silent, Instant::from_micros(61 * MINUTE))), []);
        assert_eq!(words(&health.look(&silent, Instant::from_micros(300 * MINUTE))), [("silent", false)]);
        assert_eq!(
            words(&health.look(&fine(301 * MINUTE), Instant::from_micros(301 * MINUTE))),
            [("silent", true)]
        );
        assert_eq!(health.present().count(), 0);
    }

    #[test]
    fn growth_counts_not_the_sum() {
        let mut health = health();
        let with = |minute: i64, quarantined, rule_errors| HealthFigures {
            rule_errors,
            quarantined,
            ..fine(minute * MINUTE)
        };
        assert_eq!(words(&health.look(&with(0, 5000, 0), Instant::EPOCH)), []);
        assert_eq!(words(&health.look(&with(30, 5099, 0), Instant::from_micros(30 * MINUTE))), []);
        assert_eq!(
            words(&health.look(&with(31, 5100, 1), Instant::from_micros(31 * MINUTE))),
            [("rule_errors", false), ("quarantine", false)]
        );
        // An hour later there was no more, and the error was long ago.
        assert_eq!(
            words(&health.look(&with(95, 5100, 1), Instant::from_micros(95 * MINUTE))),
            [("rule_errors", true), ("quarantine", true)]
        );
    }

    #[test]
    fn each_figure_has_its_trouble() {
        let bad = HealthFigures {
            last_event: Instant::EPOCH,
            lag_records: 1000,
            outbox_age: TimeDelta::from_micros(15 * MINUTE),
            waiting_for: vec![String::from("mail")],
            parked: 1,
            rule_errors: 1,
            quarantined: 0,
            disk_free: Some(0),
            store_errors: 1,
            reloaded: false,
        };
        let told = health().look(&bad, Instant::from_micros(60 * MINUTE));
        assert_eq!(told.len(), Trouble::ALL.len() - 1);
        assert!(told.iter().any(|t| t.text.contains("mail")));
    }
}
