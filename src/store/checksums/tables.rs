//! The tables that have a sum. A table that is not here is in `WITHOUT_SUM` of the tests below, which say why.

/// A table with a sum.
#[derive(Debug)]
pub(crate) struct SummedTable {
    pub name: &'static str,
    /// What is summed. A version that adds a column sums the table again in its migration.
    pub columns: &'static str,
    /// The condition that finds one row.
    pub key: &'static str,
}

/// How far partitions are read.
pub(crate) const POSITIONS: SummedTable = SummedTable {
    name: "positions",
    columns: "source, partition, \"offset\", records, token",
    key: "source = ?1 AND partition = ?2",
};
/// Blocks by their checksums; the blocks themselves are compared with those when they are read.
pub(crate) const JOURNAL: SummedTable =
    SummedTable { name: "journal", columns: "seq, events, first_at, last_at, checksum", key: "seq = ?1" };
/// The register of sealed files.
pub(crate) const SEALED: SummedTable = SummedTable {
    name: "sealed",
    columns: "file, day, first_at, last_at, events, first_seq, last_seq, bytes, checksum",
    key: "file = ?1",
};
pub(crate) const FINDINGS: SummedTable = SummedTable {
    name: "findings",
    columns: "seq, finding_id, rule_id, severity, mode, at, event_id, body",
    key: "seq = ?1",
};
pub(crate) const QUARANTINE: SummedTable = SummedTable {
    name: "quarantine",
    columns: "seq, source, partition, record, reason, detail, raw, received_at, replayed_at",
    key: "seq = ?1",
};
/// The same as versions before 5 summed it.
pub(crate) const QUARANTINE_BEFORE_5: SummedTable = SummedTable {
    name: "quarantine",
    columns: "seq, source, partition, record, reason, detail, raw, received_at",
    key: "seq = ?1",
};
/// Rejected records that are only counted.
pub(crate) const OVERFLOW: SummedTable = SummedTable {
    name: "quarantine_overflow",
    columns: "source, partition, reason, records, first_record, last_record, bytes, digest, first_at, last_at",
    key: "source = ?1 AND partition = ?2 AND reason = ?3",
};
/// Balances at the checkpoint.
pub(crate) const LINES: SummedTable = SummedTable {
    name: "lines",
    columns: "budget_line_id, number, approved, fiscal_year, region_code, unit_code, unit_name, function_code, \
              economic_code, project_code, fund_type, total, executed, frozen, reserved, planned, transferred, \
              corrected, last_event_at, opening, refunded, cleared",
    key: "budget_line_id = ?1",
};
/// The same as version 5 summed it.
pub(crate) const LINES_BEFORE_6: SummedTable = SummedTable {
    name: "lines",
    columns: "budget_line_id, number, approved, fiscal_year, region_code, unit_code, unit_name, function_code, \
              economic_code, project_code, fund_type, total, executed, frozen, reserved, planned, transferred, \
              corrected, last_event_at, opening",
    key: "budget_line_id = ?1",
};
/// The same as versions before 5 summed it.
pub(crate) const LINES_BEFORE_5: SummedTable = SummedTable {
    name: "lines",
    columns: "budget_line_id, number, approved, fiscal_year, region_code, unit_code, unit_name, function_code, \
              economic_code, project_code, fund_type, total, executed, frozen, reserved, planned, transferred, \
              corrected, last_event_at",
    key: "budget_line_id = ?1",
};
/// Open applications at the checkpoint.
pub(crate) const APPLICATIONS: SummedTable =
    SummedTable { name: "applications", columns: "event_id, budget_line_id, amount", key: "event_id = ?1" };
/// What is cleared of payments that have not come, at the checkpoint.
pub(crate) const CONFIRMATIONS: SummedTable =
    SummedTable { name: "confirmations", columns: "event_id, cleared", key: "event_id = ?1" };
