-- Indicators of programmes: what version 4 of the state adds.

-- 绩效指标 as of the journal block in meta.checkpoint. `target` and `actual` are numbers as text.
CREATE TABLE indicators (
    indicator_id   TEXT PRIMARY KEY,
    indicator_name TEXT,
    fiscal_year    INTEGER NOT NULL,
    project_code   TEXT NOT NULL,
    region_code    TEXT,
    unit_code      TEXT,
    unit_name      TEXT,
    budget_line_id TEXT,
    target         TEXT NOT NULL,
    actual         TEXT,
    at_most        INTEGER NOT NULL,
    due            INTEGER,
    stated_at      INTEGER NOT NULL
) WITHOUT ROWID;
