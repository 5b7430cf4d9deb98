"""README tells the truth: its C++ blocks are the example files named before them, and these print what stands after them.

    readme_test.py SOURCE_FOLDER PROGRAM…      a PROGRAM serves the example of its name

A block must follow a line with `examples/NAME.cpp`; the file's first comment is left out in README. A ```text block right
after it is what the program prints.
"""
import pathlib
import re
import subprocess
import sys

source = pathlib.Path(sys.argv[1])
programs = {pathlib.Path(p).name: p for p in sys.argv[2:]}
text = (source / "README.md").read_text()
problems = []
compared = printed = 0

for block in re.finditer(r"```cpp\n(.*?)```\n(?:```text\n(.*?)```\n)?", text, re.S):
    code, output = block.groups()
    names = re.findall(r"`(examples/\S+\.cpp)`", text[:block.start()])
    if not names:
        problems.append(f"no example is named before the block that begins with {code.splitlines()[0]!r}")
        continue
    path = source / names[-1]
    lines = path.read_text().splitlines(keepends=True)
    while lines and (lines[0].startswith("//") or not lines[0].strip()):
        lines.pop(0)
    compared += 1
    if "".join(lines).strip() != code.strip():
        problems.append(f"README's block is not {names[-1]}")
    if output is None:
        continue
    name = path.stem if path.stem != "main" else path.parent.name
    got = subprocess.run([programs[name]], capture_output=True, text=True, timeout=120)
    printed += 1
    if got.returncode != 0 or got.stdout.strip() != output.strip():
        problems.append(f"{names[-1]} printed\n{got.stdout}{got.stderr}and README says\n{output}")

if compared < 2 or printed < 2:
    problems.append(f"only {compared} blocks and {printed} outputs were found")
for problem in problems:
    print(problem)
print(f"{compared} blocks, {printed} outputs, {len(problems)} problems")
sys.exit(bool(problems))
