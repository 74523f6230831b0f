#!/usr/bin/env bash
# The pace of parts of the pack beside decoding and the ledger alone: a simulated year, each with the same events in the same
# run, by turns. Processor time is user and system of the whole command. With BASELINE=another binary that one takes its turns
# too, and must find the same.
# scripts/measure/harness.sh [PAYMENTS] [TURNS]
set -euo pipefail
cd "$(dirname "$0")/../.."
payments=${1:-300000}
turns=${2:-3}
binary=${HARNESS_BINARY:-$PWD/target/release/fiscwatch}
[ -x "$binary" ] || cargo build --release --locked
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$binary" generate --payments "$payments" --anomalies --out "$work" > /dev/null
python3 - "$work" "$turns" "$binary" "${BASELINE:-}" <<'END_OF_PYTHON'
import glob, hashlib, os, re, subprocess, sys

work, turns, binary, baseline = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
binaries = {"now": binary, **({"baseline": baseline} if baseline else {})}
PARTS = {
    "single events": lambda rule: not re.search(r"trigger: (window|schedule)|\n    over:", rule),
    "over": lambda rule: "\n    over:" in rule,
    "closing windows": lambda rule: "trigger: window" in rule,
    "schedules": lambda rule: "trigger: schedule" in rule,
    "the pack": lambda rule: True,
}


def rules_of(part, wanted):
    folder = f"{work}/{part}"
    os.mkdir(folder)
    for path in glob.glob("rules/*.yaml"):
        head, *rules = re.split(r"(?m)^(?=  - id: )", open(path).read())
        kept = [rule for rule in rules if wanted(rule)]
        if kept:
            open(f"{folder}/{os.path.basename(path)}", "w").write(head + "".join(kept))
    return folder


def digest(path):
    return hashlib.sha256(open(path, "rb").read()).hexdigest()


def run(who, command):
    child = subprocess.Popen([binaries[who], *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    told = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{command}: {told}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024, told


folders = {"decoding": f"{work}/decoding"}
os.mkdir(folders["decoding"])
never = "rules: [{ id: never, title: never, severity: low, trigger: budget, when: amount < 0, key: [event_id] }]\n"
open(f"{work}/decoding/never.yaml", "w").write(never)
folders |= {part: rules_of(part, wanted) for part, wanted in PARTS.items()}

times, memory, found = {}, {}, {}
for kind in ["jsonl", "parquet"]:
    for _ in range(turns):
        for part, folder in folders.items():
            for who in binaries:
                out = f"{work}/found"
                command = ["backtest", "--config", f"{work}/fiscwatch.yaml", "--rules", folder, "--events", f"{work}/events.{kind}"]
                spent, mib, told = run(who, [*command, "--findings", out, "--ledger", f"{out}.ledger"])
                times.setdefault((kind, part, who), []).append(spent)
                memory[kind, part, who] = max(mib, memory.get((kind, part, who), 0))
                same = (digest(out), digest(f"{out}.ledger"))
                if found.setdefault(part, same) != same:
                    sys.exit(f"{part}, {kind}, {who}: other findings or another ledger")

print(f"{'':18}{'':9}{'':10}processor time, least and most of {turns} turns; decoding's share; resident")
for kind in ["jsonl", "parquet"]:
    for part in folders:
        for who in binaries:
            spent = sorted(times[kind, part, who])
            share = min(times[kind, "decoding", who]) / spent[0]
            print(f"{part:18}{kind:9}{who:10}{spent[0]:6.2f} to {spent[-1]:6.2f} s   {share:5.2f}   {memory[kind, part, who]:5} MiB")
print("the same findings and ledgers in every format and turn")
print("targets: decoding's share of the pack 0.50 from JSON Lines, 0.35 from Parquet; 300 MiB resident")
END_OF_PYTHON
