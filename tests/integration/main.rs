//! All integration tests in one binary: each binary would link `DataFusion` again.

mod support;

mod batches;
mod cli;
mod crash;
mod decode;
mod http;
mod kafka;
mod ledger;
mod sealing;
mod sources;
