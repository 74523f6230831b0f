//! The rows of a document: the elements at a path, each with what stands around it.
//!
//! A row's own fields stand at the top of its object, what surrounds it under the names of the surrounding elements. An
//! element with nothing but text is that text, and its attributes stand beside it (`Amt`, `Amt@Ccy`). Texts that
//! come several times are one, joined by `; `; other elements that come again are numbered: `Strd`, `Strd[2]`.

use std::{collections::HashMap, io::Write};

use serde_json::{Map, Value};

use super::{
    DocumentFault, layout,
    pull::{Bounds, Pull, Tag, XmlToken},
};
use crate::say;

/// Bytes of what surrounds a row, which each row repeats.
const AROUND_MAX: usize = 256 << 10;
/// Bytes that may be made of a document.
const OUTPUT_MAX: u64 = 1 << 30;

/// What was made of a document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DocumentSummary {
    /// Rows that were made of the document.
    pub rows: u64,
    /// Those of them that are elements on the way to a row in which there was none.
    pub incomplete: u64,
}

/// Writes the rows of a document as JSON Lines. `path` names them: `MOF/VoucherBody/Detail`, which may begin below the root.
/// An element on this path in which there is no row is a row by itself, so that it does not vanish.
///
/// # Errors
/// If the document is refused; nothing is written then.
pub fn to_lines(text: &str, path: &str, out: &mut impl Write) -> Result<DocumentSummary, DocumentFault> {
    let names: Vec<&str> = path.split('/').map(str::trim).filter(|name| !name.is_empty()).collect();
    let mut reader = RowReader { names: &names, open: Vec::new(), closed: Vec::new(), rows: Vec::new() };
    let mut pull = Pull::new(text.as_bytes(), Bounds::default());
    loop {
        match pull.next_token()? {
            XmlToken::Open(tag) => {
                let way = reader.way_of(tag.name());
                reader.open.push(Open::new(&tag, way)?);
            }
            XmlToken::Text(text) => {
                if let Some(element) = reader.open.last_mut() {
                    element.text.push_str(&text);
                }
            }
            XmlToken::Close(_) => reader.close()?,
            XmlToken::Nothing => {}
            XmlToken::End => break,
        }
    }
    if !reader.rows.iter().any(|row| row.complete) {
        return Err(DocumentFault::NoRows { path: path.to_owned(), found: layout::found(text) });
    }
    reader.write(out)
}

/// How far an element is on the path to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// So many names of the path are behind it, itself included; 0 outside of it.
    Along(usize),
    /// It is a field, or within one.
    Off,
}

#[derive(Debug)]
struct Open {
    name: String,
    way: Way,
    line: u64,
    attributes: Vec<(String, String)>,
    fields: Map<String, Value>,
    /// How often a name came that came before.
    repeated: HashMap<String, usize>,
    text: String,
    /// The rows that were found within it, as a stretch of all rows.
    rows: usize,
}

impl Open {
    fn new(tag: &Tag<'_>, way: Way) -> Result<Self, DocumentFault> {
        let owned = |attribute: Result<(&str, std::borrow::Cow<'_, str>), DocumentFault>| {
            attribute.map(|(name, value)| (name.to_owned(), value.into_owned()))
        };
        Ok(Self {
            name: tag.name().to_owned(),
            way,
            line: tag.line,
            attributes: tag.attributes().map(owned).collect::<Result<_, _>>()?,
            fields: Map::new(),
            repeated: HashMap::new(),
            text: String::new(),
            rows: 0,
        })
    }

    fn add(&mut self, name: &str, value: Value) {
        match (self.fields.get_mut(name), value) {
            (None, value) => {
                self.fields.insert(name.to_owned(), value);
            }
            (Some(Value::String(all)), Value::String(text)) => {
                all.push_str("; ");
                all.push_str(&text);
            }
            (Some(_), value) => {
                let count = self.repeated.entry(name.to_owned()).or_insert(1);
                *count += 1;
                let name = format!("{name}[{count}]");
                self.fields.insert(name, value);
            }
        }
    }

    /// Its fields with its attributes and its text among them.
    fn into_fields(self) -> Map<String, Value> {
        let mut fields = self.fields;
        for (name, value) in self.attributes {
            fields.insert(format!("@{name}"), Value::String(value));
        }
        if !self.text.trim().is_empty() {
            fields.insert("$text".to_owned(), Value::String(self.text));
        }
        fields
    }

    fn is_leaf(&self) -> bool {
        self.fields.is_empty()
    }

    fn has_content(&self) -> bool {
        !(self.fields.is_empty() && self.attributes.is_empty() && self.text.trim().is_empty())
    }
}

/// An element around rows, when it is closed.
#[derive(Debug)]
struct Around {
    name: String,
    json: String,
}

