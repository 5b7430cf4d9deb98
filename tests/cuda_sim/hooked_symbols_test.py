#!/usr/bin/env python3
"""No weak symbol of a kernel's object, compiled with the simulator's hooks, is also defined by an object without them: the
linker keeps one of the two, and kernels would run unchecked.

  hooked_symbols_test.py NM HOOKED_LIST PLAIN_LIST…      (a LIST: a file naming objects, one on a line)
"""
import pathlib
import subprocess
import sys

nm, hooked_list, plain_lists = sys.argv[1], sys.argv[2], sys.argv[3:]
HOST_ONLY = ("std::_Sp_counted", "weft::cuda::Workspace")  # owners of arguments and of scratch memory, which no kernel calls


def objects(name):
    return pathlib.Path(name).read_text().split()


def weak_symbols(paths):
    lines = subprocess.run([nm, "--defined-only", "-C", *paths], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    parts = (line.split(maxsplit=2) for line in lines)
    return {part[2] for part in parts if len(part) == 3 and part[1] in "Ww"}


hooked = weak_symbols(objects(hooked_list))
plain = weak_symbols([path for name in plain_lists for path in objects(name)])
common = {name for name in hooked & plain if not name.startswith(HOST_ONLY)}
for name in sorted(common):
    print("hooked and not hooked:", name)
print(f"{len(hooked)} weak symbols of kernels, {len(plain)} of other objects, {len(common)} of both")
sys.exit(1 if common or not hooked or not plain else 0)
