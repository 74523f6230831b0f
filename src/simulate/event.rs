//! The records of the stream, with exactly the field names of the contract.

use std::borrow::Cow;
use std::fmt;

use jiff::Timestamp;
use jiff::tz::Offset;
use serde::{Serialize, Serializer};

use crate::event::{BudgetAction, Cents, EventType};

/// A text that is often a constant of the simulated world.
pub type WorldText = Cow<'static, str>;

/// One event of the stream together with its place in time and, if it was planted, its label.
#[derive(Debug, Clone)]
pub struct Simulated {
    /// The time of the event.
    pub at: Timestamp,
    /// The record, as it is written.
    pub event: Event,
    /// Which anomaly was planted with this event, if any.
    pub label: Option<Label>,
}

/// A planted anomaly: one label for each, told with the event that completes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Label {
    /// The kind of anomaly.
    pub kind: WorldText,
    /// The rules that may find it, its own first.
    pub rule_ids: Vec<WorldText>,
    /// The events it consists of, in order; the last one completes it.
    pub event_ids: Vec<String>,
    /// The time of the first event.
    pub from: LocalStamp,
    /// The time of the last event.
    pub to: LocalStamp,
    /// What identifies it to findings about a window or a tick.
    pub key: LabelKey,
    pub(crate) note: WorldText,
}

/// The columns that an anomaly has in common with the keys of findings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LabelKey {
    /// The unit that pays.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub unit_code: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) region_code: String,
    /// The own account that is credited.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub account: String,
    /// The budget line charged.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub budget_line_id: String,
    /// The account of the payee.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub payee_account: String,
    /// The class that is paid.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub economic_code: String,
    /// The event that is taken back.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub original_event_id: String,
}

macro_rules! record {
    ($($(#[$note:meta])* $field:ident: $type:ty,)*) => {
        /// One record of the stream; fields that do not apply are left out when it is written.
        #[derive(Debug, Clone, Serialize)]
        pub struct Event {
            /// The idempotency key.
            pub event_id: String,
            /// The type, written as `type`.
            #[serde(rename = "type")]
            pub event_type: EventType,
            /// The event time.
            pub occurred_at: LocalStamp,
            $(
                $(#[$note])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )*
        }

        impl Event {
            /// An event with nothing but its identity.
            #[must_use]
            pub fn new(event_id: String, event_type: EventType, occurred_at: LocalStamp) -> Self {
                Self { event_id, event_type, occurred_at, $($field: None,)* }
            }
        }
    };
}

record! {
    /// When a person entered it.
    recorded_at: LocalStamp,
    /// What a budget event does to its line.
    action: BudgetAction,
    /// The application, payment or other event this one refers to.
    original_event_id: String,
    /// The line that is charged.
    budget_line_id: String,
    /// The line that receives a transfer or a correction.
    to_budget_line_id: String,
    /// The fiscal year of the line.
    fiscal_year: String,
    /// 财政区划
    region_code: WorldText,
    /// 预算单位
    unit_code: String,
    /// 预算单位名称
    unit_name: String,
    /// 支出功能分类
    function_code: WorldText,
    /// 部门预算支出经济分类
    economic_code: WorldText,
    /// 项目
    project_code: String,
    /// 资金性质
    fund_type: WorldText,
    /// `direct` or `authorized`.
    payment_mode: WorldText,
    /// `transfer`, `cash`, `card` or `cheque`.
    settlement: WorldText,
    /// The account the money leaves.
    payer_account: String,
    /// 收款人
    payee_name: String,
    /// 收款账号
    payee_account: String,
    /// `entity`, `person` or `self`.
    payee_type: WorldText,
    /// 实际收款人, from the bank.
    actual_payee_name: String,
    /// The account the bank really credited.
    actual_payee_account: String,
    /// The amount of money.
    #[serde(serialize_with = "as_text")]
    amount: Cents,
    /// The currency of the amount.
    currency: WorldText,
    /// 用途
    purpose: String,
    /// 合同号
    contract_no: String,
    /// 发票号
    invoice_no: String,
    /// 政府采购编号
    procurement_no: String,
    /// 债券编码
    bond_code: String,
    /// 一卡通 beneficiary.
    beneficiary_id: String,
    /// The application this payment settles.
    application_id: String,
    /// Marks such as 直达资金 and 三保.
    tags: Vec<WorldText>,
    /// Why money came back or was moved.
    reason: WorldText,
    /// 绩效指标
    indicator_id: String,
    /// What the indicator counts.
    indicator_name: WorldText,
    /// What is to be achieved.
    target: String,
    /// What is achieved so far.
    actual: String,
    /// `at_least` or `at_most`.
    direction: WorldText,
    /// By when the target is due.
    due: String,
    /// `paid`, `partial` or `returned`.
    status: WorldText,
    /// The bank's own number.
    bank_ref: String,
    /// The own account that was credited.
    account: String,
    /// Who paid into it.
    payer_name: String,
}

/// So many cents, which a made-up treasury reckons in.
pub(crate) fn money(cents: i64) -> Cents {
    Cents::new(i128::from(cents))
}

/// An amount as text, as feeds have it: `1234.50`.
#[allow(clippy::ref_option)] // As serde gives a field.
fn as_text<S: Serializer>(amount: &Option<Cents>, serializer: S) -> Result<S::Ok, S::Error> {
    match amount {
        Some(amount) => serializer.collect_str(amount),
        None => serializer.serialize_none(),
    }
}

impl Event {
    /// Its amount in cents.
    #[must_use]
    pub fn cents(&self) -> Option<i64> {
        self.amount.and_then(|amount| i64::try_from(amount.as_i128()).ok())
    }
}

/// A moment with the offset of the zone it is told in, written as RFC 3339 with milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalStamp {
    pub(crate) at: Timestamp,
    /// The offset it is written with.
    pub offset: Offset,
}

impl LocalStamp {
    /// `YYYY-MM-DDThh:mm:ss.mmm±hh:mm`, by hand because every event has two of them.
    fn text(self) -> [u8; 29] {
        let local = self.offset.to_datetime(self.at);
        let minutes = self.offset.seconds().unsigned_abs() / 60;
        let mut text = *b"0000-00-00T00:00:00.000+00:00";
        let mut put = |place: std::ops::Range<usize>, mut value: u32| {
            for digit in text[place].iter_mut().rev() {
                *digit = b'0' + (value % 10) as u8;
                value /= 10;
            }
        };
        put(0..4, u32::from(local.year().unsigned_abs()));
        put(5..7, u32::from(local.month().unsigned_abs()));
        put(8..10, u32::from(local.day().unsigned_abs()));
        put(11..13, u32::from(local.hour().unsigned_abs()));
        put(14..16, u32::from(local.minute().unsigned_abs()));
        put(17..19, u32::from(local.second().unsigned_abs()));
        put(20..23, u32::from(local.millisecond().unsigned_abs()));
        put(24..26, minutes / 60);
        put(27..29, minutes % 60);
        if self.offset.seconds() < 0 {
            text[23] = b'-';
        }
        text
    }
}

impl fmt::Display for LocalStamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

impl Serialize for LocalStamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}
