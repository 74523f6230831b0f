#!/usr/bin/env python3
"""What the shipped rules find: on real ledgers, on the same with anomalies planted, and on simulated years.

    scripts/measure/pack.py [--real FOLDER] [--seeds N] [--rules FOLDER] [--write]

FOLDER holds ledgers as CSV with the columns pay_date, payee, amount, category; gla.awk makes events of them, in each
of the readings it knows, and says what it makes up. Without --real only simulated years are measured. --write puts the
result into rules/README.md; FISCWATCH names the binary."""
import argparse, collections, concurrent.futures as futures, json, os, pathlib, shutil, subprocess, sys, tempfile

import plant

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = ROOT / "rules" / "README.md"
READINGS = {"row": "each row a bill", "day": "a bill a payee and day", "none": "no bill numbers", "dummy": "one bill number in four is \"0000\"",
            "category": "25 units, each with categories of its own", "payee": "25 units, each with payees of its own"}
UNITS = ("category", "payee")
YEARS = [(60000, 200, 301), (100000, 300, 302), (60000, 20, 303), (40000, 100, 304), (20000, 50, 305)]
TRAFFIC = {"ledger": "like a published ledger", "plain": "plain"}
DIGEST = ("record", "remind")


def run(*command, **more):
    done = subprocess.run([str(part) for part in command], text=True, capture_output=True, cwd=ROOT, **more)
    if done.returncode:
        sys.exit(f"{command[0]} {command[1]}: {done.stderr[-2000:]}")
    return done.stdout


class Findings:
    """The findings of live rules, and how many payments there were."""

    def __init__(self, path, payments):
        lines = (json.loads(line) for line in open(path, encoding="utf-8"))
        lines = list(lines)
        self.all = [finding for finding in lines if finding["mode"] == "live"]
        self.shadow = [finding for finding in lines if finding["mode"] == "shadow"]
        self.payments = payments

    def paging(self):
        return [finding for finding in self.all if finding["handling"] not in DIGEST]

    def rate(self, findings):
        return 1000 * len(findings) / self.payments

    def by_rule(self):
        return collections.Counter(finding["rule_id"] for finding in self.all)


def configured(folder, rules):
    """A folder with the lists and a configuration for ledgers in pounds; shadow rules are counted apart."""
    lists = folder / "lists"
    shutil.copytree(ROOT / "config" / "lists", lists)
    (lists / "holidays.csv").write_text("date,kind,name\n", encoding="utf-8")  # those of another country say nothing
    with open(lists / "allowed_classes.csv", "a", encoding="utf-8") as file:
        file.write("201:312,一般公共服务支出·对企业补助\n")  # grants to organisations are usual there
    config = folder / "fiscwatch.yaml"
    named = "".join(f"  {path.stem}: {{ path: {path} }}\n" for path in sorted(lists.glob("*.csv")))
    config.write_text(
        "time_zone: Europe/London\nfiscal_year_start: 04-01\nlanguage: en\ncurrency: GBP\n"
        f"lists:\n{named}"
        # In the first year every payee would be new.
        f'rules: {{ paths: [{rules}], overrides: {{ new-or-dormant-payee: {{ params: {{ since: "2009-04-01" }} }} }} }}\n',
        encoding="utf-8",
    )
    return config


def backtest(binary, config, events, out):
    run(binary, "backtest", "--config", config, "--events", events, "--findings", out)
    with open(events, encoding="utf-8") as file:
        return Findings(out, sum(",payment," in line for line in file))


def real(binary, rules, ledger, folder):
    """The ledger in each reading, and with anomalies planted into the first."""
    config = configured(folder, rules)
    for reading in READINGS:
        awk = ["awk", "-v", f"{'units' if reading in UNITS else 'bills'}={reading}", "-f", "scripts/measure/gla.awk", ledger, ledger]
        (folder / f"{reading}.csv").write_text(run(*awk), encoding="utf-8")
    cases = plant.plant(folder / "row.csv", folder / "planted.csv", seed=1)
    with futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        judge = lambda name: backtest(binary, config, folder / f"{name}.csv", folder / f"{name}.jsonl")
        *read, found = pool.map(judge, [*READINGS, "planted"])
    return dict(zip(READINGS, read)), cases, plant.score(cases, found)


def simulated(binary, rules, count):
    for payments, units, seed in YEARS[:count]:
        with tempfile.TemporaryDirectory() as year:
            run(binary, "generate", "--payments", payments, "--units", units, "--seed", seed, "--start", "2026-01-01",
                "--anomalies", "--out", f"{year}/year")
            run(binary, "backtest", "--rules", rules, "--events", f"{year}/year/events.jsonl", "--labels",
                f"{year}/year/labels.jsonl", "--scores", f"{year}/scores.json")
            scores = json.load(open(f"{year}/scores.json", encoding="utf-8"))
            yield payments, units, seed, scores


