-- Records that come again when they have changed: what version 8 adds.

-- The last version of each record and what stands of it, as of the last commit.
CREATE TABLE versions (
    source TEXT NOT NULL,
    "key"  TEXT NOT NULL,
    -- The latest event time of it, by which it is let go of.
    at     INTEGER NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (source, "key")
) WITHOUT ROWID;
CREATE INDEX versions_at ON versions (at);
