//! 附件: every file that a case names is there, and its bytes are those that came.

use super::{Check, Problems};
use crate::{
    say,
    store::{ATTACHMENTS, JournalView, StoreError, attachments, explain},
};

pub(crate) fn check(history: &JournalView) -> Result<Check, StoreError> {
    let dir = &history.snapshot.dir;
    let files = attachments::named(&history.snapshot.connection()).map_err(|e| explain(dir, e))?;
    let mut problems = Problems::default();
    for file in &files {
        if let Some(what) = attachments::wrong(&dir.join(ATTACHMENTS).join(&file.digest), file) {
            problems.add(format!("{} ({}): {what}", file.digest, file.name));
        }
    }
    let bytes: u64 = files.iter().map(|file| file.bytes).sum();
    Ok(problems.check("attachments", say!("{files} files, {bytes} bytes", files = files.len(), bytes)))
}
