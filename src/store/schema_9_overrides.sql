-- 特批: who let a blocked application pass, and which one passed by it: what version 9 adds.
CREATE TABLE overrides (
    override_id INTEGER PRIMARY KEY AUTOINCREMENT,
    -- The application that was blocked.
    application TEXT NOT NULL,
    -- When it was granted first, by the clock, in microseconds.
    at          INTEGER NOT NULL,
    -- The application that passed by it; NULL if none did.
    used_by     TEXT,
    -- Who granted it, why, for what and until when, as JSON.
    body        TEXT NOT NULL
);
CREATE INDEX overrides_applications ON overrides (application);
