//! The older part of the audit log becomes Parquet files, so that the database stays bounded however long the log is. A
//! file is written and durable before one transaction registers it and takes its rows out: whenever that is
//! interrupted, each record is in the table or in a registered file, and in one of them only.

use rusqlite::{Connection, ToSql, named_params};

use super::{Audit, AuditEntry, ENTRY, entry, file, register, register::AuditFile, seals::covered};
use crate::store::{StoreError, chain, chain::Head, checksums, explain, reach, reach_in, sealed};

/// Records of one file at most, and bytes of their texts: what reading one takes.
const RECORDS: usize = 50_000;
const BYTES: usize = 16 << 20;

/// Records that come next, and where the log stands after them.
struct Part {
    entries: Vec<AuditEntry>,
    end: Head,
}

impl Audit {
    /// Moves records into a file, oldest first, if the database has more than `keep`; half of those stay. Only what a
    /// seal covers is moved, and nothing that does not follow. Gives what was moved, if anything was: there may be more.
    ///
    /// # Errors
    /// If a record does not follow the one before it, or nothing can be written. The log is what it was.
    pub fn file(&self, keep: u32) -> Result<Option<u64>, StoreError> {
        let dir = &self.cases.dir;
        let fail = |error| explain(dir, error);
        // What is written and not yet registered must not be swept away by the sealer of the journal.
        let _hold = sealed::hold(dir)?;
        let c = &self.cases.connection;
        let before = register::list(c).map_err(fail)?.last().map_or(register::After::NONE, AuditFile::after);
        let Some(part) = part(c, &before, keep).map_err(fail)? else { return Ok(None) };
        let part = part.map_err(|what| StoreError::Corrupt { path: dir.clone(), what })?;
        let Some(file) = self.write(&before, &part)? else { return Ok(None) };
        let moved = part.entries.len();
        self.cases.change(|summed| {
            register::register(summed, &file)?;
            reach_in("audit.registered")?;
            let places: &[(&str, &dyn ToSql)] = named_params! { ":first": file.first, ":last": file.last };
            let within = "seq BETWEEN :first AND :last";
            let deleted = summed.change_where(&checksums::AUDIT, within, places, || {
                summed.transaction.execute(&format!("DELETE FROM audit WHERE {within}"), places)
            })?;
            // Nobody else deletes rows; if somebody did, nothing is stored.
            match deleted == moved {
                true => reach_in("audit.removed"),
                false => Err(rusqlite::Error::StatementChangedRows(deleted)),
            }
        })?;
        reach(dir, "audit.moved")?;
        Ok(Some(moved as u64))
    }

    fn write(&self, before: &register::After, part: &Part) -> Result<Option<AuditFile>, StoreError> {
        let (Some(first), Some(last)) = (part.entries.first(), part.entries.last()) else { return Ok(None) };
        let dir = &self.cases.dir;
        let name = format!("audit.{}-{}.parquet", first.seq, last.seq);
        let bytes = file::encode(&part.entries).map_err(|error| StoreError::Seal {
            path: dir.join(sealed::FOLDER).join(&name),
            error: std::io::Error::other(error),
        })?;
        let times = || part.entries.iter().map(|entry| entry.at);
        let mut file = AuditFile {
            file: name,
            first: first.seq,
            last: last.seq,
            first_at: times().min().unwrap_or_default(),
            last_at: times().max().unwrap_or_default(),
            end: part.end,
            bytes: i64::try_from(bytes.len()).unwrap_or(i64::MAX),
            digest: blake3::hash(&bytes),
            link: before.link,
        };
        file.link = file.linked(before);
        file::write(dir, &file.file, &bytes)?;
        Ok(Some(file))
    }
}

/// The records to move now; `None` if there are not enough, or what is wrong with one.
fn part(
    c: &Connection,
    before: &register::After,
    keep: u32,
) -> rusqlite::Result<Option<Result<Part, String>>> {
    let rows: i64 = c.query_row("SELECT count(*) FROM audit", [], |row| row.get(0))?;
    if rows <= i64::from(keep) {
        return Ok(None);
    }
    let sealed = covered(c)?;
    let limit = usize::try_from(rows - i64::from(keep / 2)).unwrap_or(0).min(RECORDS);
    let mut statement = c.prepare(&format!("SELECT {ENTRY} FROM audit WHERE seq > ?1 ORDER BY seq"))?;
    let (mut entries, mut end, mut bytes) = (Vec::new(), before.end, 0);
    for next in statement.query_map([before.seq], entry)? {
        let next: AuditEntry = next?;
        bytes += next.size();
        if end.records == sealed || entries.len() == limit || (bytes > BYTES && !entries.is_empty()) {
            break;
        }
        end = next.after(end);
        if end.digest.to_string() != next.digest {
            return Ok(Some(Err(chain::AUDIT.broken(next.seq))));
        }
        entries.push(next);
    }
    Ok(Some(Ok(Part { entries, end })))
}
