//! The figures of a settlement, and what must hold between them.

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{
    event::{BudgetAction, Cents},
    ledger::Balances,
    say,
};

/// What became of some budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// 年初预算: what was approved.
    pub beginning: Cents,
    /// 上年结转: what came over from the year before.
    pub carried_over: Cents,
    /// 追加
    pub supplemented: Cents,
    /// 追减
    pub reduced: Cents,
    /// 调剂: what transfers brought, less what they took.
    pub transferred: Cents,
    /// 收回
    pub reclaimed: Cents,
    /// 调整预算数
    pub total: Cents,
    /// 决算数
    pub executed: Cents,
    /// 结余: what is left of the total, whether it is frozen or reserved or not.
    pub balance: Cents,
}

/// The columns, by the names of programs and in the words of the form.
pub(crate) const COLUMNS: [(&str, &str); 9] = [
    ("beginning", "年初预算数"),
    ("carried_over", "上年结转"),
    ("supplemented", "追加"),
    ("reduced", "追减"),
    ("transferred", "调剂"),
    ("reclaimed", "收回"),
    ("total", "调整预算数"),
    ("executed", "决算数"),
    ("balance", "结余"),
];

impl Figures {
    /// In the order of [`COLUMNS`].
    pub(crate) fn cents(&self) -> [Cents; 9] {
        [
            self.beginning,
            self.carried_over,
            self.supplemented,
            self.reduced,
            self.transferred,
            self.reclaimed,
            self.total,
            self.executed,
            self.balance,
        ]
    }

    /// Takes a budget action in. What a transfer brings to another line is told there.
    pub(crate) fn act(&mut self, action: BudgetAction, cents: Cents) {
        use BudgetAction::{Approve, CarryOver, Reclaim, Reduce, Supplement, Transfer};
        match action {
            Approve => self.beginning += cents,
            CarryOver => self.carried_over += cents,
            Supplement => self.supplemented += cents,
            Reduce => self.reduced += cents,
            Reclaim => self.reclaimed += cents,
            Transfer => self.transferred -= cents,
            // They change what may be spent when, and not how much.
            BudgetAction::Freeze
            | BudgetAction::Unfreeze
            | BudgetAction::Plan
            | BudgetAction::PlanReduce
            | BudgetAction::Opening => {}
        }
    }

    /// Takes the ledger's balances over.
    pub(crate) fn close(&mut self, balances: &Balances) {
        self.total = balances.total;
        self.executed = balances.executed;
        self.balance = balances.total - balances.executed;
    }

    /// What does not hold between the figures of `of`, in words.
    pub(crate) fn problem(&self, of: &str) -> Option<String> {
        let total = self.beginning + self.carried_over + self.supplemented - self.reduced + self.transferred
            - self.reclaimed;
        let (stated, added) = (self.total.to_string(), total.to_string());
        (total != self.total)
            .then(|| say!("{of}: the total is {stated}, and its parts make {added}", of, stated, added))
    }
}

impl std::ops::AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.beginning += other.beginning;
        self.carried_over += other.carried_over;
        self.supplemented += other.supplemented;
        self.reduced += other.reduced;
        self.transferred += other.transferred;
        self.reclaimed += other.reclaimed;
        self.total += other.total;
        self.executed += other.executed;
        self.balance += other.balance;
    }
}

/// Money as text, as everywhere.
impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(COLUMNS.len()))?;
        for ((name, _), cents) in COLUMNS.iter().zip(self.cents()) {
            map.serialize_entry(name, &cents.to_string())?;
        }
        map.end()
    }
}
