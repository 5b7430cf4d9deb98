#!/usr/bin/env python3
"""Every entry point of the simulator stands in the tests of the plan of faults, or is known to have no fault.

  entry_points_test.py
"""
import pathlib
import re
import sys

folder = pathlib.Path(__file__).resolve().parent
WITHOUT = {  # texts, versions of libraries, and errors themselves
    "cudaGetErrorName", "cudaGetErrorString", "cudaGetLastError", "cudaPeekAtLastError", "cublasGetStatusName",
    "cublasGetStatusString", "cudnnGetVersion", "cudnnGetErrorString", "cudnnGetLastErrorString", "ncclGetErrorString",
    "ncclGetLastError"}
ELSEWHERE = {"ncclGroupEnd", "ncclCommAbort", "ncclCommRevoke"}  # in self/nccl_test.cpp and nccl_test.cpp, in words

pattern = re.compile(r"^\w[\w ]*[ *&]((?:cuda|cublas|cudnn|nccl)[A-Z]\w*)\(", re.M)
found = set()
for path in folder.rglob("*.cpp"):
    if not path.name.endswith("_test.cpp") and path.parent.name != "mutants":
        found |= {re.sub("_v2$", "", name) for name in pattern.findall(path.read_text())}
tests = "".join((folder / "self" / name).read_text() for name in ("entry_points_test.cpp", "nccl_test.cpp"))
tested = set(re.findall(r"ROW\(\s*\w+,\s*(\w+)", tests))
lost = sorted(found - tested - WITHOUT - ELSEWHERE)
for name in lost:
    print(f"{name} has no row in self/entry_points_test.cpp or self/nccl_test.cpp")
print(f"{len(found)} entry points, {len(found & tested)} with a fault, {len(lost)} without a test of it")
sys.exit(1 if lost or len(found & tested) < 60 else 0)
