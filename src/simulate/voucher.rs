//! A payment that has been decided: compact, because many wait for their day, and turned into events when it comes.

use super::classes::{CLASSES, Class, Recipient};
use super::dice::{choose, mix};
use super::payees::{OwnAccount, Payee, Trade, own_account, treasury_account};
use super::treasury::Treasury;
use super::units::{Kind, Money, Unit};
use super::{Event, WorldText, money};

/// Words that ought not to stand in a purpose, with their kind.
pub(super) const SENSITIVE_WORDS: &[(&str, &str)] = &[
    ("购物卡", "卡券"),
    ("加油卡充值", "卡券"),
    ("提货券", "卡券"),
    ("礼品", "礼品"),
    ("礼金", "礼品"),
    ("土特产", "礼品"),
    ("香烟", "烟酒"),
    ("白酒", "烟酒"),
    ("烟酒", "烟酒"),
    ("旅游", "旅游"),
    ("观光", "旅游"),
    ("景区门票", "旅游"),
    ("借款", "资金出借"),
    ("垫资", "资金出借"),
    ("理财", "资金出借"),
    ("高尔夫", "娱乐"),
    ("洗浴", "娱乐"),
    ("月饼", "节礼"),
];
const TERSE_PURPOSES: [&str; 4] = ["款", "报销", "材料", "其他"];
/// One supplier of a unit in so many is paid without a framework agreement.
const FRAMEWORK_OF: u64 = 4;
/// A class that no line of the world may be used for: subsidies to enterprises.
const FOREIGN_CLASS: &str = "31204";
const FOREIGN_PURPOSE: &str = "拨付企业生产经营补贴";

/// The line a voucher is charged to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charge {
    /// The line in [`Voucher::line`].
    Regular,
    /// A small line of its own, of the same unit.
    Special(u32),
    /// A line nobody approved.
    Unknown(u32),
}

/// What a unit is credited with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credit {
    /// Most of what it paid comes back, to its basic account.
    Returned,
    /// Funds that it is to hand on, on its basic account.
    Funds,
    /// Money on the account that is never credited otherwise.
    Idle,
}

/// What is wrong with a planted payment, as far as it shows in single fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    /// The bank credited somebody else.
    OtherPayee(Payee),
    SensitivePurpose,
    TersePurpose,
    ForeignClass,
    BondMoney,
    /// No contract and no procurement, to stay below the threshold.
    NoPapers,
    /// Booked as a payment of the year before.
    LastYear,
    /// The payee's account under the name of another.
    NameOf(Payee),
    /// The payee's name with an account nobody knows.
    NewAccount,
    /// A subsidy to another beneficiary than the owner of the account.
    Beneficiary(u64),
    /// Money of the bond of another line.
    BondOf(u32),
    /// On a contract of the list.
    Contract(u32),
    /// The bank paid less than was ordered.
    Underpaid,
    /// The bank never answers.
    Uncleared,
    /// The number before it is missing.
    SkippedNumber,
    /// Some of it comes back from the payee.
    RoundTrip,
}

/// The part that a payment is of an anomaly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part {
    /// The number of the anomaly.
    pub anomaly: u32,
    /// Whether it completes the anomaly.
    pub last: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Voucher {
    pub line: u32,
    pub charge: Charge,
    pub class: u8,
    pub money: Money,
    pub amount: i64,
    pub payee: Payee,
    pub settlement: &'static str,
    /// The fiscal year and the month it belongs to.
    pub year: i16,
    pub month: i8,
    /// Stands for everything arbitrary about its papers.
    pub salt: u64,
    /// The number of its application.
    pub application: Option<u64>,
    pub flaw: Flaw,
    /// The anomaly this payment belongs to; planted payments are left alone afterwards.
    pub plant: Option<Part>,
}

impl Voucher {
    pub(super) fn class(&self) -> &'static Class {
        &CLASSES[self.class as usize]
    }

    pub(super) fn line_id(&self, unit: &Unit, number: u16) -> String {
        match self.charge {
            Charge::Regular => regular_id(self.year, unit, number),
            Charge::Special(serial) => format!("ZB{}-{}-9{serial:05}", self.year, unit.code),
            Charge::Unknown(serial) => format!("ZB{}-{}-8{serial:05}", self.year, unit.code),
        }
    }

    fn purpose(&self, own: &str) -> String {
        let Self { year, month, salt, .. } = *self;
        match self.flaw {
            Flaw::TersePurpose => return (*choose(&TERSE_PURPOSES, mix(salt, 7))).to_owned(),
            Flaw::ForeignClass => return FOREIGN_PURPOSE.to_owned(),
            Flaw::SensitivePurpose => return format!("支付{}费用", choose(SENSITIVE_WORDS, mix(salt, 7)).0),
            _ => {}
        }
        match self.class().recipient {
            Recipient::Staff | Recipient::Beneficiary | Recipient::Fund => format!("{year}年{month}月{own}"),
            Recipient::Regular(_) => format!("{year}年{month}月份{own}"),
            _ if salt.is_multiple_of(3) => format!("{own}（{month}月）"),
            _ => own.to_owned(),
        }
    }

    fn tags(&self, line_hash: u64) -> Option<Vec<WorldText>> {
        let mut tags: Vec<WorldText> = Vec::new();
        if self.class().is_personnel() {
            tags.extend(["三保".into(), "保工资".into()]);
        } else if self.class().is_payroll() {
            tags.extend(["三保".into(), "保基本民生".into()]);
        }
        if self.money == Money::Project && line_hash.is_multiple_of(3) {
            tags.push("直达资金".into());
        }
        (!tags.is_empty()).then_some(tags)
    }
}

