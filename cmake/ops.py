#!/usr/bin/env python3
"""Lists the operations by layer, from the folders, and what a layer lacks. With --check it fails if cuda/ops lacks a kernel."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LAYERS = {  # title: pattern; a stem is an operation's name
    "tensor": ("tensor/ops", (".h",)),
    "cpu": ("tensor/cpu/ops", (".cpp",)),
    "cuda": ("cuda/ops", (".cu", ".cpp")),
    "autograd": ("autograd/ops", (".h",)),
    "tests": ("tests/ops", ("_test.cpp",)),
}


def stems(folder, endings):
    names = set()
    for path in (ROOT / folder).glob("*"):
        for ending in endings:
            if path.name.endswith(ending):
                names.add(path.name.removesuffix(ending))
    return names


def main():
    have = {title: stems(*where) for title, where in LAYERS.items()}
    # Kernels on the CPU side may also stand in one of the baseline's adapters (matmul, conv2d): a slot is what counts there.
    names = sorted(set.union(*have.values()))
    width = max([len(name) for name in names] + [9])
    print(f"{'operation':{width}}", *(f"{title:8}" for title in LAYERS))
    for name in names:
        print(f"{name:{width}}", *(f"{'x' if name in have[title] else '-':8}" for title in LAYERS))
    lacking = {
        "cuda": sorted(have["cpu"] - have["cuda"]),
        "tests": sorted(have["tensor"] - have["tests"]),
    }
    print(f"{len(names)} names;", *(f"{title} {len(have[title])}," for title in LAYERS))
    for title, missing in lacking.items():
        if missing:
            print(f"{LAYERS[title][0]} lacks {len(missing)}: {' '.join(missing)}")
    return 1 if "--check" in sys.argv and lacking["cuda"] else 0


sys.exit(main())
