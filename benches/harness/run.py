#!/usr/bin/env python3
"""Every figure that the project holds itself to, measured on this machine, each beside what it is compared with in the same run.

    benches/harness/run.py [--quick] [--write FILE] [NAME…]     the names are the first column of the table

Ratios count; absolute times inform, because machines differ and one machine differs from hour to hour. Each row is made by a
script that can be run by itself (the last column). `--quick` takes a tenth of the events: it shows that all of it works.
"""

import argparse, contextlib, json, os, pathlib, re, resource, shutil, socket, subprocess, sys, tempfile, time, urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("HARNESS_BINARY", ROOT / "target/release/fiscwatch"))
QUICK = False


def told(*command, **environment):
    """What a command prints, both streams; its failure is the row's."""
    run = subprocess.run([str(part) for part in command], cwd=ROOT, env={**os.environ, **environment}, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if run.returncode:
        raise RuntimeError(f"{command[0]}: {run.stdout.strip().splitlines()[-1:] or 'nothing told'}")
    return run.stdout


def first(pattern, text):
    found = re.search(pattern, text)
    if not found:
        raise RuntimeError(f"nothing of the form {pattern} was told")
    return found.groups() if len(found.groups()) > 1 else found.group(1)


def size(many):
    return max(1000, many // 10) if QUICK else many


def pack():
    text = told("scripts/measure/harness.sh", size(300_000), 1 if QUICK else 3, HARNESS_BINARY=str(BINARY))
    share = lambda kind: float(first(rf"the pack +{kind} +now .*? s +(\d\.\d\d) ", text))
    resident = first(r"the pack +jsonl +now .*? (\d+) MiB", text)
    yield "decoding over the pack, JSON Lines", "≥ 0.5", f"{share('jsonl'):.2f}", "decoding and the ledger alone"
    yield "the same, Parquet", "≥ 0.35", f"{share('parquet'):.2f}", "decoding and the ledger alone"
    yield "memory, a year of 300,000 payments", "≤ 300 MiB", f"{resident} MiB", ""


def windows():
    for part in ["rules", "over"]:
        text = told("cargo", "bench", "--locked", "--bench", "windows", "--", part)
        if part == "rules":
            yield "100 rules against 10", "≤ 4 × the time", f"{first(r'100 rules in .*?, ([0-9.]+) times', text)} ×", "10 rules"
        else:
            yield "against OVER for every batch", "≥ 20 ×", f"{first(r'incremental is ([0-9]+) times', text)} ×", "DataFusion's OVER"


def flat():
    text = told("cargo", "bench", "--locked", "--bench", "windows", "--", "flat", BENCH_ROUNDS="20" if QUICK else "250")
    millions, share = re.findall(r"after ([0-9.]+) M payments, ([0-9.]+) of the first", text)[-1]
    yield f"throughput after {millions} M payments", "≥ 0.9 of the first", share, "the first million"


def window_memory():
    text = told("cargo", "bench", "--locked", "--bench", "windows", "--", "memory")
    yield "memory, 10 M payments in a window", "≤ 2 GiB", f"{first(r': ([0-9]+) MiB', text)} MiB", ""


def duckdb():
    text = told("scripts/measure/duckdb.sh", size(1_000_000), DUCKDB_BINARY=str(BINARY))
    best = lambda who: min(float(s) for s in re.findall(rf"^{who}: +([0-9.]+) s", text, re.M))
    yield "against DuckDB's batch of five rules", "≥ 1.5 ×", f"{best('DuckDB') / best('fiscwatch'):.1f} ×", "DuckDB, the same findings"


def flink():
    text = told("benches/peers/flink.sh", size(1_000_000), 1 if QUICK else 2, PEERS_BINARY=str(BINARY))
    yield "against Flink SQL, two slots", "≥ 20 ×", f"{first(r'takes ([0-9.]+) times', text)} ×", "Flink without its start, the same findings"


def laminar():
    text = told("benches/peers/laminar.sh", size(300_000), 1, PEERS_BINARY=str(BINARY))
    for kind, what, target in [("tumble", "a day by unit and account", "≥ 1 ×"), ("hops", "an hour every minute by region", "≥ 20 ×")]:
        times = first(rf"(?m)^{kind}: .* takes ([0-9.]+) times", text)
        yield f"against LaminarDB: {what}", target, f"{times} ×", "LaminarDB 0.33, payments in its memory, the same findings"


def ingest():
    """The pack with durable commits beside a backtest of it, and what the journal takes."""
    with tempfile.TemporaryDirectory() as work:
        told(BINARY, "generate", "--payments", size(300_000), "--anomalies", "--out", work)
        rules, config, events = ["--rules", ROOT / "rules"], ["--config", f"{work}/fiscwatch.yaml"], f"{work}/events.jsonl"
        began = time.monotonic()
        told(BINARY, "backtest", *config, *rules, "--events", events)
        backtest = time.monotonic() - began
        os.mkdir(f"{work}/in")
        shutil.move(events, f"{work}/in/")
        with open(f"{work}/fiscwatch.yaml", "a") as more:
            more.write(f"state: {{ dir: {work}/state }}\nrules: {{ paths: [{ROOT}/rules] }}\n"
                       f"sources:\n  - {{ name: year, file: {{ path: {work}/in/events.jsonl }} }}\n")
        began = time.monotonic()
        told(BINARY, "run", "--once", *config)
        run = time.monotonic() - began
    yield "ingest with durable commits", "≥ 0.5 of a backtest", f"{backtest / run:.2f}", "a backtest of the same"


def latency():
    text = told("scripts/measure/load.sh", 20_000, 5 if QUICK else 30, "rules/budget.yaml", LOAD_BINARY=str(BINARY))
    p50, p99 = first(r"p50 ([0-9.]+) ms, p99 ([0-9.]+) ms", text)
    sync = fdatasync()
    yield "received to committed, 20,000 events/s", "p50 ≤ 1.5, p99 ≤ 4 fsyncs", f"{float(p50) / sync:.1f}, {float(p99) / sync:.1f}", f"an fdatasync of {sync:.1f} ms"


def fdatasync():
    times = []
    with tempfile.TemporaryFile(dir=ROOT / "target") as file:
        for _ in range(200):
            file.write(b"x" * 8192)
            file.flush()
            began = time.monotonic()
            os.fdatasync(file.fileno())
            times.append(time.monotonic() - began)
    return sorted(times)[100] * 1000


def mail():
    text = told("scripts/measure/latency.sh", size(1000), 50, LATENCY_BINARY=str(BINARY))
    within = re.findall(r"([0-9.]+)% within ([0-9]+) ms", text)
    least = next((ms for share, ms in within if float(share) >= 99), "more than 1000")
    yield "received to mail accepted", "p99 ≤ 250 ms", f"within {least} ms", ""


def decide():
    text = told("scripts/measure/decide.sh", 200, 5 if QUICK else 20, 5000, DECIDE_BINARY=str(BINARY))
    commit, sync = first(r"commit beside .*?p99 ([0-9.]+) ms.*?fdatasync p50 ([0-9.]+) ms", text)
    yield "decide beside 5,000 events/s", "p99 ≤ 20 ms", f"{commit} ms", f"an fdatasync of {sync} ms"
    yield "what_if beside 5,000 events/s", "p99 ≤ 5 ms", f"{first(r'what_if beside .*?p99 ([0-9.]+) ms', text)} ms", ""


def console():
    text = told("scripts/measure/console.py", BINARY, size(250_000), size(100_000))
    rows = [[float(ms) for ms in re.findall(r"([0-9.]+) ms", line)] for line in text.splitlines() if line.startswith("| `")]
    yield "console, slowest request alone", "≤ 300 ms", f"{max(row[0] for row in rows):.0f} ms", "median of 9"
    yield "console, slowest request beside ingest", "≤ 300 ms", f"{max(row[2] for row in rows):.0f} ms", "median of 9"


def start():
    text = told("scripts/measure/recovery.sh", size(7_450_000), "rules", RECOVERY_BINARY=str(BINARY))
    times = [float(s) for s in re.findall(r"ready after ([0-9.]+) s", text)]
    yield "start after kill -9, the pack", "≤ 5 s", f"{min(times):.1f} s", f"{'1' if QUICK else '10'} M events in the horizon"


@contextlib.contextmanager
def daemon(work):
    """The pack, with a state of its own, and nothing to do."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told(BINARY, "generate", "--payments", 1000, "--out", work)
    places = {"HTTP__LISTEN": f"127.0.0.1:{port}", "RULES__PATHS": f'["{ROOT}/rules"]', "STATE__DIR": f"{work}/state"}
    environment = {**os.environ, **{f"FISCWATCH_{name}": value for name, value in places.items()}}
    command = [BINARY, "run", "--config", f"{work}/fiscwatch.yaml"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                if process.poll() is not None:
                    raise RuntimeError(f"the daemon ended with {process.returncode}")
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready").read()
                    break
                time.sleep(0.1)
            else:
                raise RuntimeError("the daemon did not get ready in a minute")
            yield process.pid
        finally:
            process.terminate()


def idle():
    ticks = lambda pid: sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
    with tempfile.TemporaryDirectory() as work, daemon(work) as pid:
        # What a start leaves to be done is done by then.
        time.sleep(5)
        seconds, before = 5 if QUICK else 60, ticks(pid)
        time.sleep(seconds)
        used = 100 * (ticks(pid) - before) / os.sysconf("SC_CLK_TCK") / seconds
        resident = int(first(r"VmRSS:\s+([0-9]+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())) // 1024
    yield "idle daemon with the pack", "≤ 1 % of a core, ≤ 100 MiB", f"{used:.1f} %, {resident} MiB", ""


def journal():
    """Days with as many payments as a city has; the last two are not sealed."""
    with tempfile.TemporaryDirectory() as work:
        told(BINARY, "generate", "--payments", size(300_000), "--days", 20, "--out", work)
        with open(f"{work}/fiscwatch.yaml", "a") as more:
            more.write(f"state: {{ dir: {work}/state }}\nrules: {{ paths: [{ROOT}/rules/budget.yaml] }}\n"
                       f"sources:\n  - {{ name: days, file: {{ path: {work}/events.jsonl }} }}\n")
        told(BINARY, "run", "--once", "--config", f"{work}/fiscwatch.yaml")
        state = json.loads(told(BINARY, "state", "info", "--json", "--config", f"{work}/fiscwatch.yaml"))
    if not state["sealed_events"]:
        raise RuntimeError("nothing was sealed")
    bytes = state["sealed_bytes"] / state["sealed_events"]
    yield "sealed journal", "≤ 60 bytes a payment", f"{bytes:.1f}", f"an event, {state['sealed_events']:,} of them"


def absurd():
    """The same year without and with one payment of the year 9999 in its middle, in turns."""
    with tempfile.TemporaryDirectory() as work:
        told(BINARY, "generate", "--payments", size(100_000), "--out", work)
        lines = pathlib.Path(work, "events.jsonl").read_text().splitlines(keepends=True)
        one = json.loads(next(line for line in lines[len(lines) // 2 :] if '"type":"payment"' in line))
        one.update(event_id="absurd", occurred_at="9999-12-31T10:00:00+08:00")
        lines.insert(len(lines) // 2, json.dumps(one, ensure_ascii=False) + "\n")
        pathlib.Path(work, "absurd.jsonl").write_text("".join(lines))
        times = {"events": [], "absurd": []}
        for _ in range(2 if QUICK else 5):
            for name, took in times.items():
                began = time.monotonic()
                told(BINARY, "backtest", "--config", f"{work}/fiscwatch.yaml", "--rules", ROOT / "rules", "--events", f"{work}/{name}.jsonl")
                took.append(time.monotonic() - began)
    without, beside = (min(took) for took in times.values())
    yield "an event of the year 9999", "≤ 50 ms", f"{(beside - without) * 1000:+.0f} ms", f"{without:.1f} s without it, the least of {len(took)}"


def kills():
    count = 50 if QUICK else 1000
    told("scripts/measure/kills.sh", count)
    yield f"lost or repeated over {count} kills", "0", "0", ""


def malformed():
    seconds = 20 if QUICK else 600
    told("cargo", "test", "--locked", "--test", "integration", "fuzzing", FUZZ_SECONDS=str(seconds))
    yield f"malformed inputs in {seconds} s that stop the stream or vanish", "0", "0", ""


def binary():
    yield "binary", "≤ 80 MB", f"{BINARY.stat().st_size / 1e6:.0f} MB", ""


def build():
    """A cold build takes a quarter of an hour to an hour; `--quick` leaves it out."""
    if QUICK:
        return
    used = lambda: sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    with tempfile.TemporaryDirectory(dir=ROOT / "target") as cold:
        before, began = used(), time.monotonic()
        told("cargo", "build", "--release", "--locked", CARGO_TARGET_DIR=cold)
        minutes = (used() - before) / 60, (time.monotonic() - began) / 60
    yield "cold release build", "≤ 47 min of processors", f"{minutes[0]:.0f} min", f"{minutes[1]:.0f} min by the clock"


MEASURES = [
    pack, windows, flat, window_memory, duckdb, flink, laminar, ingest, latency, mail, decide, console, start, absurd, journal, idle,
    kills, malformed, binary, build,
]


def main():
    global QUICK
    names = [measure.__name__ for measure in MEASURES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    parser.add_argument("--quick", action="store_true", help="a tenth of the events")
    parser.add_argument("--write", metavar="FILE", help="the table goes there too")
    asked = parser.parse_args()
    if unknown := [name for name in asked.names if name not in names]:
        parser.error(f"there is no {unknown[0]}; there are {', '.join(names)}")
    QUICK = asked.quick
    if not BINARY.exists():
        sys.exit(f"{BINARY} is missing: cargo build --release --locked")
    lines = ["| | what | target | measured | beside |", "| --- | --- | --- | --- | --- |"]
    print("\n".join(lines), flush=True)
    failed = False
    for measure in MEASURES:
        name = measure.__name__
        if asked.names and name not in asked.names:
            continue
        try:
            rows = [f"| {name} | " + " | ".join(row) + " |" for row in measure()]
        except (RuntimeError, OSError) as why:
            rows, failed = [f"| {name} | not measured: {why} | | | |"], True
        print("\n".join(rows), flush=True)
        lines += rows
    if asked.write:
        pathlib.Path(asked.write).write_text("\n".join(lines) + "\n")
    sys.exit(failed)


if __name__ == "__main__":
    main()
