"""The program examples/profile and the picture of its trace, as somebody makes them.

    profile_test.py PROFILE
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

source = pathlib.Path(__file__).resolve().parent.parent.parent
with tempfile.TemporaryDirectory() as folder:
    trace, picture = pathlib.Path(folder) / "trace.json", pathlib.Path(folder) / "trace.svg"
    table = subprocess.run([sys.argv[1], trace], check=True, capture_output=True, text=True, timeout=280).stdout
    subprocess.run([sys.executable, source / "examples/draw_trace.py", trace, picture], check=True, timeout=60)
    events = json.loads(trace.read_text(encoding="utf-8"))["traceEvents"]
    drawing = xml.etree.ElementTree.parse(picture).getroot()

calls = {m[1]: int(m[2]) for m in re.finditer(r"^ *(\S.*?)  +(\d+) ", table, re.M)}
assert calls["conv2d"] == 8 and calls["forward"] == 1 and calls["adam_update"] == 4, calls
assert sum(e["ph"] == "X" and e["name"] == "conv2d" and e["cat"] == "operation" for e in events) == calls["conv2d"]

space = "{http://www.w3.org/2000/svg}"
texts = [text.text for text in drawing.iter(f"{space}text")]
titles = [title.text for title in drawing.iter(f"{space}title")]
assert all(row in texts for row in ["cpu:0", "cpu:1", "cpu:2", "cpu:3", "host, main"]), texts
bars = sum(e["ph"] == "X" and e["cat"] in ("operation", "copy") for e in events)
drawn = sum(bool(re.fullmatch(r"[a-z].*, \d+ us", title)) for title in titles)
assert drawn >= bars >= 4 * 20, (drawn, bars)  # at least twenty operations of each device
left, width = 86, 860
for bar in drawing.iter(f"{space}rect"):
    if bar.find(f"{space}title") is not None:
        assert left <= float(bar.get("x")) and float(bar.get("x")) + float(bar.get("width")) <= width, bar.attrib
print(f"{len(events)} events, {drawn} bars")