/// The last versions of records.
pub(crate) const VERSIONS: SummedTable = SummedTable {
    name: "versions",
    columns: "source, \"key\", at, body",
    key: "source = ?1 AND \"key\" = ?2",
};
/// Indicators at the checkpoint.
pub(crate) const INDICATORS: SummedTable = SummedTable {
    name: "indicators",
    columns: "indicator_id, indicator_name, fiscal_year, project_code, region_code, unit_code, unit_name, \
              budget_line_id, target, actual, at_most, due, stated_at",
    key: "indicator_id = ?1",
};
/// When rules on a schedule were evaluated.
pub(crate) const TICKS: SummedTable =
    SummedTable { name: "ticks", columns: "at, rule_id, block", key: "at = ?1 AND rule_id = ?2" };
/// How far event time has come.
pub(crate) const WATERMARK: SummedTable =
    SummedTable { name: "watermark", columns: "id, value", key: "id = ?1" };
/// Numbers of the state.
pub(crate) const META: SummedTable = SummedTable { name: "meta", columns: "name, value", key: "name = ?1" };
/// What the state was made with.
pub(crate) const SETTINGS: SummedTable =
    SummedTable { name: "settings", columns: "name, value", key: "name = ?1" };
pub(crate) const ALERTS: SummedTable = SummedTable {
    name: "alerts",
    columns: "alert_id, rule_id, \"key\", severity, state, unit_code, version, opened_at, changed_at, escalates_at, \
              body",
    key: "alert_id = ?1",
};
/// What happened to alerts.
pub(crate) const ALERT_HISTORY: SummedTable = SummedTable {
    name: "alert_history",
    columns: "seq, alert_id, at, who, action, state, why, digest, facts",
    key: "seq = ?1",
};
/// The same as versions 5 to 9 summed it.
pub(crate) const ALERT_HISTORY_BEFORE_10: SummedTable = SummedTable {
    name: "alert_history",
    columns: "seq, alert_id, at, who, action, state, why, digest",
    key: "seq = ?1",
};
/// Which findings are an alert's.
pub(crate) const ALERT_FINDINGS: SummedTable = SummedTable {
    name: "alert_findings",
    columns: "alert_id, finding",
    key: "alert_id = ?1 AND finding = ?2",
};
/// The budget lines that keep an alert open; by the alert.
pub(crate) const ALERT_LINES: SummedTable =
    SummedTable { name: "alert_lines", columns: "rule_id, line, alert_id", key: "alert_id = ?1" };
pub(crate) const SILENCES: SummedTable =
    SummedTable { name: "silences", columns: "silence_id, starts_at, ends_at, body", key: "silence_id = ?1" };
/// What officers did with silences.
pub(crate) const SILENCE_HISTORY: SummedTable = SummedTable {
    name: "silence_history",
    columns: "seq, silence_id, at, who, action, body, digest",
    key: "seq = ?1",
};
/// Where histories end.
pub(crate) const CHAINS: SummedTable =
    SummedTable { name: "chains", columns: "name, records, head", key: "name = ?1" };
/// What is to be told.
pub(crate) const OUTBOX: SummedTable = SummedTable {
    name: "outbox",
    columns: "seq, alert_id, matter, route, sink, group_key, labels, due_at, received_at, held_by",
    key: "seq = ?1",
};
/// Groups that somebody was told of.
pub(crate) const GROUPS: SummedTable = SummedTable {
    name: "groups",
    columns: "group_key, route, sink, labels, thread, told_at, repeat_at",
    key: "group_key = ?1",
};
/// Their alerts; by the group.
pub(crate) const GROUP_ALERTS: SummedTable =
    SummedTable { name: "group_alerts", columns: "group_key, alert_id", key: "group_key = ?1" };
pub(crate) const NOTIFICATIONS: SummedTable = SummedTable {
    name: "notifications",
    columns: "seq, id, sink, recipient, reason, state, attempts, next_at, created_at, ended_at, error, body",
    key: "id = ?1",
};

/// What was decided before money moved.
pub(crate) const DECISIONS: SummedTable = SummedTable {
    name: "decisions",
    columns: "event_id, content, at, decision, budget_line_id, expires_at, body",
    key: "event_id = ?1",
};

/// Who let blocked applications pass.
pub(crate) const OVERRIDES: SummedTable = SummedTable {
    name: "overrides",
    columns: "override_id, application, at, used_by, body",
    key: "override_id = ?1",
};

