//! The audit log from its first record to its last, in files and in the table.

use std::path::Path;

use rusqlite::Connection;

use super::{file, register};
use crate::{
    say,
    store::chain::{self, Head},
};

/// What was found on the way.
pub(crate) struct Followed {
    /// Where the log ends, as far as it could be followed.
    pub end: Head,
    /// What is wrong: each file of its own, and the place where the table breaks.
    pub problems: Vec<String>,
    /// How many files there are.
    pub files: usize,
}

/// Follows the whole log, and shows its end after each record that follows. Damage of a file does not keep the files
/// after it from being looked at.
pub(crate) fn follow(
    dir: &Path,
    connection: &Connection,
    mut shown: impl FnMut(&Head),
) -> rusqlite::Result<Followed> {
    let files = register::list(connection)?;
    let mut problems = Vec::new();
    let mut before = register::After::NONE;
    for file in &files {
        let name = &file.file;
        if !file.follows(&before) {
            problems.push(say!(
                "{file}: it does not follow the file before it: one was taken out, put in, or swapped",
                file = name
            ));
        }
        match file::read(dir, file) {
            Err(what) => problems.push(format!("{name}: {what}")),
            Ok(entries) => {
                let mut end = before.end;
                for entry in &entries {
                    end = entry.after(end);
                    if end.digest.to_string() != entry.digest {
                        problems.push(format!("{name}: {}", chain::AUDIT.broken(entry.seq)));
                        break;
                    }
                    shown(&end);
                }
                if end != file.end {
                    problems.push(say!("{file}: it does not end where the register says", file = name));
                }
            }
        }
        before = file.after();
    }
    let mut end = before.end;
    let rest = chain::AUDIT.follow_from(connection, before.end, |head| {
        end = *head;
        shown(head);
    })?;
    problems.extend(rest.err());
    Ok(Followed { end, problems, files: files.len() })
}
