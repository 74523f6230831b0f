#!/usr/bin/env python3
"""How good the order by worth (docs/alerts.md) is: which share of the true alerts stands within the first fifth.

    scripts/measure/ranking.py [--real FOLDER] [--seeds N] [--first SEED]

Ledgers with planted anomalies (plant.py) and simulated years are judged by the shipped rules; an alert is a rule's findings
with one key, and is true if one of them is about what was planted. Everything unplanted counts as false. An officer judges the
alerts of the first half of the time, each as it is; those of the second half are put in order: by worth with what the officer
said, by worth before anybody said anything, by severity, and by time. The weights are read from src/alert/worth.rs."""
import argparse, collections, json, os, pathlib, re, sys, tempfile

import pack, plant

ROOT = pack.ROOT
SOURCE = (ROOT / "src" / "alert" / "worth.rs").read_text(encoding="utf-8")
BINARY = os.environ.get("FISCWATCH", ROOT / "target" / "release" / "fiscwatch")
GRAVITIES = ("critical", "high", "medium", "low")


def numbers(name):
    text = re.search(rf"const {name}: [^=]*=\s*([^;]*);", SOURCE)[1].replace("_", "")
    return [int(number) for number in re.findall(r"\d+", text)]


def steps(name):
    flat = numbers(name)
    return list(zip(flat[::2], flat[1::2]))


GRAVITY = dict(zip(GRAVITIES, numbers("GRAVITY")))
AMOUNTS, REPEATED = steps("AMOUNTS"), steps("REPEATED")
PLAIN, AGREEING, BEFORE, RULE, OWN, FRACTION = (numbers(name)[0] for name in ("PLAIN", "AGREEING", "BEFORE", "RULE", "OWN", "FRACTION"))
LESSER = dict(zip(("record", "remind"), numbers("LESSER")))


def weight(table, value):
    return next((weight for least, weight in table if value >= least), PLAIN)


