//! The data dictionary: one Arrow schema for every kind of event, and exact money and time.

pub mod currency;
pub mod dress;
mod duration;
pub mod hidden;
pub mod kind;
pub mod local;
pub mod money;
pub mod name;
pub mod number;
pub mod period;
pub mod schema;
pub mod stamp;
pub mod tick;
pub mod time;

pub use currency::Currency;
pub use duration::duration;
pub use kind::{BankStatus, BudgetAction, EventType, TypeSet};
pub use name::normal_name;
pub use schema::{Column, FieldKind, event_schema, id_hash};
