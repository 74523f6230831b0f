//! 审批: what one person proposes and others approve before it comes into force. One way for all kinds: budget actions that are
//! entered by hand, overrides, rules, exceptions, rows of lists. Pure: the store keeps matters, the daemon carries them out.

mod act;
pub mod action;
mod canonical;
mod levels;
mod matter;
pub mod rows;
#[cfg(test)]
mod tests;

pub use act::{Act, Verb};
pub use canonical::{canonical, check_signed};
pub use levels::{APPROVERS, Level, Levels, SLOTS_MAX, missing};
pub use matter::{Matter, MatterState, NewMatter};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::text::{Language, spoken};

/// What a matter is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ApprovalKind)]
pub enum Kind {
    /// 预算操作: budget actions that are entered by hand.
    Budget,
    /// 特批: a blocked application may pass once.
    Override,
    /// 规则: a set of rules, or other constants of rules.
    Rules,
    /// 例外: a unit that a rule lets be until a day.
    Exception,
    /// 名单: rows of a list.
    List,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Budget, Self::Override, Self::Rules, Self::Exception, Self::List];

    /// The word in JSON and in rows.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::Override => "override",
            Self::Rules => "rules",
            Self::Exception => "exception",
            Self::List => "list",
        }
    }

    /// The field's term for it.
    #[must_use]
    pub const fn zh(self) -> &'static str {
        match self {
            Self::Budget => "预算操作",
            Self::Override => "特批",
            Self::Rules => "规则",
            Self::Exception => "例外",
            Self::List => "名单",
        }
    }

    /// As people call it in the language that is spoken.
    #[must_use]
    pub fn titled(self) -> &'static str {
        match spoken() {
            Language::Zh => self.zh(),
            Language::En => self.word(),
        }
    }

    /// The kind of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// How matters are judged, and by what their acts are signed.
#[derive(Debug, Default)]
pub struct Office {
    /// Who has to approve what.
    pub levels: Levels,
    /// The key of the state; acts are not signed without it, which only tests want.
    pub key: Option<crate::access::seal::SealKey>,
}

/// Somebody who proposes or judges.
#[derive(Debug, Clone)]
pub struct Person {
    pub(crate) who: String,
    /// Which roles they have of those that approve. Where nobody is asked who they are, anybody has all of them.
    pub roles: Vec<crate::access::Role>,
}

impl Person {
    /// Somebody of whose roles nothing is known, because nobody is told apart.
    #[must_use]
    pub fn anybody(who: &str) -> Self {
        Self { who: who.to_owned(), roles: APPROVERS.to_vec() }
    }

    /// Somebody with these roles.
    #[must_use]
    pub fn of(who: &str, roles: &crate::access::Roles) -> Self {
        Self { who: who.to_owned(), roles: APPROVERS.into_iter().filter(|role| roles.has(*role)).collect() }
    }
}
