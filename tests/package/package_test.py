#!/usr/bin/env python3
"""Builds and runs a foreign project, examples/embed as a rule, against weft, in one of the ways in which it can be taken.

  install       installs the build into work/prefix by way of another folder, so that a path baked in is found out
  find_package  the foreign project finds it by CMake
  pkg_config    ... and by pkg-config
  subdirectory  the foreign project adds weft's sources and builds a shared library
  cuda          a build with CUDA is installed and found in both ways by a project without nvcc, in C++ alone, which runs
                without a driver and says that no CUDA device is there
"""
import argparse
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EMBED = ROOT / "examples" / "embed"

parser = argparse.ArgumentParser()
parser.add_argument("mode", choices=["install", "find_package", "pkg_config", "subdirectory", "cuda"])
for name in "build work cmake generator compiler libdir build-type flags launcher onednn".split():
    parser.add_argument(f"--{name}", default="")
options = parser.parse_args()
work = pathlib.Path(options.work)
prefix = work / "prefix"


def run(*command, **more):
    command = [str(part) for part in command]
    print("+", shlex.join(command), flush=True)
    subprocess.run(command, check=True, **more)


def output(*command, **more):
    return subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True, **more).stdout


def install(prefix=prefix):
    first = work / f"{prefix.name}_first"
    for folder in (first, prefix):
        shutil.rmtree(folder, ignore_errors=True)
    run(options.cmake, "--install", options.build, "--prefix", first, stdout=subprocess.DEVNULL)
    first.rename(prefix)
    headers = {str(path.relative_to(prefix / "include")) for path in (prefix / "include").rglob("*.h")}
    assert {"weft/weft.h", "weft/version.h", "weft/tensor/tensor.h", "weft/tensor/ops/softmax.h"} <= headers, headers
    private = [header for header in headers if header.startswith(("weft/tensor/cpu/", "weft/cuda/"))]
    assert not private, f"private headers are installed: {private}"
    for path in prefix.rglob("*"):
        if path.suffix in (".cmake", ".pc"):
            for place in (ROOT, first, options.build):
                assert str(place) not in path.read_text(), f"{path} names {place}"


def build_embed(name, *settings):
    folder = work / name
    run(options.cmake, "-S", EMBED, "-B", folder, "-G", options.generator, f"-DCMAKE_CXX_COMPILER={options.compiler}", *settings)
    run(options.cmake, "--build", folder)
    run(folder / "embed")


def has_data():
    return (prefix / options.libdir / "pkgconfig" / "weft-data.pc").exists()


def find_package():
    shutil.rmtree(work / "find_package", ignore_errors=True)
    build_embed("find_package", f"-DCMAKE_PREFIX_PATH={prefix}")
    if has_data():
        probe = work / "components"
        shutil.rmtree(probe, ignore_errors=True)
        probe.mkdir()
        (probe / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.24)\nproject(probe LANGUAGES CXX)\n"
            "find_package(weft 0.1 REQUIRED COMPONENTS data)\nget_target_property(kind weft::data TYPE)\n")
        run(options.cmake, "-S", probe, "-B", probe / "build", "-G", options.generator, f"-DCMAKE_PREFIX_PATH={prefix}",
            f"-DCMAKE_CXX_COMPILER={options.compiler}")


def pkg_config():
    environment = dict(os.environ, PKG_CONFIG_PATH=str(prefix / options.libdir / "pkgconfig"))
    words = shlex.split(output("pkg-config", "--cflags", "--libs", "weft", env=environment))
    program = work / "embed_by_pkg_config"
    run(options.compiler, EMBED / "main.cpp", *words, "-o", program)
    run(program)
    if has_data():
        source = work / "data.cpp"
        source.write_text('#include <weft/nn/data/loader.h>\n#include <weft/nn/data/nifti.h>\n'
                          'int main() {\n  weft::data::write_png("dot.png", weft::data::Image{1, 1, 1, {7}});\n'
                          '  return weft::data::read_image("dot.png").pixels[0] == 7 ? 0 : 1;\n}\n')
        words = shlex.split(output("pkg-config", "--cflags", "--libs", "weft-data", env=environment))
        run(options.compiler, source, *words, "-o", work / "data_by_pkg_config")
        run(work / "data_by_pkg_config", cwd=work)


