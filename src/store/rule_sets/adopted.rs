//! Constants that came from the rule lab, and that people agreed on.

use rusqlite::{OptionalExtension, named_params};

use super::{LabParams, RuleSets, matters::in_force, tell};
use crate::{
    access::Actor,
    event::Instant,
    say,
    store::{AccountError, StoreError, alerts::from_json, checksums},
};

impl RuleSets {
    /// The constants in force that came from the rule lab: those of the approved set that was adopted last.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn adopted(&self) -> Result<LabParams, StoreError> {
        let sql = "SELECT params FROM rule_params JOIN rule_sets USING (digest)
             WHERE adopted_at IS NOT NULL AND approved_at IS NOT NULL ORDER BY adopted_at DESC LIMIT 1";
        // Without what people agreed on, other rules would be in force: what cannot be read is an error.
        let adopted = self.cases.read(|c| c.query_row(sql, [], |row| from_json(row, "params")).optional())?;
        Ok(adopted.unwrap_or_default())
    }

    /// Notes that the constants of an approved set come into force, or with `None` that they do not after all. When it was
    /// adopted before.
    ///
    /// # Errors
    /// If there is none, it is not approved, or changes no constants.
    pub fn adopt(
        &mut self,
        digest: &str,
        at: Option<Instant>,
        by: &Actor,
        now: Instant,
    ) -> Result<Option<i64>, AccountError> {
        let before = self.cases.change(|summed| {
            let sql = "SELECT adopted_at FROM rule_params JOIN rule_sets USING (digest)
                 WHERE digest = ?1 AND approved_at IS NOT NULL";
            let found =
                summed.transaction.query_row(sql, [digest], |row| row.get::<_, Option<i64>>(0)).optional()?;
            let Some(before) = found else { return Ok(Err(say!("these rules are not approved"))) };
            let values = named_params! { ":digest": digest, ":at": at };
            let sql = "UPDATE rule_params SET adopted_at = :at WHERE digest = :digest";
            summed.change(&checksums::RULE_PARAMS, [digest], || summed.transaction.execute(sql, values))?;
            if at.is_some() {
                in_force(summed, digest, now)?;
            }
            let detail = if at.is_some() { "" } else { "refused" };
            tell(summed, now, by, ("rules.adopt", digest, detail))?;
            Ok(Ok(before))
        })?;
        before.map_err(AccountError::Refused)
    }
}
