//! fiscwatch: treasury execution monitoring. The modules stand in the order of the flow.
#![deny(unsafe_code)]

// Foundations.
pub mod clock;
pub mod config;
pub mod diagnostic;
pub mod event;
pub mod failpoint;
pub mod finding;
pub mod journal;
pub mod lists;
pub mod paths;
pub mod personal;
pub mod private;
pub mod spreadsheet;
pub mod stream;
pub mod telemetry;
pub mod text;
pub mod yaml;

// The way of the data.
pub mod inspect;
pub mod source;

pub mod decode;

pub mod forecast;
pub mod ledger;

pub mod evaluate;
pub mod rule;
pub mod sql;

pub mod store;

pub mod alert;
pub mod notify;

// What joins and starts it.
pub mod engine;

pub mod app;
pub mod http;
pub mod trial;

pub mod cli;
pub mod shipped;
pub mod simulate;
