-- What people in a browser log in with: what version 8 adds.

-- 口令 of users who have one, as Argon2id keeps it (a PHC text), and the secret of their second factor.
CREATE TABLE credentials (
    name     TEXT PRIMARY KEY,
    password TEXT NOT NULL,
    set_at   INTEGER NOT NULL,
    set_by   TEXT NOT NULL,
    -- Whether this user must have a second factor, whatever the configuration says.
    totp_required INTEGER NOT NULL DEFAULT 0,
    -- In Base32. It asks for codes from `totp_at` on, when a first code was given.
    totp     TEXT,
    totp_at  INTEGER,
    -- The step of 30 s whose code was used last: no code is good twice.
    totp_step INTEGER
) WITHOUT ROWID;

-- 会话. Of the cookie's secret only the digest is kept (SHA-256).
CREATE TABLE sessions (
    id       TEXT PRIMARY KEY,
    user     TEXT NOT NULL,
    place    TEXT NOT NULL,
    digest   BLOB NOT NULL,
    began_at INTEGER NOT NULL,
    -- To the minute.
    seen_at  INTEGER NOT NULL
) WITHOUT ROWID;
