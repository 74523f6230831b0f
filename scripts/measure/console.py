#!/usr/bin/env python3
"""How long the API takes for what the console asks, with many lines and alerts.

scripts/measure/console.py BINARY [LINES] [ALERTS]      such as target/release/fiscwatch 250000 100000

Starts a daemon of its own in a folder of its own, posts budgets and payments, and asks each address several times, alone and
while payments come in.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

BINARY = os.path.abspath(sys.argv[1])
LINES = int(sys.argv[2]) if len(sys.argv) > 2 else 250_000
ALERTS = int(sys.argv[3]) if len(sys.argv) > 3 else 100_000
PORT = 19464
BASE = f"http://127.0.0.1:{PORT}"
RULES = """
rules:
  - id: over-budget
    title: over budget
    severity: critical
    trigger: payment
    when: budget.available < 0
    key: [budget_line_id]
    summary: '{{ budget_line_id }} {{ amount }} leaves {{ budget.available }}, which is more than was approved for the unit {{ unit_code }}'
  - id: large
    title: large payment
    severity: high
    trigger: payment
    when: amount > 150
    key: [budget_line_id]
    summary: 'a payment of {{ amount }} from {{ budget_line_id }} of the unit {{ unit_code }}'
"""
ADDRESSES = [
    "/api/v1/alerts?state=active&totals=true",
    "/api/v1/alerts?state=active&sort=severity&limit=50&totals=true",
    "/api/v1/alerts?state=active&sort=worth&limit=50&totals=true",
    "/api/v1/alerts?owner=-&region=3301*&unit=101*&totals=true",
    "/api/v1/alerts?q=over%20101007&totals=true",
    "/api/v1/alerts/counts?state=active",
    "/api/v1/changes",
    "/api/v1/budget-lines?totals=true",
    "/api/v1/budget-lines?sort=-executed&totals=true",
    "/api/v1/budget-lines?unit=101*&overspent=true&totals=true",
    "/api/v1/budget/totals?group_by=region",
    "/api/v1/budget/totals?group_by=unit",
    "/api/v1/budget/totals?group_by=department,class",
    "/api/v1/events?limit=50",
    "/api/v1/events?payee=7%E5%8F%B7&limit=50",
    "/api/v1/budget/groups?sort=available",
    "/api/v1/payees?limit=50",
    "/api/v1/rule-sets",
    "/api/v1/rules",
    "/api/v1/status",
    "/api/v1/quarantine",
    "/api/v1/findings/times",
    "/api/v1/indicators?limit=100",
]


def get(path):
    begun = time.perf_counter()
    with urllib.request.urlopen(BASE + path, timeout=60) as answer:
        body = answer.read()
    return time.perf_counter() - begun, body


def is_there(path):
    """An older binary may not have it."""
    try:
        return bool(get(path))
    except urllib.error.HTTPError:
        return False


def post(events):
    body = "".join(json.dumps(event, ensure_ascii=False) + "\n" for event in events).encode()
    request = urllib.request.Request(BASE + "/api/v1/events", body, {"Content-Type": "application/x-ndjson"})
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.load(answer)


def line(n):
    return {
        "budget_line_id": f"L{n:07}", "fiscal_year": 2026, "region_code": f"33{n % 11:02}00000",
        "unit_code": f"{101 + n % 7}{n % 400:03}", "function_code": f"20{n % 25:02}201", "economic_code": f"302{n % 30:02}",
    }


def budget(n):
    return line(n) | {
        "event_id": f"b{n}", "type": "budget", "action": "approve", "occurred_at": "2026-01-02", "amount": "100.00",
        "unit_name": f"第{n % 400}单位",
    }


def payment(n, of, amount):
    return line(of) | {
        "event_id": f"p{n}", "type": "payment", "occurred_at": f"2026-0{1 + n % 3}-1{n % 9}T10:00:00+08:00", "amount": amount,
        "payment_mode": "direct", "settlement": "transfer", "payee_name": f"某某{n % 50}号公司", "payee_account": f"62220212020{n:07}",
        "payee_type": "entity", "purpose": "工程款",
    }


def batches(events, size=20_000):
    part = []
    for event in events:
        part.append(event)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def main():
    folder = tempfile.mkdtemp(prefix="fiscwatch-console-")
    os.makedirs(folder + "/rules")
    with open(folder + "/rules/rules.yaml", "w") as file:
        file.write(RULES)
    with open(folder + "/fiscwatch.yaml", "w") as file:
        file.write(
            f"state: {{ dir: state }}\nhttp: {{ listen: '127.0.0.1:{PORT}' }}\nlog: {{ level: error }}\nrules: {{ paths: [rules] }}\n"
        )
    daemon = subprocess.Popen([BINARY, "run", "--config", "fiscwatch.yaml"], cwd=folder)
    try:
        for _ in range(600):
            try:
                get("/-/ready")
                break
            except OSError:
                time.sleep(0.1)
        for part in batches(budget(n) for n in range(LINES)):
            post(part)
        # Half of the alerts are of each rule.
        for part in batches(payment(n, n, "200.00") for n in range(ALERTS // 2)):
            post(part)
        told = json.loads(get("/api/v1/alerts?totals=true&limit=1")[1])
        print(f"{LINES} lines, {told['total']} alerts, {BINARY}")
        print(f"| request | alone, median of 9 | worst | beside ingest | worst |\n| --- | --- | --- | --- | --- |")
        addresses = [path for path in ADDRESSES if is_there(path)]
        alone = {path: [get(path)[0] for _ in range(10)][1:] for path in addresses}
        going, sent = threading.Event(), [0]

        def ingest():
            n = 10_000_000
            while not going.is_set():
                post([payment(n + k, (n + k) % LINES, "1.00") for k in range(1000)])
                n += 1000
                sent[0] += 1000

        thread = threading.Thread(target=ingest)
        begun = time.perf_counter()
        thread.start()
        beside = {path: [get(path)[0] for _ in range(10)][1:] for path in addresses}
        going.set()
        thread.join()
        rate = sent[0] / (time.perf_counter() - begun)
        for path in addresses:
            cells = [f(times[path]) * 1000 for times in (alone, beside) for f in (statistics.median, max)]
            print(f"| `{path.removeprefix('/api/v1')}` | " + " | ".join(f"{cell:.0f} ms" for cell in cells) + " |")
        print(f"ingest: {rate:.0f} payments/s")
    finally:
        daemon.terminate()
        daemon.wait()
        shutil.rmtree(folder)


main()
