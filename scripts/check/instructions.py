#!/usr/bin/env python3
"""How many instructions an event costs in each stage, against bounds: times are no guard on machines whose pace changes.

scripts/check/instructions.py [BINARY]

It counts by valgrind what the binary does for half of a small stream and for all of it, so that starting and planning cancel
out. The binary is the one that the tests were built with, target/debug/fiscwatch: an unoptimised build executes many more
instructions than a release, but one that does something twice, or once for each event instead of once for a batch, tells
that just as well. Bounds are a quarter above what was counted when they were set; whoever has a reason changes them here.
"""
import concurrent.futures, glob, os, re, subprocess, sys, tempfile

# Thousands of instructions an event. What rules cost is counted beside decoding and the ledger.
PARTS = {
    "decoding and ledger": ([], 0),
    "row rules": (["incomplete", "sensitive-purpose", "off-hours", "suspicious-text", "blacklisted-payee", "line-use-80"], 0),
    "windows before an event": (["duplicate-strict", "split-procurement", "three-public-cap"], 0),
    "closing windows": (["burst", "just-below"], 0),
    "schedules": (["not-cleared", "feed-silent"], 0),
    "commit": ([], 0),
}
NEVER = "rules: [{ id: never, title: never, severity: low, trigger: budget, when: amount < 0, key: [event_id] }]\n"

root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
binary = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else f"{root}/target/debug/fiscwatch")


def rules_of(folder, wanted):
    os.mkdir(folder)
    if not wanted:
        open(f"{folder}/never.yaml", "w").write(NEVER)
    for path in glob.glob(f"{root}/rules/*.yaml"):
        head, *rules = re.split(r"(?m)^(?=  - id: )", open(path).read())
        kept = [rule for rule in rules if re.match(r"  - id: (\S+)", rule)[1] in wanted]
        if kept:
            open(f"{folder}/{os.path.basename(path)}", "w").write(head + "".join(kept))


def counted(work, part, half):
    """The instructions that a part takes for half of the stream, or for all of it."""
    name = f"{part.replace(' ', '-')}-{half}"
    events, environment = f"{work}/{half}.jsonl", dict(os.environ)
    if part == "commit":
        command = ["run", "--once"]
        environment["FISCWATCH_SOURCES"] = f'[{{"name":"feed","file":{{"path":"{events}"}}}}]'
        environment["FISCWATCH_RULES__PATHS"] = f'["{work}/{part}"]'
        environment["FISCWATCH_STATE__DIR"] = f"{work}/state-{half}"
    else:
        command = ["backtest", "--rules", f"{work}/{part}", "--events", events]
    valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={work}/{name}.out", binary]
    done = subprocess.run([*valgrind, *command, "--config", f"{work}/fiscwatch.yaml"], env=environment, capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not found:
        sys.exit(f"{part}: {done.stdout}{done.stderr}")
    return int(found[1])


with tempfile.TemporaryDirectory() as work:
    subprocess.run([binary, "generate", "--payments", "400", "--units", "8", "--days", "24", "--out", f"{work}/all"], check=True, stdout=subprocess.DEVNULL)
    os.rename(f"{work}/all/fiscwatch.yaml", f"{work}/fiscwatch.yaml")
    os.rename(f"{work}/all/lists", f"{work}/lists")
    lines = open(f"{work}/all/events.jsonl").readlines()
    middle = len(lines) // 2
    open(f"{work}/half.jsonl", "w").writelines(lines[:middle])
    open(f"{work}/whole.jsonl", "w").writelines(lines)
    for part, (wanted, _) in PARTS.items():
        rules_of(f"{work}/{part}", wanted)
    jobs = [(part, half) for part in PARTS for half in ["half", "whole"]]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = dict(zip(jobs, pool.map(lambda job: counted(work, *job), jobs)))

failed = False
decoding = 0
for part, (_, bound) in PARTS.items():
    spent = (counts[part, "whole"] - counts[part, "half"]) / (len(lines) - middle) / 1000
    if part == "decoding and ledger":
        decoding = spent
    else:
        spent -= decoding
    failed |= spent > bound
    print(f"{part:24} {spent:8.0f} thousand instructions an event, {bound} at most{'' if spent <= bound else '  TOO MANY'}")
sys.exit(failed and "an event costs more than it may: see scripts/check/instructions.py")
