//! The second loop: it takes what the outbox holds and tells people, and is joined with the first only by the store. A
//! dead mail server costs nothing but a longer outbox.

mod gauged;

use std::{sync::Arc, time::Duration};

use anyhow::anyhow;
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use gauged::Gauged;

use super::Ending;
use crate::{
    daemon::{Shared, receivers::Receivers, run_blocking},
    event::{Instant, TimeDelta},
    failpoint,
    notify::{
        Resender,
        deliver::Delivery,
        dispatch::{Dispatch, DispatchReport},
        resend::Current,
    },
    say,
    store::{Outbox, StoreError},
    telemetry::Metrics,
};

/// The longest time until the outbox is looked at again: commands of other processes are noticed then.
const LOOK: Duration = Duration::from_secs(1);
/// How many entries are brought forward in one transaction.
const FORWARD: usize = 1000;
/// How long a run that ends by itself tries to deliver what is due.
const FLUSH: Duration = Duration::from_secs(30);
/// Alerts that ended within this time are shown again to a sink that forgets.
const ENDED: TimeDelta = TimeDelta::minutes(15);
/// The most alerts that are shown again.
const CURRENT_MAX: usize = 10_000;
/// How long is bundled at a time, before anything else is looked at; longer where it takes long to learn what has to be
/// known for it.
const BUNDLE: Duration = Duration::from_secs(1);
/// How much longer than to learn it.
const BUNDLE_FOR_PASS: u32 = 10;
/// The pause between two rounds that follow one another: commits come first.
const PAUSE: Duration = Duration::from_millis(50);
/// The pause after the outbox could not be read or written.
const TROUBLE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct DeliverTask {
    task: JoinHandle<()>,
    stop: CancellationToken,
    flush: CancellationToken,
}

impl DeliverTask {
    /// Starts the loop on the state directory that a store has opened.
    ///
    /// # Errors
    /// If the outbox cannot be opened.
    pub(crate) fn start(shared: &Arc<Shared>) -> Result<Self, StoreError> {
        let bundling = Outbox::open(&shared.state_dir)?;
        let sending = Arc::new(Mutex::new(Outbox::open(&shared.state_dir)?));
        let (stop, flush) = (CancellationToken::new(), CancellationToken::new());
        let work = Loop { shared: Arc::clone(shared), sending, stop: stop.clone(), flush: flush.clone() };
        Ok(Self { task: tokio::spawn(work.run(bundling)), stop, flush })
    }

    /// Waits until the loop ends without having been asked to: it broke, and a daemon that tells nobody must not go on.
    pub(crate) async fn broke(&mut self) -> anyhow::Error {
        let _ = (&mut self.task).await;
        broken()
    }

    /// Ends the loop. If it is tidy, what waits only for its group is delivered first, if the sinks take it soon.
    ///
    /// # Errors
    /// If it broke.
    pub(crate) async fn end(self, ending: Ending) -> anyhow::Result<()> {
        match ending {
            Ending::Tidy => self.flush.cancel(),
            Ending::Soon => self.stop.cancel(),
        }
        self.task.await.map_err(|_| broken())
    }
}

fn broken() -> anyhow::Error {
    anyhow!(say!(
        "the delivery of notifications broke, please report this; the outbox keeps what was not sent, and a start goes on with it"
    ))
}

struct Loop {
    shared: Arc<Shared>,
    sending: Arc<Mutex<Outbox>>,
    stop: CancellationToken,
    flush: CancellationToken,
}

/// The deliveries to the sinks as they are configured at the moment.
struct Deliveries {
    tasks: JoinSet<Result<(), StoreError>>,
    stop: CancellationToken,
    news: watch::Sender<u64>,
}

