#!/usr/bin/env python3
"""What the simulator's tests did, added up from the log of ctest; fails if too little of a part of it is there.

  summary.py BUILD_FOLDER [FILTER]      (a FILTER: only some tests ran, so nothing is asked for)
"""
import collections
import pathlib
import re
import sys

log = pathlib.Path(sys.argv[1], "Testing", "Temporary", "LastTest.log").read_text(errors="replace")
partial = len(sys.argv) > 2 and sys.argv[2] != ""
blocks = re.split(r"^\d+/\d+ Testing: ", log, flags=re.M)[1:]

kernels = cases = rows = comparisons = mutants = real_mutants = 0
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
    for found, what in re.findall(r"MESSAGE: (\d+) (?:small )?mutants? of (.*)reported", block):
        mutants += int(found)
        real_mutants += int(found) if what.startswith("the real code") else 0

print(f"== simulator: {len(blocks)} entries of ctest, {cases} cases, {kernels} kernels executed")
print(f"   op table: {rows} rows, {comparisons} comparisons")
print(f"   schedules: {len(schedules)} (policies x seeds)")
for kind in faults:
    print(f"   faults fired, {kind}: {faults[kind]}, steps refused: {refused[kind]}")
print(f"   mutants reported: {mutants}, {real_mutants} of them in weft's own code")

# The kinds of faults are those that the simulator names; without NCCL its own are not there.
names = re.search(r"names\[\] = \{(.*?)\};", pathlib.Path(__file__).with_name("faults.cpp").read_text(), re.S)
kinds = re.findall(r'"([^"]+)"', names.group(1))
if not any("/nccl" in block.split("\n", 1)[0] for block in blocks):
    kinds = [kind for kind in kinds if not kind.startswith("nccl")]
fired = collections.Counter()
for text, count in faults.items():  # "malloc twice in a row", "query, first use of a device", "device lost by release"
    for kind in kinds:
        if any(re.match(re.escape(kind) + r"(?!\w|'|-| of )", part) for part in (text, text.removeprefix("device lost by "))):
            fired[kind] += count
wanted = {"rows": (rows, 1), "kernels": (kernels, 1), "schedules": (len(schedules), 15), "mutants": (mutants, 20),
          "mutants of weft's own code": (real_mutants, 10), **{f"faults fired, {kind}": (fired[kind], 1) for kind in kinds}}
lacking = [f"{what} ({count}; at least {least})" for what, (count, least) in wanted.items() if count < least]
if lacking and not partial:
    sys.exit("simulator: too few: " + ", ".join(lacking))
