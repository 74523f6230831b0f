//! 名单 rows that people agreed on: they stand in the state, beside the file of the list, and hold whatever the file says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Kind, NewMatter};
use crate::{lists::List, say, text::quoted};

/// The most rows of one matter.
pub const ROWS_MAX: usize = 1000;
/// The most characters of a cell.
const CELL_MAX: usize = 500;

/// Rows of a list that are to be there, and keys that are not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListAmendment {
    /// Rows by their columns; one whose key is there takes its place.
    #[serde(default)]
    pub put: Vec<BTreeMap<String, String>>,
    /// Keys that are to go.
    #[serde(default)]
    pub remove: Vec<String>,
}

impl ListAmendment {
    /// What is proposed by them for a list.
    ///
    /// # Errors
    /// If they do not fit it.
    pub fn wish(self, (name, list): (&str, &List), reason: &str) -> Result<NewMatter, String> {
        let count = self.put.len() + self.remove.len();
        if !(1..=ROWS_MAX).contains(&count) {
            return Err(say!("one proposal has 1 to {most} rows", most = ROWS_MAX));
        }
        let (columns, key) = list.shape();
        let key = &columns[key].0;
        for (number, row) in (1..).zip(&self.put) {
            let fault = |why: String| say!("row {number}: {why}", number, why);
            let known = |name: &String| columns.iter().any(|(known, _)| known == name);
            if let Some(unknown) = row.keys().find(|name| !known(name)) {
                let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
                return Err(fault(say!(
                    "there is no column {column}; there are {columns}",
                    column = quoted(unknown),
                    columns = names.join(", ")
                )));
            }
            if row.get(key).is_none_or(|key| key.trim().is_empty()) {
                return Err(fault(say!("it lacks its key, {column}", column = key)));
            }
            let long =
                row.values().any(|cell| cell.chars().count() > CELL_MAX || cell.contains(char::is_control));
            if long {
                let most = CELL_MAX;
                return Err(fault(say!("a cell has at most {most} characters, on one line", most)));
            }
            for (column, kind) in columns.iter().filter(|(_, kind)| !kind.is_text()) {
                let wrong = row.get(column).filter(|cell| !cell.is_empty() && kind.parse(cell).is_none());
                if let Some(cell) = wrong {
                    let cell = quoted(cell);
                    return Err(fault(say!("{column} {cell} is not an exact decimal", column, cell)));
                }
            }
        }
        if let Some(gone) = self.remove.iter().find(|key| !list.contains(key)) {
            return Err(say!("there is no row {key} to remove", key = quoted(gone)));
        }
        Ok(NewMatter {
            kind: Kind::List,
            subject: name.to_owned(),
            content: json!({ "list": name, "put": self.put, "remove": self.remove }),
            cents: None,
            reason: reason.to_owned(),
            expires_at: None,
        })
    }

    /// Those of a matter's content.
    #[must_use]
    pub fn of(content: &serde_json::Value) -> Option<Self> {
        let part = |name: &str| content.get(name).cloned().unwrap_or_else(|| json!([]));
        serde_json::from_value(json!({ "put": part("put"), "remove": part("remove") })).ok()
    }
}

/// A list with what people agreed on, the oldest first. A column that the file does not have any more is left out.
#[must_use]
pub fn applied(list: List, agreed: &[ListAmendment]) -> List {
    if agreed.is_empty() {
        return list;
    }
    let (columns, key) = list.shape();
    let mut rows: Vec<Option<Vec<String>>> =
        list.rows().map(|row| Some(row.into_iter().map(str::to_owned).collect())).collect();
    // The last row of a key is the one that holds, as in the file.
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, row) in rows.iter().flatten().enumerate() {
        places.entry(row[key].clone()).or_default().push(at);
    }
    for change in agreed {
        for gone in &change.remove {
            places.remove(gone).into_iter().flatten().for_each(|at| rows[at] = None);
        }
        for row in &change.put {
            let cell = |(name, _): &(String, _)| row.get(name).cloned().unwrap_or_default();
            let cells: Vec<String> = columns.iter().map(cell).collect();
            let own = places.entry(cells[key].clone()).or_default();
            match own.last() {
                Some(at) => rows[*at] = Some(cells),
                None => {
                    own.push(rows.len());
                    rows.push(Some(cells));
                }
            }
        }
    }
    let made = List::made(columns.to_vec(), key, rows.into_iter().flatten());
    made.unwrap_or(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(put: &[(&str, &str)], remove: &[&str]) -> ListAmendment {
        let row = |(key, why): &(&str, &str)| {
            BTreeMap::from([("id", *key), ("why", *why)].map(|(n, v)| (n.to_owned(), v.to_owned())))
        };
        ListAmendment {
            put: put.iter().map(row).collect(),
            remove: remove.iter().map(|key| (*key).to_owned()).collect(),
        }
    }

    #[test]
    fn what_was_agreed_holds_whatever_the_file_says() {
        let file = || List::of(&["id", "why"], &[&["a", "1"], &["b", "2"], &["a", "3"]]);
        let agreed = [rows(&[("c", "4"), ("a", "5")], &["b"]), rows(&[("b", "6")], &["c"])];
        let list = applied(file(), &agreed);
        assert_eq!(
            (list.value("a", 1), list.value("b", 1), list.contains("c")),
            (Some("5"), Some("6"), false)
        );
        assert_eq!(applied(file(), &[]).print(), file().print());
        // Gone from the file meanwhile, and agreed on all the same.
        let other = List::of(&["id", "why"], &[&["z", "1"]]);
        assert!(applied(other, &agreed).contains("a"));
        assert_eq!(applied(file(), &agreed[..1]).value("a", 1), Some("5"));
        assert!(!applied(file(), &[rows(&[], &["a"])]).contains("a"));
    }

    #[test]
    fn rows_that_do_not_fit_are_told() {
        let list = List::of(&["id", "why"], &[&["a", "1"]]);
        let told = |rows: ListAmendment| rows.wish(("black", &list), "r").unwrap_err();
        assert!(told(rows(&[], &[])).contains("1 to 1000 rows"));
        assert!(told(rows(&[("", "x")], &[])).contains("lacks its key, id"));
        assert!(told(rows(&[("b\n", "x")], &[])).contains("on one line"));
        assert!(told(rows(&[], &["q"])).contains("no row"));
        let unknown =
            ListAmendment { put: vec![BTreeMap::from([(String::from("x"), String::new())])], remove: vec![] };
        assert!(told(unknown).contains("there is no column"));
        let wish = rows(&[("b", "2")], &["a"]).wish(("black", &list), "r").unwrap();
        assert_eq!(ListAmendment::of(&wish.content), Some(rows(&[("b", "2")], &["a"])));
    }
}
