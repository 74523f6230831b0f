//! fiscwatch: treasury execution monitoring. The modules stand in the order of the flow.
#![deny(unsafe_code)]

pub mod clock;
pub mod config;
pub mod diagnostic;
pub mod event;
pub mod lists;
pub mod stream;
pub mod yaml;

pub mod decode;
pub mod ledger;

pub mod evaluate;
pub mod rule;

pub mod store;

pub mod engine;
pub mod source;

pub mod app;
pub mod http;
pub mod telemetry;

pub mod cli;

pub mod simulate;