def precision(handling, everything, rule, unit):
    right, wrong = everything[0] + BEFORE, (everything[1] + BEFORE) * LESSER.get(handling, 1)
    permille = filled_up(rule, RULE, right * 1000 // (right + wrong))
    return filled_up(unit, OWN, permille)


def filled_up(said, more, permille):
    return (said[0] * 1000 + more * permille) // (sum(said) + more)


class Alert:
    def __init__(self, rule, findings, others):
        last = findings[-1]
        self.rule, self.at, self.severity = rule, findings[0]["at"], last["severity"]
        values = (last["values"].get(name) for name in ("amount", "total"))
        amount = next((value for value in values if value is not None), 0)
        self.cents = int(abs(float(amount)) * 100)  # a weight of a power of ten; nothing is paid by it
        self.unit = last["labels"].get("unit_code") or last["key"].get("unit_code")
        self.findings = len(findings)
        self.rules = {(rule, last["handling"])}
        if last["event_id"]:
            self.rules |= others[last["event_id"]]
        self.true = any(finding["right"] for finding in findings)

    def worth(self, said):
        right = max(precision(handling, said[()], said[rule], said[rule, self.unit]) for rule, handling in self.rules)
        return (GRAVITY[self.severity] * weight(AMOUNTS, self.cents) * weight(REPEATED, self.findings)
                * (AGREEING if len(self.rules) > 1 else PLAIN) * right**3 // FRACTION)


def alerts(findings):
    grouped, others = collections.defaultdict(list), collections.defaultdict(set)
    for finding in findings:
        grouped[finding["rule_id"], json.dumps(finding["key"], sort_keys=True)].append(finding)
        if finding["event_id"]:
            others[finding["event_id"]].add((finding["rule_id"], finding["handling"]))
    return sorted((Alert(rule, own, others) for (rule, _), own in grouped.items()), key=lambda alert: alert.at)


def share(ordered):
    """Of the true ones, in per cent, those within the first fifth; a fifth holds no more than it can."""
    true = sum(alert.true for alert in ordered)
    first = ordered[: -(-len(ordered) // 5)]
    return 100 * sum(alert.true for alert in first) / min(true, len(first)) if true else float("nan")


def measure(name, findings):
    everything = alerts(findings)
    half = len(everything) // 2
    judged, rest = everything[:half], everything[half:]
    said, nobody = collections.defaultdict(lambda: (0, 0)), collections.defaultdict(lambda: (0, 0))
    for alert in judged:
        for of in ((), alert.rule, (alert.rule, alert.unit)):
            said[of] = (said[of][0] + alert.true, said[of][1] + (not alert.true))
    orders = {
        "worth": lambda alert: -alert.worth(said),
        "worth, no verdicts": lambda alert: -alert.worth(nobody),
        "severity": lambda alert: GRAVITIES.index(alert.severity),
        "newest": lambda alert: [-ord(sign) for sign in alert.at],
    }
    shares = [share(sorted(rest, key=order)) for order in orders.values()]
    return [name, len(rest), sum(alert.true for alert in rest), *shares], list(orders)


def mean(name, rows):
    return [name, *(round(sum(column) / len(rows)) for column in zip(*(row[1:] for row in rows)))]


def labelled(labels, findings):
    """Which findings are right, as docs/rules.md says it."""
    by_rule = collections.defaultdict(list)
    for label in labels:
        for rule in label["rule_ids"]:
            by_rule[rule].append(label)
    for finding in findings:
        finding["right"] = any(is_right(label, finding) for label in by_rule[finding["rule_id"]])
    return findings


def is_right(label, finding):
    key, window = finding["key"], finding.get("window")
    shared = [name for name in key if name in label["key"]]
    equal = bool(shared) and all(str(key[name]) == str(label["key"][name]) for name in shared)
    if finding["event_id"]:
        within = label["from"] <= finding["at"] and (finding["at"] <= label["to"] or len(key) > 1)
        return finding["event_id"] in label["event_ids"] or (within and equal and len(shared) == len(key))
    if window:
        return equal and window["end"] > label["from"] and window["start"] <= label["to"]
    return equal and finding["at"] > label["from"]


def live(path):
    with open(path, encoding="utf-8") as file:
        findings = [json.loads(line) for line in file]
    for finding in findings:
        finding.setdefault("event_id", None)
        finding.setdefault("labels", {})
    return [finding for finding in findings if finding["mode"] == "live"]


def real(ledger, seed):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        config = pack.configured(folder, ROOT / "rules")
        awk = ["awk", "-v", "bills=row", "-f", "scripts/measure/gla.awk", ledger, ledger]
        (folder / "row.csv").write_text(pack.run(*awk), encoding="utf-8")
        cases = plant.plant(folder / "row.csv", folder / "planted.csv", seed=seed)
        pack.run(BINARY, "backtest", "--config", config, "--events", folder / "planted.csv", "--findings", folder / "found.jsonl")
        findings = live(folder / "found.jsonl")
        for finding in findings:
            finding["right"] = any(plant.finds(case, finding) for case in cases)
        return findings


def simulated(payments, units, seed):
    with tempfile.TemporaryDirectory() as folder:
        year = f"{folder}/year"
        pack.run(BINARY, "generate", "--payments", payments, "--units", units, "--seed", seed, "--start", "2026-01-01",
                 "--anomalies", "--out", year)
        pack.run(BINARY, "backtest", "--rules", ROOT / "rules", "--events", f"{year}/events.jsonl", "--findings", f"{folder}/found.jsonl")
        with open(f"{year}/labels.jsonl", encoding="utf-8") as file:
            labels = [json.loads(line) for line in file]
        return labelled(labels, live(f"{folder}/found.jsonl"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=1, help="the first seed of what is planted into real ledgers")
    arguments = parser.parse_args()
    rows, orders = [], []
    for ledger in sorted(pathlib.Path(arguments.real).glob("*.csv")) if arguments.real else []:
        planted = []
        for seed in range(arguments.first, arguments.first + arguments.seeds):
            row, orders = measure(f"{ledger.stem}, planted with seed {seed}", real(ledger.resolve(), seed))
            planted.append(row)
        rows += [*planted, mean(f"{ledger.stem}, mean of {len(planted)}", planted)]
    for payments, units, seed in pack.YEARS[: arguments.seeds]:
        row, orders = measure(f"simulated, {payments:,} payments, seed {seed}", simulated(payments, units, seed))
        rows.append(row)
    print(pack.table(["ledger", "alerts", "true", *(f"{order}, %" for order in orders)], [[f"{cell:.0f}" if isinstance(cell, float) else cell for cell in row] for row in rows]))


if __name__ == "__main__":
    sys.exit(main())
