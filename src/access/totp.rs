//! 动态口令: a second factor, codes of 30 seconds by RFC 6238 with SHA-1, six digits, as every authenticator has it.

use std::fmt;

use totp_rs::{Algorithm, Builder, Secret, Totp};

use crate::event::Instant;

/// Who issues it, as an authenticator shows it.
const ISSUER: &str = "fiscwatch";
/// Seconds of a step, and how many steps a clock may be off.
const STEP: u64 = 30;
const SKEW: u16 = 1;

/// What a user and the state share. `Debug` does not show it.
pub struct SecondFactor(Totp);

impl SecondFactor {
    /// A new one of 160 bits from the system's random numbers.
    #[must_use]
    pub fn make(user: &str) -> Self {
        Self::of(Secret::new_stack(rand::random()), user)
    }

    /// From what the store keeps; `None` if that is none.
    #[must_use]
    pub fn read(text: &str, user: &str) -> Option<Self> {
        Some(Self::of(Secret::try_from_base32(text).ok()?, user))
    }

    fn of(secret: Secret, user: &str) -> Self {
        let builder = Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(6)
            .with_skew(SKEW)
            .with_step_duration(STEP)
            .with_issuer(Some(ISSUER))
            // A colon parts the issuer from the name.
            .with_account_name(user.replace(':', "_"))
            .with_secret(secret);
        Self(builder.build_noncompliant())
    }

    /// The secret in Base32, for the store, and for whoever types it into an authenticator.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.secret().to_base32()
    }

    /// What an authenticator reads from a picture.
    #[must_use]
    pub fn url(&self) -> String {
        self.0.to_url().unwrap_or_default()
    }

    /// The step that a code is of, if it is one of now, give or take a step; that it was used before, the store knows.
    #[must_use]
    pub fn step(&self, code: &str, now: Instant) -> Option<i64> {
        let seconds = u64::try_from(now.as_seconds()).ok()?;
        let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        i64::try_from(self.0.check(&digits, seconds)?).ok()
    }
}

impl fmt::Debug for SecondFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecondFactor(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    /// RFC 6238, appendix B: the last six of its eight digits.
    #[test]
    fn codes_are_those_of_the_standard() {
        let factor = SecondFactor::read("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "王芳").unwrap();
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")] {
            let now = seconds * 1_000_000;
            assert_eq!(factor.step(code, Instant::from_micros(now)), Some(seconds / 30), "{seconds}");
            assert_eq!(
                factor.step(&format!("{} {}", &code[..3], &code[3..]), Instant::from_micros(now)),
                Some(seconds / 30)
            );
            assert_eq!(
                factor.step(code, Instant::from_micros(now + 30_000_000)),
                Some(seconds / 30),
                "a slow clock"
            );
            assert_eq!(factor.step(code, Instant::from_micros(now + MINUTE + 30_000_000)), None);
        }
        for wrong in ["", "28708", "2870820", "28708a", "２８７０８２x"] {
            assert_eq!(factor.step(wrong, Instant::from_micros(59_000_000)), None, "{wrong}");
        }
    }

    #[test]
    fn a_new_one_is_nobody_elses_and_is_not_shown() {
        let (one, other) = (SecondFactor::make("a:b"), SecondFactor::make("王芳"));
        assert!(one.text() != other.text() && one.text().len() == 32);
        assert!(
            one.url().starts_with("otpauth://totp/fiscwatch:a_b?") && one.url().contains(&one.text()),
            "{}",
            one.url()
        );
        assert!(other.url().contains("%E7%8E%8B"), "{}", other.url());
        assert!(!format!("{one:?}").contains(&one.text()));
        assert_eq!(SecondFactor::read(&one.text(), "x").unwrap().text(), one.text());
        assert!(SecondFactor::read("no base 32!", "x").is_none());
    }
}
