#!/usr/bin/env python3
"""Writes the golden files beside this script: values and gradients of operations as PyTorch computes them.

    python3 make_golden.py [NAME…]    (any PyTorch for the CPU, with torchvision; Debian: python3-torchvision)

Runs cases/NAME.py, or all of them; a new family of operations is a file there and a NAME_golden_test.cpp here. One .npz per
operation. Its arrays are named CASE/WHAT: inputs x0, x1, …; the result y; the incoming gradient dy; gradients dx0, dx1, … of
the floating inputs; for some, u0, … and dd0, …: the gradients by x0, … and dy of sum(u0 dx0 + …); more results by name.
Everything is computed in float64 from float32 inputs and stored rounded to float32.
"""
import pathlib
import runpy
import sys

import torch

import golden

HERE = pathlib.Path(__file__).resolve().parent


def main():
    for name in sys.argv[1:] or sorted(path.stem for path in (HERE / "cases").glob("*.py")):
        runpy.run_path(str(HERE / "cases" / f"{name}.py"))
    total = 0
    for op, arrays in golden.files.items():
        path = HERE / f"{op}.npz"
        golden.save(path, arrays)
        total += path.stat().st_size
        print(f"{path.name}: {len(arrays)} arrays, {path.stat().st_size} bytes")
    print(f"{total} bytes, PyTorch {torch.__version__}")


main()
