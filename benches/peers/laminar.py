"""LaminarDB's side of laminar.sh: the same windows as SQL, and the comparison."""

import datetime, json, os, subprocess, sys, time

work, binary, peer, turns = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
HAVING = "COUNT(*) >= 2 AND SUM(cents) > 20000000"
WINDOWS = {"tumble": ("size: 60m", "TUMBLE", "INTERVAL '60' MINUTE"),
           "hop": ("size: 60m, every: 1m", "HOP", "INTERVAL '1' MINUTE, INTERVAL '60' MINUTE")}


def sql(name):
    _, function, lengths = WINDOWS[name]
    start, end = f"{function}(ts, {lengths})", f"{function}_END(ts, {lengths})"
    return (f"SELECT unit, {start} AS starts, {end} AS ends, COUNT(*) AS n, SUM(cents) AS total FROM payments "
            f"GROUP BY unit, {start}, {end} HAVING {HAVING} EMIT ON WINDOW CLOSE")


def prepare():
    """The payments in the order of time, and a rule for each kind of window."""
    rows = []
    for line in open(f"{work}/events.jsonl"):
        event = json.loads(line)
        if event["type"] == "payment":
            at = datetime.datetime.fromisoformat(event["occurred_at"])
            micros = (at - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(microseconds=1)
            whole, _, cents = event["amount"].partition(".")
            rows.append((micros, event["unit_code"], int(whole + (cents + "00")[:2])))
    rows.sort()
    with open(f"{work}/payments.csv", "w") as out:
        out.writelines(f"{at},{unit},{cents}\n" for at, unit, cents in rows)
    for name, (lengths, _, _) in WINDOWS.items():
        os.mkdir(f"{work}/{name}")
        with open(f"{work}/{name}/rules.yaml", "w") as out:
            out.write(f"""rules:
  - id: {name}
    title: {name}
    severity: low
    trigger: window
    of: payment
    window: {{ by: [unit_code], {lengths} }}
    measure: {{ n: count(*), total: sum(amount) }}
    when: n >= 2 and total > 200000
    key: [unit_code]
""")
    return len(rows)


def ours(name):
    started = time.monotonic()
    subprocess.run([binary, "backtest", "--config", f"{work}/fiscwatch.yaml", "--rules", f"{work}/{name}", "--events",
                    f"{work}/events.parquet", "--findings", f"{work}/found"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds = time.monotonic() - started
    found = []
    for line in open(f"{work}/found"):
        finding = json.loads(line)
        start = datetime.datetime.fromisoformat(finding["window"]["start"]).timestamp()
        found.append((finding["key"]["unit_code"], round(start * 1_000_000)))
    return seconds, sorted(found)


def theirs(name):
    told = subprocess.run([peer, f"{work}/payments.csv", sql(name), f"{work}/theirs"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if told.returncode:
        sys.exit(f"LaminarDB, {name}: {told.stderr.strip() or told.stdout}")
    rows = [line.split() for line in open(f"{work}/theirs")]
    return float(told.stdout.split()[-1]), sorted((unit, int(start)) for unit, start in rows)


payments = prepare()
for name in WINDOWS:
    times = {"fiscwatch": [], "LaminarDB": []}
    for _ in range(turns):
        seconds, one = ours(name)
        times["fiscwatch"].append(seconds)
        seconds, other = theirs(name)
        times["LaminarDB"].append(seconds)
        if one != other:
            sys.exit(f"{name}: the windows differ: {len(set(one) - set(other))} only fiscwatch's, {len(set(other) - set(one))} only "
                     f"LaminarDB's, such as {sorted(set(one) ^ set(other))[:4]}; {len(other) - len(set(other))} of LaminarDB's are there twice")
    best = {who: min(seconds) for who, seconds in times.items()}
    print(f"{name}: {payments} payments, the same {len(one)} windows; fiscwatch {best['fiscwatch']:.2f} s, LaminarDB {best['LaminarDB']:.2f} s: "
          f"{best['LaminarDB'] / best['fiscwatch']:.1f} times as long")
