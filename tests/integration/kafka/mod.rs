//! The Kafka source: against librdkafka's mock cluster everywhere, against a real broker where there is one.

pub mod broker;
pub mod debezium;
mod decide;
mod mock;
mod real;
mod shards;
mod shards_refused;
mod shards_whole;
