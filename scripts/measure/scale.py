#!/usr/bin/env python3
"""Curves of time, memory and the size of the store over growing numbers of payments, budget lines, rules, alerts, and payments
inside windows. Each point is one `run --once` with durable commits over a stream of its own; times are user and system.

scripts/measure/scale.py BINARY [CURVE=SIZE,SIZE,…]… [--csv FILE] [--svg FILE] [--draw]

such as target/release/fiscwatch payments=1000000,10000000,50000000 lines=1000000 rules=300 alerts=1000000 inside=10000000. A
curve that is not named takes its own sizes, unless one is named; `--draw` draws what the file has, and measures nothing.
"""

import argparse, csv, json, os, pathlib, subprocess, sys, tempfile, time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZES = {
    "payments": [30_000, 100_000, 200_000, 300_000],
    "stream": [1_000_000, 10_000_000, 50_000_000],
    "lines": [50_000, 100_000, 200_000, 400_000],
    "rules": [10, 50, 100, 200, 300],
    "alerts": [20_000, 50_000, 100_000, 200_000],
    "inside": [100_000, 300_000, 600_000, 1_000_000],
}
WHAT = {
    "payments": "payments, the shipped rules",
    "stream": "payments, rules/budget.yaml",
    "lines": "budget lines, a payment each",
    "rules": "rules over 30 days, 50,000 payments",
    "alerts": "alerts, all of them open",
    "inside": "payments inside a window of a year",
}
FIELDS = ["curve", "size", "events", "seconds", "wall_seconds", "memory_mib", "store_mib"]
NEVER = "rules: [{ id: never, title: never, severity: low, trigger: payment, when: amount < 0, key: [event_id] }]\n"
EVERY = "rules: [{ id: every, title: every, severity: low, trigger: payment, when: amount > 0, key: [event_id] }]\n"
INSIDE = """rules:
  - id: inside
    title: inside
    severity: low
    trigger: payment
    over: { by: [unit_code, payee_account], last: 365d }
    measure: { n: count(*), total: sum(amount) }
    when: n < 0 and total < 0
    key: [event_id]
"""


def rules(many):
    """As tuning makes them: variants of a threshold, of which ten share a window."""
    one = lambda n: f"""  - id: rule-{n}
    title: rule {n}
    severity: low
    trigger: payment
    where: amount > {n // 10}
    over: {{ by: [unit_code, payee_account], last: 30d }}
    measure: {{ n: count(*), total: sum(amount) }}
    when: n >= 40 and total > {1_000_000 + n}
    key: [event_id]
"""
    return "rules:\n" + "".join(one(n) for n in range(many))


def line(n):
    return {"budget_line_id": f"L{n:08}", "fiscal_year": "2026", "region_code": f"33{n % 11:02}00000",
            "unit_code": f"{101 + n % 7}{n % 400:03}", "function_code": f"20{n % 25:02}201", "economic_code": f"302{n % 30:02}"}


def stream(out, lines, payments):
    """Lines, and payments of them through the year."""
    for n in range(lines):
        event = {"event_id": f"b{n}", "type": "budget", "action": "approve", "occurred_at": "2026-01-01T08:00:00+08:00",
                 "amount": "100000.00", "unit_name": f"第{n % 400}单位"}
        out.write(json.dumps(event | line(n), ensure_ascii=False) + "\n")
    of, today = [json.dumps(line(n), ensure_ascii=False)[1:] for n in range(lines)], None
    for n in range(payments):
        minute = 1_440 + n * 500_000 // payments
        day, rest = divmod(minute, 1_440)
        if day != today:
            today, date = day, time.strftime("%Y-%m-%d", time.gmtime(1_767_225_600 + day * 86_400))
        out.write(f'{{"event_id":"p{n}","type":"payment","occurred_at":"{date}T{rest // 60:02}:{rest % 60:02}:{n % 60:02}+08:00","amount":"1.00",'
                  f'"payment_mode":"direct","settlement":"transfer","payee_name":"某某{n % 5000}号公司","payee_account":"62220212020{n % 5000:07}",'
                  f'"payee_type":"entity","purpose":"工程款",{of[n % lines]}\n')


def prepare(work, curve, size):
    """The events and the rules of a point; those of the longest stream are made while they are read."""
    if curve == "stream":
        return str(ROOT / "rules/budget.yaml")
    if curve in ["payments", "rules"]:
        payments = size if curve == "payments" else 50_000
        anomalies = ["--anomalies"] if curve == "payments" else []
        subprocess.run([BINARY, "generate", "--payments", str(payments), *anomalies, "--out", work], check=True, stdout=subprocess.DEVNULL)
        if curve == "payments":
            return str(ROOT / "rules")
        text = rules(size)
    else:
        with open(f"{work}/events.jsonl", "w") as out:
            stream(out, *{"lines": (size, size), "alerts": (1000, size), "inside": (1000, size)}[curve])
        text = {"lines": NEVER, "alerts": EVERY, "inside": INSIDE}[curve]
    os.mkdir(f"{work}/rules")
    pathlib.Path(f"{work}/rules/rules.yaml").write_text(text)
    return f"{work}/rules"


