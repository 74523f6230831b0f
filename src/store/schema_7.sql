-- Who may do what, and what was done: what version 7 adds.

-- 用户. Roles are words parted by blanks.
CREATE TABLE users (
    name        TEXT PRIMARY KEY,
    roles       TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    created_by  TEXT NOT NULL,
    disabled_at INTEGER,
    -- To the minute.
    seen_at     INTEGER
) WITHOUT ROWID;

-- 令牌. Of its secret only the digest is kept (SHA-256).
CREATE TABLE tokens (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL,
    -- Whose it is; NULL for a program's, which has roles of its own.
    owner      TEXT,
    roles      TEXT NOT NULL,
    digest     BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked_at INTEGER,
    -- To the minute.
    used_at    INTEGER
) WITHOUT ROWID;

-- 审计日志: who did what, from where, and what came of it. Rows are only added, and chained (src/store/chain.rs).
CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      INTEGER NOT NULL,
    who     TEXT NOT NULL,
    place   TEXT NOT NULL,
    action  TEXT NOT NULL,
    subject TEXT NOT NULL,
    result  TEXT NOT NULL,
    detail  TEXT NOT NULL,
    digest  BLOB NOT NULL
);

-- The end of the audit log, signed now and then (Ed25519); digests, keys and signatures in hexadecimal.
CREATE TABLE audit_seals (
    -- How many records it covers.
    records   INTEGER PRIMARY KEY,
    at        INTEGER NOT NULL,
    head      TEXT NOT NULL,
    "key"     TEXT NOT NULL,
    signature TEXT NOT NULL
) WITHOUT ROWID;