#[derive(Debug, Default)]
struct Row {
    fields: String,
    names: Vec<String>,
    /// The elements around it, from the nearest, by their numbers among the closed ones.
    around: Vec<usize>,
    line: u64,
    /// Whether it stands at the end of the path.
    complete: bool,
}

struct RowReader<'p> {
    names: &'p [&'p str],
    open: Vec<Open>,
    closed: Vec<Around>,
    rows: Vec<Row>,
}

impl RowReader<'_> {
    fn way_of(&self, name: &str) -> Way {
        let behind = match self.open.last().map(|parent| parent.way) {
            None => 0,
            Some(Way::Along(behind)) if behind < self.names.len() => behind,
            Some(_) => return Way::Off,
        };
        match self.names.get(behind) == Some(&name) {
            true => Way::Along(behind + 1),
            false if behind == 0 => Way::Along(0),
            false => Way::Off,
        }
    }

    fn close(&mut self) -> Result<(), DocumentFault> {
        let Some(mut element) = self.open.pop() else { return Ok(()) };
        let root = self.open.is_empty();
        match element.way {
            Way::Along(behind) if behind > 0 && behind == self.names.len() => self.row(element),
            Way::Along(_) if element.rows > 0 => self.around(element)?,
            Way::Along(behind) if behind > 0 && !root && element.has_content() => {
                self.rows.push(Row { line: element.line, ..Row::default() });
                element.rows = 1;
                self.around(element)?;
            }
            _ => self.field(element),
        }
        Ok(())
    }

    fn row(&mut self, element: Open) {
        let line = element.line;
        let fields = element.into_fields();
        let names = fields.keys().cloned().collect();
        let json = Value::Object(fields).to_string();
        let fields = json[1..json.len() - 1].to_owned();
        self.rows.push(Row { fields, names, around: Vec::new(), line, complete: true });
        if let Some(parent) = self.open.last_mut() {
            parent.rows += 1;
        }
    }

    /// An element around rows: each of its rows learns of it.
    fn around(&mut self, element: Open) -> Result<(), DocumentFault> {
        let (name, rows, line) = (element.name.clone(), element.rows, element.line);
        if let Some(parent) = self.open.last_mut() {
            parent.rows += rows;
        }
        let fields = element.into_fields();
        if fields.is_empty() {
            return Ok(());
        }
        let json = Value::Object(fields).to_string();
        let number = self.closed.len();
        let first = self.rows.len() - rows;
        for row in &mut self.rows[first..] {
            row.around.push(number);
        }
        self.closed.push(Around { name, json });
        let bytes = |row: &Row| row.around.iter().map(|at| self.closed[*at].json.len()).sum::<usize>();
        if self.rows.last().is_some_and(|row| bytes(row) > AROUND_MAX) {
            let what =
                say!("what stands around a row, and would be repeated in each, takes more than 256 KiB");
            return Err(DocumentFault::TooLarge { line, what });
        }
        Ok(())
    }

    fn field(&mut self, element: Open) {
        let Some(parent) = self.open.last_mut() else { return };
        let name = element.name.clone();
        if !element.is_leaf() {
            parent.add(&name, Value::Object(element.into_fields()));
            return;
        }
        for (attribute, value) in element.attributes {
            parent.add(&format!("{name}@{attribute}"), Value::String(value));
        }
        parent.add(&name, Value::String(element.text));
    }

    fn write(self, out: &mut impl Write) -> Result<DocumentSummary, DocumentFault> {
        let mut summary = DocumentSummary::default();
        let (mut line, mut left) = (String::new(), OUTPUT_MAX);
        for row in &self.rows {
            line.clear();
            line.push('{');
            line.push_str(&row.fields);
            let mut names: Vec<&str> = row.names.iter().map(String::as_str).collect();
            for around in row.around.iter().map(|at| &self.closed[*at]) {
                // The nearest holds where two have the same name.
                if names.contains(&around.name.as_str()) {
                    continue;
                }
                names.push(&around.name);
                let comma = if line.len() > 1 { "," } else { "" };
                let name = Value::String(around.name.clone());
                line.push_str(&format!("{comma}{name}:{}", around.json));
            }
            let comma = if line.len() > 1 { "," } else { "" };
            let place = Value::String(say!("line {line}", line = row.line));
            line.push_str(&format!("{comma}\"$place\":{place}}}\n"));
            left = left.checked_sub(line.len() as u64).ok_or_else(|| DocumentFault::TooLarge {
                line: row.line,
                what: say!("more than 1 GiB would be made of it"),
            })?;
            out.write_all(line.as_bytes())?;
            summary.rows += 1;
            summary.incomplete += u64::from(!row.complete);
        }
        Ok(summary)
    }
}
