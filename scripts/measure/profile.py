#!/usr/bin/env python3
"""Where the pack's time goes: a simulated year through `backtest`, sampled by perf, as a table by stage and as a flame graph.

    scripts/measure/profile.py [BINARY] [PAYMENTS] [--svg FILE]

BINARY has to have its names: `cargo build --profile profiling`. Samples are of the processors' clock; a stage's nanoseconds are its
share of the processor time of the whole command over all events. Rules on a schedule are among the pack.
"""

import argparse, collections, os, pathlib, re, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
# A sample belongs to the first stage of which a function is on its stack, the innermost first.
STAGES = [
    ("decode", r"decode::.*Decoder.*::decode|decode::columnar|arrow_json|parquet::"),
    ("put in order: duplicates, ledger", r"engine::sequence::|ledger::.*apply|engine::dedup"),
    ("schedules", r"evaluate::schedule::|evaluate::guard::|evaluate::plans::"),
    ("windows that close", r"evaluate::closing::|windows::jobs::"),
    ("sliding windows", r"evaluate::sliding::|evaluate::series::|evaluate::keys::"),
    ("weighing windows", r"Windows>?::held|Windowing::held"),
    ("laying out for windows", r"evaluate::select::|Prepared>?::prepare_window"),
    ("conditions", r"evaluate::condition::|evaluate::shared_parts::|Prepared>?::prepare_rule"),
    ("balances as columns, standings", r"Evaluator>?::table|Standings|evaluate::evaluator::.*::prepare"),
    ("conditions on what windows measure, findings", r"Prepared>?::conclude|evaluate::finding"),
    ("commit", r"engine::memory|engine::alerts|trial::backtest|Output"),
    ("reading rules", r"rule::|yaml"),
]
KERNEL = re.compile(r"^(asm_|entry_|do_syscall|__x64|clear_page|__alloc|exc_page|handle_mm|syscall_|do_user_addr|irq|sysvec)|\[k\]")


