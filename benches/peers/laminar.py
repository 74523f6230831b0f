"""LaminarDB's side of laminar.sh: the same windows, and the comparison."""

import datetime, json, subprocess, sys, time

work, binary, peer, turns = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
LOCAL = datetime.timedelta(hours=8)

# Each: the keys, the window and the condition, as fiscwatch writes them; the peer has them in its own words. And how many payments
# a window must have, so that a larger stream does not find windows by the hundred thousand.
WINDOWS = {
    "tumble": (["unit_code", "payee_account"], "size: 1d", "total > 10000", lambda payments: 2),
    "hops": (["region_code"], "size: 60m, slide: 1m", "total > 0", lambda payments: 4 + payments // 8000),
}
RULE = """rules:
  - id: {id}
    title: {id}
    severity: low
    trigger: window
    of: payment
    window: {{ by: [{by}], {window} }}
    measure: {{ n: count(*), total: sum(amount) }}
    when: {when}
    key: [{by}]
"""


def prepare():
    """The payments in the order of time as CSV, times as local ones; and a file of one rule each. How many payments there are."""
    rows = []
    for line in open(f"{work}/events.jsonl"):
        event = json.loads(line)
        if event["type"] == "payment":
            at = milliseconds(event["occurred_at"])
            cents = int(event["amount"].replace(".", ""))
            rows.append((at, event["region_code"], event["unit_code"], event.get("payee_account") or "", cents))
    rows.sort(key=lambda row: row[0])
    with open(f"{work}/payments.csv", "w") as out:
        out.writelines(",".join(map(str, row)) + "\n" for row in rows)
    for id, (by, window, when, least) in WINDOWS.items():
        when = f"n >= {least(len(rows))} and {when}"
        with open(f"{work}/{id}.yaml", "w") as out:
            out.write(RULE.format(id=id, by=", ".join(by), window=window, when=when))
    return len(rows)


def milliseconds(text):
    at = datetime.datetime.fromisoformat(text).astimezone(datetime.timezone.utc) + LOCAL
    return round(at.timestamp() * 1000)


def ours(id, events="events"):
    started = time.monotonic()
    run = subprocess.run([binary, "backtest", "--config", f"{work}/fiscwatch.yaml", "--rules", f"{work}/{id}.yaml", "--events",
                          f"{work}/{events}.jsonl", "--findings", f"{work}/found"], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{id}: fiscwatch: {run.stderr}")
    seconds, found = time.monotonic() - started, []
    for line in open(f"{work}/found"):
        finding = json.loads(line)
        key = "/".join(finding["key"][name] or "" for name in WINDOWS[id][0])
        values = finding["values"]
        found.append((key, milliseconds(finding["window"]["start"]), int(values["n"]), values["total"].replace(".", "")))
    return seconds, sorted((key, start, n, int(total)) for key, start, n, total in found)


def theirs(id):
    run = subprocess.run([peer, f"{work}/payments.csv", id, str(WINDOWS[id][3](payments))], capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"{id}: LaminarDB: {run.stderr}")
    rows = (line.split("\t") for line in run.stdout.splitlines())
    return float(run.stderr.split()[-1]), sorted((key, int(start), int(n), int(cents)) for key, start, n, cents in rows)


payments = prepare()
with open(f"{work}/events.jsonl") as events, open(f"{work}/one.jsonl", "w") as one:
    one.write(events.readline())
for id in WINDOWS:
    best = {"fiscwatch": [], "its start": [], "LaminarDB": []}
    for turn in range(turns):
        # LaminarDB has started when its time begins.
        best["its start"].append(ours(id, "one")[0])
        seconds, one = ours(id)
        best["fiscwatch"].append(seconds)
        seconds, other = theirs(id)
        best["LaminarDB"].append(seconds)
        if one != other:
            differ = sorted(set(one) ^ set(other))
            sys.exit(f"{id}: the windows differ: {len(set(one) - set(other))} only fiscwatch's, {len(set(other) - set(one))} only "
                     f"LaminarDB's, such as {differ[:4]}")
    fiscwatch, laminar = min(best["fiscwatch"]) - min(best["its start"]), min(best["LaminarDB"])
    print(f"{id}: {payments} payments, the same {len(one)} findings: fiscwatch without its start {fiscwatch:.2f} s, "
          f"LaminarDB {laminar:.2f} s, which takes {laminar / fiscwatch:.2f} times as long", flush=True)
