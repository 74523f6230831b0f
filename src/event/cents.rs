//! The two types of what is counted exactly beside time: money in whole cents, and shares of a whole. They become numbers in
//! Arrow columns and SQL rows, and nowhere else.

use std::{
    fmt,
    ops::{AddAssign, Mul, SubAssign},
};

use arrow::datatypes::i256;
use serde::{Deserialize, Serialize};

use super::{
    money::format_scaled,
    whole::{adds_up, prints_its_number},
};

/// Money in whole cents, below zero what is owed, returned or overspent. An amount of an event is below 10¹⁸ cents, so that
/// sums of 10¹⁰ events stay inside the 28 digits that rules see.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
#[repr(transparent)]
pub struct Cents(i128);

/// A share of a whole, to 18 digits after the point and cut off beyond them. 10⁻¹⁸ tells one cent in ten quadrillion yuan,
/// so comparing it with a threshold is exact for every amount there can be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(transparent)]
pub struct Ratio(i128);

impl Cents {
    /// No money at all: `0.00`.
    pub const ZERO: Self = Self(0);

    /// An amount of so many cents.
    #[inline]
    #[must_use]
    pub const fn new(cents: i128) -> Self {
        Self(cents)
    }

    /// The number of cents.
    #[inline]
    #[must_use]
    pub const fn as_i128(self) -> i128 {
        self.0
    }

    /// The number of cents in 64 bits, as rows of SQL have it; what is larger is held at the largest.
    #[must_use]
    pub fn saturating_i64(self) -> i64 {
        i64::try_from(self.0).unwrap_or(if self.0 < 0 { i64::MIN } else { i64::MAX })
    }

    /// The same above zero.
    #[inline]
    #[must_use]
    pub const fn abs(self) -> Self {
        Self(self.0.abs())
    }

    /// What share of a whole it is; `None` of a whole of nothing.
    #[inline]
    #[must_use]
    pub fn share_of(self, whole: Self) -> Option<Ratio> {
        Ratio::of(self.0, whole.0)
    }
}

impl Ratio {
    /// Digits after the point.
    pub const SCALE: u32 = 18;
    /// The whole, of which others are shares.
    pub const ONE: Self = Self(10i128.pow(Self::SCALE));
    /// The largest that `Decimal128(38, 18)` holds; what is larger is held at it.
    pub const MAX: Self = Self(10i128.pow(38) - 1);

    /// `part / whole`; `None` when `whole` is 0.
    #[must_use]
    pub fn of(part: i128, whole: i128) -> Option<Self> {
        if whole == 0 {
            return None;
        }
        let bound = |quotient: i128| Self(quotient.clamp(-Self::MAX.0, Self::MAX.0));
        // Nearly all lines fit 64 bits, where the processor divides tens of times faster.
        if let Some(scaled) = part.checked_mul(Self::ONE.0) {
            return Some(bound(scaled / whole));
        }
        let scaled = i256::from_i128(part).wrapping_mul(i256::from_i128(Self::ONE.0));
        let quotient = scaled.wrapping_div(i256::from_i128(whole));
        let beyond = if quotient.is_negative() { i128::MIN } else { i128::MAX };
        Some(bound(quotient.to_i128().unwrap_or(beyond)))
    }

    /// So many millionths, as rates of growth are written.
    #[must_use]
    pub(crate) const fn from_millionths(millionths: i128) -> Self {
        Self(millionths * (Self::ONE.0 / 1_000_000))
    }

    /// Its whole millionths; what is finer is cut off.
    #[must_use]
    pub(crate) const fn as_millionths(self) -> i128 {
        self.0 / (Self::ONE.0 / 1_000_000)
    }

    /// So many of its last digits.
    #[inline]
    #[must_use]
    pub const fn from_scaled(digits: i128) -> Self {
        Self(digits)
    }

    /// The number of its last digits.
    #[inline]
    #[must_use]
    pub const fn as_scaled(self) -> i128 {
        self.0
    }
}

/// Decimal text with two places: `1234.50`.
impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format_scaled(self.0, 2))
    }
}

