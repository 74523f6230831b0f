-- What banks confirm: what version 6 of the state adds.

-- What refunds took from `executed`, from which payments follow, and what is cleared of them.
ALTER TABLE lines ADD COLUMN refunded TEXT NOT NULL DEFAULT '0.00';
ALTER TABLE lines ADD COLUMN cleared TEXT NOT NULL DEFAULT '0.00';

-- What is cleared of payments that have not come, by their event_id, as of the journal block in meta.checkpoint.
CREATE TABLE confirmations (
    event_id TEXT PRIMARY KEY,
    cleared  TEXT NOT NULL
) WITHOUT ROWID;
