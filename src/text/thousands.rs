//! Whole numbers as people read them.

/// `1,234,567` of `1234567`; `None` of what is no number.
pub(crate) fn thousands(digits: &str) -> Option<String> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    Some(grouped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_stand_before_every_three_digits_and_nowhere_else() {
        let grouped = |digits| thousands(digits).unwrap_or_default();
        assert_eq!(
            ["7", "123", "1234", "123456", "1234567", "0001"].map(grouped),
            ["7", "123", "1,234", "123,456", "1,234,567", "0,001"]
        );
        assert_eq!(
            ["", "合同2026001", "12a", "-123", "１２３４"].map(thousands),
            [None, None, None, None, None]
        );
    }
}