/// Decimal text without needless zeros: `0.85`.
impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format_scaled(self.0, Self::SCALE);
        f.pad(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// Ratios in JSON as whole millionths.
pub(crate) mod in_millionths {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Ratio;

    /// Writes the number of millionths.
    ///
    /// # Errors
    /// Those of the writer.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference.
    pub(crate) fn serialize<S: Serializer>(ratio: &Ratio, to: S) -> Result<S::Ok, S::Error> {
        i64::try_from(ratio.as_millionths()).unwrap_or(i64::MAX).serialize(to)
    }

    /// Reads the number of millionths.
    ///
    /// # Errors
    /// If it is none.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Ratio, D::Error> {
        Ok(Ratio::from_millionths(i64::deserialize(from)?.into()))
    }
}

/// Money in JSON that is flattened into other objects, which knows no numbers of more than 64 bits; what is larger is held at
/// the largest. Nothing that people write an amount for is near it.
pub(crate) mod in_64_bits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Cents;

    /// Writes the number of cents.
    ///
    /// # Errors
    /// Those of the writer.
    #[allow(clippy::ref_option)] // serde asks for a reference.
    pub(crate) fn serialize<S: Serializer>(money: &Option<Cents>, to: S) -> Result<S::Ok, S::Error> {
        money.map(Cents::saturating_i64).serialize(to)
    }

    /// Reads the number of cents.
    ///
    /// # Errors
    /// If it is none.
    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Cents>, D::Error> {
        Ok(Option::<i64>::deserialize(from)?.map(|cents| Cents::new(cents.into())))
    }
}

prints_its_number!(Cents, Ratio);
adds_up!(Cents);

/// A cell of a column of money.
impl From<i128> for Cents {
    #[inline]
    fn from(cents: i128) -> Self {
        Self(cents)
    }
}

impl Mul<i128> for Cents {
    type Output = Self;

    #[inline]
    fn mul(self, times: i128) -> Self {
        Self(self.0 * times)
    }
}

impl AddAssign for Cents {
    #[inline]
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl SubAssign for Cents {
    #[inline]
    fn sub_assign(&mut self, other: Self) {
        self.0 -= other.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_adds_up() {
        let some = [Cents::new(1050), Cents::new(-50), Cents::new(200)];
        assert_eq!(some.into_iter().sum::<Cents>(), Cents::new(1200));
        let mut left = some[0] - some[2] * 3;
        left += -some[1];
        left -= Cents::new(1);
        assert_eq!((left, left.abs().as_i128()), (Cents::new(499), 499));
        assert_eq!((some[1].to_string(), some[0].to_string()), ("-0.50".into(), "10.50".into()));
        assert_eq!(format!("{:>8}", Cents::new(5)), "    0.05");
    }

    #[test]
    fn money_is_a_number_where_it_is_kept() {
        let most = Cents::new(i128::MAX);
        assert_eq!(serde_json::to_string(&Cents::new(-7)).unwrap(), "-7");
        assert_eq!(serde_json::from_str::<Cents>(&serde_json::to_string(&most).unwrap()).unwrap(), most);
        // What digests are made of must stay as it is.
        assert_eq!(format!("{:?}", (Cents::new(-7), Some(Ratio::ONE))), "(-7, Some(1000000000000000000))");
    }

    #[test]
    fn ratios_are_exact_at_thresholds() {
        let tenth = Ratio::from_scaled(Ratio::ONE.as_scaled() / 10);
        let share = |part, whole| Cents::new(part).share_of(Cents::new(whole));
        assert_eq!(share(10, 100), Some(tenth));
        assert_eq!(share(1, 0), None);
        // One cent above 10 % of ten trillion yuan is above.
        assert!(share(100_000_000_000_001, 1_000_000_000_000_000) > Some(tenth));
        assert_eq!(share(1, 3).map(Ratio::as_scaled), Some(333_333_333_333_333_333));
        assert_eq!(Ratio::of(i128::from(u64::MAX) * 100, 1), Some(Ratio::MAX));
        assert_eq!(Ratio::of(i128::MIN, 1), Some(Ratio::from_scaled(-Ratio::MAX.as_scaled())));
        let text = |digits| Ratio::from_scaled(digits).to_string();
        assert_eq!((text(850_000_000_000_000_000), text(0)), ("0.85".into(), "0".into()));
        assert_eq!(Ratio::ONE.to_string(), "1");
    }
}
