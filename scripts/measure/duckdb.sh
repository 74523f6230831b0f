#!/usr/bin/env bash
# The same rules over the same year by `fiscwatch backtest` and by DuckDB as one batch of SQL, start to end, one after the
# other on the same machine; the findings must be the same.
# scripts/measure/duckdb.sh [PAYMENTS]
set -euo pipefail
cd "$(dirname "$0")/../.."
payments=${1:-1000000}
binary=${DUCKDB_BINARY:-$PWD/target/release/fiscwatch}
[ -x "$binary" ] || cargo build --release --locked
venv=$PWD/target/duckdb
[ -x "$venv/bin/python" ] || { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet --disable-pip-version-check 'duckdb==2.0.1'; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$binary" generate --payments "$payments" --units 1000 --seed 11 --out "$work" > /dev/null
mkdir "$work/rules"
cat > "$work/rules/rules.yaml" <<'END'
rules:
  - { id: cash, title: cash, severity: low, trigger: payment, when: settlement = 'cash' and amount > 500, key: [event_id] }
  - id: split
    title: split
    severity: low
    trigger: payment
    where: settlement = 'transfer' and amount < 500000
    over: { by: [unit_code, payee_account], last: 30d }
    measure: { n: count(*), total: sum(amount) }
    when: n >= 2 and total >= 150000
    key: [event_id]
  - id: burst
    title: burst
    severity: low
    trigger: payment
    over: { by: [unit_code], last: 90m }
    measure: { n: count(*), payees: count(distinct payee_account) }
    when: n >= 3 and payees <= 2
    key: [event_id]
  - id: year
    title: year
    severity: low
    trigger: payment
    where: economic_code in ('30217', '30212', '30231')
    over: { by: [unit_code, economic_code], to_date: year }
    measure: { total: sum(amount), most: max(amount) }
    when: total > 20000 and most < total / 3
    key: [event_id]
  - id: day
    title: day
    severity: low
    trigger: window
    of: payment
    window: { by: [unit_code, payee_account], size: 1d }
    measure: { n: count(*), total: sum(amount) }
    when: n >= 2 and total > 10000
    key: [unit_code, payee_account]
END
cat > "$work/rules.sql" <<'END'
CREATE TEMP TABLE p AS
  SELECT *, row_number() OVER () AS arrival, epoch_us(occurred_at) AS micros,
    epoch_us(date_trunc('day', occurred_at)) AS today, epoch_us(date_trunc('year', occurred_at)) AS january
  FROM (SELECT * REPLACE (occurred_at AT TIME ZONE 'Asia/Shanghai' AS occurred_at) FROM read_parquet(getvariable('events')))
  WHERE type = 'payment';
-- Equal times count in the order of arrival, so the order is by both; a window's beginning is counted from there.
CREATE TEMP TABLE q AS SELECT *, micros::HUGEINT * 16777216 + arrival AS place FROM p;
SELECT 'cash' AS rule, event_id AS subject FROM q WHERE settlement = 'cash' AND amount > 500
UNION ALL
SELECT 'split', event_id FROM (
  SELECT event_id, count(*) OVER w AS n, sum(amount) OVER w AS total FROM q WHERE settlement = 'transfer' AND amount < 500000
  WINDOW w AS (PARTITION BY unit_code, payee_account ORDER BY place
    RANGE BETWEEN place - (today::HUGEINT - 29 * 86400000000) * 16777216 PRECEDING AND CURRENT ROW))
WHERE n >= 2 AND total >= 150000
UNION ALL
SELECT 'burst', event_id FROM (
  SELECT event_id, count(*) OVER w AS n, count(DISTINCT payee_account) OVER w AS payees FROM q
  WINDOW w AS (PARTITION BY unit_code ORDER BY place
    RANGE BETWEEN place - (micros::HUGEINT - 5400000000 + 1) * 16777216 PRECEDING AND CURRENT ROW))
WHERE n >= 3 AND payees <= 2
UNION ALL
SELECT 'year', event_id FROM (
  SELECT event_id, sum(amount) OVER w AS total, max(amount) OVER w AS most FROM q WHERE economic_code IN ('30217', '30212', '30231')
  WINDOW w AS (PARTITION BY unit_code, economic_code ORDER BY place
    RANGE BETWEEN place - january::HUGEINT * 16777216 PRECEDING AND CURRENT ROW))
WHERE total > 20000 AND most < total / 3
UNION ALL
SELECT 'day', concat(unit_code, '/', payee_account, '/', today) FROM q GROUP BY unit_code, payee_account, today
HAVING count(*) >= 2 AND sum(amount) > 10000
END
cat > "$work/duck.py" <<'END'
import sys, duckdb
work = sys.argv[1]
connection = duckdb.connect()
connection.execute("SET TimeZone = 'Asia/Shanghai'")
connection.execute(f"SET VARIABLE events = '{work}/events.parquet'")
*prepare, query = open(f"{work}/rules.sql").read().split(";\n")
for statement in prepare:
    connection.execute(statement)
rows = connection.execute(query).fetchall()
with open(f"{work}/duck.txt", "w") as out:
    out.writelines(sorted(f"{rule} {subject}\n" for rule, subject in rows))
END
for run in 1 2 3; do
    /usr/bin/env time -f "fiscwatch: %e s, %U s of processors, %M KiB" "$binary" backtest --config "$work/fiscwatch.yaml" --rules "$work/rules" \
        --events "$work/events.parquet" --findings "$work/findings.jsonl" 2> "$work/log" || { cat "$work/log" >&2; exit 1; }
    grep '^fiscwatch:' "$work/log"
    /usr/bin/env time -f "DuckDB:    %e s, %U s of processors, %M KiB" "$venv/bin/python" "$work/duck.py" "$work"
done
python3 - "$work" <<'END'
import datetime, json, sys
work = sys.argv[1]
found = []
for line in open(f"{work}/findings.jsonl"):
    f = json.loads(line)
    subject = f.get("event_id")
    if subject is None:
        start = datetime.datetime.fromisoformat(f["window"]["start"]).replace(tzinfo=datetime.timezone.utc)
        subject = "/".join([f["key"]["unit_code"], f["key"]["payee_account"], str(int(start.timestamp()) * 1000000)])
    found.append(f"{f['rule_id']} {subject}\n")
found.sort()
duck = open(f"{work}/duck.txt").readlines()
counts = {}
for line in found:
    counts[line.split()[0]] = counts.get(line.split()[0], 0) + 1
print("findings:", counts)
if found != duck:
    sys.exit(f"the findings differ: {len(set(found) - set(duck))} only fiscwatch's, {len(set(duck) - set(found))} only DuckDB's, such as {sorted(set(found) ^ set(duck))[:3]}")
print("the same findings")
END