def measure(curve, size):
    with tempfile.TemporaryDirectory(prefix="fiscwatch-scale-", dir=os.environ.get("TMPDIR")) as work:
        rules = prepare(work, curve, size)
        piped = curve == "stream"
        events = 1000 + size if piped else sum(1 for _ in open(f"{work}/events.jsonl", "rb"))
        source = "stdin: {}" if piped else f"file: {{ path: {work}/events.jsonl }}"
        with open(f"{work}/fiscwatch.yaml", "a") as config:
            config.write(f"state: {{ dir: {work}/state }}\nhttp: {{ listen: '127.0.0.1:0' }}\nlog: {{ level: error }}\nrules: {{ paths: [{rules}] }}\n"
                         f"sources:\n  - {{ name: year, {source} }}\n")
        began = time.monotonic()
        child = subprocess.Popen([BINARY, "run", "--once", "--config", f"{work}/fiscwatch.yaml"], stdin=subprocess.PIPE if piped else None,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if piped:
            stream(child.stdin, 1000, size)
            child.stdin.close()
        told = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - began
        if status:
            sys.exit(f"{curve} {size}: {told}")
        store = sum(file.stat().st_size for file in pathlib.Path(f"{work}/state").rglob("*") if file.is_file())
    return [curve, size, events, round(usage.ru_utime + usage.ru_stime, 2), round(wall, 2), usage.ru_maxrss // 1024, round(store / 2**20, 1)]


def number(value):
    for unit, of in [("M", 1e6), ("k", 1e3)]:
        if value >= of:
            return f"{value / of:g}{unit}"
    return f"{value:g}"


def draw(rows):
    """A row of charts for each curve, all axes from zero on."""
    width, height, left, top = 300, 150, 60, 34
    charts = [("seconds", "s of processors"), ("memory_mib", "MiB resident"), ("store_mib", "MiB in the store")]
    curves = [curve for curve in SIZES if any(row["curve"] == curve for row in rows)]
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {len(charts) * (width + left + 20)} {len(curves) * (height + top + 40)}" '
           'font-family="sans-serif" font-size="11" fill="#222">', '<rect width="100%" height="100%" fill="#fff"/>']
    for i, curve in enumerate(curves):
        points = sorted(((float(row["size"]), row) for row in rows if row["curve"] == curve), key=lambda point: point[0])
        for j, (field, unit) in enumerate(charts):
            x, y = j * (width + left + 20) + left, i * (height + top + 40) + top
            values = [(size, float(row[field])) for size, row in points]
            most_x, most_y = max(size for size, _ in values), max(max(value for _, value in values), 0.1)
            at = lambda size, value: (x + width * size / most_x, y + height * (1 - value / most_y))
            title = f"{WHAT[curve]}: {unit}" if j == 0 else unit
            out.append(f'<text x="{x}" y="{y - 12}" font-weight="bold">{title}</text>')
            out.append(f'<path d="M{x} {y}V{y + height}H{x + width}" fill="none" stroke="#888"/>')
            out.append('<polyline fill="none" stroke="#1f5fa8" stroke-width="2" points="' + " ".join("%.1f,%.1f" % at(*value) for value in values) + '"/>')
            for size, value in values:
                cx, cy = at(size, value)
                out.append(f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="3" fill="#1f5fa8"/>')
                out.append(f'<text x="{cx:.1f}" y="{y + height + 15}" text-anchor="middle">{number(size)}</text>')
            out.append(f'<text x="{x - 6}" y="{y + 4}" text-anchor="end">{most_y:g}</text><text x="{x - 6}" y="{y + height}" text-anchor="end">0</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("binary")
parser.add_argument("curves", nargs="*", metavar="CURVE=SIZE,…")
parser.add_argument("--csv", default=str(ROOT / "docs/pictures/scale.csv"))
parser.add_argument("--svg", default=str(ROOT / "docs/pictures/scale.svg"))
parser.add_argument("--draw", action="store_true")
asked = parser.parse_args()
BINARY = os.path.abspath(asked.binary)
wanted = {name: [int(size) for size in sizes.split(",")] for name, _, sizes in (curve.partition("=") for curve in asked.curves)} or SIZES
if unknown := [name for name in wanted if name not in SIZES]:
    parser.error(f"there is no curve {unknown[0]}; there are {', '.join(SIZES)}")
rows = list(csv.DictReader(open(asked.csv))) if os.path.exists(asked.csv) else []
for curve, sizes in ({} if asked.draw else wanted).items():
    rows = [row for row in rows if row["curve"] != curve or int(row["size"]) not in sizes]
    for size in sizes:
        point = measure(curve, size)
        print(*point, sep="\t", flush=True)
        rows.append({field: str(value) for field, value in zip(FIELDS, point)})
        rows.sort(key=lambda row: (list(SIZES).index(row["curve"]), int(row["size"])))
        with open(asked.csv, "w", newline="") as out:
            writer = csv.DictWriter(out, FIELDS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
pathlib.Path(asked.svg).write_text(draw(rows))
