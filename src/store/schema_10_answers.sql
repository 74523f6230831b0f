-- 答复: the links by which units answer, and the files of cases. What version 10 adds.
CREATE TABLE answer_links (
    -- SHA-256 of the token; the token itself is nowhere.
    digest     BLOB PRIMARY KEY,
    alert_id   TEXT NOT NULL,
    made_at    INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- When it was taken back, or another letter took its place.
    ended_at   INTEGER
) WITHOUT ROWID;
CREATE INDEX answer_links_alerts ON answer_links (alert_id);
CREATE TABLE attachments (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    alert_id TEXT NOT NULL,
    at       INTEGER NOT NULL,
    who      TEXT NOT NULL,
    name     TEXT NOT NULL,
    -- What its content is, by its first bytes.
    kind     TEXT NOT NULL,
    bytes    INTEGER NOT NULL,
    -- SHA-256 in hexadecimal: the name of the file in the folder `attachments`.
    digest   TEXT NOT NULL
);
CREATE INDEX attachments_alerts ON attachments (alert_id);
CREATE INDEX attachments_digests ON attachments (digest);
