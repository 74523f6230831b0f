//! How readers name codes: words that commas part, each a whole code, or the beginning of codes before `*`.

/// The words, without what stands around them.
pub(crate) fn words(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|word| !word.is_empty())
}

/// One of the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CodePattern<'w> {
    Whole(&'w str),
    Beginning(&'w str),
}

impl<'w> CodePattern<'w> {
    pub(crate) fn of(word: &'w str) -> Self {
        word.strip_suffix('*').map_or(Self::Whole(word), Self::Beginning)
    }

    /// Whether it names a code.
    pub(crate) fn matches(self, code: &str) -> bool {
        match self {
            Self::Whole(word) => code == word,
            Self::Beginning(start) => code.starts_with(start),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_codes_whole_or_by_their_beginning() {
        let meant = |list: &str, code: &str| words(list).any(|word| CodePattern::of(word).matches(code));
        assert!(meant("101, 102*", "101") && meant("101, 102*", "102003") && meant(" * ", "9"));
        assert!(!meant("101, 102*", "1010") && !meant(",,", "") && !meant("", "101"));
    }
}
