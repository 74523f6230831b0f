"""Flink's side of flink.sh: the same rules as SQL over a stream in event time, and the comparison."""

import csv, datetime, glob, json, os, shutil, subprocess, sys, time

work = sys.argv[1]
LOCAL = datetime.timezone(datetime.timedelta(hours=8))

STREAM = """
CREATE TABLE payments (event_id STRING, unit_code STRING, payee_account STRING, settlement STRING, amount DECIMAL(18, 2),
  ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '0.001' SECOND)
WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'csv', 'csv.null-literal' = '')
"""
SINK = "CREATE TABLE {name} (subject STRING) WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'csv')"
RULES = {
    "large": "SELECT event_id FROM payments WHERE settlement = 'transfer' AND amount > 200000",
    # The window ends with the payment and begins a millisecond short of 30 days before it.
    "split": """
SELECT event_id FROM (
  SELECT event_id, COUNT(*) OVER w AS n, SUM(amount) OVER w AS total
  FROM (SELECT * FROM payments WHERE settlement = 'transfer' AND amount < 500000)
  WINDOW w AS (PARTITION BY unit_code, payee_account ORDER BY ts
    RANGE BETWEEN INTERVAL '29 23:59:59.999' DAY TO SECOND(3) PRECEDING AND CURRENT ROW))
WHERE n >= 2 AND total >= 150000""",
    "day": """
SELECT CONCAT_WS('/', unit_code, COALESCE(payee_account, ''), DATE_FORMAT(window_start, 'yyyy-MM-dd'))
FROM TABLE(TUMBLE(TABLE payments, DESCRIPTOR(ts), INTERVAL '1' DAY))
GROUP BY window_start, window_end, unit_code, payee_account HAVING COUNT(*) >= 2 AND SUM(amount) > 10000""",
}


def prepare():
    """The payments in the order of time as CSV, times as local ones; and the first of them alone."""
    rows = []
    for line in open(f"{work}/events.jsonl"):
        event = json.loads(line)
        if event["type"] == "payment":
            at = datetime.datetime.fromisoformat(event["occurred_at"]).astimezone(LOCAL)
            at = at.strftime("%Y-%m-%d %H:%M:%S.") + f"{at.microsecond // 1000:03}"
            rows.append((at, event["event_id"], event["unit_code"], event.get("payee_account", ""), event["settlement"], event["amount"]))
    rows.sort(key=lambda row: row[0])
    for name, some in [("all", rows), ("one", rows[:1])]:
        os.mkdir(f"{work}/{name}")
        with open(f"{work}/{name}/payments.csv", "w", newline="") as out:
            csv.writer(out).writerows([i, u, a, s, m, at] for at, i, u, a, s, m in some)
    return len(rows)


def flink(name):
    """Runs the rules in a process of its own; its seconds. Flink's machine is not a child of ours, so nobody tells its processor time."""
    started = time.monotonic()
    subprocess.run([sys.executable, __file__, work, "job", name], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def job(name):
    from pyflink.table import EnvironmentSettings, TableEnvironment

    tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    for key, value in {"parallelism.default": "2", "taskmanager.numberOfTaskSlots": "2", "pipeline.object-reuse": "true",
                       "table.exec.mini-batch.enabled": "true", "table.exec.mini-batch.allow-latency": "1 s",
                       "table.exec.mini-batch.size": "5000"}.items():
        tables.get_config().set(key, value)
    # One file is one split, so times stay in order.
    tables.execute_sql(STREAM.format(path=f"{work}/{name}"))
    statements = tables.create_statement_set()
    for rule, query in RULES.items():
        path = f"{work}/flink/{rule}"
        shutil.rmtree(path, ignore_errors=True)
        tables.execute_sql(SINK.format(name=f"found_{rule}", path=path))
        statements.add_insert_sql(f"INSERT INTO found_{rule} {query}")
    statements.execute().wait()


def theirs():
    found = []
    for rule in RULES:
        for part in glob.glob(f"{work}/flink/{rule}/*"):
            found += [f"{rule} {row[0]}" for row in csv.reader(open(part))]
    return sorted(found)


def ours():
    started = time.monotonic()
    subprocess.run([binary, "backtest", "--config", f"{work}/fiscwatch.yaml", "--rules", f"{work}/rules", "--events",
                    f"{work}/events.jsonl", "--findings", f"{work}/found"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - started


def subjects():
    found = []
    for line in open(f"{work}/found"):
        finding = json.loads(line)
        subject = finding.get("event_id")
        if subject is None:
            key, day = finding["key"], datetime.datetime.fromisoformat(finding["window"]["start"]).astimezone(LOCAL)
            subject = f"{key['unit_code']}/{key['payee_account'] or ''}/{day:%Y-%m-%d}"
        found.append(f"{finding['rule_id']} {subject}")
    return sorted(found)


if sys.argv[2] == "job":
    job(sys.argv[3])
    sys.exit()
binary, turns = sys.argv[2], int(sys.argv[3])
payments = prepare()
times = {"fiscwatch": [], "Flink": [], "start of Flink": []}
for turn in range(turns):
    times["fiscwatch"].append(ours())
    times["start of Flink"].append(flink("one"))
    times["Flink"].append(flink("all"))
    one, other = subjects(), theirs()
    if one != other:
        sys.exit(f"the findings differ: {len(set(one) - set(other))} only fiscwatch's, {len(set(other) - set(one))} only Flink's, "
                 f"such as {sorted(set(one) ^ set(other))[:4]}")
counts = {rule: sum(1 for found in one if found.startswith(rule)) for rule in RULES}
print(f"{payments} payments; the same findings: {counts}")
best = {who: min(seconds) for who, seconds in times.items()}
for who, seconds in best.items():
    print(f"{who:14} {seconds:7.1f} s")
print(f"Flink without its start takes {(best['Flink'] - best['start of Flink']) / best['fiscwatch']:.1f} times as long")
