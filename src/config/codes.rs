//! `codes:`: tables of codes, by the column of events that each is of.

use std::{collections::BTreeMap, fs::File, io::BufReader, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{lists::ListSpec, resolve::Resolver};
use crate::{
    approval::rows::applied,
    event::time::Calendar,
    lists::{CODE_COLUMNS, CodeColumns, List, list_name},
    say,
    text::quoted,
    workbook::{self, Options, SheetChoice},
};

/// A table of codes.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeSpec {
    /// A CSV, JSON Lines or Excel file (`.xlsx`, `.xls`).
    pub path: PathBuf,
    /// The sheet of a workbook; the first one that is not hidden by default.
    pub sheet: Option<String>,
    /// The column with the codes; the first one by default.
    pub code: Option<String>,
    /// The column with what codes are called; `name` or `名称` by default, if there is one.
    pub name: Option<String>,
    /// The column with the code above; `parent` or `上级编码` by default, if there is one. Without it the longest other code
    /// that a code begins with stands above it.
    pub parent: Option<String>,
    /// The column with the first day on which a code is valid; `from` or `启用日期` by default, if there is one.
    pub from: Option<String>,
    /// The column with the last day; `to` or `停用日期` by default, if there is one.
    pub to: Option<String>,
    /// Whether the table may lose more than half of its rows at once without being asked.
    #[serde(default)]
    pub shrink: bool,
}

impl From<CodeSpec> for ListSpec {
    fn from(spec: CodeSpec) -> Self {
        let CodeSpec { path, sheet, code, name, parent, from, to, shrink } = spec;
        let codes = Some(CodeColumns { name, parent, from, to });
        Self { path, key: code, columns: BTreeMap::new(), shrink, sheet, codes, agreed: Vec::new() }
    }
}

impl Resolver<'_> {
    /// The tables as lists, which they are read and watched as.
    pub(super) fn codes(
        &mut self,
        specs: BTreeMap<String, CodeSpec>,
        lists: &mut BTreeMap<String, ListSpec>,
    ) {
        for (column, spec) in specs {
            if !CODE_COLUMNS.contains(&column.as_str()) {
                self.problem(say!(
                    "codes: {column} is no column of codes; there are {columns}",
                    column = quoted(&column),
                    columns = CODE_COLUMNS.join(", ")
                ));
                continue;
            }
            let list = list_name(&column);
            let path = self.path(spec.path.clone());
            if lists.insert(list.clone(), ListSpec { path, ..spec.into() }).is_some() {
                self.problem(say!(
                    "lists.{list}: this is the name of the table under codes.{column}; call the list something else",
                    list,
                    column
                ));
            }
        }
    }
}

/// Reads a list from its file, whatever that is.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn read(spec: &ListSpec, calendar: &Calendar) -> Result<List, String> {
    let ends = |wanted: &[&str]| {
        let ending = spec.path.extension().and_then(|e| e.to_str()).map(str::to_lowercase);
        ending.is_some_and(|ending| wanted.contains(&ending.as_str()))
    };
    let list = match ends(&["xlsx", "xls"]) {
        true => of_workbook(spec)?,
        false => List::read(&spec.path, spec.key.as_deref(), &spec.columns).map_err(|e| e.to_string())?,
    };
    let list = applied(list, &spec.agreed);
    match &spec.codes {
        None => Ok(list),
        Some(columns) => {
            let path = spec.path.display();
            list.into_codes(columns, calendar).map_err(|why| format!("{path}: {why}"))
        }
    }
}

fn of_workbook(spec: &ListSpec) -> Result<List, String> {
    let path = spec.path.display();
    let file = File::open(&spec.path).map_err(|e| format!("{path}: {}", crate::diagnostic::os_reason(&e)))?;
    let options = Options { sheet: spec.sheet.clone().map(SheetChoice::Name), ..Options::default() };
    let mut lines = Vec::new();
    let summary = workbook::to_lines(BufReader::new(file), &options, &mut lines)
        .map_err(|fault| format!("{path}: {fault}"))?;
    let text = String::from_utf8(lines).map_err(|_| format!("{path}: {}", say!("the text is not UTF-8")))?;
    // Rows are told by their numbers in the sheet.
    let place = (&*spec.path, u64::from(summary.header_row));
    List::of_lines(place, &summary.columns, &text, spec.key.as_deref(), &spec.columns)
        .map_err(|e| e.to_string())
}
