-- 审计日志: the parts of the audit log whose rows were rewritten as Parquet files in the folder `sealed`. Rows are only added.
CREATE TABLE audit_files (
    file     TEXT PRIMARY KEY,
    -- The numbers of its first and last record.
    first    INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    -- How many records the log has up to its end, and the digest of the last of them.
    records  INTEGER NOT NULL,
    head     BLOB NOT NULL,
    bytes    INTEGER NOT NULL,
    -- BLAKE3 of its bytes.
    digest   BLOB NOT NULL,
    -- What ties it to the file before (src/store/audit/register.rs).
    link     BLOB NOT NULL
) WITHOUT ROWID;
