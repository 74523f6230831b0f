//! What an event is: its type, of a budget event its action, and of a confirmation its status.

use serde::{Serialize, Serializer};

use super::Cents;

/// A set of event types: the [`EventType::bit`]s of its members.
pub type TypeSet = u16;

/// The `type` of an event. The discriminant is a bit number, so that sets of types are bit masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum EventType {
    /// 支付申请: reserves money before any moves.
    Application,
    /// 支付: money has moved.
    Payment,
    /// 申请退回: gives up what an application still reserves.
    Withdrawal,
    /// 退款: money came back.
    Refund,
    /// 更正: a payment is charged to another budget line.
    Correction,
    /// A budget action (预算指标 and 用款计划).
    Budget,
    /// 绩效指标: what a programme is to achieve and has achieved.
    Indicator,
    /// 回单: what the bank did with a payment.
    Confirmation,
    /// 收款: an own account was credited.
    Receipt,
    /// 冲销: a payment is taken out of the books whole, as if it had not been.
    Reversal,
}

impl EventType {
    /// Every type, in the order of their discriminants.
    pub const ALL: [Self; 10] = [
        Self::Application,
        Self::Payment,
        Self::Withdrawal,
        Self::Refund,
        Self::Correction,
        Self::Budget,
        Self::Indicator,
        Self::Confirmation,
        Self::Receipt,
        Self::Reversal,
    ];

    /// The word used on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Application => "application",
            Self::Payment => "payment",
            Self::Withdrawal => "withdrawal",
            Self::Refund => "refund",
            Self::Correction => "correction",
            Self::Budget => "budget",
            Self::Indicator => "indicator",
            Self::Confirmation => "confirmation",
            Self::Receipt => "receipt",
            Self::Reversal => "reversal",
        }
    }

    /// The type named on the wire.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.name() == name)
    }

    /// Whether it opens its budget line, if nothing did before, with the attributes that it has of it.
    #[must_use]
    pub const fn opens_lines(self) -> bool {
        matches!(self, Self::Payment | Self::Application)
    }

    /// Whether it names another event, in `original_event_id`.
    #[must_use]
    pub fn names_another(self) -> bool {
        super::Column::OriginalEventId.spec().on & self.bit() != 0
    }

    /// The bit of this type in a set of types.
    #[must_use]
    pub const fn bit(self) -> TypeSet {
        1 << self as u8
    }
}

impl Serialize for EventType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The `action` of a budget event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BudgetAction {
    /// 批复
    Approve,
    /// 追加
    Supplement,
    /// 追减
    Reduce,
    /// 调剂
    Transfer,
    /// 冻结
    Freeze,
    /// 解冻
    Unfreeze,
    /// 结转
    CarryOver,
    /// 收回
    Reclaim,
    /// 用款计划下达
    Plan,
    /// 计划收回
    PlanReduce,
    /// 期初已执行: what was executed before the journal begins
    Opening,
}

impl BudgetAction {
    /// Every action, in the order of docs/events.md.
    pub const ALL: [Self; 11] = [
        Self::Approve,
        Self::Supplement,
        Self::Reduce,
        Self::Transfer,
        Self::Freeze,
        Self::Unfreeze,
        Self::CarryOver,
        Self::Reclaim,
        Self::Plan,
        Self::PlanReduce,
        Self::Opening,
    ];

    /// The word used on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Supplement => "supplement",
            Self::Reduce => "reduce",
            Self::Transfer => "transfer",
            Self::Freeze => "freeze",
            Self::Unfreeze => "unfreeze",
            Self::CarryOver => "carry_over",
            Self::Reclaim => "reclaim",
            Self::Plan => "plan",
            Self::PlanReduce => "plan_reduce",
            Self::Opening => "opening",
        }
    }

    /// The action named on the wire.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name() == name)
    }
}

impl Serialize for BudgetAction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The `status` of a confirmation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BankStatus {
    /// 已支付: the whole amount left the account.
    Paid,
    /// 部分支付: a part of it did.
    Partial,
    /// 退汇: it came back.
    Returned,
}

impl BankStatus {
    /// Every status, in the order of docs/events.md.
    pub const ALL: [Self; 3] = [Self::Paid, Self::Partial, Self::Returned];

    /// The word used on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Partial => "partial",
            Self::Returned => "returned",
        }
    }

    /// The status named on the wire.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }

    /// What a confirmation of so many cents adds to what is cleared.
    #[must_use]
    pub fn cleared(self, cents: Cents) -> Cents {
        match self {
            Self::Paid | Self::Partial => cents,
            Self::Returned => -cents,
        }
    }
}
