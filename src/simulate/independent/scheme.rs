//! What is done: each scheme makes payments like one that was made, and changes what is wrong with them.

use super::{
    super::{Event, LabelKey, Simulated, money, payees::Payee},
    Independent, Scheme,
};

use super::Scheme as S;

/// Payments of a case, each so many working days after its beginning.
type Parts = Vec<(usize, Event)>;

impl<I: Iterator<Item = Simulated>> Independent<'_, I> {
    /// Whether a case can be made of a payment.
    pub(super) fn fits(&self, scheme: Scheme, event: &Event) -> bool {
        let class = event.economic_code.as_deref().unwrap_or_default();
        let amount = event.cents().unwrap_or(0);
        let bill = event.payee_type.as_deref() == Some("entity")
            && event.invoice_no.is_some()
            && event.settlement.as_deref() == Some("transfer");
        let known = || {
            let account = event.payee_account.as_deref().unwrap_or_default();
            self.seen.times.get(account).is_some_and(|times| *times >= 4)
        };
        match scheme {
            S::GhostBeneficiaries => event.beneficiary_id.is_some(),
            S::PrivateAccount | S::CashDrawn | S::Allowances => {
                class.starts_with("302") && event.project_code.is_none()
            }
            S::ProjectMoney => bill && event.project_code.is_some() && !class.starts_with("303"),
            S::ChangedAccount | S::CrossedAccount => bill && known() && amount >= 200_000,
            S::PaidTwice | S::WrongAmount => bill && amount >= 100_000,
            S::YearEndRush => {
                bill && event.occurred_at.offset.to_datetime(event.occurred_at.at).month() == 12
            }
            _ => bill && (class.starts_with("302") || class.starts_with("310")),
        }
    }

    /// The payments of a case that begins with a payment, and what it is known by.
    pub(super) fn plot(&mut self, scheme: Scheme, base: &Event) -> (LabelKey, Parts) {
        let mut parts = match scheme {
            S::SplitPurchase => self.split(base, false),
            S::SplitAmongFriends => self.split(base, true),
            S::CrossedAccount | S::ChangedAccount => self.another_account(scheme, base),
            S::ProjectMoney => self.everyday(base),
            S::FalseExpense => self.by_month(
                base,
                &["支付业务会议费", "支付咨询服务费", "支付课题调研费", "支付宣传制作费"],
                false,
            ),
            S::HiddenReception => self.by_month(
                base,
                &["支付会议费用", "支付培训班费用", "支付会务餐费", "支付考察学习费"],
                true,
            ),
            S::PrivateAccount => self.a_person(base),
            S::CashDrawn => self.cash(base),
            S::YearEndRush => self.rush(base),
            S::PaidTwice | S::WrongAmount => self.again(scheme, base),
            S::GhostBeneficiaries => self.ghosts(base),
            S::Allowances => self.allowances(base),
        };
        parts.sort_by_key(|(workdays, _)| *workdays);
        let first = parts.first().map(|(_, event)| event);
        let mut key = LabelKey::default();
        match scheme {
            // What is wrong is the unit, not whom it pays.
            S::YearEndRush | S::CashDrawn | S::Allowances => {
                key.unit_code = base.unit_code.clone().unwrap_or_default();
            }
            _ => key.payee_account = first.and_then(|event| event.payee_account.clone()).unwrap_or_default(),
        }
        (key, parts)
    }

    /// Like a payment, but by itself: it settles no application and no procurement.
    fn like(&mut self, base: &Event, yuan: f64) -> Event {
        let mut event = base.clone();
        event.amount = Some(money((yuan * 100.0).round().max(1.0) as i64));
        event.application_id = None;
        event.procurement_no = None;
        event.contract_no = None;
        event.invoice_no = event.invoice_no.is_some().then(|| format!("2{:019}", self.dice.bits() >> 1));
        event
    }

    /// A company that nobody has paid yet.
    fn company(&mut self) -> (String, String) {
        let payee = Payee::newcomer(self.dice.below(30_000) as u32);
        self.named(payee)
    }

    fn person(&mut self) -> (String, String) {
        let payee = Payee::staff(0x3FFF, self.dice.below(1 << 27));
        self.named(payee)
    }

    fn named(&self, payee: Payee) -> (String, String) {
        let (seed, treasury) = (self.treasury.plan.seed, self.treasury);
        (payee.name(seed, &treasury.units[0], &treasury.regions), payee.account(seed, &treasury.units[0]))
    }

    fn split(&mut self, base: &Event, friends: bool) -> Parts {
        let (name, account) = self.company();
        let whole = self.dice.between(250_000.0, 2_500_000.0);
        let count = 3 + self.dice.below(4) as usize;
        let weights: Vec<f64> = (0..count).map(|_| self.dice.between(0.6, 1.4)).collect();
        let all: f64 = weights.iter().sum();
        let gap = 1 + self.dice.below(12) as usize;
        let mut parts = Parts::new();
        for (at, weight) in weights.into_iter().enumerate() {
            let mut event = self.like(base, whole * weight / all);
            // The first two characters after the place are the firm's, so that the family is seen by who reads.
            let (of, number) = if friends {
                (["有限公司", "商贸部", "技术服务部"][at % 3], at % 3)
            } else {
                ("", 0)
            };
            event.payee_name = Some(format!("{name}{of}"));
            event.payee_account = Some(if number == 0 {
                account.clone()
            } else {
                format!("{}{number}{at:02}", &account[..account.len() - 3])
            });
            event.purpose = Some(
                ["支付设备采购款", "支付配套服务费", "支付安装调试费", "支付材料采购款"][at % 4].to_owned(),
            );
            parts.push((gap * at, event));
        }
        parts
    }

    /// A usual bill of a known company, to somebody else's account.
    fn another_account(&mut self, scheme: Scheme, base: &Event) -> Parts {
        let usual = base.cents().map_or(0.0, |cents| cents as f64 / 100.0);
        let yuan = usual * self.dice.between(0.6, 2.5);
        let mut event = self.like(base, yuan);
        let others = &self.seen.companies;
        let other = others.iter().rev().find(|other| other.payee_account != base.payee_account);
        event.payee_account = match other {
            Some(other) if scheme == S::CrossedAccount => other.payee_account.clone(),
            _ => Some(self.company().1),
        };
        let later = 3 + self.dice.below(25) as usize;
        vec![(later, event)]
    }

    fn everyday(&mut self, base: &Event) -> Parts {
        let count = 2 + self.dice.below(4) as usize;
        let part = |of: &mut Self, at: usize| {
            let yuan = of.dice.between(3_000.0, 60_000.0);
            let mut event = of.like(base, yuan);
            let (purpose, class) = [
                ("办公用房物业费", "30209"),
                ("公务用车燃油费", "30231"),
                ("办公用品费", "30201"),
                ("职工食堂采购", "30229"),
            ][at % 4];
            event.purpose = Some(purpose.to_owned());
            // Half of the clerks write down what it is, and the others what the line is for.
            event.economic_code =
                if of.dice.chance(0.5) { Some(class.into()) } else { base.economic_code.clone() };
            (at * 6 + of.dice.below(6) as usize, event)
        };
        (0..count).map(|at| part(self, at)).collect()
    }

    /// The same company month by month, for what nobody can count.
    fn by_month(&mut self, base: &Event, purposes: &[&str], known: bool) -> Parts {
        let (name, account) = self.company();
        let count = 3 + self.dice.below(5) as usize;
        let usual = self.dice.between(4_000.0, 60_000.0);
        let mut parts = Parts::new();
        for at in 0..count {
            let yuan = usual * self.dice.between(0.8, 1.2);
            let yuan = if self.dice.chance(0.4) { (yuan / 1_000.0).round() * 1_000.0 } else { yuan };
            let mut event = self.like(base, yuan);
            if !known {
                (event.payee_name, event.payee_account) = (Some(name.clone()), Some(account.clone()));
            }
            event.purpose = Some(purposes[at % purposes.len()].to_owned());
            event.economic_code = Some(if at % 2 == 0 { "30215" } else { "30216" }.into());
            parts.push((at * 20 + self.dice.below(5) as usize, event));
        }
        parts
    }

    fn a_person(&mut self, base: &Event) -> Parts {
        let (name, account) = self.person();
        let count = 1 + self.dice.below(4) as usize;
        let part = |of: &mut Self, at: usize| {
            let yuan = (of.dice.between(8.0, 120.0)).round() * 1_000.0;
            let mut event = of.like(base, yuan);
            (event.payee_name, event.payee_account) = (Some(name.clone()), Some(account.clone()));
            event.payee_type = Some("person".into());
            event.settlement = Some("transfer".into());
            event.purpose =
                Some(["支付单位备用金", "支付往来款项", "支付周转资金", "支付暂付款项"][at % 4].to_owned());
            event.invoice_no = None;
            (at * 9, event)
        };
        (0..count).map(|at| part(self, at)).collect()
    }

    fn cash(&mut self, base: &Event) -> Parts {
        let (name, account) = self.person();
        let count = 2 + self.dice.below(5) as usize;
        let part = |of: &mut Self, at: usize| {
            let yuan = (of.dice.between(4.0, 60.0)).round() * 1_000.0;
            let mut event = of.like(base, yuan);
            (event.payee_name, event.payee_account) = (Some(name.clone()), Some(account.clone()));
            event.payee_type = Some("person".into());
            event.settlement = Some("cash".into());
            event.purpose = Some(["提取单位备用金", "提取现金备用", "零星开支备用金"][at % 3].to_owned());
            event.invoice_no = None;
            (at + of.dice.below(2) as usize, event)
        };
        (0..count).map(|at| part(self, at)).collect()
    }

    /// A good part of what the unit has paid so far, in the last days, before anything is delivered.
    fn rush(&mut self, base: &Event) -> Parts {
        let of = |text: &Option<String>| text.clone().unwrap_or_default();
        let year =
            self.seen.units.get(&(of(&base.unit_code), of(&base.fiscal_year))).copied().unwrap_or_default();
        let whole = (year as f64 / 100.0 * self.dice.between(0.15, 0.6)).clamp(50_000.0, 8_000_000.0);
        let count = 4 + self.dice.below(8) as usize;
        let mut parts = Parts::new();
        for at in 0..count {
            let yuan = whole / count as f64 * self.dice.between(0.6, 1.4);
            let mut event = self.like(base, (yuan / 100.0).round() * 100.0);
            let other = self.dice.below(self.seen.companies.len() as u64) as usize;
            if let Some(other) = self.seen.companies.get(other) {
                (event.payee_name, event.payee_account) =
                    (other.payee_name.clone(), other.payee_account.clone());
            }
            event.purpose = Some(["预付项目服务费", "预付设备购置款", "预付工程进度款"][at % 3].to_owned());
            parts.push((self.dice.below(11) as usize, event));
        }
        parts
    }

    fn again(&mut self, scheme: Scheme, base: &Event) -> Parts {
        let cents = base.cents().unwrap_or(0);
        let mut event = self.like(base, cents as f64 / 100.0);
        if scheme == S::WrongAmount {
            let digits = cents.to_string();
            let swapped =
                format!("{}{}{}", &digits[1..2], &digits[..1], &digits[2..]).parse().unwrap_or(cents);
            let wrong = if self.dice.chance(0.5) || swapped < 2 * cents { cents * 10 } else { swapped };
            event.amount = Some(money(wrong));
        } else {
            event.invoice_no = base.invoice_no.clone().map(|number| match self.dice.below(3) {
                0 => number,
                1 => format!("No.{number}"),
                _ => {
                    let (one, other) = number.split_at(number.len() / 2);
                    format!("{one} {other}")
                }
            });
        }
        let later = 2 + self.dice.below(55) as usize;
        vec![(later, event)]
    }

    fn ghosts(&mut self, base: &Event) -> Parts {
        let (_, account) = self.person();
        let count = 2 + self.dice.below(5) as usize;
        let usual = base.cents().map_or(500.0, |cents| cents as f64 / 100.0);
        let part = |of: &mut Self, at: usize| {
            let yuan = usual * of.dice.between(0.9, 1.1);
            let mut event = of.like(base, yuan);
            event.payee_name = Some(of.person().0);
            event.payee_account = Some(account.clone());
            event.beneficiary_id = Some(format!("YKT{:021}", of.dice.bits() >> 4));
            (at * 7 + of.dice.below(7) as usize, event)
        };
        (0..count).map(|at| part(self, at)).collect()
    }

    fn allowances(&mut self, base: &Event) -> Parts {
        let count = 6 + self.dice.below(10) as usize;
        let each = (self.dice.between(5.0, 50.0)).round() * 100.0;
        let part = |of: &mut Self, at: usize| {
            let mut event = of.like(base, each);
            (event.payee_name, event.payee_account) = {
                let (name, account) = of.person();
                (Some(name), Some(account))
            };
            event.payee_type = Some("person".into());
            event.settlement = Some("transfer".into());
            event.purpose =
                Some(["发放节日慰问费", "发放值班补助", "发放项目评审费", "发放下乡补助"][at % 4].to_owned());
            event.invoice_no = None;
            (usize::from(at > 8), event)
        };
        (0..count).map(|at| part(self, at)).collect()
    }
}
