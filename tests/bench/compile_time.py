"""Compile time and memory of a file that includes weft.h, at -O0. Usage: compile_time.py COMPILER BUILD_FOLDER"""
import os
import resource
import subprocess
import sys
import tempfile
import time

compiler, build = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    source = os.path.join(folder, "user.cpp")
    with open(source, "w") as file:
        file.write("#include <weft/weft.h>\nint main() { return static_cast<int>(weft::ones({2}).sum().item<float>()); }\n")
    command = [compiler, "-std=c++20", "-O0", "-I", os.path.join(build, "include"), "-c", source, "-o", source + ".o"]
    runs = []
    for _ in range(3):
        start = time.monotonic()
        subprocess.run(command, check=True)
        runs.append(time.monotonic() - start)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"compile a file that includes weft.h, -O0: {sorted(runs)[1]:.2f} s, {memory:.0f} MB   goal <= 1.5 s, <= 300 MB")
