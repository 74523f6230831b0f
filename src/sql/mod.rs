//! What SQL in rules and queries can name: functions, and tables with their columns. Who fills the tables is elsewhere.

pub mod desk;
pub mod functions;
pub mod tables;
mod value;

pub use value::value;
