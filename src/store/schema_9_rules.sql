-- 规则审批: which sets of rules were proposed, and which are approved: what version 9 adds.
CREATE TABLE rule_sets (
    -- That of the manifest (BLAKE3, in hexadecimal).
    digest      TEXT PRIMARY KEY,
    -- What the set is made of, as JSON.
    manifest    TEXT NOT NULL,
    reason      TEXT NOT NULL,
    proposed_at INTEGER NOT NULL,
    proposed_by TEXT NOT NULL,
    -- NULL while nobody has approved it, or when that was withdrawn.
    approved_at INTEGER,
    approved_by TEXT
) WITHOUT ROWID;
