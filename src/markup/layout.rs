//! What elements a document has, for messages and for guessing which of them are rows.

use std::{collections::HashMap, fmt::Write};

use super::{
    DocumentFault,
    pull::{Bounds, Pull, XmlToken},
};

/// Different paths that are told apart; a document of a machine has far fewer.
const KINDS_MAX: usize = 2000;

/// The elements of one path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ElementKind {
    /// The path from the root: `MOF/VoucherBody/Detail`.
    pub path: String,
    /// How many there are.
    pub count: u64,
    /// Elements directly within them, in all.
    pub children: u64,
}

/// The kinds of elements of a document in the order in which they come.
///
/// # Errors
/// If the document is refused.
pub fn elements(text: &str) -> Result<Vec<ElementKind>, DocumentFault> {
    let mut kinds: Vec<ElementKind> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut open: Vec<usize> = Vec::new();
    let mut pull = Pull::new(text.as_bytes(), Bounds::default());
    loop {
        match pull.next_token()? {
            XmlToken::Open(tag) => {
                let path = match open.last() {
                    Some(parent) => {
                        kinds[*parent].children += 1;
                        format!("{}/{}", kinds[*parent].path, tag.name())
                    }
                    None => tag.name().to_owned(),
                };
                let at = match places.get(&path) {
                    Some(at) => *at,
                    // Whatever comes beyond is counted with the last kind.
                    None if kinds.len() == KINDS_MAX => KINDS_MAX - 1,
                    None => {
                        places.insert(path.clone(), kinds.len());
                        kinds.push(ElementKind { path, ..ElementKind::default() });
                        kinds.len() - 1
                    }
                };
                kinds[at].count += 1;
                open.push(at);
            }
            XmlToken::Close(_) => {
                open.pop();
            }
            XmlToken::End => return Ok(kinds),
            XmlToken::Text(_) | XmlToken::Nothing => {}
        }
    }
}

/// The elements of a document that hold others, for a message.
pub(super) fn found(text: &str) -> String {
    const SHOWN: usize = 8;
    let kinds = elements(text).unwrap_or_default();
    let mut told = String::new();
    for kind in kinds.iter().filter(|kind| kind.children > 0).take(SHOWN) {
        let comma = if told.is_empty() { "" } else { ", " };
        let _ = write!(told, "{comma}{} ({})", kind.path, kind.count);
    }
    told
}