pub(crate) const USERS: SummedTable = SummedTable {
    name: "users",
    columns: "name, roles, created_at, created_by, disabled_at, seen_at",
    key: "name = ?1",
};
pub(crate) const TOKENS: SummedTable = SummedTable {
    name: "tokens",
    columns: "id, name, owner, roles, digest, created_at, created_by, expires_at, revoked_at, used_at",
    key: "id = ?1",
};
pub(crate) const AUDIT: SummedTable = SummedTable {
    name: "audit",
    columns: "seq, at, who, place, action, subject, result, detail, digest",
    key: "seq = ?1",
};
/// Seals of the audit log.
pub(crate) const AUDIT_SEALS: SummedTable = SummedTable {
    name: "audit_seals",
    columns: "records, at, head, \"key\", signature",
    key: "records = ?1",
};
/// Files that hold the older part of the audit log.
pub(crate) const AUDIT_FILES: SummedTable = SummedTable {
    name: "audit_files",
    columns: "file, first, last, first_at, last_at, records, head, bytes, digest, link",
    key: "file = ?1",
};
/// Who users are elsewhere.
pub(crate) const EXTERNAL_USERS: SummedTable = SummedTable {
    name: "external_users",
    columns: "name, provider, issuer, subject, since",
    key: "name = ?1",
};

pub(crate) const CREDENTIALS: SummedTable = SummedTable {
    name: "credentials",
    columns: "name, password, set_at, set_by, totp_required, totp, totp_at, totp_step",
    key: "name = ?1",
};
pub(crate) const SESSIONS: SummedTable =
    SummedTable { name: "sessions", columns: "id, user, place, digest, began_at, seen_at", key: "id = ?1" };

/// Which rules were proposed and approved.
pub(crate) const RULE_SETS: SummedTable = SummedTable {
    name: "rule_sets",
    columns: "digest, manifest, reason, proposed_at, proposed_by, approved_at, approved_by",
    key: "digest = ?1",
};

/// Constants that were proposed from the rule lab.
pub(crate) const RULE_PARAMS: SummedTable =
    SummedTable { name: "rule_params", columns: "digest, params, adopted_at", key: "digest = ?1" };
/// Links by which units answer.
pub(crate) const ANSWER_LINKS: SummedTable = SummedTable {
    name: "answer_links",
    columns: "digest, alert_id, made_at, expires_at, ended_at",
    key: "digest = ?1",
};
/// The files of cases.
pub(crate) const ATTACHMENTS: SummedTable = SummedTable {
    name: "attachments",
    columns: "seq, alert_id, at, who, name, kind, bytes, digest",
    key: "seq = ?1",
};

/// What people propose and approve.
pub(crate) const APPROVALS: SummedTable = SummedTable {
    name: "approvals",
    columns: "approval_id, kind, subject, state, at, changed, body",
    key: "approval_id = ?1",
};

pub(crate) const ALL: &[&SummedTable] = &[
    &POSITIONS,
    &JOURNAL,
    &SEALED,
    &FINDINGS,
    &QUARANTINE,
    &OVERFLOW,
    &LINES,
    &APPLICATIONS,
    &CONFIRMATIONS,
    &INDICATORS,
    &TICKS,
    &WATERMARK,
    &META,
    &SETTINGS,
    &ALERTS,
    &ALERT_HISTORY,
    &ALERT_FINDINGS,
    &ALERT_LINES,
    &SILENCES,
    &SILENCE_HISTORY,
    &CHAINS,
    &OUTBOX,
    &GROUPS,
    &GROUP_ALERTS,
    &NOTIFICATIONS,
    &USERS,
    &TOKENS,
    &AUDIT,
    &AUDIT_SEALS,
    &DECISIONS,
    &VERSIONS,
    &CREDENTIALS,
    &SESSIONS,
    &OVERRIDES,
    &RULE_SETS,
    &RULE_PARAMS,
    &AUDIT_FILES,
    &EXTERNAL_USERS,
    &ANSWER_LINKS,
    &ATTACHMENTS,
    &APPROVALS,
];

/// Those that version 11 adds.
pub(crate) const SINCE_11: &[&SummedTable] = &[&APPROVALS];

