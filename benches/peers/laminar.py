"""LaminarDB's side of laminar.sh: the same windows, and the comparison."""

import datetime, json, subprocess, sys, time

work, binary, peer, turns = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
LOCAL = datetime.timedelta(hours=8)

# Each: the keys, the window as fiscwatch writes it, and what has to be true of it.
WINDOWS = {
    "tumble": (["unit_code", "payee_account"], "size: 1d", "n >= 2 and total > 10000", lambda n, cents: n >= 2 and cents > 1_000_000),
    "hops": (["region"], "size: 60m, every: 1m", "n >= 4", lambda n, cents: n >= 4),
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
    """A folder of one rule each, and the payments in the order of time as CSV, times as local ones."""
    for id, (by, window, when, _) in WINDOWS.items():
        with open(f"{work}/{id}.yaml", "w") as out:
            out.write(RULE.format(id=id, by=", ".join(by), window=window, when=when))
    rows = []
    for line in open(f"{work}/events.jsonl"):
        event = json.loads(line)
        if event["type"] == "payment":
            at = milliseconds(event["occurred_at"])
            cents = int(event["amount"].replace(".", ""))
            rows.append((at, event["region"], event["unit_code"], event.get("payee_account") or "", cents))
    rows.sort(key=lambda row: row[0])
    with open(f"{work}/payments.csv", "w") as out:
        out.writelines(",".join(map(str, row)) + "\n" for row in rows)
    return len(rows)


def milliseconds(text):
    at = datetime.datetime.fromisoformat(text).astimezone(datetime.timezone.utc) + LOCAL
    return round(at.timestamp() * 1000)


def ours(id):
    started = time.monotonic()
    subprocess.run([binary, "backtest", "--config", f"{work}/fiscwatch.yaml", "--rules", f"{work}/{id}.yaml", "--events",
                    f"{work}/events.jsonl", "--findings", f"{work}/found"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    seconds, found = time.monotonic() - started, []
    for line in open(f"{work}/found"):
        finding = json.loads(line)
        key = "/".join(finding["key"][name] or "" for name in WINDOWS[id][0])
        values = finding["values"]
        found.append((key, milliseconds(finding["window"]["start"]), int(values["n"]), values["total"].replace(".", "")))
    return seconds, sorted((key, start, n, int(total)) for key, start, n, total in found)


def theirs(id):
    run = subprocess.run([peer, f"{work}/payments.csv", id], check=True, capture_output=True, text=True)
    rows = (line.split("\t") for line in run.stdout.splitlines())
    windows = [(key, int(start), int(n), int(cents)) for key, start, n, cents in rows]
    matches = WINDOWS[id][3]
    return float(run.stderr.split()[-1]), len(windows), sorted(row for row in windows if matches(row[2], row[3]))


payments = prepare()
for id in WINDOWS:
    best = {"fiscwatch": [], "LaminarDB": []}
    for turn in range(turns):
        seconds, one = ours(id)
        best["fiscwatch"].append(seconds)
        seconds, windows, other = theirs(id)
        best["LaminarDB"].append(seconds)
        if one != other:
            differ = sorted(set(one) ^ set(other))
            sys.exit(f"{id}: the windows differ: {len(set(one) - set(other))} only fiscwatch's, {len(set(other) - set(one))} only "
                     f"LaminarDB's, such as {differ[:4]}")
    fiscwatch, laminar = min(best["fiscwatch"]), min(best["LaminarDB"])
    print(f"{id}: {payments} payments, {windows} windows, the same {len(one)} findings: fiscwatch {fiscwatch:.2f} s, "
          f"LaminarDB {laminar:.2f} s, which takes {laminar / fiscwatch:.2f} times as long", flush=True)
