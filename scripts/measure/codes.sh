#!/usr/bin/env bash
# What tables of codes cost a payment: one rule that looks six codes up, by turns with a rule that looks at the amount alone, over
# the same events, in one run. Processor time is user and system of the whole command; on a machine with other work it says
# little, and where valgrind is there (COUNT=1) what is executed is counted instead.
# scripts/measure/codes.sh [PAYMENTS] [TURNS]; CODES_BINARY=another binary
set -euo pipefail
cd "$(dirname "$0")/../.."
payments=${1:-300000}
turns=${2:-3}
binary=${CODES_BINARY:-$PWD/target/release/fiscwatch}
[ -x "$binary" ] || cargo build --release --locked
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$binary" generate --payments "$payments" --out "$work" > /dev/null
python3 - "$work" "$turns" "$binary" <<'END_OF_PYTHON'
import json, os, random, re, resource, subprocess, sys

work, turns, binary = sys.argv[1], int(sys.argv[2]), sys.argv[3]
COLUMNS = ["region_code", "unit_code", "function_code", "economic_code", "project_code", "fund_type"]
OTHERS = 20_000
used = {column: set() for column in COLUMNS}
events = f"{work}/events.jsonl"
payments = 0
for line in open(events):
    event = json.loads(line)
    payments += event.get("type") == "payment"
    for column in COLUMNS:
        if event.get(column):
            used[column].add(event[column])
# Tables as large as a province's: what is used, among thousands of others, each code with its days.
others = random.Random(7)
for column in COLUMNS:
    rows = set(used[column]) | {f"9{others.randrange(10**9):09d}" for _ in range(OTHERS)}
    with open(f"{work}/{column}.csv", "w") as file:
        file.write("code,name,from,to\n")
        file.writelines(f"{code},name of {code},2000-01-01,2099-12-31\n" for code in sorted(rows))
known = " or ".join(f"not code_known('{column}', {column}, occurred_at)" for column in COLUMNS)
plain = "amount < 0"
rule = "rules: [{{ id: codes, title: t, severity: low, trigger: payment, when: \"{}\", key: [event_id] }}]\n"
for name, when in [("with", known), ("without", plain)]:
    os.mkdir(f"{work}/{name}")
    open(f"{work}/{name}/rule.yaml", "w").write(rule.format(when))
tables = "".join(f"  {column}: {{ path: {work}/{column}.csv }}\n" for column in COLUMNS)
open(f"{work}/config.yaml", "w").write("codes:\n" + tables)
if os.environ.get("COUNT"):
    counted = {}
    for name in ["with", "without"]:
        command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", binary, "backtest", "--config"]
        command += [f"{work}/config.yaml", "--rules", f"{work}/{name}", "--events", events]
        said = subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True).stderr
        counted[name] = int(re.search(r"Collected : (\d+)", said)[1])
    each = (counted["with"] - counted["without"]) / payments / len(COLUMNS)
    print(f"{payments} payments, {len(COLUMNS)} columns, tables of {OTHERS} codes and those used, both read")
    print(f"with lookups {counted['with'] / 1e6:.0f} million instructions, without {counted['without'] / 1e6:.0f}: {counted['with'] / counted['without']:.3f} times; {each:.0f} a lookup")
    sys.exit()
times = {"with": [], "without": []}
for turn in range(turns):
    for name in ["with", "without"]:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [binary, "backtest", "--config", f"{work}/config.yaml", "--rules", f"{work}/{name}", "--events", events]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times[name].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
best = {name: min(seconds) for name, seconds in times.items()}
each = (best["with"] - best["without"]) / payments / len(COLUMNS) * 1e9
print(f"{payments} payments, {len(COLUMNS)} columns, tables of {OTHERS} codes and those used")
print(f"with lookups {best['with']:.2f} s, without {best['without']:.2f} s of processor time: {best['with'] / best['without']:.2f} times; {each:.0f} ns a lookup")
END_OF_PYTHON
