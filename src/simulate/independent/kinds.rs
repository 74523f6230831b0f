//! The kinds of cases, in the words of those who report them.

use jiff::civil::Date;

/// A way to do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    SplitPurchase,
    SplitAmongFriends,
    CrossedAccount,
    ProjectMoney,
    FalseExpense,
    HiddenReception,
    PrivateAccount,
    CashDrawn,
    YearEndRush,
    PaidTwice,
    WrongAmount,
    ChangedAccount,
    GhostBeneficiaries,
    Allowances,
}

use Scheme as S;

pub(super) const SCHEMES: &[Scheme] = &[
    S::SplitPurchase,
    S::SplitAmongFriends,
    S::CrossedAccount,
    S::ProjectMoney,
    S::FalseExpense,
    S::HiddenReception,
    S::PrivateAccount,
    S::CashDrawn,
    S::YearEndRush,
    S::PaidTwice,
    S::WrongAmount,
    S::ChangedAccount,
    S::GhostBeneficiaries,
    S::Allowances,
];

impl Scheme {
    pub(super) fn kind(self) -> &'static str {
        self.told().0
    }

    pub(super) fn note(self) -> &'static str {
        self.told().1
    }

    fn told(self) -> (&'static str, &'static str) {
        match self {
            S::SplitPurchase => ("split-purchase", "拆分：一项采购分数笔付给同一供应商"),
            S::SplitAmongFriends => ("split-among-friends", "拆分：一项采购分给名称相近的几家供应商"),
            S::CrossedAccount => ("crossed-account", "串户：付到另一供应商的账户"),
            S::ProjectMoney => ("project-money", "挤占：日常费用在项目资金中列支"),
            S::FalseExpense => ("false-expense", "虚列：向无往来的公司逐月支付会议、咨询等费用"),
            S::HiddenReception => ("hidden-reception", "虚列：以会议费、培训费名义支付餐费"),
            S::PrivateAccount => ("private-account", "公款私存：单位资金转入个人账户"),
            S::CashDrawn => ("cash-drawn", "大额提现：数日内多次提取现金"),
            S::YearEndRush => ("year-end-rush", "年底突击：年底集中预付款项"),
            S::PaidTwice => ("paid-twice", "重复支付：同一发票再次支付"),
            S::WrongAmount => ("wrong-amount", "错付：金额错位或多一个零"),
            S::ChangedAccount => ("changed-account", "冒名变更账号：往来供应商换成他人账户"),
            S::GhostBeneficiaries => ("ghost-beneficiaries", "冒领：数名补助对象的补贴进同一账户"),
            S::Allowances => ("allowances", "违规发放津补贴：向多名职工发放名目不符的补贴"),
        }
    }

    pub(super) fn is_of_the_year_end(self) -> bool {
        self == S::YearEndRush
    }

    /// Whether one of the year's end may begin on a day.
    pub(super) fn rush_begins(date: Date) -> bool {
        date.month() == 12 && date.day() == 15
    }
}
