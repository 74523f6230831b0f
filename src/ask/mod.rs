//! 问答: questions in plain words. The catalogue has them as data, each one query over what is stored; a text is compared with
//! what they are about, and its names, dates and amounts become their parameters. Nothing is learnt and nothing guessed: the
//! same text means the same, and one that could mean several things is asked back.

pub mod catalogue;
mod dates;
mod found;
pub mod model;
mod names;
mod numbers;
mod query;
mod understand;
mod value;

pub use catalogue::{ParameterKind, Question, catalogue};
pub use names::Names;
pub use query::{Query, tables_of};
pub use understand::{Meaning, ParameterValues, Understood, candidates, understand};
pub use value::checked;

/// The longest text that is looked at, in characters.
pub const TEXT_MAX: usize = 300;
/// Questions that are offered where it is not clear which is meant.
pub const OFFERED: usize = 3;
