//! The small parts of an `.xlsx` workbook: its sheets, the texts that cells share, and which formats are dates.

use std::{
    collections::HashMap,
    io::{Read, Seek},
};

use super::{Tab, WorkbookFault, date, package::Package};
use crate::{
    markup::{Tag, XmlToken},
    say,
};

/// Bytes of texts that are kept in memory.
const STRINGS_MAX: u64 = 256 << 20;
/// Bytes of any other small part.
const SMALL_MAX: u64 = 32 << 20;
/// Sheets, styles and formats of a workbook.
const COUNT_MAX: usize = 70_000;

/// Texts that cells refer to by number.
#[derive(Debug, Default)]
pub(crate) struct Strings {
    text: String,
    ends: Vec<usize>,
}

impl Strings {
    /// Reads them; there are none if there is no such part.
    pub(crate) fn read<R: Read + Seek>(package: &mut Package<R>, name: &str) -> Result<Self, WorkbookFault> {
        let mut strings = Self::default();
        let Some(mut part) = package.part(name, Some(STRINGS_MAX))? else { return Ok(strings) };
        let (mut inside, mut phonetic) = (false, false);
        loop {
            match part.next_token()? {
                XmlToken::Open(tag) => match tag.name() {
                    "t" => inside = !phonetic,
                    "rPh" => phonetic = true,
                    _ => {}
                },
                XmlToken::Text(text) if inside => strings.text.push_str(&text),
                XmlToken::Close(tag) => match tag.local_name().as_ref() {
                    "t" => inside = false,
                    "rPh" => phonetic = false,
                    "si" => strings.ends.push(strings.text.len()),
                    _ => {}
                },
                XmlToken::End => return Ok(strings),
                XmlToken::Text(_) | XmlToken::Nothing => {}
            }
        }
    }

    /// The text of a number.
    pub(crate) fn get(&self, number: usize) -> Option<&str> {
        let end = *self.ends.get(number)?;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.text[start..end])
    }
}

/// For each style of cells, whether it shows a number as a date.
pub(crate) fn date_styles<R: Read + Seek>(
    package: &mut Package<R>,
    name: &str,
) -> Result<Vec<bool>, WorkbookFault> {
    let mut styles = Vec::new();
    let Some(mut part) = package.part(name, Some(SMALL_MAX))? else { return Ok(styles) };
    let (mut own, mut within) = (HashMap::new(), false);
    loop {
        match part.next_token()? {
            XmlToken::Open(tag) => match tag.name() {
                "numFmt" => {
                    let [number, code] = take(&tag, ["numFmtId", "formatCode"])
                        .map_err(|fault| WorkbookFault::of(name, fault))?;
                    if let Some(number) = number.and_then(|number| number.parse::<u32>().ok())
                        && own.len() < COUNT_MAX
                    {
                        own.insert(number, date::is_date_format(&code.unwrap_or_default()));
                    }
                }
                "cellXfs" => within = true,
                "xf" if within && styles.len() < COUNT_MAX => {
                    let [number] =
                        take(&tag, ["numFmtId"]).map_err(|fault| WorkbookFault::of(name, fault))?;
                    let number = number.and_then(|number| number.parse().ok()).unwrap_or(0);
                    styles.push(own.get(&number).copied().unwrap_or(date::is_date_number(number)));
                }
                _ => {}
            },
            XmlToken::Close(tag) if tag.local_name().as_ref() == "cellXfs" => within = false,
            XmlToken::End => return Ok(styles),
            XmlToken::Close(_) | XmlToken::Text(_) | XmlToken::Nothing => {}
        }
    }
}

/// What a workbook says of itself.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// Its sheets with their parts.
    pub sheets: Vec<(Tab, String)>,
    /// The part with its shared texts.
    pub strings: String,
    /// The part with its styles.
    pub styles: String,
    /// Whether its days are counted from 1904.
    pub from_1904: bool,
}

