#!/usr/bin/env python3
"""Plants the faults of table.py in copies of weft's sources, one at a time, and sees whether the tests notice.

    python3 tests/parallel/mutants/run.py [-j 2] [--build build/dev] [--only TEXT]… [--missing] [--write]

For each fault: the copy is compiled as its original was, the test programs are linked with it in the original's place,
and their tests of parallel/ and of optimizers run, on CPU devices and, where they survive that, on simulated CUDA
devices (if the build has them). A build in --build must be up to date. With --write each result takes its row in
RESULTS.md as it comes, and the others keep theirs; --missing tries the faults that have none there.
"""
import argparse
import concurrent.futures
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

from table import MUTANTS

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
FILES = "*tests/parallel/*,*nn/optim_test*,*nn/grad_scaler_test*,*nn/batch_norm_test*,*autograd/*"
SIMULATED = "*cuda_sim/training*,*cuda_sim/nccl_training*,*cuda_sim/device_lost*,*cuda_sim/scaled_failure*"
PROGRAMS = [("weft_tests", FILES, "CPU", {}), ("weft_tests_sim", FILES + "," + SIMULATED, "simulated CUDA", {}),
            ("weft_tests_sim", "*tests/parallel/*", "simulated CUDA without NCCL", {"WEFT_NCCL": "0"})]
SLOW = "segmentation training*"
SECONDS = 100  # of a program; a fault that makes it wait is noticed by then, on a machine that does nothing else
RESULTS = HERE / "RESULTS.md"


class Build:
    def __init__(self, folder):
        self.folder = folder
        commands = json.loads((folder / "compile_commands.json").read_text())
        self.commands = {c["file"]: c["command"] for c in commands}
        self.links = {}
        for program, *_ in PROGRAMS:
            found = subprocess.run(["ninja", "-t", "commands", f"tests/{program}"], cwd=folder, capture_output=True,
                                   text=True)
            if found.returncode == 0:
                self.links[program] = found.stdout.strip().splitlines()[-1]

    def compile(self, file, source, out):
        words = shlex.split(self.commands[str(ROOT / file)])
        original = words[words.index("-o") + 1]
        words[words.index("-o") + 1] = str(out)
        words[words.index("-c") + 1] = str(source)
        done = subprocess.run(words + ["-w"], cwd=self.folder, capture_output=True, text=True)
        return original, done.stderr if done.returncode else ""

    def link(self, program, original, replacement, out):
        command = self.links[program].replace(f" {original} ", f" {replacement} ")
        assert str(replacement) in command, f"{original} is not part of {program}"
        command = re.sub(r" -o \S+", f" -o {out}", command)
        subprocess.run(command, shell=True, cwd=self.folder, check=True, capture_output=True)


def first_failure(output):
    case = ""
    for line in output.splitlines():
        if line.startswith("TEST CASE:"):
            case = line[len("TEST CASE:"):].strip()
        if after := re.search("FAILED after the case '(.*?)': ", line):
            return after[1]
        if "ERROR" in line or "FAILED after" in line:
            return case or line.strip()
    return "it ended badly"


def run_tests(path, files, file, environment):
    slow = SLOW if re.search("pool|worker", file) else SLOW + ",random workloads*,threads delayed*"
    words = [str(path), f"--source-file={files}", f"--test-case-exclude={slow}", "--abort-after=1"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, errors="replace",
                              env={"OMP_WAIT_POLICY": "passive", "PATH": "/usr/bin:/bin", **environment})
    except subprocess.TimeoutExpired as late:
        output = (late.stdout or b"").decode(errors="replace")
        return f"does not end in {SECONDS} s: {first_failure(output)}"
    return "" if done.returncode == 0 else first_failure(done.stdout + done.stderr)


def try_mutant(build, mutant):
    text = (ROOT / mutant.file).read_text()
    if text.count(mutant.find) != 1:
        return "stale", f"its text occurs {text.count(mutant.find)} times in the file"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        source = folder / pathlib.Path(mutant.file).name
        source.write_text(text.replace(mutant.find, mutant.replace))
        original, error = build.compile(mutant.file, source, folder / "mutant.o")
        if error:
            return "stale", "does not compile: " + error.splitlines()[0]
        for program, files, devices, environment in PROGRAMS:
            if program not in build.links:
                continue
            build.link(program, original, folder / "mutant.o", folder / program)
            caught = run_tests(folder / program, files, mutant.file, environment)
            (folder / program).unlink()
            if caught:
                return "caught", f"{devices}: {caught}"
    return ("equivalent", mutant.equivalent) if mutant.equivalent else ("SURVIVED", "")


def known_results():
    """{(file, name): row} as RESULTS.md has them."""
    rows = [line for line in RESULTS.read_text().splitlines() if line.startswith("| ")][1:] if RESULTS.exists() else []
    return {tuple(cell.strip() for cell in row.split("|")[1:3]): row for row in rows}


def write_results(rows):
    rows = [rows[key] for m in MUTANTS if (key := (m.file, m.name)) in rows]
    counts = {}
    for row in rows:
        verdict = row.split("|")[3].strip()
        counts[verdict] = counts.get(verdict, 0) + 1
    if len(rows) < len(MUTANTS):
        counts["not tried"] = len(MUTANTS) - len(rows)
    summary = ", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items())) + f", of {len(MUTANTS)}"
    RESULTS.write_text(
        "Faults of `table.py`, as `python3 tests/parallel/mutants/run.py --write` found them: the first test that "
        f"noticed each.\n\n{summary}.\n\n| file | fault | | noticed by, or why nothing can |\n|---|---|---|---|\n"
        + "\n".join(rows) + "\n")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("-j", type=int, default=2, help="faults at a time")
    options.add_argument("--build", type=pathlib.Path, default=ROOT / "build/dev")
    options.add_argument("--only", action="append", default=[], help="faults whose name or file holds the text")
    options.add_argument("--cpu", action="store_true", help="CPU devices alone")
    options.add_argument("--missing", action="store_true", help="faults without a result in RESULTS.md")
    options.add_argument("--write", action="store_true", help="write RESULTS.md")
    options = options.parse_args()
    build = Build(options.build.resolve())
    if options.cpu:
        build.links.pop("weft_tests_sim", None)
    for program, files, devices, environment in PROGRAMS:  # else whatever fails anyway would seem to notice every fault
        if program in build.links and (
                failed := run_tests(build.folder / "tests" / program, files, "pool", environment)):
            sys.exit(f"without a fault, on {devices} devices: {failed}; build, and mend that first")
    results = known_results()
    chosen = [m for m in MUTANTS if not options.only or any(o in m.file + " " + m.name for o in options.only)]
    if options.missing:
        chosen = [m for m in chosen if (m.file, m.name) not in results]
    counts = {}
    with concurrent.futures.ThreadPoolExecutor(options.j) as pool:
        for mutant, (verdict, why) in zip(chosen, pool.map(lambda m: try_mutant(build, m), chosen)):
            row = f"| {mutant.file} | {mutant.name} | {verdict} | {why} |"
            results[mutant.file, mutant.name] = row
            counts[verdict] = counts.get(verdict, 0) + 1
            print(row, flush=True)
            if options.write:
                write_results(results)
    print(", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items())) + f", of {len(chosen)}")
    return int(any(v in counts for v in ("SURVIVED", "stale")))


if __name__ == "__main__":
    sys.exit(main())
