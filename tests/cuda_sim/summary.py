#!/usr/bin/env python3
"""What the simulator's tests did, added up from the log of ctest; fails if a part of it is missing.

  summary.py BUILD_FOLDER [FILTER]      (a FILTER: only some tests ran, so nothing is asked for)
"""
import collections
import pathlib
import re
import sys

log = pathlib.Path(sys.argv[1], "Testing", "Temporary", "LastTest.log").read_text(errors="replace")
partial = len(sys.argv) > 2 and sys.argv[2] != ""
blocks = re.split(r"^\d+/\d+ Testing: ", log, flags=re.M)[1:]

kernels = cases = rows = comparisons = mutants = 0
schedules = set()
faults = collections.Counter()
refused = collections.Counter()
for block in blocks:
    name = block.split("\n", 1)[0].strip()
    for found in re.findall(r"^simulated: (\d+) kernels", block, flags=re.M):
        kernels += int(found)
    for found in re.findall(r"^\[doctest\] test cases: +(\d+)", block, flags=re.M):
        cases += int(found)
    for count, compared in re.findall(r"^op table: (\d+) rows, (\d+) comparisons", block, flags=re.M):
        rows, comparisons = rows + int(count), comparisons + int(compared)
    if name.startswith("sim/schedules/"):
        schedules.add(name)
    for kind, fired, steps in re.findall(r"MESSAGE: (.+): (\d+) faults fired at \d+ places, (\d+) steps refused", block):
        faults[kind] += int(fired)
        refused[kind] += int(steps)
    for found in re.findall(r"MESSAGE: (\d+) (?:small )?mutants? of .*reported", block):
        mutants += int(found)

print(f"== simulator: {len(blocks)} entries of ctest, {cases} cases, {kernels} kernels executed")
print(f"   op table: {rows} rows, {comparisons} comparisons")
print(f"   schedules: {len(schedules)} (policies x seeds)")
for kind in faults:
    print(f"   faults fired, {kind}: {faults[kind]}, steps refused: {refused[kind]}")
print(f"   mutants reported: {mutants}")
lacking = [what for what, count in {"rows": rows, "schedules": len(schedules), "faults": len(faults), "mutants": mutants,
                                    "kernels": kernels}.items() if not count]
if lacking and not partial:
    sys.exit("simulator: none of these: " + ", ".join(lacking))
