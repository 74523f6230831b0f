-- 事前校验: what was decided of applications before the money moved: what version 8 adds. A row is written with its
-- application and never changed.
CREATE TABLE decisions (
    event_id       TEXT PRIMARY KEY,
    -- The hash of the application's content.
    content        INTEGER NOT NULL,
    -- By event time, in microseconds.
    at             INTEGER NOT NULL,
    decision       TEXT NOT NULL,
    budget_line_id TEXT NOT NULL,
    -- When what it reserves is released, by event time; NULL if never.
    expires_at     INTEGER,
    -- The answer, as JSON.
    body           TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX decisions_times ON decisions (at);