/// Whether what the unit buys from the supplier again and again was procured once, by a framework agreement.
fn has_framework(trade: Trade, rank: u32, unit: &Unit) -> bool {
    let key = mix(unit.code.parse().unwrap_or(0), u64::from(rank) << 8 | trade as u64);
    !key.is_multiple_of(FRAMEWORK_OF)
}

pub(super) fn beneficiary_id(unit_code: &str, number: &str) -> String {
    format!("YKT{}{number}", &unit_code[..6])
}

/// The bond of a line; no two lines share one.
pub(super) fn bond_code(line: u32, year: i16) -> String {
    format!("{:02}{line:07}", year % 100)
}

pub(super) fn contract_no(year: i16, number: u32) -> String {
    format!("HT{year}-JG-{number:05}")
}

pub(super) fn project_code(unit: &Unit, year: i16, serial: u32) -> String {
    format!("{}{year}{serial:05}", unit.code)
}

pub(super) fn regular_id(year: i16, unit: &Unit, number: u16) -> String {
    format!("ZB{year}-{}-{number:03}", unit.code)
}

impl Treasury {
    fn name_of(&self, payee: Payee, unit: &Unit) -> String {
        match payee {
            Payee::Unit(index) => self.units[index as usize].name.clone(),
            _ => payee.name(self.plan.seed, unit, &self.regions),
        }
    }

    fn account_of(&self, payee: Payee, unit: &Unit) -> String {
        match payee {
            Payee::Unit(index) => {
                own_account(self.plan.seed, &self.units[index as usize].code, OwnAccount::Basic)
            }
            _ => payee.account(self.plan.seed, unit),
        }
    }

    /// The name and account that a payment is ordered to.
    fn payee_of(&self, voucher: &Voucher, unit: &Unit) -> (String, String) {
        let named = if let Flaw::NameOf(other) = voucher.flaw { other } else { voucher.payee };
        let account = match voucher.flaw {
            Flaw::NewAccount => Payee::Person(mix(voucher.salt, 11)).account(self.plan.seed, unit),
            _ => self.account_of(voucher.payee, unit),
        };
        (self.name_of(named, unit), account)
    }

    /// Fills in what an application and its payment have in common.
    pub(super) fn describe(&self, voucher: &Voucher, event: &mut Event) {
        let unit = self.unit_of(voucher.line);
        self.describe_line(voucher, event);
        let direct =
            voucher.class().is_payroll() || voucher.amount >= 5_000_000 || voucher.salt.is_multiple_of(4);
        event.payment_mode = Some(if direct { "direct" } else { "authorized" }.into());
        event.payer_account = Some(if direct {
            treasury_account(self.plan.seed, unit.region)
        } else {
            own_account(self.plan.seed, &unit.code, OwnAccount::ZeroBalance)
        });
        event.settlement = Some(voucher.settlement.into());
        let (name, account) = self.payee_of(voucher, unit);
        (event.payee_name, event.payee_account) = (Some(name), Some(account));
        event.payee_type = Some(voucher.payee.kind().into());
        event.amount = Some(money(voucher.amount));
        event.currency = Some("CNY".into());
        event.purpose = Some(voucher.purpose(choose::<&str>(voucher.class().purposes, mix(voucher.salt, 2))));
        event.tags = voucher.tags(self.line_hash(voucher.line));
        if voucher.flaw == Flaw::LastYear {
            event.fiscal_year = Some((voucher.year - 1).to_string());
        }
        self.attach_papers(voucher, unit, event);
    }

