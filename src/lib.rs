//! fiscwatch: treasury execution monitoring.
//!
//! The rooms stand in the order in which they may import each other: each only those above it. A test holds it.
#![deny(unsafe_code)]
// The docs are for who works on the crate.
#![allow(rustdoc::private_intra_doc_links)]
// What came from outside is never unwrapped, only the command line writes to the terminal, and only `main` ends the process.
#![cfg_attr(
    not(test),
    warn(
        clippy::dbg_macro,
        clippy::exit,
        clippy::get_unwrap,
        clippy::print_stderr,
        clippy::print_stdout,
        clippy::todo,
        clippy::unimplemented,
        clippy::unwrap_used
    )
)]

// Foundations.
pub mod failpoint;

pub mod text;

pub mod event;

pub mod clock;

pub mod stream;

pub mod diagnostic;

pub(crate) mod yaml;

pub(crate) mod private;

pub(crate) mod paths;

pub(crate) mod spreadsheet;

pub mod personal;

pub mod lists;

pub mod access;

// The way of the data.
pub mod journal;

pub(crate) mod inspect;

pub mod markup;

pub mod workbook;

pub mod map;

pub mod source;

pub mod decode;

pub mod ledger;

pub mod forecast;

pub mod finding;

pub mod decision;

pub mod approval;

pub mod sql;

pub mod ask;

pub mod rule;

pub mod evaluate;

pub mod alert;

pub mod engine;

pub mod store;

pub mod replica;

// What joins and starts it.
pub mod trial;

pub mod config;

pub(crate) mod guess;

pub mod telemetry;

pub mod notify;

pub(crate) mod evidence;

pub(crate) mod settle;

pub mod daemon;

pub mod http;

pub mod app;

// The command line.
pub mod simulate;

pub(crate) mod shipped;

#[allow(clippy::print_stderr, clippy::print_stdout)]
pub mod cli;
