//! The states of an alert and what leads from one to another.

use serde::{Deserialize, Serialize};

use crate::{
    say,
    text::{self, Language},
};

/// Where an alert stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// 待受理: nobody has taken it on.
    Open,
    /// 受理: somebody looks into it.
    Acknowledged,
    /// 属实: it is as suspected.
    Confirmed,
    /// 整改: it is being put right.
    Rectifying,
    /// 办结: it is done.
    Closed,
    /// 误报: it was in order.
    Dismissed,
    /// Its condition stopped being true.
    Resolved,
}

/// What is done with an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A finding opened it.
    Opened,
    /// 受理
    Acknowledge,
    /// 属实
    Confirm,
    /// 误报
    Dismiss,
    /// 整改
    Rectify,
    /// 办结
    Close,
    /// Its condition stopped being true.
    Resolve,
    /// Nobody acknowledged it in time.
    Escalate,
    /// A remark; the state stays.
    Comment,
    /// 发函: the unit is asked to explain.
    Inquire,
    /// A finding raised its severity; the state stays.
    Raise,
    /// 分派: somebody else has it, or nobody.
    Assign,
    /// 改期: another last day.
    Postpone,
    /// 提请复核: a second officer is to decide.
    Propose,
    /// 复核通过: the second officer has it done. The history says what was done.
    Approve,
    /// 退回: the second officer does not.
    Return,
    /// 撤回: whoever proposed it takes that back.
    Withdraw,
    /// 并案: another alert goes on with it.
    Merge,
    /// 并入: it goes on with another alert.
    Absorb,
    /// 答复: the unit answered by the link of its letter.
    Answer,
    /// 逾期未答复: the unit did not answer in time.
    Unanswered,
    /// 未送达: the letter to the unit was refused for good.
    Undelivered,
    /// 收回链接: the unit can no longer answer by the link of its letter.
    Revoke,
    /// 附件: an officer added a file.
    Attach,
}

/// An enumeration's words, in the store and for people.
macro_rules! words {
    ($type:ty, $($value:ident => $word:literal, $zh:literal;)+) => {
        impl $type {
            /// All of them with their words in the API and the store, and in Chinese.
            pub const ALL: &'static [(Self, &'static str, &'static str)] = &[$((Self::$value, $word, $zh)),+];

            /// The word in the API and the store.
            #[must_use]
            pub fn word(self) -> &'static str {
                Self::ALL.iter().find(|(value, ..)| *value == self).map_or("", |(_, word, _)| word)
            }

            /// The word in the language that is spoken.
            #[must_use]
            pub fn shown(self) -> &'static str {
                match text::spoken() {
                    Language::Zh => self.zh(),
                    Language::En => self.word(),
                }
            }

            /// The word for people who read Chinese.
            #[must_use]
            pub fn zh(self) -> &'static str {
                Self::ALL.iter().find(|(value, ..)| *value == self).map_or("", |(.., zh)| zh)
            }
        }

        impl std::str::FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let known = Self::ALL.iter().find(|(_, word, _)| *word == text).map(|(value, ..)| *value);
                known.ok_or_else(|| {
                    let words: Vec<_> = Self::ALL.iter().map(|(_, word, _)| *word).collect();
                    say!("{text} is none of {words}", text = format!("{text:?}"), words = words.join(", "))
                })
            }
        }
    };
}

words!(State,
    Open => "open", "待受理";
    Acknowledged => "acknowledged", "受理";
    Confirmed => "confirmed", "属实";
    Rectifying => "rectifying", "整改";
    Closed => "closed", "办结";
    Dismissed => "dismissed", "误报";
    Resolved => "resolved", "解除";
);
words!(Action,
    Opened => "opened", "发现";
    Acknowledge => "acknowledge", "受理";
    Confirm => "confirm", "属实";
    Dismiss => "dismiss", "误报";
    Rectify => "rectify", "整改";
    Close => "close", "办结";
    Resolve => "resolve", "解除";
    Escalate => "escalate", "升级";
    Comment => "comment", "备注";
    Inquire => "inquire", "发函";
    Raise => "raise", "升高";
    Assign => "assign", "分派";
    Postpone => "postpone", "改期";
    Propose => "propose", "提请复核";
    Approve => "approve", "复核通过";
    Return => "return", "退回";
    Withdraw => "withdraw", "撤回";
    Merge => "merge", "并案";
    Absorb => "absorb", "并入";
    Answer => "answer", "答复";
    Unanswered => "unanswered", "逾期未答复";
    Undelivered => "undelivered", "未送达";
    Revoke => "revoke", "收回链接";
    Attach => "attach", "附件";
);
pub(super) use words;

