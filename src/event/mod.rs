//! The data dictionary: one Arrow schema for every kind of event, and exact money and time.

mod cents;
pub(crate) mod currency;
pub(crate) mod dress;
mod duration;
pub(crate) mod hidden;
mod instant;
pub(crate) mod kind;
mod latest;
pub(crate) mod local;
pub mod money;
pub(crate) mod name;
mod nothing;
pub mod number;
pub(crate) mod pattern;
pub(crate) mod period;
pub mod schema;
pub mod stamp;
pub(crate) mod tick;
pub mod time;
mod whole;

pub use cents::{Cents, Ratio};
pub(crate) use cents::{in_64_bits, in_millionths};
pub use currency::Currency;
pub use duration::duration;
pub use instant::{Instant, TimeDelta};
pub use kind::{BankStatus, BudgetAction, EventType, TypeSet};
pub use latest::Latest;
pub use name::normal_name;
pub(crate) use nothing::nothing;
pub use schema::{Column, FieldKind, event_schema, id_hash};
