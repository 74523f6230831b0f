-- 审批: what was proposed, approved, refused, taken back and put into force: what version 11 adds.
CREATE TABLE approvals (
    approval_id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- budget, override, rules, exception or list.
    kind        TEXT NOT NULL,
    -- What it is called where it comes into force: a line, an override, a digest, a list.
    subject     TEXT NOT NULL,
    -- waiting, approved, in_force, failed, refused or withdrawn.
    state       TEXT NOT NULL,
    -- When it was proposed, by the clock, in microseconds.
    at          INTEGER NOT NULL,
    -- The number of its last change: who reads what changes goes by it.
    changed     INTEGER NOT NULL,
    -- Its content, who has to approve it, what was done with it and the signatures, as JSON.
    body        TEXT NOT NULL
);
CREATE INDEX approvals_states ON approvals (state, approval_id);
CREATE INDEX approvals_subjects ON approvals (kind, subject, approval_id);
CREATE UNIQUE INDEX approvals_changes ON approvals (changed);
