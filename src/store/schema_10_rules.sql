-- 规则参数: constants of rules that were proposed from the rule lab, by the set that has them. What version 10 adds.
CREATE TABLE rule_params (
    -- Of the set in rule_sets.
    digest     TEXT PRIMARY KEY,
    -- All constants that this set changes beside the configuration, as JSON: by rule, by name.
    params     TEXT NOT NULL,
    -- When it was put into force last, in microseconds; of the approved sets the latest one counts. NULL while it never was.
    adopted_at INTEGER
) WITHOUT ROWID;
