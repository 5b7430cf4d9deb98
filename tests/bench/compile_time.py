"""How long weft takes to compile. Usage: compile_time.py COMPILER BUILD_FOLDER [--builds]

A file that includes weft.h, at -O0: time and memory. With --builds, which takes minutes, also the library from nothing
(no cache of objects, no tests, no examples), and one operation edited in BUILD_FOLDER until the tests are linked again.
"""
import argparse
import os
import pathlib
import resource
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORES = len(os.sched_getaffinity(0))
EDITED = ["tensor/ops/softmax.cpp", "tensor/cpu/ops/softmax.cpp", "autograd/ops/softmax.cpp"]


def seconds(command, **options):
    start = time.monotonic()
    subprocess.run(command, check=True, **options)
    return time.monotonic() - start


def include_weft(compiler, build):
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "user.cpp")
        with open(source, "w") as file:
            file.write("#include <weft/weft.h>\n"
                       "int main() { return static_cast<int>(weft::ones({2}).sum().item<float>()); }\n")
        command = [compiler, "-std=c++20", "-O0", "-I", os.path.join(build, "include"), "-c", source,
                   "-o", source + ".o"]
        runs = sorted(seconds(command) for _ in range(3))
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"compile a file that includes weft.h, -O0: {runs[1]:.2f} s, {memory:.0f} MB   goal <= 1.5 s, <= 300 MB",
              flush=True)


def build_tree(build, target):
    command = ["cmake", "--build", str(build), "-j", str(CORES), "--target", target]
    return seconds(command, env={**os.environ, "CCACHE_DISABLE": "1"}, stdout=subprocess.DEVNULL)


def from_nothing(compiler):
    with tempfile.TemporaryDirectory() as folder:
        configure = ["cmake", "-S", str(ROOT), "-B", folder, "-DCMAKE_BUILD_TYPE=Release", "-DWEFT_CUDA=OFF",
                     "-DWEFT_TESTS=OFF", "-DWEFT_EXAMPLES=OFF", f"-DCMAKE_CXX_COMPILER={compiler}"]
        configured = seconds(configure, stdout=subprocess.DEVNULL)
        built = build_tree(folder, "weft")
        size = os.path.getsize(os.path.join(folder, "libweft.a")) / 2**20
        print(f"build the library from nothing, {CORES} cores: {built:.0f} s (and {configured:.1f} s to configure), "
              f"{size:.1f} MiB   goal <= 180 s on 2 cores", flush=True)


def edit_one_operation(build):
    build_tree(build, "weft_tests")  # what was out of date before
    for path in EDITED:
        os.utime(ROOT / path)
    print(f"edit softmax (its checks, CPU kernel and gradient), {CORES} cores, until the tests are linked: "
          f"{build_tree(build, 'weft_tests'):.0f} s", flush=True)


parser = argparse.ArgumentParser(usage=__doc__)
parser.add_argument("compiler")
parser.add_argument("build")
parser.add_argument("--builds", action="store_true")
arguments = parser.parse_args()
include_weft(arguments.compiler, arguments.build)
if arguments.builds:
    from_nothing(arguments.compiler)
    edit_one_operation(arguments.build)
