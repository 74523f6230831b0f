//! A sink that breaks while it sends: what else is under way goes on, and is not sent twice.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use fiscwatch::{
    alert::Notification,
    clock::ManualClock,
    event::TimeDelta,
    notify::{SendError, Sink, SinkLimits, deliver::Delivery},
    store::Outbox,
    telemetry::Metrics,
};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::dispatch::World;

/// Breaks at notifications of one rule, and takes its time with the rest.
#[derive(Debug, Default)]
struct Breaking(Mutex<Vec<String>>);

#[async_trait]
impl Sink for Breaking {
    async fn send(&self, notification: &Notification) -> Result<(), SendError> {
        self.0.lock().push(notification.alerts[0].alert.rule_id.clone());
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_ne!(notification.alerts[0].alert.rule_id, "used", "broken");
        tokio::time::sleep(Duration::from_millis(400)).await;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_that_breaks_sends_no_other_twice() {
    let mut world =
        World::new("routes: { sinks: [boss], group_by: [rule], group_wait: 0s, repeat_interval: never }");
    world.find("exhausted", "L1", "101001");
    world.find("used", "L2", "101001");
    world.bundle();
    let (sink, stop) = (Arc::new(Breaking::default()), CancellationToken::new());
    let (_news, news) = watch::channel(0);
    let outbox = Arc::new(Mutex::new(Outbox::open(world.dir.path()).unwrap()));
    let metrics = Arc::new(Metrics::new().unwrap());
    let delivery = Delivery {
        name: String::from("boss"),
        sink: Arc::clone(&sink) as _,
        limits: SinkLimits { concurrency: 4, per_minute: None },
        outbox: Arc::clone(&outbox),
        news,
        stop: stop.clone(),
        clock: Arc::new(ManualClock::at(world.now)),
        metrics: Arc::clone(&metrics),
    };
    let task = tokio::spawn(delivery.run());
    tokio::time::sleep(Duration::from_millis(1500)).await;
    stop.cancel();
    task.await.unwrap().unwrap();
    let mut sent = sink.0.lock().clone();
    sent.sort();
    assert_eq!(sent, ["exhausted", "used"], "each was sent once");
    let count = |what| metrics.notifications.with_label_values(&["boss", what]).get();
    assert_eq!((count("accepted"), count("retried")), (1, 1));
    // What broke waits for its next attempt.
    let later = outbox.lock().pending("boss", world.now + TimeDelta::seconds(2), &[], 9).unwrap();
    assert_eq!(later.len(), 1);
    assert_eq!((later[0].notification.alerts[0].alert.rule_id.as_str(), later[0].attempts), ("used", 1));
}