def sampled(binary, work, rules):
    command = [binary, "backtest", "--config", f"{work}/fiscwatch.yaml", "--rules", rules, "--events", f"{work}/events.jsonl"]
    data = f"{work}/perf.data"
    # Less of a stack is cut off before the functions that say which stage it is.
    record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "499", "--call-graph", "dwarf,32768", "-o", data, "--", *command]
    child = subprocess.Popen(record, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    told = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(told)
    events = int(re.search(r"^(\d+) events", told, re.M).group(1))
    # Functions that were put into others would each take a question to another program.
    script = subprocess.Popen(["perf", "script", "--no-inline", "-F", "comm,ip,sym", "-i", data], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return events, list(stacks(script.stdout))


def stacks(lines):
    """Each sample: its thread, and the names of its functions from the innermost on."""
    thread, names = None, []
    for line in lines:
        if not line.strip():
            if thread:
                yield thread, names
            thread, names = None, []
        elif thread is None:
            thread = re.sub(r"[-0-9]+$", "", line.strip())
        else:
            names.append(plain(line.strip().partition(" ")[2]))


def plain(name):
    """A name without addresses, hashes, generics and the crate's own name."""
    name = re.sub(r"::h[0-9a-f]{16}$|\+0x[0-9a-f]+$", "", name)
    while (shorter := re.sub(r"<[^<>]*>", "", name)) != name and "as " not in name:
        name = shorter
    return name.replace("fiscwatch::", "")


def stage_of(names):
    for name in names:
        for stage, pattern in STAGES:
            if re.search(pattern, name):
                return stage
    return "the rest: the runtime, reading the file"


def kind_of(names):
    """What the innermost functions do, whoever called them."""
    top = names[0] if names else ""
    if any(KERNEL.search(name) for name in names[:6]):
        return "the kernel, most of it pages"
    for kind, pattern in [("allocating", r"^_?mi_|malloc|__rust_(de)?alloc|rdl_"), ("copying, comparing, clearing", r"mem(cpy|move|cmp|set)|__mem")]:
        if re.search(pattern, top):
            return kind
    return "own work"


def table(events, samples, seconds):
    count = collections.Counter(stage_of(names) for _, names in samples)
    kinds = collections.defaultdict(collections.Counter)
    for _, names in samples:
        kinds[stage_of(names)][kind_of(names)] += 1
    lines = ["| stage | share | ns an event | of it the kernel | of it allocating | of it copying |", "| --- | --- | --- | --- | --- | --- |"]
    for stage, many in count.most_common():
        part = lambda kind: f"{100 * kinds[stage][kind] / many:.0f} %"
        of = [part(kind) for kind in ["the kernel, most of it pages", "allocating", "copying, comparing, clearing"]]
        lines.append(f"| {stage} | {100 * many / len(samples):.1f} % | {1e9 * seconds * many / len(samples) / events:,.0f} | " + " | ".join(of) + " |")
    return "\n".join(lines)


COLOURS = ["#8dd3c7", "#bebada", "#fdb462", "#80b1d3", "#fb8072", "#b3de69", "#fccde5", "#d9d9d9", "#bc80bd", "#ccebc5", "#ffed6f", "#c7c7e0", "#e0d0b0"]


def flame(samples, path):
    """Stages at the bottom, what they call above; as wide as their share. What is below half a percent is left out."""
    tree = lambda: [0, collections.defaultdict(tree)]
    root, names = tree(), [stage for stage, _ in STAGES]
    for _, stack in samples:
        stage = stage_of(stack)
        own = next((at for at, name in enumerate(stack) if any(s == stage and re.search(p, name) for s, p in STAGES)), len(stack))
        node = root
        node[0] += 1
        for name in [stage, *reversed(stack[: own + 1])][:14]:
            node = node[1][name]
            node[0] += 1
    width, high, boxes, deepest = 1200, 17, [], 0

    def place(node, left, depth, colour):
        nonlocal deepest
        for name, child in sorted(node[1].items(), key=lambda item: -item[1][0]):
            wide = width * child[0] / root[0]
            if wide >= width * 0.005:
                own = colour or COLOURS[(names + [name]).index(name) % len(COLOURS)]
                boxes.append((left, depth, wide, name, child[0], own))
                deepest = max(deepest, depth)
                place(child, left, depth + 1, own)
            left += wide

    place(root, 0, 0, None)
    height = (deepest + 1) * high
    text = lambda name: name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11" fill="#222">', '<rect width="100%" height="100%" fill="#fff"/>']
    for left, depth, wide, name, many, colour in boxes:
        top, short = height - (depth + 1) * high, name if depth == 0 else "::".join(name.split("::")[-2 if wide > 90 else -1:])
        fits = short[: int(wide / 6.2)]
        out.append(f'<g><title>{text(name)}: {100 * many / root[0]:.1f} %</title><rect x="{left:.1f}" y="{top}" width="{wide:.1f}" height="{high - 1}" fill="{colour}" stroke="#fff" stroke-width=".5"/>')
        out.append(f'<text x="{left + 3:.1f}" y="{top + 12}">{text(fits)}</text></g>' if len(fits) > 2 else "</g>")
    pathlib.Path(path).write_text("\n".join(out + ["</svg>"]) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", nargs="?", default=str(ROOT / "target/profiling/fiscwatch"))
    parser.add_argument("payments", nargs="?", type=int, default=100_000)
    parser.add_argument("--svg", metavar="FILE", help="the flame graph goes there")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        subprocess.run([asked.binary, "generate", "--payments", str(asked.payments), "--anomalies", "--out", work], check=True, stdout=subprocess.DEVNULL)
        # Sampling takes time itself: the command's own is taken without it.
        command = [asked.binary, "backtest", "--config", f"{work}/fiscwatch.yaml", "--rules", str(ROOT / "rules"), "--events", f"{work}/events.jsonl"]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        if status:
            sys.exit("the backtest failed")
        seconds = usage.ru_utime + usage.ru_stime
        events, samples = sampled(asked.binary, work, str(ROOT / "rules"))
    print(f"{events:,} events, {seconds:.1f} s of processors, {usage.ru_maxrss // 1024:,} MiB resident, {len(samples):,} samples\n")
    print(table(events, samples, seconds))
    if asked.svg:
        flame(samples, asked.svg)


if __name__ == "__main__":
    main()
