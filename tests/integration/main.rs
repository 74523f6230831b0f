//! All integration tests in one binary: each binary would link `DataFusion` again.

mod support;

mod alerts;
mod arithmetic;
mod batches;
mod cli;
mod closing;
mod crash;
mod decode;
mod dispatch;
mod documents;
mod errors;
mod faults;
mod forecast;
mod fuzzing;
mod http;
mod indicators;
mod kafka;
mod ledger;
mod lifecycle;
mod local_time;
mod mistakes;
mod notify;
mod schedule;
mod sealing;
mod simulation;
mod sliding;
mod sources;
mod standby;
mod state;
mod supervisor;
mod texts;
mod trial;
mod versions;
