//! The way nearly every record is written, read without the general parser: a flat object of known fields, strings
//! without escapes, plain numbers. Whatever is not like that returns `None` and goes to `serde_json`, which alone decides
//! what is JSON and what is wrong with it; a property test holds the two together.

use std::borrow::Cow;

use super::FieldOrder;
use crate::{
    decode::row::RawCell,
    event::{FieldKind, schema::FIELDS},
};

/// Reads a record into cells that are all absent, and marks those it fills in `seen`. `None` leaves them in
/// disorder: the general parser starts again.
pub(crate) fn read<'a>(
    record: &'a str,
    cells: &mut [RawCell<'a>],
    seen: &mut u64,
    order: &mut FieldOrder,
) -> Option<()> {
    let mut cursor = Cursor { text: record, at: 0 };
    cursor.expect(b'{')?;
    for position in 0.. {
        let column = cursor.key(order, position)?;
        if *seen & (1 << column) != 0 {
            return None;
        }
        *seen |= 1 << column;
        cursor.skip_spaces();
        cursor.expect(b':')?;
        cursor.skip_spaces();
        cells[usize::from(column)] = cursor.value(FIELDS[usize::from(column)].kind)?;
        cursor.skip_spaces();
        match cursor.next()? {
            b',' => cursor.skip_spaces(),
            b'}' => break,
            _ => return None,
        }
    }
    (cursor.at == record.len()).then_some(())
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    fn skip_spaces(&mut self) {
        while self.peek() == Some(b' ') {
            self.at += 1;
        }
    }

    /// The column of a field's name: first the one that stood here in the record before.
    fn key(&mut self, order: &mut FieldOrder, position: usize) -> Option<u8> {
        self.expect(b'"')?;
        let rest = &self.text.as_bytes()[self.at..];
        if let Some(guess) = order.guess(position) {
            let name = FIELDS[usize::from(guess)].name.as_bytes();
            if rest.starts_with(name) && rest.get(name.len()) == Some(&b'"') {
                self.at += name.len() + 1;
                return Some(guess);
            }
        }
        let column = super::column(self.string()?)?;
        order.learn(position, column);
        Some(column)
    }

    fn value(&mut self, kind: FieldKind) -> Option<RawCell<'a>> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                Some(RawCell::text(self.string()?))
            }
            b'0'..=b'9' => self.number().map(RawCell::Number),
            b'n' if self.text[self.at..].starts_with("null") => {
                self.at += 4;
                Some(RawCell::Absent)
            }
            b'[' if kind == FieldKind::Tags => self.list().map(RawCell::List),
            _ => None,
        }
    }

    /// A string after its first quote, if it has no escapes and no control characters.
    fn string(&mut self) -> Option<&'a str> {
        let start = self.at;
        let end = start + plain_length(&self.text.as_bytes()[start..]);
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        self.text.get(start..end)
    }

    /// Digits, perhaps with a fraction, without a needless zero in front.
    fn number(&mut self) -> Option<&'a str> {
        let start = self.at;
        let digits = |cursor: &mut Self| {
            let from = cursor.at;
            while cursor.peek().is_some_and(|b| b.is_ascii_digit()) {
                cursor.at += 1;
            }
            cursor.at - from
        };
        let whole = digits(self);
        if whole > 1 && self.text.as_bytes()[start] == b'0' {
            return None;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if digits(self) == 0 {
                return None;
            }
        }
        // An exponent, or anything else that is no end of a number, is the general parser's.
        matches!(self.peek()?, b',' | b'}' | b' ').then(|| &self.text[start..self.at])
    }

    fn list(&mut self) -> Option<Vec<Cow<'a, str>>> {
        self.expect(b'[')?;
        let mut items = Vec::new();
        self.skip_spaces();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Some(items);
        }
        loop {
            self.expect(b'"')?;
            items.push(Cow::Borrowed(self.string()?));
            self.skip_spaces();
            match self.next()? {
                b',' => self.skip_spaces(),
                b']' => return Some(items),
                _ => return None,
            }
        }
    }
}

/// The bytes before the first quote, backslash or control character, eight at a time.
fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let zero_in = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let mut chunks = bytes.chunks_exact(8);
    let mut length = 0;
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        let quote = zero_in(word ^ (ONES * u64::from(b'"')));
        let backslash = zero_in(word ^ (ONES * u64::from(b'\\')));
        let control = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
        // Of several marks the lowest is exact; a borrow can only raise false ones above it.
        let found = quote | backslash | control;
        if found != 0 {
            return length + found.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    let special = |b: &u8| *b == b'"' || *b == b'\\' || *b < 0x20;
    length + chunks.remainder().iter().position(special).unwrap_or(chunks.remainder().len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Column;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn plain_length_finds_the_first_special_byte(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let expected = bytes.iter().position(|b| *b == b'"' || *b == b'\\' || *b < 0x20).unwrap_or(bytes.len());
            prop_assert_eq!(plain_length(&bytes), expected);
        }

        /// What this reader accepts, serde_json accepts too, with the same cells.
        #[test]
        fn the_general_parser_agrees(text in record(), cut in 0usize..400, insert in "[\\PC]{0,3}") {
            let mut text = text;
            let at = (0..=cut.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.insert_str(at, &insert);
            let mut cells = vec![RawCell::Absent; Column::COUNT];
            if read(&text, &mut cells, &mut 0, &mut FieldOrder::default()).is_some() {
                let general = super::super::general(&text, &mut FieldOrder::default());
                prop_assert_eq!(general.map(|(cells, _)| format!("{cells:?}")), Ok(format!("{cells:?}")));
            }
        }
    }

    fn record() -> impl Strategy<Value = String> {
        let value = prop_oneof![
            "[ -~\u{4e00}-\u{4e10}]{0,20}".prop_map(|s| serde_json::Value::from(s).to_string()),
            "-?[0-9]{1,5}(\\.[0-9]{0,3})?(e[0-9])?",
            Just(String::from("null")),
            Just(String::from("[\"a\", \"三保\"]")),
            Just(String::from("[]")),
            Just(String::from("true")),
        ];
        let field = (0..Column::COUNT, value, "[ ]{0,2}")
            .prop_map(|(column, value, space)| format!("\"{}\"{space}:{space}{value}", FIELDS[column].name));
        proptest::collection::vec(field, 1..8).prop_map(|fields| format!("{{{}}}", fields.join(", ")))
    }

    #[test]
    fn reads_the_usual_record() {
        let text = r#"{"event_id": "P1", "amount":12.50, "tags": ["三保","直达"],"purpose":null}"#;
        let mut cells = vec![RawCell::Absent; Column::COUNT];
        let mut order = FieldOrder::default();
        assert_eq!(read(text, &mut cells, &mut 0, &mut order), Some(()));
        assert!(matches!(cells[Column::EventId.index()], RawCell::Text("P1")));
        assert!(matches!(cells[Column::Amount.index()], RawCell::Number("12.50")));
        assert!(matches!(&cells[Column::TagList.index()], RawCell::List(tags) if tags.len() == 2));
        assert_eq!(order.guess(1), u8::try_from(Column::Amount.index()).ok());
    }
}
