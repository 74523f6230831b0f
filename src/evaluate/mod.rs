//! Rules over batches: which events make a finding. Nothing here reads a clock or touches the store.

pub mod finding;
pub mod functions;
pub mod row;

pub use finding::Finding;
pub use row::{Evaluation, Evaluator};
