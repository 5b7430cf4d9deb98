"""The demo, examples/segmentation/brain, for an epoch: the same scores for the same seed; what it writes; what it refuses.

    brain_test.py BRAIN
"""
import pathlib
import re
import subprocess
import sys
import tempfile

brain = sys.argv[1]
ATLAS = pathlib.Path("/usr/share/mricron/templates/aal.nii.gz")


def call(*options, code=0):
    got = subprocess.run([brain, "devices=cpu:0,cpu:1", "epochs=1", *options], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, timeout=280)
    assert got.returncode == code, f"{options} ended with {got.returncode}, not {code}:\n{got.stdout}"
    return got.stdout


def score(text):
    """The last line without its times."""
    return text.strip().splitlines()[-1].split("  (")[0]


assert "there are classes=2 and classes=5" in call("classes=3", code=1)
assert "takes the head of the Debian package" in call("classes=5", "generated=1", code=1)
with tempfile.TemporaryDirectory() as scratch:
    text = call("generated=1", f"out={scratch}")
    assert re.match(r"other head: Dice \d\.\d{3}  pixAcc \d\.\d{3}  mIoU \d\.\d{3}$", score(text)), text
    for name in ("training_head.png", "other_head.png"):
        assert (pathlib.Path(scratch) / name).read_bytes().startswith(b"\x89PNG"), name
    if ATLAS.is_file():
        texts = [call("classes=5", "seed=7", f"out={scratch}") for _ in range(2)]
        names = ("cortex", "hippocampus", "deep nuclei", "cerebellum")
        assert re.match("Dice in the other slabs:" + "".join(rf"  {n} \d\.\d{{3}}" for n in names) + "$", score(texts[0])), texts
        assert score(texts[0]) == score(texts[1]), texts
        assert (pathlib.Path(scratch) / "regions.png").read_bytes().startswith(b"\x89PNG")
    else:
        print("SKIPPED: classes=5, as mricron-data is not installed")
print("as it should be")