def independent(binary, rules, count):
    """Years with anomalies that know no rule, in both kinds of traffic."""
    for payments, units, seed in YEARS[:count]:
        for traffic in TRAFFIC:
            with tempfile.TemporaryDirectory() as year:
                run(binary, "generate", "--payments", payments, "--units", units, "--seed", seed, "--start", "2026-01-01",
                    "--anomalies", "independent", "--traffic", traffic, "--out", f"{year}/year")
                run(binary, "backtest", "--rules", rules, "--events", f"{year}/year/events.jsonl", "--labels",
                    f"{year}/year/labels.jsonl", "--scores", f"{year}/scores.json")
                scores = json.load(open(f"{year}/scores.json", encoding="utf-8"))
                labels = [json.loads(line) for line in open(f"{year}/year/labels.jsonl", encoding="utf-8")]
                yield payments, units, seed, traffic, scores, collections.Counter(label["kind"] for label in labels)


def without_rules(binary, rules, count):
    """What is found of them, by year and by kind."""
    rows, planted, found = [], collections.Counter(), {traffic: collections.Counter() for traffic in TRAFFIC}
    for payments, units, seed, traffic, scores, kinds in independent(binary, rules, count):
        rows.append([TRAFFIC[traffic], f"{payments:,}", units, seed, *figures(scores)])
        planted += kinds if traffic == "plain" else collections.Counter()
        found[traffic] += kinds - collections.Counter(scores["missed"])
    text = ("**Anomalies that know no rule** (`generate --anomalies independent`), in traffic like that of a published ledger and in plain traffic. "
            "Everything that was not planted counts as wrong:\n\n")
    text += table(["traffic", "payments", "units", "seed", "planted", "recall", "findings for 1,000 payments", "precision", "for 1,000, paging",
                   "precision, paging"], rows)
    text += table(["kind", "planted in each traffic", *(f"found, {name}" for name in TRAFFIC.values())],
                  [[kind.replace("-", " "), planted[kind], *(found[traffic][kind] for traffic in TRAFFIC)] for kind in sorted(planted)])
    return text


def live(case):
    return any(mode == "live" for _, _, mode in case)


def pages(case):
    return any(mode == "live" and handling not in DIGEST for _, handling, mode in case)


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines) + "\n"


def report(arguments):
    binary = os.environ.get("FISCWATCH", ROOT / "target" / "release" / "fiscwatch")
    text = ""
    for ledger in sorted(pathlib.Path(arguments.real).glob("*.csv")) if arguments.real else []:
        with tempfile.TemporaryDirectory() as folder:
            read, cases, scores = real(binary, arguments.rules, ledger.resolve(), pathlib.Path(folder))
        payments = next(iter(read.values())).payments
        text += f"**{ledger.name}**, {payments:,} real payments; findings, and those that page, for 1,000 payments:\n\n"
        rows = [[READINGS[reading], f"{f.rate(f.all):.2f}", f"{f.rate(f.paging()):.2f}"] for reading, f in read.items()]
        text += table(["read as", "findings", "paging"], rows)
        handlings = {f["rule_id"]: f["handling"] for found in read.values() for f in found.all}
        rules = sorted(handlings, key=lambda rule: (handlings[rule] in DIGEST, rule))
        counted = {reading: found.by_rule() for reading, found in read.items()}
        rows = [[f"`{rule}`", handlings[rule], *(f"{1000 * counted[b][rule] / payments:.2f}" for b in read)] for rule in rules]
        text += table(["rule", "", *read], rows)
        text += f"**Planted into it** ({len(cases)} cases of kinds that auditors know, by `scripts/measure/plant.py`, which knows no rule):\n\n"
        text += table(["kind", "planted", "found", "of these paging", "in shadow", "by"], [
            [kind.replace("_", " "), len(own), sum(map(live, own)), sum(map(pages, own)), sum(bool(one) and not live(one) for one in own),
             ", ".join(f"`{rule}`" for rule, _ in collections.Counter(rule for one in own for rule in {name for name, *_ in one}).most_common(3))]
            for kind, own in scores.items()])
        every = [one for own in scores.values() for one in own]
        text += (f"In all {sum(map(live, every))} of {len(every)} are found, a recall of {sum(map(live, every)) / len(every):.2f}; with the rules "
                 f"in shadow {sum(map(bool, every))}, {sum(map(bool, every)) / len(every):.2f}.\n\n")
    text += without_rules(binary, arguments.rules, arguments.seeds)
    rows = []
    for payments, units, seed, scores in simulated(binary, arguments.rules, arguments.seeds):
        rows.append([f"{payments:,}", units, seed, *figures(scores)])
    text += "**Simulated years** with anomalies of every kind planted, with seeds that were not used while tuning:\n\n"
    text += table(["payments", "units", "seed", "planted", "recall", "findings for 1,000 payments", "precision", "for 1,000, paging",
                   "precision, paging"], rows)
    return text


def figures(scores):
    live, paging = scores["live"], scores["paging"]
    return (scores["planted"], f"{scores['recall']:.3f}", *(cell for of in (live, paging) for cell in (f"{of['for_1000_payments']:.2f}", f"{of['precision']:.3f}")))


def write(text):
    before, mark, rest = README.read_text(encoding="utf-8").partition("<!-- made by scripts/measure/pack.py -->\n")
    _, end, after = rest.partition("<!-- end -->\n")
    if not (mark and end):
        sys.exit("rules/README.md has no place for what is measured")
    README.write_text(f"{before}{mark}{text}{end}{after}", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real")
    parser.add_argument("--seeds", type=int, default=len(YEARS))
    parser.add_argument("--rules", default=ROOT / "rules")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    result = report(arguments)
    write(result) if arguments.write else print(result)


if __name__ == "__main__":
    main()
