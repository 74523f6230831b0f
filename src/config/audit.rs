//! How the audit log is sealed.

use std::time::Duration;

use super::{AuditSealing, raw, resolve::Resolver};
use crate::{event::duration, say, text::quoted};

fn sealing(text: &str) -> Result<Duration, String> {
    let every = duration(text)?;
    match (Duration::from_mins(1)..=Duration::from_hours(24)).contains(&every) {
        true => Ok(every),
        false => Err(say!("{text} is not 1m to 1d", text = quoted(text))),
    }
}

fn kept(records: u32) -> Result<u32, String> {
    match records < 10 {
        true => Err(say!("{records} is too few: the database keeps 10 records or more", records)),
        false => Ok(records),
    }
}

impl Resolver<'_> {
    pub(super) fn audit_log(&mut self, raw: raw::AuditSpec) -> AuditSealing {
        AuditSealing {
            provider: raw.provider,
            key_file: raw.key_file.map(|path| self.path(path)),
            head_file: raw.head_file.map(|path| self.path(path)),
            every: self.value("audit.seal_every", sealing(&raw.seal_every)),
            keep_records: self.value("audit.keep_records", kept(raw.keep_records)),
        }
    }
}
