//! XML documents into rows: one JSON object a row, its fields by their path, as texts exactly as they stand.
//!
//! A document comes from outside: it is read within bounds, without a document type and without entities of its own.

mod encoding;
mod layout;
mod pull;
mod rows;

use std::{io, sync::Arc};

use crate::say;

pub use encoding::decode;
pub use layout::{ElementKind, elements};
pub use pull::{Bounds, Pull, Tag, XmlToken};
pub use rows::{DocumentSummary, to_lines};

/// What an XML document is refused for, as a whole.
#[derive(Debug, thiserror::Error)]
pub enum DocumentFault {
    /// It is no XML from some line on.
    #[error("{}", say!("it is not well-formed XML: line {line}: {what}", line, what))]
    Damaged {
        /// The line where it stands, counted from 1.
        line: u64,
        /// What is wrong there.
        what: String,
    },
    #[error("{}", say!(
        "line {line} has a document type (<!DOCTYPE …>), which is refused: entities can be made to fill the memory or to read other files. Have it written without one",
        line
    ))]
    /// It declares a document type, which is never read.
    DocumentType {
        /// The line where it stands, counted from 1.
        line: u64,
    },
    /// An entity that is not one of XML's own.
    #[error("{}", say!(
        "line {line} has the entity &{name};, which is not one of XML's own. Have the character itself written there",
        line, name
    ))]
    Entity {
        /// The line where it stands, counted from 1.
        line: u64,
        /// The entity that the document names.
        name: String,
    },
    /// Something is larger than is read.
    #[error("{}", say!("line {line}: {what}. Nothing of the file is read; have it split, or look whether it is what it says it is", line, what))]
    TooLarge {
        /// The line where it stands, counted from 1.
        line: u64,
        /// Which bound it passes, as a part of the message.
        what: String,
    },
    /// The bytes are not of the encoding that the document names, or of none that is known.
    #[error("{0}")]
    Encoding(String),
    /// No element is a row.
    #[error("{}", say!("it has no element {path}, which the map's `rows` names. It has: {found}", path, found))]
    NoRows {
        /// The path of rows.
        path: String,
        /// Elements that are there.
        found: String,
    },
    /// It cannot be read.
    #[error("{}", crate::diagnostic::os_reason(.0))]
    Read(Arc<io::Error>),
    /// What is made of it cannot be written.
    #[error("{}", say!("what is read of it cannot be kept: {reason}", reason = crate::diagnostic::os_reason(.0)))]
    Write(#[from] io::Error),
}

#[cfg(test)]
mod tests;
