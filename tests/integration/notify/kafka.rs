//! The Kafka sink against librdkafka's mock cluster.

use std::time::Duration;

use fiscwatch::alert::Reason;
use rdkafka::{
    ClientConfig, Message,
    consumer::{BaseConsumer, Consumer},
    message::Headers,
    mocking::MockCluster,
};
use serde_json::Value;

use super::{notification, permanent, setup, sink, temporary};
use crate::support::NOBODY;

#[tokio::test(flavor = "multi_thread")]
async fn every_alert_is_a_message_with_its_key() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("alerts", 1, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let sink = sink(&format!("kafka: {{ brokers: ['{brokers}'], topic: alerts, mask: true }}"), &setup());
    let sent = notification(Reason::New, "");
    let test = notification(Reason::Test, "");
    sink.send(&sent).await.unwrap();
    sink.send(&test).await.unwrap();

    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "test")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    consumer.subscribe(&["alerts"]).unwrap();
    let mut messages = Vec::new();
    crate::support::wait_until(|| {
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            messages.push(message.unwrap().detach());
        }
        messages.len() == sent.alerts.len() + 1
    });
    for (message, told) in messages.iter().zip(&sent.alerts) {
        assert_eq!(message.key().unwrap(), told.alert.alert_id.as_bytes());
        let headers = message.headers().unwrap();
        let id = headers.iter().find(|h| h.key == "fiscwatch-notification").unwrap();
        assert_eq!(id.value.unwrap(), sent.id.as_bytes());
        let body: Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
        assert_eq!(body["version"], 1);
        assert_eq!(body["reason"], "new");
        assert_eq!(body["alert"]["alert_id"], told.alert.alert_id);
        assert_eq!(body["alert"]["opened_at"], "2026-03-04T10:00:00+08:00");
        let text = body.to_string();
        assert!(!text.contains("王小明") && !text.contains("6222021202000012345"), "{text}");
    }
    let last = messages.last().unwrap();
    assert_eq!(last.key().unwrap(), test.id.as_bytes());
    let body: Value = serde_json::from_slice(last.payload().unwrap()).unwrap();
    assert_eq!(body["message"], "这是一条测试通知。");
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_are_away_are_waited_for_and_what_is_too_large_is_not() {
    let away = format!("kafka: {{ brokers: ['{NOBODY}'], topic: alerts, timeout: 1s }}");
    let text = temporary(sink(&away, &setup()).send(&notification(Reason::First, "")).await);
    assert!(text.contains("Are the brokers up?"), "{text}");

    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("alerts", 1, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let small = format!(
        "kafka: {{ brokers: ['{brokers}'], topic: alerts, properties: {{ message.max.bytes: '1000' }} }}"
    );
    let text = permanent(sink(&small, &setup()).send(&notification(Reason::First, "")).await);
    assert!(text.starts_with("topic \"alerts\": "), "{text}");
}
