//! A map as it is written in the configuration or in a file of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{event::stamp::StampUnit, stream::Encoding};

/// How the records of another system become events (docs/feeds.md).
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MapShape {
    /// `jsonl`, `csv`, `parquet`, `excel` or `xml`, whatever the names of the files tell.
    pub format: Option<Encoding>,
    /// The encoding: `auto` takes a byte order mark, else UTF-8 where all is UTF-8, else GB18030; or a name such as `gbk`.
    pub encoding: String,
    /// The row that names the columns, counted from 1; 0 if no row does: then they are `#1`, `#2` and so on. In a workbook
    /// it is looked for where it is not given.
    pub header_row: Option<usize>,
    /// The sheet of a workbook, by its name or number; the first that is shown without it.
    pub sheet: Option<Word>,
    /// The elements of an XML document that are rows, by their path: `VoucherBody/Voucher/DetailList/Detail`.
    pub rows: Option<String>,
    /// Rows below the header that are no records.
    pub skip: usize,
    /// What parts the cells of a row: one character, or `tab`.
    pub delimiter: String,
    /// What stands around cells that have delimiters in them: one character, or `none`.
    pub quote: String,
    /// The field of docs/events.md that a column becomes; a path such as `payer.account` in JSON. Names that files use
    /// in turn are parted by `|`, and fields that one column gives by commas.
    pub columns: BTreeMap<String, String>,
    /// Columns that a file may lack.
    pub optional: Vec<String>,
    /// The columns that together make the `event_id`.
    pub id: Vec<String>,
    /// Values of fields where no column gives one.
    pub constants: BTreeMap<String, Word>,
    /// For a column, its words and the values that they mean; `*` stands for all others.
    pub values: BTreeMap<String, BTreeMap<String, String>>,
    /// How dates are written, as in `%Y%m%d`; the first that fits is taken, and after them what docs/events.md takes.
    pub dates: Vec<String>,
    /// How amounts are written.
    pub money: MoneyShape,
    /// Where payments and applications get what they lack of their budget line.
    pub lookup: Option<LookupShape>,
    /// The condition that rows which are events meet, in SQL over the columns; others are counted as skipped.
    pub when: Option<String>,
    /// Words that a row of totals begins with; such a row has no id, and is counted as skipped.
    pub totals: Vec<String>,
    /// As `zone` of the source.
    pub zone: Option<String>,
    /// As `times` of the source.
    pub times: Option<StampUnit>,
    /// As `nulls` of the source.
    pub nulls: Option<Vec<String>>,
}

impl Default for MapShape {
    fn default() -> Self {
        let totals = ["合计", "总计", "小计", "本页合计", "本页小计", "累计", "total", "subtotal"];
        Self {
            format: None,
            encoding: String::from("auto"),
            header_row: None,
            sheet: None,
            rows: None,
            skip: 0,
            delimiter: String::from(","),
            quote: String::from("\""),
            columns: BTreeMap::new(),
            optional: Vec::new(),
            id: Vec::new(),
            constants: BTreeMap::new(),
            values: BTreeMap::new(),
            dates: Vec::new(),
            money: MoneyShape::default(),
            lookup: None,
            when: None,
            totals: totals.map(String::from).to_vec(),
            zone: None,
            times: None,
            nulls: None,
        }
    }
}

/// Where rows get what they lack.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LookupShape {
    /// `budget_line`: the line in `budget_line_id`, as it stands approved when the row comes. It fills the fiscal year, the
    /// region, the unit, the classes, the project and the kind of funds where the row has none.
    pub from: LookupFrom,
}

/// What rows get what they lack from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LookupFrom {
    /// Their budget line.
    BudgetLine,
}

/// How amounts are written.
#[derive(Debug, Clone, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MoneyShape {
    /// What is counted: `元` or `万元`.
    pub unit: MoneyUnit,
    /// The character that parts thousands; without it an amount that has one is refused.
    pub thousands: Option<String>,
    /// What an amount below zero is: `reject`, or `refund` (a payment becomes a refund).
    pub negative: Negative,
}

/// What an amount counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub enum MoneyUnit {
    /// Yuan, or whole units of the currency of the books.
    #[default]
    #[serde(rename = "元", alias = "yuan")]
    One,
    /// Ten thousands of them.
    #[serde(rename = "万元", alias = "wan")]
    TenThousand,
}

/// What an amount below zero is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Negative {
    /// A refund.
    Refund,
    /// A fault.
    #[default]
    Reject,
}

/// A text, which YAML may take for a number.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum Word {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
}

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}