impl State {
    /// Whether the alert is over: the next finding of its rule and key opens another.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Closed | Self::Dismissed | Self::Resolved)
    }

    /// The state after an officer's action.
    ///
    /// # Errors
    /// What can be done instead.
    pub fn after(self, action: Action) -> Result<Self, String> {
        let next = match (self, action) {
            // Whoever asks the unit looks into it.
            (Self::Open, Action::Acknowledge | Action::Inquire) => Self::Acknowledged,
            (Self::Acknowledged, Action::Confirm) => Self::Confirmed,
            (Self::Acknowledged, Action::Dismiss) => Self::Dismissed,
            (Self::Confirmed, Action::Rectify) => Self::Rectifying,
            // What needs no putting right can be closed at once.
            (Self::Confirmed | Self::Rectifying, Action::Close) => Self::Closed,
            (state, Action::Comment) => state,
            (state, Action::Resolve) if !state.is_over() => Self::Resolved,
            (
                state,
                Action::Inquire
                | Action::Raise
                | Action::Escalate
                | Action::Assign
                | Action::Postpone
                | Action::Propose
                | Action::Return
                | Action::Withdraw
                | Action::Absorb
                | Action::Answer
                | Action::Unanswered
                | Action::Undelivered
                | Action::Revoke
                | Action::Attach,
            ) if !state.is_over() => state,
            (state, Action::Merge) if !state.is_over() => Self::Closed,
            (state, action) => return Err(state.refuse(action)),
        };
        Ok(next)
    }

    fn refuse(self, action: Action) -> String {
        let officers =
            [Action::Acknowledge, Action::Confirm, Action::Dismiss, Action::Rectify, Action::Close];
        let possible: Vec<_> =
            officers.into_iter().filter(|a| self.after_is_possible(*a)).map(Action::shown).collect();
        let instead = match possible.as_slice() {
            [] => say!("it is over; only a comment can be added, and the next finding opens a new alert"),
            words => say!("it can be: {words}", words = words.join(&say!(", "))),
        };
        say!(
            "an alert that is {state} cannot {action}: {instead}",
            state = self.shown(),
            action = action.shown(),
            instead
        )
    }

    fn after_is_possible(self, action: Action) -> bool {
        match self {
            Self::Open => action == Action::Acknowledge,
            Self::Acknowledged => matches!(action, Action::Confirm | Action::Dismiss),
            Self::Confirmed => matches!(action, Action::Rectify | Action::Close),
            Self::Rectifying => action == Action::Close,
            Self::Closed | Self::Dismissed | Self::Resolved => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFICERS: [Action; 5] =
        [Action::Acknowledge, Action::Confirm, Action::Dismiss, Action::Rectify, Action::Close];

    #[test]
    fn the_whole_table() {
        let mut table = String::new();
        for (state, word, _) in State::ALL {
            for action in OFFICERS.into_iter().chain([Action::Resolve, Action::Comment, Action::Inquire]) {
                if let Ok(next) = state.after(action) {
                    table.push_str(&format!("{word} --{}--> {}\n", action.word(), next.word()));
                }
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn what_is_possible_is_what_a_refusal_names() {
        for (state, ..) in State::ALL {
            for action in OFFICERS {
                assert_eq!(
                    state.after(action).is_ok(),
                    state.after_is_possible(action),
                    "{state:?} {action:?}"
                );
            }
        }
        let refused = State::Closed.after(Action::Confirm).unwrap_err();
        assert!(refused.contains("opens a new alert"), "{refused}");
    }
}
