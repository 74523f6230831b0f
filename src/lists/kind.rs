//! What the columns of lists hold.

use crate::personal::PersonalKind;

/// What a list's column holds, which decides the type of `lookup`, and whether its values are masked.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ColumnKind {
    /// Free text: `Utf8View`.
    #[default]
    Text,
    /// Codes and ids, which are never masked: `Utf8View`.
    Code,
    /// Numbers of accounts, cards, identity cards or telephones: `Utf8View`.
    Account,
    /// Names that may be natural persons': `Utf8View`.
    Name,
    /// Money: `Decimal128(28, 2)`.
    Money,
    /// An exact decimal: `Decimal128(38, 18)`.
    Decimal,
}

/// What the names of columns with personal numbers contain.
const NUMBER_WORDS: &[&str] = &[
    "account",
    "card",
    "iban",
    "id_no",
    "identity",
    "phone",
    "mobile",
    "账号",
    "帐号",
    "账户",
    "卡号",
    "身份证",
    "证件号",
    "电话",
    "手机",
];
/// The same for names.
const NAME_WORDS: &[&str] = &[
    "name",
    "payee",
    "payer",
    "person",
    "owner",
    "姓名",
    "户名",
    "名称",
    "收款人",
    "付款人",
    "联系人",
    "负责人",
];

impl ColumnKind {
    /// The kind of a column of which the configuration says nothing: that of the data dictionary's column of this name,
    /// else what the name says.
    #[must_use]
    pub fn by_name(name: &str) -> Self {
        let name = name.to_lowercase();
        let contains = |words: &[&str]| words.iter().any(|word| name.contains(word));
        match PersonalKind::of_column(&name) {
            Some(kind) if kind.is_ordinary() => Self::Code,
            Some(kind) if kind.has(PersonalKind::ACCOUNT) => Self::Account,
            Some(kind) if kind.has(PersonalKind::NAME) => Self::Name,
            None if contains(NUMBER_WORDS) => Self::Account,
            None if contains(NAME_WORDS) => Self::Name,
            _ => Self::Text,
        }
    }

    /// What values of such a column tell of a person.
    #[must_use]
    pub const fn personal(self) -> PersonalKind {
        match self {
            Self::Text => PersonalKind::TEXT,
            Self::Account => PersonalKind::ACCOUNT,
            Self::Name => PersonalKind::NAME,
            Self::Code | Self::Money | Self::Decimal => PersonalKind::ORDINARY,
        }
    }

    /// Whether its values are text and no numbers.
    #[must_use]
    pub const fn is_text(self) -> bool {
        !matches!(self, Self::Money | Self::Decimal)
    }

    /// Digits after the point.
    #[must_use]
    pub const fn scale(self) -> u32 {
        if matches!(self, Self::Decimal) { 18 } else { 2 }
    }

    /// A value at [`Self::scale`], if it is a decimal that fits.
    #[must_use]
    pub fn parse(self, text: &str) -> Option<i128> {
        let mut value: rust_decimal::Decimal = rust_decimal::Decimal::from_str_exact(text).ok()?.normalize();
        if value.scale() > self.scale() {
            return None;
        }
        let zeros = self.scale() - value.scale();
        value.normalize_assign();
        value.mantissa().checked_mul(10i128.checked_pow(zeros)?)
    }
}
