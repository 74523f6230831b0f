-- The state of fiscwatch, but for what later versions added. Money is text with two decimals; times are microseconds since the epoch.

-- How far each partition of each source is read.
CREATE TABLE positions (
    source    TEXT NOT NULL,
    partition TEXT NOT NULL,
    "offset"  INTEGER NOT NULL,
    records   INTEGER NOT NULL,
    token     TEXT NOT NULL,
    PRIMARY KEY (source, partition)
) WITHOUT ROWID;

-- 流水: every accepted event, in order, in blocks of compressed Arrow IPC.
CREATE TABLE journal (
    seq      INTEGER PRIMARY KEY,
    events   INTEGER NOT NULL,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    -- The events without the columns that are NULL throughout.
    block    BLOB NOT NULL,
    -- 16 bytes an event: the hash of its event_id and of its content, little-endian.
    ids      BLOB NOT NULL,
    -- xxh3 of block and ids.
    checksum INTEGER NOT NULL
);
-- What blocks hold, without the pages of the blocks.
CREATE INDEX journal_times ON journal (seq, events, first_at, last_at);

-- Parts of the journal that were rewritten as Parquet files in the folder `sealed`; their blocks are gone from the
-- table above.
CREATE TABLE sealed (
    file      TEXT PRIMARY KEY,
    -- The local day of its events, YYYY-MM-DD.
    day       TEXT NOT NULL,
    first_at  INTEGER NOT NULL,
    last_at   INTEGER NOT NULL,
    events    INTEGER NOT NULL,
    -- The journal blocks that its events came from; other files may have events of the same blocks.
    first_seq INTEGER NOT NULL,
    last_seq  INTEGER NOT NULL,
    bytes     INTEGER NOT NULL,
    -- xxh3 of the file.
    checksum  INTEGER NOT NULL
) WITHOUT ROWID;

-- 疑点
CREATE TABLE findings (
    seq        INTEGER PRIMARY KEY,
    finding_id TEXT NOT NULL UNIQUE,
    rule_id    TEXT NOT NULL,
    severity   TEXT NOT NULL,
    mode       TEXT NOT NULL,
    at         INTEGER NOT NULL,
    event_id   TEXT NOT NULL,
    body       TEXT NOT NULL
);

-- 隔离区
CREATE TABLE quarantine (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    source      TEXT NOT NULL,
    partition   TEXT NOT NULL,
    record      INTEGER NOT NULL,
    reason      TEXT NOT NULL,
    detail      TEXT NOT NULL,
    raw         BLOB NOT NULL,
    received_at INTEGER NOT NULL,
    replayed_at INTEGER
);

-- 指标账 as of the journal block in meta.checkpoint; what came after is in the journal.
CREATE TABLE lines (
    budget_line_id TEXT PRIMARY KEY,
    number         INTEGER NOT NULL UNIQUE,
    approved       INTEGER NOT NULL,
    fiscal_year    INTEGER,
    region_code    TEXT,
    unit_code      TEXT,
    unit_name      TEXT,
    function_code  TEXT,
    economic_code  TEXT,
    project_code   TEXT,
    fund_type      TEXT,
    total          TEXT NOT NULL,
    executed       TEXT NOT NULL,
    frozen         TEXT NOT NULL,
    reserved       TEXT NOT NULL,
    planned        TEXT NOT NULL,
    transferred    TEXT NOT NULL,
    corrected      TEXT NOT NULL,
    last_event_at  INTEGER NOT NULL
) WITHOUT ROWID;

-- Applications that reserve money, or were settled before they arrived (budget_line_id and amount NULL).
CREATE TABLE applications (
    event_id       TEXT PRIMARY KEY,
    budget_line_id TEXT,
    amount         TEXT
) WITHOUT ROWID;

-- 水位线: how far event time has come, as JSON, in the one row there is.
CREATE TABLE watermark (
    id    INTEGER PRIMARY KEY CHECK (id = 1),
    value TEXT NOT NULL
);

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
-- checkpoint: the last block that `lines` includes. sealed: the last block that was sealed. retired: events that
-- were deleted because they were older than state.retain.
INSERT INTO meta VALUES ('checkpoint', 0), ('duplicates', 0), ('sealed', 0), ('retired', 0);