    /// Fills in the attributes of the line, with which a special line is approved too.
    pub(super) fn describe_line(&self, voucher: &Voucher, event: &mut Event) {
        let (line, unit) = (&self.lines[voucher.line as usize], self.unit_of(voucher.line));
        let class = voucher.class();
        event.budget_line_id = Some(voucher.line_id(unit, line.number));
        event.fiscal_year = Some(voucher.year.to_string());
        event.region_code = Some(self.regions[unit.region as usize].code.clone().into());
        event.unit_code = Some(unit.code.clone());
        event.unit_name = Some(unit.name.clone());
        event.function_code = Some(Kind::of(unit.kind).function_of(class, voucher.money).into());
        let foreign = voucher.flaw == Flaw::ForeignClass;
        event.economic_code = Some(if foreign { FOREIGN_CLASS } else { class.code }.into());
        event.fund_type = Some(voucher.money.fund_type().into());
        if voucher.money != Money::Basic {
            let serial = match voucher.charge {
                Charge::Regular => u32::from(line.number),
                Charge::Special(serial) | Charge::Unknown(serial) => 90_000 + serial,
            };
            event.project_code = Some(project_code(unit, voucher.year, serial));
        }
    }

    /// Who really received the money, as far as the bank says.
    pub(super) fn confirm_payee(&self, voucher: &Voucher, event: &mut Event) {
        let unit = self.unit_of(voucher.line);
        if let Flaw::OtherPayee(payee) = voucher.flaw {
            event.actual_payee_name = Some(self.name_of(payee, unit));
            event.actual_payee_account = Some(self.account_of(payee, unit));
        } else if !mix(voucher.salt, 3).is_multiple_of(7) {
            let (name, account) = self.payee_of(voucher, unit);
            (event.actual_payee_name, event.actual_payee_account) = (Some(name), Some(account));
        }
    }

    /// Money that comes to an account of a voucher's unit.
    pub(super) fn describe_receipt(&self, voucher: &Voucher, credit: Credit, event: &mut Event) {
        let unit = self.unit_of(voucher.line);
        event.unit_code = Some(unit.code.clone());
        event.account = Some(own_account(
            self.plan.seed,
            &unit.code,
            match credit {
                Credit::Returned | Credit::Funds => OwnAccount::Basic,
                Credit::Idle => OwnAccount::ZeroBalance,
            },
        ));
        let (name, account) = match credit {
            Credit::Returned => self.payee_of(voucher, unit),
            _ => (String::from("省财政厅国库处"), treasury_account(self.plan.seed, unit.region)),
        };
        (event.payer_name, event.payer_account) = (Some(name), Some(account));
        let returned = (voucher.amount * 6 / 10).max(1);
        event.amount = Some(money(if credit == Credit::Returned { returned } else { voucher.amount }));
        let purpose = match credit {
            Credit::Returned => "往来款",
            Credit::Funds => "专项转移支付资金",
            Credit::Idle => "代管资金",
        };
        event.purpose = Some(purpose.to_owned());
    }

    fn attach_papers(&self, voucher: &Voucher, unit: &Unit, event: &mut Event) {
        let Voucher { salt, year, amount, .. } = *voucher;
        let class = voucher.class();
        if class.recipient == Recipient::Beneficiary {
            let account = event.payee_account.as_deref().unwrap_or_default();
            event.beneficiary_id = Some(match voucher.flaw {
                Flaw::Beneficiary(number) => beneficiary_id(&unit.code, &format!("{number:015}")),
                _ => beneficiary_id(&unit.code, account.get(4..).unwrap_or_default()),
            });
        }
        event.bond_code = match voucher.flaw {
            Flaw::BondOf(line) => Some(bond_code(line, year)),
            Flaw::BondMoney => Some(bond_code(voucher.line, year)),
            _ if voucher.money == Money::Bond => Some(bond_code(voucher.line, year)),
            _ => None,
        };
        if class.is_payroll() || voucher.payee.kind() != "entity" {
            return;
        }
        event.invoice_no = Some(format!("{:02}{:018}", year % 100, mix(salt, 4) % 10u64.pow(18)));
        if voucher.flaw == Flaw::NoPapers {
            return;
        }
        if let Flaw::Contract(number) = voucher.flaw {
            event.contract_no = Some(contract_no(year, number));
            return;
        }
        if let (Recipient::Supplier(trade), Payee::Supplier(_, rank)) = (class.recipient, voucher.payee)
            && (has_framework(trade, rank, unit) || self.spends_much(voucher.line))
        {
            event.procurement_no = Some(format!("KJXY{year}-{}-{rank:05}", &unit.code[..6]));
        }
        if matches!(class.recipient, Recipient::Regular(_)) {
            // One framework agreement covers all bills of the year.
            let serial = self.line_hash(voucher.line) % 1_000_000;
            event.procurement_no = Some(format!("ZFCG{year}-{}-{serial:06}", &unit.code[..6]));
            return;
        }
        if amount >= 5_000_000 || (class.is_capital() && amount >= 1_000_000) {
            event.contract_no = Some(format!("HT{year}-{}-{:05}", unit.code, mix(salt, 5) % 100_000));
        }
        if amount >= 10_000_000 && event.procurement_no.is_none() {
            let serial = mix(salt, 6) % 1_000_000;
            event.procurement_no = Some(format!("ZFCG{year}-{}-{serial:06}", &unit.code[..6]));
        }
    }
}
