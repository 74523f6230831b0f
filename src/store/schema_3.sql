-- Alerts and notifications: what version 3 of the state adds.

-- 预警: the findings of one rule and key. `body` is the alert as JSON; the other columns repeat what is searched for.
CREATE TABLE alerts (
    alert_id   TEXT PRIMARY KEY,
    rule_id    TEXT NOT NULL,
    "key"      TEXT NOT NULL,
    severity   TEXT NOT NULL,
    state      TEXT NOT NULL,
    unit_code  TEXT,
    version    INTEGER NOT NULL,
    opened_at  INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    -- When it is escalated next.
    escalates_at INTEGER,
    body       TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX alerts_escalate ON alerts (escalates_at) WHERE escalates_at IS NOT NULL;
-- At most one that is not over.
CREATE UNIQUE INDEX alerts_current ON alerts (rule_id, "key") WHERE state NOT IN ('closed', 'dismissed', 'resolved');
CREATE INDEX alerts_key ON alerts (rule_id, "key", opened_at);
CREATE INDEX alerts_state ON alerts (state, severity, opened_at);
CREATE INDEX alerts_opened ON alerts (opened_at, alert_id);

-- What happened to each alert. Rows are only added.
CREATE TABLE alert_history (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    alert_id TEXT NOT NULL,
    at       INTEGER NOT NULL,
    who      TEXT NOT NULL,
    action   TEXT NOT NULL,
    state    TEXT NOT NULL,
    why      TEXT
);
CREATE INDEX alert_history_alert ON alert_history (alert_id, seq);
CREATE INDEX alert_verdicts ON alert_history (action, alert_id) WHERE action IN ('confirm', 'dismiss');

-- The findings of each alert.
CREATE TABLE alert_findings (
    alert_id TEXT NOT NULL,
    finding  INTEGER NOT NULL,
    PRIMARY KEY (alert_id, finding)
) WITHOUT ROWID;

-- The budget lines whose state keeps alerts open, of rules whose condition can stop being true by itself.
CREATE TABLE alert_lines (
    rule_id  TEXT NOT NULL,
    line     TEXT NOT NULL,
    alert_id TEXT NOT NULL,
    PRIMARY KEY (rule_id, line, alert_id)
) WITHOUT ROWID;
CREATE INDEX alert_lines_alert ON alert_lines (alert_id);

-- 静默
CREATE TABLE silences (
    silence_id INTEGER PRIMARY KEY AUTOINCREMENT,
    starts_at  INTEGER NOT NULL,
    ends_at    INTEGER NOT NULL,
    body       TEXT NOT NULL
);

-- 待发: what is to be told, from the transaction of its cause until it is bundled into a notification.
CREATE TABLE outbox (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    alert_id    TEXT NOT NULL,
    matter      TEXT NOT NULL,
    route       TEXT NOT NULL,
    sink        TEXT NOT NULL,
    group_key   TEXT NOT NULL,
    labels      TEXT NOT NULL,
    due_at      INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    -- What mutes it at the moment.
    held_by     TEXT
);
CREATE INDEX outbox_due ON outbox (due_at, group_key);
CREATE INDEX outbox_group ON outbox (group_key, due_at);

-- Groups of alerts that somebody was told of.
CREATE TABLE groups (
    group_key TEXT PRIMARY KEY,
    route     TEXT NOT NULL,
    sink      TEXT NOT NULL,
    labels    TEXT NOT NULL,
    thread    TEXT NOT NULL,
    told_at   INTEGER NOT NULL,
    repeat_at INTEGER
) WITHOUT ROWID;
CREATE INDEX groups_repeat ON groups (repeat_at) WHERE repeat_at IS NOT NULL;
-- The alerts of a group that were told of and are not known to be over.
CREATE TABLE group_alerts (
    group_key TEXT NOT NULL,
    alert_id  TEXT NOT NULL,
    PRIMARY KEY (group_key, alert_id)
) WITHOUT ROWID;

-- 通知: one row for one recipient. `pending` until the sink has accepted it (`sent`) or never will (`parked`).
CREATE TABLE notifications (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    sink        TEXT NOT NULL,
    recipient   TEXT,
    reason      TEXT NOT NULL,
    state       TEXT NOT NULL,
    attempts    INTEGER NOT NULL,
    next_at     INTEGER NOT NULL,
    created_at  INTEGER NOT NULL,
    ended_at    INTEGER,
    error       TEXT,
    body        TEXT NOT NULL
);
CREATE INDEX notifications_pending ON notifications (sink, next_at) WHERE state = 'pending';
CREATE INDEX notifications_state ON notifications (state, seq);
CREATE INDEX notifications_recent ON notifications (sink, created_at);
