//! Reading YAML with positions: every problem of a document is collected, each with its line and column.

use saphyr::{MarkedYaml, YamlData, YamlLoader};
use saphyr_parser::{Parser, ScanError, Span};

use crate::diagnostic::{Diagnostic, meant, suggest, syntax};
use crate::say;

/// A parsed file, and what is found wrong in it.
pub struct Document<'t> {
    /// The file's name, for messages.
    pub file: String,
    text: &'t str,
    /// What was found wrong so far.
    pub problems: Vec<Diagnostic>,
}

/// A node of a document.
pub(crate) type Node<'t> = MarkedYaml<'t>;

/// A text with its place in the file.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The text as YAML means it.
    pub text: String,
    /// The place of the node.
    pub span: Span,
}

impl<'t> Document<'t> {
    /// Parses `text`. `None` with a problem noted if it is no YAML or empty.
    pub fn parse(file: &str, text: &'t str) -> (Self, Option<Node<'t>>) {
        let mut document = Self { file: file.to_owned(), text, problems: Vec::new() };
        let mut loader = YamlLoader::default();
        // Scalars stay as they are written: a decimal must not become a float.
        loader.early_parse(false);
        let loaded = Parser::new_from_str(text).load(&mut loader, true);
        if let Err(error) = loaded.and_then(|()| loader.error().cloned().map_or(Ok(()), Err)) {
            document.scan_error(&error);
            return (document, None);
        }
        let root = loader.into_documents().into_iter().next();
        if root.is_none() {
            document.problems.push(Diagnostic::of_file(file, say!("the file is empty"), None));
        }
        (document, root)
    }

    fn scan_error(&mut self, error: &ScanError) {
        let mark = error.marker();
        let (message, hint) = syntax::yaml(error.info(), self.text, mark.line());
        self.problems.push(Diagnostic {
            file: self.file.clone(),
            line: mark.line(),
            column: mark.col() + 1,
            message,
            hint,
        });
    }

    /// Notes a problem at a node.
    pub fn problem(&mut self, span: Span, message: impl Into<String>, hint: Option<String>) {
        self.problems.push(Diagnostic {
            file: self.file.clone(),
            line: span.start.line(),
            column: span.start.col() + 1,
            message: message.into(),
            hint,
        });
    }

    /// Notes a problem at the `nth` (from 0) occurrence of `word` in the source of a node, however the text is
    /// quoted or folded there; at the node if it is not found.
    pub fn problem_at(
        &mut self,
        span: Span,
        (word, nth): (&str, usize),
        message: String,
        hint: Option<String>,
    ) {
        let source: String = self.text.chars().skip(span.start.index()).collect();
        let found = if word.is_empty() { None } else { source.match_indices(word).nth(nth) };
        let (mut line, mut column) = (span.start.line(), span.start.col() + 1);
        if let Some((at, _)) = found {
            let before = &source[..at];
            line += before.matches('\n').count();
            column = match before.rsplit_once('\n') {
                Some((_, last)) => last.chars().count() + 1,
                None => column + before.chars().count(),
            };
        }
        self.problems.push(Diagnostic { file: self.file.clone(), line, column, message, hint });
    }

    /// A scalar as it is written.
    pub fn scalar(&mut self, node: &Node<'t>, what: &str) -> Option<Placed> {
        match &node.data {
            YamlData::Representation(text, style, _) => {
                if *style == saphyr::ScalarStyle::Plain && is_in_curly_quotes(text) {
                    let hint = say!("write \" around the text, or leave the quotes out");
                    self.problem(
                        node.span,
                        say!("these quotes are part of the text: {text}", text),
                        Some(hint),
                    );
                }
                Some(Placed { text: text.to_string(), span: node.span })
            }
            _ => {
                self.problem(node.span, say!("{what} must be a single value", what), None);
                None
            }
        }
    }

    /// A list of scalars; a lone scalar is a list of one.
    pub fn scalars(&mut self, node: &Node<'t>, what: &str) -> Vec<Placed> {
        match &node.data {
            YamlData::Sequence(items) => items.iter().filter_map(|item| self.scalar(item, what)).collect(),
            _ => self.scalar(node, what).into_iter().collect(),
        }
    }

    /// The items of a list.
    pub fn sequence<'n>(&mut self, node: &'n Node<'t>, what: &str) -> &'n [Node<'t>] {
        match &node.data {
            YamlData::Sequence(items) => items,
            _ => {
                self.problem(node.span, say!("{what} must be a list", what), None);
                &[]
            }
        }
    }

    /// The entries of a mapping, in order.
    pub fn mapping<'n>(&mut self, node: &'n Node<'t>, what: &str) -> Vec<(Placed, &'n Node<'t>)> {
        let YamlData::Mapping(entries) = &node.data else {
            self.problem(node.span, say!("{what} must be a mapping of names to values", what), None);
            return Vec::new();
        };
        let mut named = Vec::new();
        for (key, value) in entries {
            if let Some(key) = self.scalar(key, &say!("a name")) {
                named.push((key, value));
            }
        }
        named
    }

    /// A mapping whose names must be among `known`; the others are problems.
    pub fn record<'n>(&mut self, node: &'n Node<'t>, what: &str, known: &[&str]) -> MappingFields<'n, 't> {
        let entries = self.mapping(node, what);
        for (key, _) in &entries {
            if !known.contains(&key.text.as_str()) {
                let hint = suggest(&key.text, known.iter().copied());
                self.problem(
                    key.span,
                    say!("unknown field \"{key}\" in {what}", key = key.text, what),
                    Some(hint),
                );
            }
        }
        MappingFields { span: node.span, entries }
    }

    /// A scalar that is one of `words`.
    pub fn choice<T: Copy>(&mut self, node: &Node<'t>, what: &str, words: &[(&str, T)]) -> Option<T> {
        let placed = self.scalar(node, what)?;
        let found = words.iter().find(|(word, _)| *word == placed.text);
        if found.is_none() {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let hint = meant(&placed.text, &words);
            self.problem(
                node.span,
                say!("{what} cannot be \"{placed}\"", what, placed = placed.text),
                Some(hint),
            );
        }
        found.map(|(_, value)| *value)
    }
}

/// The fields of a mapping.
pub struct MappingFields<'n, 't> {
    pub span: Span,
    entries: Vec<(Placed, &'n Node<'t>)>,
}

impl<'n, 't> MappingFields<'n, 't> {
    /// The value of a field, unless it is missing or null.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'n Node<'t>> {
        let (_, node) = self.entries.iter().find(|(key, _)| key.text == name)?;
        (!is_null(node)).then_some(node)
    }

    /// The place of a field's name.
    #[must_use]
    pub fn place(&self, name: &str) -> Span {
        self.entries.iter().find(|(key, _)| key.text == name).map_or(self.span, |(key, _)| key.span)
    }
}

/// Whether curly quotes stand around a text, where straight ones were meant.
fn is_in_curly_quotes(text: &str) -> bool {
    let around = |open: char, close: char| {
        text.strip_prefix(open)
            .and_then(|rest| rest.strip_suffix(close))
            .is_some_and(|inner: &str| !inner.contains([open, close]))
    };
    around('“', '”') || around('‘', '’') || around('＂', '＂')
}

/// Whether a node is null or empty.
#[must_use]
pub(crate) fn is_null(node: &Node<'_>) -> bool {
    matches!(&node.data, YamlData::Representation(text, style, _)
        if *style == saphyr::ScalarStyle::Plain && matches!(text.as_ref(), "" | "~" | "null"))
}
