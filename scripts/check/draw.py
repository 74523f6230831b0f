"""Draws a dashboard as SVG: the same panels at the same places, from Prometheus' answers."""

import html
import math

COLUMN, ROW, GAP = 50, 26, 6
COLOURS = ["#5794f2", "#73bf69", "#f2cc0c", "#ff9830", "#f2495c", "#b877d9", "#37872d", "#8ab8ff", "#c4162a", "#fade2a"]


def dashboard(dashboard, panels, out):
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel, _ in panels) * ROW + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {24 * COLUMN} {height}" font-family="sans-serif" font-size="11" fill="#ccccdc">',
        f'<rect width="{24 * COLUMN}" height="{height}" fill="#111217"/>',
        text(10, 26, dashboard["title"], 17, "#ffffff"),
    ]
    for panel, answers in panels:
        grid = panel["gridPos"]
        x, y, w, h = grid["x"] * COLUMN, grid["y"] * ROW + 40, grid["w"] * COLUMN, grid["h"] * ROW
        if panel["type"] == "row":
            parts.append(text(x + 10, y + 18, panel["title"], 13, "#ffffff"))
            continue
        parts.append(f'<g transform="translate({x + GAP / 2},{y + GAP / 2})">')
        parts.append(f'<rect width="{w - GAP}" height="{h - GAP}" rx="2" fill="#181b1f" stroke="#2c3235"/>')
        parts.append(text(8, 16, panel["title"], 11.5, "#ffffff"))
        kinds = {"stat": stat, "timeseries": curves, "bargauge": bars}
        parts += kinds[panel["type"]](panel, named(answers), w - GAP, h - GAP)
        parts.append("</g>")
    parts.append("</svg>\n")
    out.write_text("\n".join(parts))


def named(answers):
    """(name, values) of every series, by the legend's template."""
    found = []
    for target, series in answers:
        for labels, values in series:
            name = target["legendFormat"].replace("__auto", "")
            for label, value in labels.items():
                name = name.replace("{{" + label + "}}", value)
            found.append((name, values))
    return found


def text(x, y, words, size, colour, anchor="start"):
    words = html.escape(str(words))
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{colour}" text-anchor="{anchor}">{words}</text>'


def stat(panel, series, w, h):
    if not series:
        return [text(w / 2, h / 2 + 12, "–", 22, "#6e7077", "middle")]
    name, values = series[0]
    unit, value = panel["fieldConfig"]["defaults"].get("unit"), values[-1][1]
    shown = name if panel["targets"][0]["legendFormat"] == "{{version}}" else figure(value, unit)
    return [text(w / 2, h / 2 + 16, shown, 22, threshold(panel, value), "middle")]


def threshold(panel, value):
    colours = {"text": "#ccccdc", "green": "#73bf69", "orange": "#ff9830", "red": "#f2495c", "blue": "#5794f2"}
    chosen = "text"
    for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]:
        if step["value"] is None or value >= step["value"]:
            chosen = step["color"]
    return colours[chosen]


def bars(panel, series, w, h):
    defaults = panel["fieldConfig"]["defaults"]
    most = defaults.get("max") or max([values[-1][1] for _, values in series] + [1e-9])
    room = max(1, int((h - 26) / 13))
    parts, tall = [], min(22, (h - 28) / max(1, min(len(series), room)))
    for at, (name, values) in enumerate(series[:room]):
        value, y = values[-1][1], 24 + at * tall
        wide = max(1, min(1, max(0, value) / most) * (w - 300))
        parts.append(text(176, y + tall * 0.62, name[:28], 10, "#ccccdc", "end"))
        parts.append(f'<rect x="182" y="{y + 1:.0f}" width="{wide:.0f}" height="{max(2, tall - 3):.0f}" fill="{threshold(panel, value)}"/>')
        parts.append(text(188 + wide, y + tall * 0.62, figure(value, defaults.get("unit")), 10, "#ccccdc"))
    return parts


def curves(panel, series, w, h):
    defaults = panel["fieldConfig"]["defaults"]
    left, top, right, bottom = 58, 26, w - 10, h - 34
    points = [p for _, values in series for p in values]
    if not points:
        return [text(w / 2, h / 2, "–", 22, "#6e7077", "middle")]
    t0, t1 = min(p[0] for p in points), max(p[0] for p in points)
    low = min(defaults.get("min", math.inf), min(p[1] for p in points))
    high = max(p[1] for p in points)
    high = high if high > low else low + 1
    parts = []
    for step in range(4):
        value = low + (high - low) * step / 3
        y = bottom - (bottom - top) * step / 3
        parts.append(f'<line x1="{left}" x2="{right}" y1="{y:.0f}" y2="{y:.0f}" stroke="#2c3235"/>')
        parts.append(text(left - 5, y + 4, figure(value, defaults.get("unit")), 9, "#8e8e9b", "end"))
    x_of = lambda t: left + (right - left) * ((t - t0) / (t1 - t0) if t1 > t0 else 0.5)
    y_of = lambda v: bottom - (bottom - top) * (v - low) / (high - low)
    at = left
    for number, (name, values) in enumerate(series[:10]):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x_of(t):.0f},{y_of(v):.0f}" for t, v in values)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        if at < right - 60:
            parts.append(f'<rect x="{at}" y="{h - 18}" width="10" height="3" fill="{colour}"/>')
            parts.append(text(at + 14, h - 13, name[:26], 9.5, "#ccccdc"))
            at += 26 + sum(10 if ord(c) > 255 else 6 for c in name[:26])
    return parts


def figure(value, unit):
    """A value as Grafana would show it, roughly."""
    if unit == "percentunit":
        return f"{value * 100:.1f}%"
    if unit == "s":
        return span(value)
    sign, size = ("-", -value) if value < 0 else ("", value)
    suffix = ""
    steps = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] if unit == "bytes" else [(1e8, "亿"), (1e4, "万")] if unit == "currencyCNY" else [(1e9, "G"), (1e6, "M"), (1e3, "k")]
    for step, name in steps:
        if size >= step:
            size, suffix = size / step, name
            break
    digits = 0 if suffix == "" and float(size).is_integer() else 2 if size < 10 else 1
    mark = "¥" if unit == "currencyCNY" else ""
    return f"{sign}{mark}{size:.{digits}f}{' ' if unit == 'bytes' else ''}{suffix}{'/s' if unit == 'ops' else ''}"


def span(value):
    for size, name in [(86400, "d"), (3600, "h"), (60, "min"), (1, "s")]:
        if abs(value) >= size:
            return f"{value / size:.1f} {name}"
    return f"{value * 1000:.1f} ms" if value else "0"
