//! A list that is expected against one that came: what fits in the same order, what differs, what is missing or too much.

use std::fmt::Write;

use crate::say;

/// Both lists, and how their items are compared and named.
pub(crate) struct ListComparison<'a, E, F> {
    pub expected: &'a [E],
    pub found: &'a [F],
    /// Whether both are about the same, so that their differences are worth telling.
    pub alike: &'a dyn Fn(&E, &F) -> bool,
    /// What the second has otherwise than the first says.
    pub differences: &'a dyn Fn(&E, &F) -> Vec<String>,
    /// Where the expectation stands, and what it is.
    pub line: &'a dyn Fn(&E) -> (usize, String),
    pub name: &'a dyn Fn(&F) -> String,
    pub describe: &'a dyn Fn(&F) -> String,
}

impl<E, F> ListComparison<'_, E, F> {
    /// What is not as expected; empty if everything is. The titles stand above what is missing and what is too much.
    pub(crate) fn compare(&self, missing_title: &str, surplus_title: &str) -> String {
        let mut text = String::new();
        let aligned = align(self.expected.len(), self.found.len(), |e, f| {
            (self.differences)(&self.expected[e], &self.found[f]).is_empty()
        });
        let mut missing: Vec<_> =
            (0..self.expected.len()).filter(|e| aligned.iter().all(|(a, _)| a != e)).collect();
        let mut surplus: Vec<_> =
            (0..self.found.len()).filter(|f| aligned.iter().all(|(_, a)| a != f)).collect();
        missing.retain(|&e| !self.explain(e, &mut surplus, &mut text));
        if !missing.is_empty() {
            let _ = writeln!(text, "{missing_title}");
            for e in missing {
                let (line, what) = (self.line)(&self.expected[e]);
                let _ = writeln!(text, "  {}", say!("{what} (line {line})", what, line));
            }
        }
        if !surplus.is_empty() {
            let _ = writeln!(text, "{surplus_title}");
            for f in surplus {
                let _ = writeln!(text, "  {}", (self.describe)(&self.found[f]));
            }
        }
        text
    }

    /// Tells how the most similar of the surplus differs from an expectation, and takes it away; whether there is one.
    fn explain(&self, e: usize, surplus: &mut Vec<usize>, text: &mut String) -> bool {
        let expected = &self.expected[e];
        let differing = |f: &usize| (self.differences)(expected, &self.found[*f]);
        let alike = |f: &usize| (self.alike)(expected, &self.found[*f]);
        let nearest = surplus.iter().copied().filter(alike).min_by_key(|f| differing(f).len());
        let Some(f) = nearest else { return false };
        surplus.retain(|other| *other != f);
        let differing = differing(&f);
        if differing.is_empty() {
            let _ = writeln!(
                text,
                "{}\n  {}",
                say!("in another place than expected:"),
                (self.describe)(&self.found[f])
            );
            return true;
        }
        let (line, _) = (self.line)(expected);
        let what = (self.name)(&self.found[f]);
        let _ = writeln!(text, "{}", say!("differs: {what} (line {line})", what, line));
        differing.iter().for_each(|difference| {
            let _ = writeln!(text, "  {difference}");
        });
        true
    }
}

/// The longest run of pairs that match and stand in the same order on both sides.
fn align(left: usize, right: usize, matches: impl Fn(usize, usize) -> bool) -> Vec<(usize, usize)> {
    let width = right + 1;
    let mut longest = vec![0; (left + 1) * width];
    for l in (0..left).rev() {
        for r in (0..right).rev() {
            longest[l * width + r] = if matches(l, r) {
                longest[(l + 1) * width + r + 1] + 1
            } else {
                longest[(l + 1) * width + r].max(longest[l * width + r + 1])
            };
        }
    }
    let (mut l, mut r, mut pairs) = (0, 0, Vec::new());
    while l < left && r < right {
        if matches(l, r) {
            pairs.push((l, r));
            (l, r) = (l + 1, r + 1);
        } else if longest[(l + 1) * width + r] >= longest[l * width + r + 1] {
            l += 1;
        } else {
            r += 1;
        }
    }
    pairs
}
