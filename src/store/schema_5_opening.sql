-- Opening balances: what version 5 adds for them.

-- The part of `executed` from before the journal begins. The sum of the table is made anew with it.
ALTER TABLE lines ADD COLUMN opening TEXT NOT NULL DEFAULT '0.00';
