//! The reference lists that go with the world, as CSV.

use std::collections::BTreeSet;
use std::fmt::{Display, Write};

use super::calendar::holiday_rows;
use super::classes::{CLASSES, card_catalogue};
use super::payees::{BLACKLISTED, OwnAccount, Payee, own_account};
use super::treasury::Treasury;
use super::units::{Kind, Money};
use super::voucher::SENSITIVE_WORDS;

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