impl Book {
    pub(crate) fn read<R: Read + Seek>(package: &mut Package<R>) -> Result<Self, WorkbookFault> {
        let start = relations(package, "_rels/.rels", "")?;
        let name = start.into_iter().find(|relation| relation.kind.ends_with("/officeDocument"));
        let name = name.map_or_else(|| "xl/workbook.xml".to_owned(), |relation| relation.target);
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", &name));
        let relations = relations(package, &format!("{folder}/_rels/{file}.rels"), folder)?;
        let of_kind = |kind: &str| {
            let found = relations.iter().find(|relation| relation.kind.ends_with(kind));
            found.map(|relation| relation.target.clone()).unwrap_or_default()
        };
        let mut book =
            Self { strings: of_kind("/sharedStrings"), styles: of_kind("/styles"), ..Self::default() };
        let Some(mut part) = package.part(&name, Some(SMALL_MAX))? else {
            let what = match package.has("xl/workbook.bin") {
                true => say!("a binary workbook (.xlsb)"),
                false if package.has("content.xml") => say!("an OpenDocument table (.ods)"),
                false => say!("a ZIP archive without a workbook in it"),
            };
            return Err(WorkbookFault::Other { what });
        };
        loop {
            match part.next_token()? {
                XmlToken::Open(tag) => match tag.name() {
                    "workbookPr" => {
                        let [value] =
                            take(&tag, ["date1904"]).map_err(|fault| WorkbookFault::of(&name, fault))?;
                        book.from_1904 = matches!(value.as_deref(), Some("1" | "true"));
                    }
                    "sheet" if book.sheets.len() < COUNT_MAX => {
                        let [title, id, state] = take(&tag, ["name", "id", "state"])
                            .map_err(|fault| WorkbookFault::of(&name, fault))?;
                        let hidden = state.is_some_and(|state| state != "visible");
                        let target = relations.iter().find(|relation| Some(&relation.id) == id.as_ref());
                        // Sheets that are charts or macros have no cells.
                        if let Some(target) = target.filter(|relation| relation.kind.ends_with("/worksheet"))
                        {
                            let tab = Tab { name: title.unwrap_or_default(), hidden };
                            book.sheets.push((tab, target.target.clone()));
                        }
                    }
                    _ => {}
                },
                XmlToken::End => return Ok(book),
                _ => {}
            }
        }
    }
}

/// How a part refers to another.
#[derive(Debug)]
struct Relation {
    id: String,
    kind: String,
    target: String,
}

fn relations<R: Read + Seek>(
    package: &mut Package<R>,
    name: &str,
    folder: &str,
) -> Result<Vec<Relation>, WorkbookFault> {
    let mut relations = Vec::new();
    let Some(mut part) = package.part(name, Some(SMALL_MAX))? else { return Ok(relations) };
    loop {
        match part.next_token()? {
            XmlToken::Open(tag) if tag.name() == "Relationship" && relations.len() < COUNT_MAX => {
                let [id, kind, target] =
                    take(&tag, ["Id", "Type", "Target"]).map_err(|fault| WorkbookFault::of(name, fault))?;
                let target = target.unwrap_or_default();
                let target = match target.strip_prefix('/') {
                    Some(absolute) => absolute.to_owned(),
                    None => within(folder, &target),
                };
                relations.push(Relation {
                    id: id.unwrap_or_default(),
                    kind: kind.unwrap_or_default(),
                    target,
                });
            }
            XmlToken::End => return Ok(relations),
            _ => {}
        }
    }
}

/// A path within a folder of the archive.
fn within(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The values of some attributes.
pub(crate) fn take<const N: usize>(
    tag: &Tag<'_>,
    names: [&str; N],
) -> Result<[Option<String>; N], crate::markup::DocumentFault> {
    let mut values = [const { None }; N];
    for attribute in tag.attributes() {
        let (name, value) = attribute?;
        if let Some(place) = names.iter().position(|wanted| *wanted == name) {
            values[place] = Some(value.into_owned());
        }
    }
    Ok(values)
}

/// A part of that name is what an element says, or the workbook is damaged.
pub(crate) fn missing(name: &str) -> WorkbookFault {
    WorkbookFault::Damaged { part: name.to_owned(), what: say!("it is not there") }
}