impl Loop {
    async fn run(self, mut bundling: Outbox) {
        // What happened before this start was counted by the one before.
        let mut gauged = Gauged::after(bundling.last_history().unwrap_or(0));
        let mut receivers = self.shared.receivers.subscribe();
        loop {
            let current = receivers.borrow_and_update().clone();
            let mut deliveries = self.deliveries(&current);
            loop {
                let more;
                (bundling, more) = self.bundle(bundling, &current, &deliveries).await;
                let (now, policy) = (self.shared.clock.now(), self.shared.desk().policy);
                if let Err(e) = gauged.look(&bundling, &self.shared.metrics, &policy, now) {
                    tracing::error!("the outbox: {e}");
                }
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => return deliveries.end().await,
                    () = self.flush.cancelled() => return self.flush(bundling, &current, deliveries).await,
                    changed = receivers.changed() => if changed.is_ok() { break },
                    Some(ended) = deliveries.tasks.join_next() => {
                        tracing::error!("a delivery ended, it is started again: {ended:?}");
                        tokio::time::sleep(TROUBLE).await;
                        break;
                    }
                    () = self.shared.dispatch.notified() => {}
                    () = tokio::time::sleep(if more { PAUSE } else { LOOK }) => {}
                }
            }
            deliveries.end().await;
        }
    }

    fn deliveries(&self, receivers: &Receivers) -> Deliveries {
        let (stop, (news, _)) = (CancellationToken::new(), watch::channel(0));
        let mut tasks = JoinSet::new();
        for (name, sink) in &*receivers.sinks {
            let Some(limits) = receivers.limits.get(name).copied() else { continue };
            // A counter that starts with its first failure hides it from rate().
            for result in ["accepted", "retried", "parked"] {
                self.shared.metrics.notifications.with_label_values(&[name, result]).inc_by(0);
            }
            let delivery = Delivery {
                name: name.clone(),
                sink: Arc::clone(sink),
                limits,
                outbox: Arc::clone(&self.sending),
                news: news.subscribe(),
                stop: stop.clone(),
                clock: Arc::clone(&self.shared.clock),
                metrics: Arc::clone(&self.shared.metrics),
            };
            tasks.spawn(delivery.run());
            let resender = Resender {
                name: name.clone(),
                sink: Arc::clone(sink),
                current: self.current(name),
                clock: Arc::clone(&self.shared.clock),
                metrics: Arc::clone(&self.shared.metrics),
            };
            let stop = stop.clone();
            if sink.resend_every().is_some() {
                tasks.spawn(async move {
                    resender.run(stop).await;
                    Ok(())
                });
            }
        }
        Deliveries { tasks, stop, news }
    }

    /// The alerts that a sink was told of and that are not over, and those that ended lately.
    fn current(&self, sink: &str) -> Current {
        let (outbox, sink) = (Arc::clone(&self.sending), sink.to_owned());
        let clock = Arc::clone(&self.shared.clock);
        Arc::new(move || {
            let since = clock.now() - ENDED;
            let told = outbox.lock().told(&sink, since, CURRENT_MAX);
            told.unwrap_or_else(|e| {
                tracing::error!("the outbox: {e}");
                Vec::new()
            })
        })
    }

    /// Bundles what is due for a while. Gives whether more is due.
    async fn bundle(&self, outbox: Outbox, receivers: &Receivers, deliveries: &Deliveries) -> (Outbox, bool) {
        let dispatch = Dispatch {
            policy: self.shared.desk().policy,
            sinks: Arc::clone(&receivers.sinks),
            lists: receivers.lists.clone(),
        };
        let now = self.shared.clock.now();
        let metrics = Arc::clone(&self.shared.metrics);
        let stop = self.stop.clone();
        let (outbox, result) = run_blocking(move || {
            let mut outbox = outbox;
            failpoint::reach("deliver.round").expect("a test breaks it");
            let result = rounds(&mut outbox, &dispatch, now, &metrics, &stop);
            (outbox, result)
        })
        .await;
        let more = match result {
            Ok((made, more)) => {
                if made > 0 {
                    deliveries.news.send_modify(|n| *n += 1);
                }
                more
            }
            Err(e) => {
                tracing::error!("the outbox: {e}");
                self.shared.metrics.outbox_errors.inc();
                tokio::time::sleep(TROUBLE).await;
                false
            }
        };
        (outbox, more)
    }

    async fn flush(&self, bundling: Outbox, receivers: &Receivers, deliveries: Deliveries) {
        let policy = self.shared.desk().policy;
        let waits = policy.routes.iter().flat_map(|root| root.all()).map(|route| route.group_wait);
        let ahead = waits.max().unwrap_or(TimeDelta::ZERO);
        let left = || self.sending.lock().has_untried();
        let flushed = async {
            let (mut bundling, mut more) = (self.bring_forward(bundling, ahead).await, true);
            while more {
                (bundling, more) = self.bundle(bundling, receivers, &deliveries).await;
            }
            while left().unwrap_or(false) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = tokio::time::timeout(failpoint::within("patience.flush", FLUSH), flushed).await;
        deliveries.end().await;
    }
}

impl Loop {
    /// Nobody is to wait for a group any more that would be told within `ahead`.
    async fn bring_forward(&self, mut outbox: Outbox, ahead: TimeDelta) -> Outbox {
        let now = self.shared.clock.now();
        run_blocking(move || {
            loop {
                match outbox.round(|round| round.bring_forward(now, now.saturating_add(ahead), FORWARD)) {
                    Ok(FORWARD) => {}
                    Ok(_) => break,
                    Err(e) => {
                        tracing::error!("the outbox: {e}");
                        break;
                    }
                }
            }
            outbox
        })
        .await
    }
}

impl Deliveries {
    async fn end(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            if let Ok(Err(e)) = ended {
                tracing::error!("the outbox: {e}");
            }
        }
    }
}

/// Bundles what is due for a while: gives how many notifications that made, and whether more is due.
fn rounds(
    outbox: &mut Outbox,
    dispatch: &Dispatch,
    now: Instant,
    metrics: &Metrics,
    stop: &CancellationToken,
) -> Result<(usize, bool), StoreError> {
    let (started, mut made) = (std::time::Instant::now(), 0);
    let (mut pass, mut limit) = (None, BUNDLE);
    // Only a read, as long as nothing is due: the commits of the first loop never wait for an idle second one.
    while outbox.next_due()?.is_some_and(|due| due <= now) {
        if pass.is_none() {
            pass = Some(dispatch.pass(outbox, now)?);
            limit = BUNDLE.max(BUNDLE_FOR_PASS * started.elapsed());
        }
        let Some(pass) = &pass else { break };
        let mut began = std::time::Instant::now();
        let report: DispatchReport = outbox.round(|round| {
            // Its turn has come: from now on others wait for it.
            began = std::time::Instant::now();
            dispatch.round(round, pass)
        })?;
        metrics.outbox_round.observe(began.elapsed().as_secs_f64());
        made += report.notifications;
        for (reason, n) in &report.held {
            metrics.notifications_held.with_label_values(&[*reason]).inc_by(*n);
        }
        metrics.alerts_escalated.inc_by(report.escalated as u64);
        metrics.notifications_untold.inc_by(report.untold);
        if !report.more {
            break;
        }
        if started.elapsed() >= limit || stop.is_cancelled() {
            return Ok((made, true));
        }
        std::thread::sleep(PAUSE);
    }
    Ok((made, false))
}
