#!/usr/bin/env python3
"""Asks Prometheus what every panel of the dashboards asks, and says which get no answer.

    panels.py --prometheus http://127.0.0.1:9090 --dashboards config/grafana/dashboards [--absent METRIC,…] [--svg OUT]

A metric in --absent may be missing: its panels are told, and fail nothing. --svg draws the panels of one dashboard from
Prometheus' answers.
"""

import argparse
import json
import pathlib
import re
import sys
import time
import urllib.parse
import urllib.request

import draw


def main():
    args = arguments()
    prometheus = Prometheus(args.prometheus, args.minutes)
    absent = {name for name in args.absent.split(",") if name}
    empty, excused, total, used = [], [], 0, set()
    for path in sorted(pathlib.Path(args.dashboards).glob("*.json")):
        dashboard = json.loads(path.read_text())
        drawn = []
        for panel in dashboard["panels"]:
            if panel["type"] == "row":
                drawn.append((panel, []))
                continue
            answers = []
            for target in panel["targets"]:
                total += 1
                names = set(re.findall(r"fiscwatch_[a-z_]+", target["expr"]))
                used |= names
                series = prometheus.answer(target)
                answers.append((target, series))
                if not series:
                    place = f"{path.name}: {panel['title']}: {target['expr']}"
                    (excused if any(base(name) in absent for name in names) else empty).append(place)
            drawn.append((panel, answers))
        if args.svg:
            draw.dashboard(dashboard, drawn, pathlib.Path(args.svg) / f"{path.stem}.svg")
    for place in excused:
        print(f"not there yet, as expected: {place}")
    for place in empty:
        print(f"NO DATA: {place}")
    unused = sorted(absent - {base(name) for name in used})
    for name in unused:
        print(f"--absent names {name}, which no panel asks for")
    print(f"{total - len(empty) - len(excused)} of {total} queries returned data")
    return 1 if empty or unused else 0


def base(name):
    """The metric that a histogram's series belongs to."""
    return re.sub(r"_(bucket|count|sum)$", "", name)


class Prometheus:
    def __init__(self, url, minutes):
        self.url, self.end = url, time.time()
        self.range = f"{int(minutes * 60)}s"
        self.start = self.end - minutes * 60

    def answer(self, target):
        """Series with at least one number that is one: ({labels}, [(time, value), …])."""
        expr = target["expr"].replace("$__rate_interval", "15s").replace("$__range", self.range)
        expr = expr.replace("$instance", ".*")
        if "$" in expr:
            raise SystemExit(f"a variable that this script does not know: {expr}")
        if target["instant"]:
            result = self.get("query", query=expr, time=self.end)
            series = [(r["metric"], [r["value"]]) for r in result]
        else:
            step = max(1, int((self.end - self.start) / 120))
            result = self.get("query_range", query=expr, start=self.start, end=self.end, step=step)
            series = [(r["metric"], r["values"]) for r in result]
        numbers = lambda values: [(float(at), float(v)) for at, v in values if v not in ("NaN", "+Inf", "-Inf")]
        return [(labels, numbers(values)) for labels, values in series if numbers(values)]

    def get(self, path, **query):
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                return json.load(response)["data"]["result"]
        except urllib.error.HTTPError as e:
            raise SystemExit(f"Prometheus refuses {query['query']}: {e.read().decode()}") from e


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--prometheus", required=True)
    parser.add_argument("--dashboards", required=True)
    parser.add_argument("--minutes", type=float, default=5, help="how far back to look")
    parser.add_argument("--absent", default="", help="metrics that may be missing, with commas")
    parser.add_argument("--svg", help="a folder to draw the dashboards into")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
