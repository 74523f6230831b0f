-- 办案: what changes of alerts say beside who and why, as JSON; NULL where that is nothing. What version 10 adds.
ALTER TABLE alert_history ADD COLUMN facts TEXT;
