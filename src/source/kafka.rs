//! Kafka topics (the only place that knows rdkafka).
