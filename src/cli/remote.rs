//! What is read through the daemon's socket, where the state is another user's: findings, records of the audit log and of the
//! quarantine, and notifications, in the same tables as from the state. The daemon knows from the kernel who reads.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::{
    audit, findings, notify, rejects,
    socket::Socket,
    table::{ListFormat, more},
};
use crate::{config::Config, finding::Finding, http::view::NoticeView, say, store::CaseFilter};

/// The findings that a filter finds, the newest first.
pub(crate) fn findings(
    socket: &Socket,
    config: &Config,
    filter: CaseFilter,
    (limit, unmasked, form): (u32, bool, &ListFormat),
) -> anyhow::Result<ExitCode> {
    let query = serde_json::to_value(CaseFilter { totals: true, ..filter })?;
    let (rows, page) = socket.rows(("findings", "findings", "before"), &query, limit, unmasked)?;
    let found = rows.into_iter().map(serde_json::from_value).collect::<Result<Vec<Finding>, _>>()?;
    let left = more(found.len(), page["total"].as_u64().unwrap_or_default());
    form.print(&findings::finding_table(&found, &config.calendar), &found, left.as_slice())?;
    Ok(ExitCode::SUCCESS)
}

/// The latest records of the audit log, oldest first.
pub(crate) fn audit(
    socket: &Socket,
    config: &Config,
    limit: u32,
    form: ListFormat,
) -> anyhow::Result<ExitCode> {
    let (mut rows, _) = socket.rows(("audit", "entries", "before"), &json!({}), limit, false)?;
    rows.reverse();
    let mut table = audit::empty_table();
    for entry in &mut rows {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let names = ["who", "place", "action", "subject", "result", "detail"];
        let (seq, at) = (entry["seq"].to_string(), text("done_at"));
        audit::row(&mut table, &seq, config.calendar.parse(&at).unwrap_or_default(), names.map(text), config);
        // As the command on the state calls it.
        if let Some(at) = entry.as_object_mut().and_then(|fields| fields.remove("done_at")) {
            entry["at"] = at;
        }
    }
    form.print(&table, &rows, &[])?;
    Ok(ExitCode::SUCCESS)
}

/// Whether the audit log is whole, as the daemon finds it.
pub(crate) fn check_audit(socket: &Socket) -> anyhow::Result<Value> {
    socket.read(&["audit", "check"], &json!({}), false)
}

/// The records in quarantine, the oldest first.
pub(crate) fn rejects(
    socket: &Socket,
    config: &Config,
    query: &Value,
    (limit, unmasked, form): (u32, bool, &ListFormat),
) -> anyhow::Result<ExitCode> {
    let (rows, page) = socket.rows(("quarantine", "records", "after"), query, limit, unmasked)?;
    let mut table = rejects::empty_table();
    for record in &rows {
        let text = |name: &str| record[name].as_str().unwrap_or_default();
        let place = format!("{} {}:{}", text("source"), text("partition"), record["record"]);
        let at = config.calendar.parse(text("received_at")).unwrap_or_default();
        let words = [text("reason"), &place, text("detail"), text("text")];
        rejects::row(&mut table, &record["seq"].to_string(), at, words, config);
    }
    let mut notes: Vec<_> =
        more(rows.len(), page["total"].as_u64().unwrap_or_default()).into_iter().collect();
    let uncounted = page["only_counted"].as_array().map_or(0, Vec::len);
    if uncounted > 0 {
        notes.push(say!("there was no room for more records, which were only counted: see --json"));
    }
    let mut objects = rows;
    objects
        .extend(page["only_counted"].as_array().into_iter().flatten().map(|one| json!({ "overflow": one })));
    form.print(&table, &objects, &notes)?;
    Ok(ExitCode::SUCCESS)
}

/// The newest notifications.
pub(crate) fn notifications(
    socket: &Socket,
    config: &Config,
    query: &Value,
    (limit, form): (u32, &ListFormat),
) -> anyhow::Result<ExitCode> {
    let (rows, page) = socket.rows(("notifications", "notifications", "before"), query, limit, false)?;
    let found = rows.into_iter().map(serde_json::from_value).collect::<Result<Vec<NoticeView>, _>>()?;
    let is_cut = (!page["next"].is_null()).then(|| say!("there are more: show more of them with --limit"));
    form.print(&notify::table(&found, &config.calendar), &found, is_cut.as_slice())?;
    Ok(ExitCode::SUCCESS)
}
