#!/usr/bin/env python3
"""Draws a trace that Profile::save_trace wrote: a row per device (per stream, per thread), a bar per operation.

    draw_trace.py TRACE.json PICTURE.svg

Colours say what kind of operation it is, by its name; the host's rows show ranges, passes and collectives, nested.
"""
import json
import sys
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT = 860, 86, 12
BAR, GAP, NEST = 22, 8, 17
KINDS = [  # legend, colour, what names contain
    ("convolution, product", "#4878d0", ("conv", "matmul", "linear")),
    ("normalisation", "#59a14f", ("norm",)),
    ("loss", "#e15759", ("cross_entropy", "softmax", "loss")),
    ("update", "#b07aa1", ("update", "foreach")),
    ("copy between devices", "#f28e2b", ("copy ",)),
    ("elementwise, reduction, other", "#9aa5b1", ("",)),
]
HOST = {"range": "#dfe8f5", "pass": "#e3e9dd", "collective": "#fbe3c8", "meeting": "#eee0ea", "wait": "#f6d5d5"}


def colour(event):
    if event["cat"] in HOST:
        return HOST[event["cat"]]
    return next(c for _, c, words in KINDS if any(word in event["name"] for word in words))


def nested(events):
    """Gives each bar its level below those that contain it; the number of levels."""
    open_ends, depth = [], 0
    for e in sorted(events, key=lambda e: (e["ts"], -e["dur"])):
        while open_ends and open_ends[-1] <= e["ts"] + 1e-3:
            open_ends.pop()
        e["level"] = len(open_ends)
        open_ends.append(e["ts"] + e["dur"])
        depth = max(depth, len(open_ends))
    return depth


def ticks(length):
    step = 10.0 ** -9
    for factor in (2, 2.5, 2) * 30:
        if length / step <= 9:
            break
        step *= factor
    return [i * step for i in range(int(length / step) + 1)]


def rows_of(trace):
    """[(label, is it the host's, events)], devices first."""
    processes, names, rows = {}, {}, {}
    for e in trace["traceEvents"]:
        if e["ph"] == "M" and e["name"] == "process_name":
            processes[e["pid"]] = e["args"]["name"]
        elif e["ph"] == "M" and e["name"] == "thread_name":
            names[e["pid"], e["tid"]] = e["args"]["name"]
        elif e["ph"] == "X" and e["cat"] not in ("node", "launch"):
            host = processes[e["pid"]] == "host"
            if not host or names[e["pid"], e["tid"]] == "main":
                rows.setdefault((not host, e["pid"], e["tid"] if host else 0), []).append(e)
    ordered = sorted(rows.items(), key=lambda row: (not row[0][0], row[0]))
    return [("host, main" if not key[0] else processes[key[1]], not key[0], events) for key, events in ordered]


def draw(trace):
    rows = rows_of(trace)
    bars = [e for _, _, events in rows for e in events]
    begin, end = min(e["ts"] for e in bars), max(e["ts"] + e["dur"] for e in bars)
    scale = (WIDTH - LEFT - RIGHT) / (end - begin)
    x_of = lambda t: LEFT + (t - begin) * scale
    body, y = [], 44
    for label, host, events in rows:
        height = nested(events) * NEST if host else BAR
        body.append(f'<text x="{LEFT - 8}" y="{y + min(height, BAR) / 2 + 4:.0f}" text-anchor="end">{escape(label)}</text>')
        body.append(f'<rect x="{LEFT}" y="{y}" width="{WIDTH - LEFT - RIGHT}" height="{height}" fill="#f6f7f9"/>')
        for e in sorted(events, key=lambda e: e["ts"]):
            x, width = x_of(e["ts"]), e["dur"] * scale
            top, size = (y + e["level"] * NEST, NEST - 1) if host else (y, BAR)
            body.append(f'<rect x="{x:.1f}" y="{top}" width="{max(width, 0.4):.1f}" height="{size}" fill="{colour(e)}">'
                        f'<title>{escape(e["name"])}, {e["dur"]:.0f} us</title></rect>')
            if width > 6.4 * len(e["name"]) + 4:
                ink = "#333" if host else "#fff"
                body.append(f'<text x="{x + 4:.1f}" y="{top + size / 2 + 4:.1f}" font-size="11" fill="{ink}">{escape(e["name"])}</text>')
        y += height + GAP
    axis = []
    for t in ticks((end - begin) / 1000):
        x = x_of(begin + t * 1000)
        axis.append(f'<path d="M{x:.1f} 40V{y}" stroke="#d8dce2"/><text x="{x:.1f}" y="{y + 14}" text-anchor="middle">{t:g}</text>')
    axis.append(f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">ms</text>')
    legend, x = [], LEFT
    for name, fill, _ in KINDS:
        legend.append(f'<rect x="{x}" y="14" width="12" height="12" fill="{fill}"/><text x="{x + 16}" y="24">{name}</text>')
        x += 30 + 6.6 * len(name)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 24}" font-family="sans-serif" font-size="12">\n'
            f'<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(legend + axis + body) + "\n</svg>\n")


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        picture = draw(json.load(file))
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(picture)
