-- How many rows there are of what gauges tell, kept by triggers: to count 100,000 rows every few seconds costs more than
-- to work on them. A start counts anew, so the table needs no sum of its own.
CREATE TABLE IF NOT EXISTS figures (
    name TEXT NOT NULL,
    a    TEXT NOT NULL,
    b    TEXT NOT NULL,
    n    INTEGER NOT NULL,
    PRIMARY KEY (name, a, b)
) WITHOUT ROWID;

-- What waits for a sink: entries of the outbox, and notifications that are pending.
CREATE TRIGGER IF NOT EXISTS outbox_added AFTER INSERT ON outbox BEGIN
    INSERT INTO figures VALUES ('waiting', new.sink, '', 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER IF NOT EXISTS outbox_taken AFTER DELETE ON outbox BEGIN
    INSERT INTO figures VALUES ('waiting', old.sink, '', -1) ON CONFLICT DO UPDATE SET n = n - 1;
END;
CREATE TRIGGER IF NOT EXISTS notifications_added AFTER INSERT ON notifications WHEN new.state = 'pending' BEGIN
    INSERT INTO figures VALUES ('waiting', new.sink, '', 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER IF NOT EXISTS notifications_changed AFTER UPDATE OF state ON notifications
    WHEN (new.state = 'pending') <> (old.state = 'pending') BEGIN
    INSERT INTO figures VALUES ('waiting', new.sink, '', iif(new.state = 'pending', 1, -1))
        ON CONFLICT DO UPDATE SET n = n + excluded.n;
END;
CREATE TRIGGER IF NOT EXISTS notifications_taken AFTER DELETE ON notifications WHEN old.state = 'pending' BEGIN
    INSERT INTO figures VALUES ('waiting', old.sink, '', -1) ON CONFLICT DO UPDATE SET n = n - 1;
END;

-- Alerts by state and severity.
CREATE TRIGGER IF NOT EXISTS alerts_added AFTER INSERT ON alerts BEGIN
    INSERT INTO figures VALUES ('alerts', new.state, new.severity, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER IF NOT EXISTS alerts_changed AFTER UPDATE OF state, severity ON alerts
    WHEN new.state <> old.state OR new.severity <> old.severity BEGIN
    INSERT INTO figures VALUES ('alerts', old.state, old.severity, -1) ON CONFLICT DO UPDATE SET n = n - 1;
    INSERT INTO figures VALUES ('alerts', new.state, new.severity, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER IF NOT EXISTS alerts_taken AFTER DELETE ON alerts BEGIN
    INSERT INTO figures VALUES ('alerts', old.state, old.severity, -1) ON CONFLICT DO UPDATE SET n = n - 1;
END;

-- What was found about an event, by which rules, and what they ask of officers; and which event a finding is about: without
-- a finding's body, of which a page holds a dozen. A damaged body is told later in a start, with its table.
CREATE INDEX IF NOT EXISTS findings_agreeing ON findings
    (event_id, rule_id, mode, CASE WHEN json_valid(body) THEN json_extract(body, '$.handling') END);
CREATE INDEX IF NOT EXISTS findings_events ON findings (seq, event_id);
DROP INDEX IF EXISTS findings_event;
DROP INDEX IF EXISTS findings_about;
-- Records by the ids that their applications and payments had first, which other events name.
CREATE INDEX IF NOT EXISTS versions_applications ON versions
    (CASE WHEN json_valid(body) THEN body ->> '$.standing.application.base' END)
    WHERE CASE WHEN json_valid(body) THEN body ->> '$.standing.application.base' END IS NOT NULL;
CREATE INDEX IF NOT EXISTS versions_payments ON versions
    (CASE WHEN json_valid(body) THEN body ->> '$.standing.payment.base' END)
    WHERE CASE WHEN json_valid(body) THEN body ->> '$.standing.payment.base' END IS NOT NULL;
-- When a rule found something.
CREATE INDEX IF NOT EXISTS findings_rule ON findings (rule_id, at);

-- In the order in which the outbox is worked off, and what of it nothing holds back.
CREATE INDEX IF NOT EXISTS outbox_order ON outbox (due_at);
CREATE INDEX IF NOT EXISTS outbox_free ON outbox (due_at) WHERE held_by IS NULL;
CREATE INDEX IF NOT EXISTS notifications_waiting ON notifications (created_at) WHERE state = 'pending';

DELETE FROM figures;
INSERT INTO figures
    SELECT 'waiting', sink, '', count(*)
    FROM (SELECT sink FROM outbox UNION ALL SELECT sink FROM notifications WHERE state = 'pending') GROUP BY sink;
INSERT INTO figures SELECT 'alerts', state, severity, count(*) FROM alerts GROUP BY state, severity;
