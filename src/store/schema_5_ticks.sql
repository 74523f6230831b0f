-- When each rule on a schedule was evaluated: what version 5 adds for that. How the partitions of several sources came
-- together decides after which event the watermark passes a tick, and the journal does not tell; so the tick is noted.
CREATE TABLE ticks (
    -- The tick, in microseconds.
    at      INTEGER NOT NULL,
    rule_id TEXT NOT NULL,
    -- The last journal block before it.
    block   INTEGER NOT NULL,
    PRIMARY KEY (at, rule_id)
) WITHOUT ROWID;
