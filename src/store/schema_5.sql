-- Trust in the state: what version 5 of it adds.

-- What ties each record of a history to the one before (src/store/chain.rs).
ALTER TABLE alert_history ADD COLUMN digest BLOB NOT NULL DEFAULT x'';

-- What officers did with silences; `body` is the silence as JSON after that. Rows are only added.
CREATE TABLE silence_history (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    silence_id INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    who        TEXT NOT NULL,
    action     TEXT NOT NULL,
    body       TEXT NOT NULL,
    digest     BLOB NOT NULL
);
CREATE INDEX silence_history_silence ON silence_history (silence_id, seq);

-- Where each chained history ends: how many records it has, and the digest of the last one.
CREATE TABLE chains (
    name    TEXT PRIMARY KEY,
    records INTEGER NOT NULL,
    head    BLOB NOT NULL
) WITHOUT ROWID;

-- What the state was made with and cannot be changed under it: time_zone, fiscal_year_start, fiscal_year_named_by.
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