def subdirectory():
    build_embed("subdirectory", f"-DWEFT_SOURCE={ROOT}", "-DBUILD_SHARED_LIBS=ON", "-DWEFT_CUDA=OFF",
                "-DWEFT_BASELINE_ONLY=ON",
                f"-DWEFT_ONEDNN={options.onednn}", f"-DCMAKE_BUILD_TYPE={options.build_type}",
                f"-DCMAKE_CXX_FLAGS_RELWITHDEBINFO={options.flags}", f"-DCMAKE_CXX_COMPILER_LAUNCHER={options.launcher.replace(',', ';')}")
    library = next((work / "subdirectory" / "weft").glob("libweft.so"))
    exported = [line.split(maxsplit=2)[2] for line in output("nm", "-DC", "--defined-only", library).splitlines()]
    foreign = [name for name in exported if "weft::" not in name]
    assert exported and not foreign, f"the shared library exports {foreign[:10]} beside namespace weft"
    size = library.resolve().stat().st_size
    print(f"shared library with kernels of one instruction set: {size / 1e6:.1f} MB, {len(exported)} names exported")
    leaked = [line for line in output(options.cmake, "-L", "-N", work / "subdirectory").splitlines() if "TESTS:BOOL=ON" in line]
    assert not leaked, "embedded weft builds its tests"


def without_nvcc():
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CUDA")}
    folders = os.environ["PATH"].split(os.pathsep)
    environment["PATH"] = os.pathsep.join(folder for folder in folders if not (pathlib.Path(folder) / "nvcc").exists())
    assert not shutil.which("nvcc", path=environment["PATH"])
    return environment


def run_without_device(program):
    # On a machine with a GPU the driver hides it.
    text = output(program, env=dict(without_nvcc(), CUDA_VISIBLE_DEVICES=""))
    print(text, end="")
    reasons = ("cuda is not available: no CUDA driver (weft was built for CUDA ",
               "cuda is not available: the driver sees no device (CUDA_VISIBLE_DEVICES is '')")
    assert text.startswith("0 CUDA devices: ") and any(reason in text for reason in reasons), text
    assert "libcuda.so" not in output("readelf", "-d", program), "the program wants the driver"


def cuda():
    own_prefix, source, folder = work / "cuda_prefix", ROOT / "tests" / "package" / "no_device", work / "no_device"
    install(own_prefix)
    shutil.rmtree(folder, ignore_errors=True)
    run(options.cmake, "-S", source, "-B", folder, "-G", options.generator, f"-DCMAKE_CXX_COMPILER={options.compiler}",
        f"-DCMAKE_PREFIX_PATH={own_prefix}", env=without_nvcc())
    assert "CMAKE_CUDA_COMPILER" not in (folder / "CMakeCache.txt").read_text(), "the project has come to need nvcc"
    run(options.cmake, "--build", folder, env=without_nvcc())
    run_without_device(folder / "no_device")
    environment = dict(without_nvcc(), PKG_CONFIG_PATH=str(own_prefix / options.libdir / "pkgconfig"))
    words = shlex.split(output("pkg-config", "--cflags", "--libs", "weft", env=environment))
    program = work / "no_device_by_pkg_config"
    run(options.compiler, source / "main.cpp", *words, "-o", program, env=environment)
    run_without_device(program)


if not shutil.which("pkg-config") and options.mode in ("pkg_config", "cuda"):
    print("pkg-config is missing")
    sys.exit(1)
globals()[options.mode]()
