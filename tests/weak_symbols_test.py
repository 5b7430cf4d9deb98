#!/usr/bin/env python3
"""No object compiled for one instruction set defines a weak symbol: the linker might keep that copy for every machine.

  weak_symbols_test.py NM CXX LIST…      (LIST: a file naming objects, one on a line)
"""
import pathlib
import subprocess
import sys
import tempfile

nm, compiler, lists = sys.argv[1], sys.argv[2], sys.argv[3:]
HARMLESS = "DW.ref.__gxx_personality_v0"  # a pointer, no code


def weak_symbols(path):
    lines = subprocess.run([nm, "--defined-only", "-C", str(path)], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    parts = (line.split(maxsplit=2) for line in lines)
    return [part[2] for part in parts if len(part) == 3 and part[1] in "WwVvu" and part[2] != HARMLESS]


# A check that cannot fail is none: an object with an inline function that is emitted must be found out.
with tempfile.TemporaryDirectory() as folder:
    source, planted = pathlib.Path(folder, "planted.cpp"), pathlib.Path(folder, "planted.o")
    source.write_text("inline int planted() { return 1; }\nint (*use())() { return planted; }\n")
    subprocess.run([compiler, "-c", source, "-o", planted], check=True)
    assert weak_symbols(planted) == ["planted()"], "nm does not show the planted weak symbol"

objects = [line for name in lists for line in pathlib.Path(name).read_text().split()]
count = 0
for path in objects:
    for symbol in weak_symbols(path):
        print(f"{path}: weak: {symbol}")
        count += 1
print(f"{len(objects)} objects, {count} weak symbols")
sys.exit(1 if count or not objects else 0)