/// Those that version 10 adds.
pub(crate) const SINCE_10: &[&SummedTable] =
    &[&RULE_PARAMS, &AUDIT_FILES, &EXTERNAL_USERS, &ANSWER_LINKS, &ATTACHMENTS];

/// Those that version 9 adds.
pub(crate) const SINCE_9: &[&SummedTable] = &[&OVERRIDES, &RULE_SETS];

/// Those that version 8 adds.
pub(crate) const SINCE_8: &[&SummedTable] = &[&DECISIONS, &VERSIONS, &CREDENTIALS, &SESSIONS];

/// Those that version 7 adds.
pub(crate) const SINCE_7: &[&SummedTable] = &[&USERS, &TOKENS, &AUDIT, &AUDIT_SEALS];
/// Those that version 5 summed.
pub(crate) const OF_5: &[&SummedTable] = &[
    &POSITIONS,
    &JOURNAL,
    &SEALED,
    &FINDINGS,
    &QUARANTINE,
    &OVERFLOW,
    &LINES_BEFORE_6,
    &APPLICATIONS,
    &INDICATORS,
    &TICKS,
    &WATERMARK,
    &META,
    &SETTINGS,
    &ALERTS,
    &ALERT_HISTORY_BEFORE_10,
    &ALERT_FINDINGS,
    &ALERT_LINES,
    &SILENCES,
    &SILENCE_HISTORY,
    &CHAINS,
    &OUTBOX,
    &GROUPS,
    &GROUP_ALERTS,
    &NOTIFICATIONS,
];

/// Those that a state of version 4 has sums of, once it has any; `indicators` came last, in a transaction of its own.
pub(crate) const BEFORE_5: &[&SummedTable] = &[
    &POSITIONS,
    &JOURNAL,
    &SEALED,
    &FINDINGS,
    &QUARANTINE,
    &OVERFLOW,
    &LINES,
    &APPLICATIONS,
    &WATERMARK,
    &META,
];

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, path::Path};

    use rusqlite::Connection;

    use super::*;

    /// Tables without a sum, and columns that are in none, with why.
    const WITHOUT_SUM: [(&str, &str, &str); 6] = [
        (
            "sums",
            "",
            "it is what the others are compared with: a missing row is damage, another value a mismatch",
        ),
        ("sqlite_sequence", "", "SQLite's own: it only keeps numbers from being given twice"),
        ("figures", "", "it counts rows of other tables for gauges, and every start counts again"),
        ("alert_rows", "", "it repeats columns of alerts to find them by, and every start compares it"),
        ("journal", "block", "the block's own checksum, which is summed, covers it"),
        ("journal", "ids", "the block's own checksum, which is summed, covers it"),
    ];

    #[test]
    fn every_column_of_every_table_is_summed_or_says_why_not() {
        let connection = Connection::open_in_memory().unwrap();
        crate::store::migrate::migrate(Path::new("here"), &connection, &std::sync::Arc::default()).unwrap();
        let sql =
            "SELECT m.name, c.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table'";
        let mut statement = connection.prepare(sql).unwrap();
        let columns = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        let columns: BTreeSet<(String, String)> = columns.collect::<Result<_, _>>().unwrap();
        let plain = |name: &str| name.trim().trim_matches('"').to_owned();
        let of = |table: &&SummedTable| {
            let name = table.name.to_owned();
            table.columns.split(',').map(move |column| (name.clone(), plain(column))).collect::<Vec<_>>()
        };
        let summed: BTreeSet<(String, String)> = ALL.iter().flat_map(of).collect();
        let left_out: Vec<_> = columns.difference(&summed).collect();
        let explained = |(table, column): &(String, String)| {
            WITHOUT_SUM.iter().any(|(t, c, _)| t == table && (c.is_empty() || c == column))
        };
        assert_eq!(
            left_out.into_iter().filter(|left| !explained(left)).collect::<Vec<_>>(),
            [] as [&(String, String); 0]
        );
        assert_eq!(summed.difference(&columns).collect::<Vec<_>>(), [] as [&(String, String); 0]);
    }
}
