#!/usr/bin/env python3
"""Registers and spills of every CUDA kernel, as ptxas reported them during the build.

  kernel_table.py --record COMPILER ARGUMENTS…   runs the compiler; keeps what ptxas says beside the object file
  kernel_table.py FOLDER [--all]                 prints the table of a build folder; fails past the limits
"""
import argparse
import collections
import pathlib
import re
import shutil
import subprocess
import sys

# 65,536 registers per multiprocessor: with 128 a kernel still runs in blocks of 512 threads. A spill is traffic nobody asked for.
MAX_REGISTERS = 128
MAX_SPILL_BYTES = 0

Kernel = collections.namedtuple("Kernel", "file architecture name registers spill shared")


def record(command):
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    lines = done.stderr.splitlines()
    kept = [line for line in lines if line.startswith("ptxas info") or "bytes stack frame" in line]
    if "-o" in command and any("Used" in line for line in kept):
        pathlib.Path(command[command.index("-o") + 1] + ".ptxas").write_text("\n".join(kept) + "\n")
    for line in lines:
        if line not in kept:
            print(line, file=sys.stderr)
    return done.returncode


def parse(path):
    name = architecture = ""
    spill = 0
    for line in path.read_text().splitlines():
        if match := re.search(r"Compiling entry function '(\w+)' for '(\w+)'", line):
            name, architecture = match.groups()
            spill = 0
        elif match := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line):
            spill += int(match[1]) + int(match[2])
        elif name and (match := re.search(r"Used (\d+) registers", line)):
            shared = re.search(r"(\d+) bytes smem", line)
            yield Kernel(path.name.removesuffix(".o.ptxas"), architecture, name, int(match[1]), spill,
                         int(shared[1]) if shared else 0)
            name = ""


def demangle(names):
    if not shutil.which("c++filt"):
        return dict(zip(names, names))
    plain = subprocess.run(["c++filt", *names], stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    return dict(zip(names, (re.sub(r"^void |\(.*", "", line.replace("(anonymous namespace)::", "")) for line in plain)))


def table(folder, everything):
    kernels = [kernel for path in sorted(pathlib.Path(folder).rglob("*.ptxas")) for kernel in parse(path)]
    if not kernels:
        print(f"kernel_table: no report of ptxas under {folder}; build with WEFT_CUDA=ON and Python first")
        return 1
    names = demangle(sorted({kernel.name for kernel in kernels}))
    bad = [k for k in kernels if k.registers > MAX_REGISTERS or k.spill > MAX_SPILL_BYTES]
    groups = collections.defaultdict(list)
    for kernel in kernels:
        groups[kernel.file, kernel.architecture].append(kernel)
    print(f"{'file':24} {'target':7} {'kernels':>7} {'registers':>9} {'spilled B':>9} {'shared B':>8}  the hungriest")
    for (file, architecture), members in sorted(groups.items()):
        top = max(members, key=lambda k: (k.spill, k.registers))
        print(f"{file:24} {architecture:7} {len(members):7} {max(k.registers for k in members):9} "
              f"{sum(k.spill for k in members):9} {max(k.shared for k in members):8}  {names[top.name][:70]}")
    for kernel in kernels if everything else bad:
        word = "over the limit" if kernel in bad else "kernel"
        print(f"{word}: {kernel.file} {kernel.architecture} {names[kernel.name]}: "
              f"{kernel.registers} registers, {kernel.spill} bytes spilled")
    print(f"{len(kernels)} kernels; limits: {MAX_REGISTERS} registers, {MAX_SPILL_BYTES} bytes spilled; {len(bad)} over them")
    return 1 if bad else 0


def main():
    if sys.argv[1:2] == ["--record"]:
        return record(sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--all", action="store_true", help="every kernel on a line of its own")
    options = parser.parse_args()
    return table(options.folder, options.all)


sys.exit(main())
