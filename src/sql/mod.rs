//! What SQL in rules and queries can name: functions, and tables with their columns. Who fills the tables is elsewhere.

pub(crate) mod desk;
pub mod functions;
pub(crate) mod tables;
mod value;

pub use value::value;
