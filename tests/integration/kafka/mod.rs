//! The Kafka source: against librdkafka's mock cluster everywhere, against a real broker where there is one.

mod broker;
mod mock;
mod real;
