"""./dev gpu sanitize and test, with stand-ins for the tools of a machine that has a GPU: what is said of what they print.
Argument: the source folder."""
import os
import pathlib
import subprocess
import sys
import tempfile

root = pathlib.Path(sys.argv[1])
summary = "========= ERROR SUMMARY: 0 errors"
finding = "========= Invalid __global__ write of size 4 bytes\n=========     at weft::add_kernel()+0x10"
race = "========= Error: Race reported between Write access and Read access"
killed = "========= COMPUTE-SANITIZER\n========= Error: process didn't terminate successfully"
wrong = []


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/bash\n" + text)
    path.chmod(0o755)


def run(verb, files, **environment):
    """The verb's output and status, with these programs in PATH or, if their name has a slash, in the build folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for file, text in files.items():
            program(folder / ("build/" + file if "/" in file else "bin/" + file), text)
        done = subprocess.run([root / "cmake/gpu.sh", verb], capture_output=True, text=True, timeout=60, env={
            **os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}", "WEFT_GPU_FOLDER": f"{folder}/build", **environment})
        return done.stdout + done.stderr, done.returncode


def expect(what, found, status, parts, absent=()):
    text, code = found
    if code != status or any(p not in text for p in parts) or any(p in text for p in absent):
        wrong.append(f"{what}: status {code}, expected {status}, {parts} and not {absent}\n{text}")


def sanitize(first, others, seconds="20"):
    """Part 0 of a tool does `first`, parts 1 to 3 `others`."""
    tool = f'case "$*" in *--first=1\\ *) {first} ;; *) {others} ;; esac\n'
    return run("sanitize", {"compute-sanitizer": tool, "tests/weft_tests": "echo 'cases: 8'\n", "nvidia-smi": "exit 1\n"},
               WEFT_SANITIZE_SECONDS=seconds)


def prints(text, then="true"):
    return f'printf "%s\\n" "{text}"; {then}'


good, slow = prints(summary), prints(killed, "sleep 9")
expect("clean", sanitize(good, good), 0, ["memcheck   4 ERROR SUMMARY: 0 errors"], ["FAILED", "unfinished"])
expect("a part by the clock", sanitize(slow, good, "1"), 0,
       ["memcheck   unfinished: 1 of 4", "memcheck   3 ERROR SUMMARY: 0 errors"], ["FAILED"])
expect("all by the clock", sanitize(slow, slow, "1"), 0, ["synccheck  unfinished: 4 of 4"], ["FAILED"])
for text in finding, race:
    expect("a finding before the clock", sanitize(prints(text, "sleep 9"), good, "1"), 1,
           ["memcheck   FAILED: 1 findings, 0 of 4 parts failed, 1 unfinished", text.splitlines()[0]])
    expect("a finding", sanitize(prints(text + chr(10) + summary, "exit 86"), good), 1,
           ["memcheck   FAILED: 1 findings, 1 of 4 parts failed, 0 unfinished"])
expect("a part without a summary", sanitize("true", good), 1, ["memcheck   FAILED: 0 findings, 0 of 4 parts failed"])
expect("a tool that is refused", sanitize(*2 * ["echo 'Error: device not supported'; exit 1"]), 0, ["memcheck   not run:"])

log = """one card: { cuda:0 cuda:0 }, allow_duplicates: 1.0e-08 from one rank; shares = 4: the same bits
[doctest] test cases: 5 | 4 passed | 1 failed | 0 skipped
SKIPPED: 2 cases that need more CUDA devices than the 1 here
SKIPPED: 1 cases or cells that need CUDA (none)
"""
folder = '${WEFT_GPU_FOLDER:?}'
tests = run("test", {"ctest": f'mkdir -p {folder}/Testing/Temporary; printf "%s" "{log}" >{folder}/Testing/Temporary/LastTest.log\n',
                     "tests/weft_tests": "echo 'one card: the same'\n", "examples/shapes": "echo learned\n"})
expect("the table of a test run", tests, 0, [
    "cases: 5 run, 4 passed; skipped for want of CUDA or of further cards: 3", "parallel on one card: { cuda:0 cuda:0 }",
    "two processes: the same bits", "learned"])
print("\n".join(wrong) or "ok")
sys.exit(bool(wrong))
