#!/usr/bin/env python3
"""Holds the dependency line  parallel -> nn -> autograd -> tensor <- cuda  by reading the include lines.

Also: nobody includes cuda/ but cuda/ and tests/, CUDA's own headers stay in there too, tensor/cpu/ is tensor/'s alone,
kernels see no Tensor, public headers stay light, and no source asks whether the build has CUDA.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAY = {  # who may include whom, beside itself
    "tensor": {"tensor"},
    "autograd": {"autograd", "tensor"},
    "nn": {"nn", "autograd", "tensor"},
    "parallel": {"parallel", "nn", "autograd", "tensor"},
    "cuda": {"cuda", "tensor"},
    "examples": {"parallel", "nn", "autograd", "tensor"},
    "tests": {"parallel", "nn", "autograd", "tensor", "cuda"},
}
CUDA_HEADER = re.compile(r"^(cuda|cublas|cudnn|nccl|curand|cub/|thrust/|nvtx|nvToolsExt)")
HEAVY = re.compile(r"^(Eigen/|nlohmann/|dnnl|oneapi/|omp\.h|iostream$|regex$)")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
KERNEL_MAY_SEE = re.compile(r"^weft/tensor/(tensor|storage|random|per_device)\.h$")


def faults(path, text):
    """The broken rules of one file; `path` is relative to the repository."""
    layer = path.parts[0]
    kernel = path.parts[:3] in [("tensor", "cpu", "ops")] or path.suffix in (".cu", ".cuh")
    public = path.suffix == ".h" and layer in ("tensor", "autograd", "nn", "parallel") and path.parts[:2] != ("tensor", "cpu")
    for number, line in enumerate(text.splitlines(), 1):
        if layer != "tests" and re.match(r"\s*#\s*(if|ifdef|ifndef|elif)\b.*\bWEFT_(HAS_)?CUDA\b", line):
            yield number, "asks whether the build has CUDA; only CMake and tests may"
        match = INCLUDE.match(line)
        if not match:
            continue
        name = match[2]
        if CUDA_HEADER.match(name) and layer not in ("cuda", "tests"):
            yield number, f"{name} outside cuda/ and tests/"
        if public and HEAVY.match(name):
            yield number, f"{name} in a public header"
        if kernel and layer != "tests" and KERNEL_MAY_SEE.match(name):
            yield number, f"{name} in a file of kernels, which see plain arguments only"
        if match[1] == '"' and "/" not in name and layer in MAY and layer not in ("tests", "examples"):
            yield number, f'"{name}": write the whole name, "weft/{layer}/…"'
        if name.startswith("weft/"):
            target = name.split("/")[1]
            if target in MAY and target not in MAY.get(layer, set()):
                yield number, f"{name}: {layer}/ may not include {target}/"
            if name.startswith("weft/tensor/cpu/") and layer not in ("tensor", "tests"):
                yield number, f"{name}: tensor/cpu/ is private to tensor/"


def self_test():
    """Each rule catches what it is there for."""
    bad = [
        ("tensor/a.h", '#include "weft/autograd/node.h"'), ("autograd/a.cpp", '#include "weft/nn/module.h"'),
        ("nn/a.cpp", '#include "weft/parallel/worker.h"'), ("parallel/a.cpp", '#include <weft/cuda/stream.h>'),
        ("examples/a.cpp", '#include "weft/cuda/stream.h"'), ("cuda/a.cpp", '#include "weft/autograd/node.h"'),
        ("tensor/a.cpp", "#include <cuda_runtime.h>"), ("nn/a.h", "  # include <iostream>"),
        ("tensor/cpu/ops/a.cpp", '#include "weft/tensor/tensor.h"'), ("cuda/ops/a.cu", '#include "weft/tensor/storage.h"'),
        ("nn/a.cpp", "#ifdef WEFT_CUDA"), ("autograd/a.cpp", '#include "weft/tensor/cpu/loops.h"'),
        ("tensor/a.cpp", '#include "shape.h"'),
    ]
    good = [
        ("parallel/a.cpp", '#include "weft/nn/module.h"'), ("cuda/a.cpp", '#include "weft/tensor/backend.h"'),
        ("tests/cuda/a_test.cpp", '#include "weft/cuda/stream.h"'), ("cuda/check.h", "#include <cudnn.h>"),
        ("tensor/a.cpp", "#include <iostream>"), ("tensor/cpu/ops/a.cpp", '#include "weft/tensor/kernel.h"'),
    ]
    for path, text in bad:
        assert list(faults(pathlib.PurePath(path), text)), f"not caught: {path}: {text}"
    for path, text in good:
        assert not list(faults(pathlib.PurePath(path), text)), f"wrongly caught: {path}: {text}"


def main():
    self_test()
    files = [path for layer in MAY for path in sorted((ROOT / layer).rglob("*"))
             if path.suffix in (".h", ".cpp", ".cu", ".cuh")]
    count = 0
    for path in files:
        for number, fault in faults(path.relative_to(ROOT), path.read_text()):
            print(f"{path.relative_to(ROOT)}:{number}: {fault}")
            count += 1
    print(f"{len(files)} files, {count} faults")
    return 1 if count or not files else 0


sys.exit(main())
