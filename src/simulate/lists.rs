//! The reference lists that go with the world, as CSV.

use std::collections::BTreeSet;
use std::fmt::{Display, Write};

use jiff::ToSpan;
use jiff::civil::Date;

use super::calendar::holiday_rows;
use super::classes::{CLASSES, card_catalogue};
use super::dice::{mix, scale};
use super::ledger::Book;
use super::money;
use super::payees::{BLACKLISTED, OwnAccount, Payee, own_account};
use super::treasury::Treasury;
use super::units::{Kind, Money};
use super::voucher::{SENSITIVE_WORDS, beneficiary_id, bond_code, contract_no, project_code};
use crate::event::Cents;

/// Beneficiaries of each region who must not receive anything.
pub(super) const INELIGIBLE: u64 = 40;
/// Functions whose spending must grow, and by how much a year at least.
const GROWTH: &[(&str, &str)] = &[("205", "0.00"), ("208", "0.00"), ("210", "0.00")];
const REASONS: [&str; 4] = ["串通投标", "虚开发票", "严重失信主体", "骗取财政资金"];

impl Treasury {
    /// The reference lists by file name: CSV text with a header.
    #[must_use]
    pub fn lists(&self) -> Vec<(&'static str, String)> {
        vec![
            ("holidays.csv", csv("date,kind,name", holiday_rows())),
            ("unit_accounts.csv", csv("account,unit_code,unit_name", self.unit_accounts())),
            ("blacklist.csv", self.blacklist()),
            ("sensitive_words.csv", csv2("word,kind", SENSITIVE_WORDS.iter().copied())),
            ("allowed_classes.csv", csv2("pair,note", allowed_classes().into_iter())),
            ("card_catalogue.csv", csv2("economic_code,name", card_catalogue())),
            ("cash_caps.csv", csv("unit_code,cap,unit_name", self.cash_caps())),
            ("three_public_caps.csv", csv("line,cap,note", self.three_public_caps())),
            ("contracts.csv", csv("contract_no,amount,signed_on", self.contract_rows())),
            ("bonds.csv", csv("bond_code,project_code,name", self.bond_rows())),
            ("ineligible_beneficiaries.csv", csv("beneficiary_id,kind,as_of", self.ineligible())),
            ("growth_references.csv", csv2("function_code,least", GROWTH.iter().copied())),
        ]
    }

    fn unit_accounts(&self) -> impl Iterator<Item = (String, &str, &str)> {
        let accounts = [OwnAccount::ZeroBalance, OwnAccount::Basic];
        self.units.iter().flat_map(move |unit| {
            accounts.map(|which| {
                (own_account(self.plan.seed, &unit.code, which), unit.code.as_str(), unit.name.as_str())
            })
        })
    }

    fn cash_caps(&self) -> impl Iterator<Item = (&str, i64, &str)> {
        (0..).zip(&self.units).map(|(unit, row)| (row.code.as_str(), self.cash_cap(unit), row.name.as_str()))
    }

    /// What each unit may spend in the first year of the plan on receptions and cars: a little more than budgeted.
    fn three_public_caps(&self) -> impl Iterator<Item = (String, Cents, &'static str)> {
        let mut book = Book::new(self);
        book.open(self, self.plan.start.year());
        let lines = self.lines.iter().zip(book.accounts).filter(|(line, _)| line.class().is_three_public());
        lines.map(|(line, account)| {
            let unit = &self.units[line.unit as usize];
            let class = line.class();
            (format!("{}:{}", unit.code, class.code), money(cap_of(account.budget)), class.name)
        })
    }

    /// Contracts that were signed before the plan begins, and as many that are signed when it is over.
    fn contract_rows(&self) -> impl Iterator<Item = (String, Cents, Date)> {
        let (start, count) = (self.plan.start, self.contracts());
        let over = start.saturating_add((i64::from(self.plan.days) + 30).days());
        let year = start.year();
        (1..=2 * count).map(move |number| {
            let signed = if number <= count { start.saturating_sub(20.days()) } else { over };
            (contract_no(year, number), money(contract_amount(self.plan.seed, number)), signed)
        })
    }

    fn bond_rows(&self) -> impl Iterator<Item = (String, String, &str)> {
        let year = self.plan.start.year();
        self.bond_lines().into_iter().map(move |line| {
            let unit = self.unit_of(line);
            let number = u32::from(self.lines[line as usize].number);
            (bond_code(line, year), project_code(unit, year, number), unit.name.as_str())
        })
    }

    /// The same numbers in every region.
    fn ineligible(&self) -> impl Iterator<Item = (String, &'static str, Date)> {
        let codes: BTreeSet<&str> = self.units.iter().map(|unit| &unit.code[..6]).collect();
        let as_of = self.plan.start.saturating_sub(60.days());
        codes.into_iter().flat_map(move |code| {
            (0..INELIGIBLE).map(move |number| {
                let kind = if number % 3 == 0 { "财政供养人员" } else { "死亡人员" };
                (beneficiary_id(code, &format!("{number:015}")), kind, as_of)
            })
        })
    }

    fn blacklist(&self) -> String {
        let mut text = String::from("name,account,reason,as_of\n");
        for number in 0..BLACKLISTED {
            let (payee, unit) = (Payee::blacklisted(number), &self.units[0]);
            let name = payee.name(self.plan.seed, unit, &self.regions);
            let account = payee.account(self.plan.seed, unit);
            let reason = REASONS[number as usize % REASONS.len()];
            let as_of = format!("{}-{:02}-01", self.plan.start.year() - 1, number % 12 + 1);
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name},{account},{reason},{as_of}");
        }
        text
    }
}

/// The cap of a three-public line with this budget, in cents.
pub(super) fn cap_of(budget: i64) -> i64 {
    budget / 10 * 11
}

/// The amount of a contract of the list, in cents.
pub(super) fn contract_amount(seed: u64, number: u32) -> i64 {
    (80_000 + scale(mix(seed ^ 0xC7, u64::from(number)), 150_000) as i64) * 100
}

/// Which economic classes go with which functions, by their first three digits: all that the world uses.
fn allowed_classes() -> BTreeSet<(String, &'static str)> {
    let mut pairs = BTreeSet::new();
    for kind in Kind::all() {
        for class in CLASSES {
            for money in [Money::Basic, Money::Project, Money::Bond] {
                let function = kind.function_of(class, money);
                pairs.insert((format!("{}:{}", &function[..3], &class.code[..3]), group_name(class.code)));
            }
        }
    }
    pairs
}

fn group_name(economic_code: &str) -> &'static str {
    match economic_code.as_bytes() {
        [b'3', b'0', b'1', ..] => "工资福利支出",
        [b'3', b'0', b'2', ..] => "商品和服务支出",
        [b'3', b'0', b'3', ..] => "对个人和家庭的补助",
        _ => "资本性支出",
    }
}

fn csv<A: Display, B: Display, C: Display>(
    header: &str,
    rows: impl IntoIterator<Item = (A, B, C)>,
) -> String {
    rows.into_iter().fold(format!("{header}\n"), |mut text, (first, second, third)| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{first},{second},{third}");
        text
    })
}

fn csv2<A: Display, B: Display>(header: &str, rows: impl Iterator<Item = (A, B)>) -> String {
    rows.fold(format!("{header}\n"), |mut text, (first, second)| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{first},{second}");
        text
    })
}
