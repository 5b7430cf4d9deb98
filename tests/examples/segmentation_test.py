"""The programs train, evaluate and predict of examples/segmentation, as somebody runs them.

    segmentation_test.py shapes|folder TRAIN EVALUATE PREDICT

shapes: a small U-Net on generated pictures, on two devices. Stopped by SIGINT, killed by SIGKILL and resumed each time,
it comes to the bits of a training that nothing happened to; then its scores and pictures.
folder: an FCN with an auxiliary head on photographs in VOC's layout (of the package labelme-examples, else written
here), stopped in an epoch and resumed: dropout too is the same. Then two steps in bf16 and f16, with batch norm over two devices.
"""
import csv
import json
import pathlib
import re
import signal
import struct
import subprocess
import sys
import tempfile
import xml.etree.ElementTree
import zlib

mode, train, evaluate, predict = sys.argv[1:5]
PHOTOGRAPHS = pathlib.Path("/usr/share/doc/labelme-examples/examples/semantic_segmentation/data_dataset_voc")
LIMIT = 280  # seconds for one program


def call(*command, code=0):
    """stdout and stderr of a program that ends with this code."""
    got = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT)
    assert got.returncode == code, f"{command} ended with {got.returncode}, not {code}:\n{got.stdout}"
    return got.stdout


def cut_off(kind, pattern, code, *command):
    """Sends a signal when a line of the program's output matches; the program must end with this code."""
    with subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        seen = ""
        for line in process.stdout:
            seen += line
            if re.search(pattern, line):
                process.send_signal(kind)
                break
        seen += process.stdout.read()
    assert process.returncode == code, f"{command} ended with {process.returncode}, not {code}:\n{seen}"
    return seen


def tensors(path):
    """Name -> (dtype, shape, bytes) of a safetensors file, and its metadata."""
    data = pathlib.Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__", {})
    start = 8 + length
    return {n: (t["dtype"], t["shape"], data[start + t["data_offsets"][0]:start + t["data_offsets"][1]])
            for n, t in header.items()}, metadata


def differences(a, b):
    """Names whose bits differ in two checkpoints; the log holds speeds, which may."""
    (left, left_texts), (right, right_texts) = tensors(a), tensors(b)
    assert left.keys() == right.keys(), left.keys() ^ right.keys()
    texts = ("generator", "settings", "classes")
    return [n for n in left if n != "log/value" and left[n] != right[n]] + [
        n for n in texts if left_texts["weft.text." + n] != right_texts["weft.text." + n]]


def write_weights(checkpoint, path):
    """The model alone, as any other program would write it."""
    header, body = {}, b""
    for name, (dtype, shape, data) in tensors(checkpoint)[0].items():
        if name.startswith("model/"):
            header[name[6:]] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
            body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path(path).write_bytes(struct.pack("<Q", len(text)) + text + body)


def png(path):
    """Width, height, colour type of a PNG."""
    data = pathlib.Path(path).read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n", path
    width, height, _, kind = struct.unpack(">IIBB", data[16:26])
    return width, height, kind


def write_png(path, width, height, kind, rows, palette=None):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)) +
                     (chunk(b"PLTE", palette) if palette else b"") +
                     chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))) + chunk(b"IEND", b""))


def voc_folder(root):
    """Three pictures of a bright rectangle, class 15, with an ignored frame, on a dark ground."""
    if PHOTOGRAPHS.is_dir():
        return PHOTOGRAPHS
    for k in range(3):
        inside = lambda x, y, m: 20 + 10 * k - m <= x < 60 + m and 12 - m <= y < 40 + m
        label = lambda x, y: 15 if inside(x, y, 0) else 255 if inside(x, y, 2) else 0
        write_png(root / f"JPEGImages/p{k}.png", 90, 60, 2,
                  [b"".join(bytes([200, 60, 60] if inside(x, y, 0) else [40, 50, 60 + k]) for x in range(90)) for y in range(60)])
        write_png(root / f"SegmentationClass/p{k}.png", 90, 60, 3,
                  [bytes(label(x, y) for x in range(90)) for y in range(60)], bytes(768))
    return root


def table(folder):
    with open(folder / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


def resumed_at(text):
    found = re.search(r"^resumed at step (\d+)$", text, re.M)
    assert found, text
    return int(found[1])


def score(text):
    found = re.search(r"^pixAcc (\d\.\d+)  mIoU (\d\.\d+)$", text, re.M)
    assert found, text
    accuracy, miou = float(found[1]), float(found[2])
    assert 0 <= miou <= 1 and 0 < accuracy <= 1, text
    return accuracy, miou


def check_records(folder, epochs, steps):
    """Log, table, chart and pictures of a whole training, whatever happened to it."""
    rows = table(folder)
    losses = [r for r in rows if r["loss"]]
    assert [int(r["step"]) for r in losses] == list(range(1, steps + 1)), [r["step"] for r in losses]
    assert [int(r["epoch"]) for r in rows if r["miou"]] == list(range(1, epochs + 1))
    assert all(float(r["lr"]) >= 0 and float(r["images_per_s"]) > 0 for r in losses)
    svg = xml.etree.ElementTree.parse(folder / "curves.svg").getroot()
    lines = [e.get("points").split() for e in svg.iter("{http://www.w3.org/2000/svg}polyline")]
    assert [len(points) for points in lines] == [steps, epochs], [len(points) for points in lines]
    assert f"epoch {epochs}: pixAcc" in (folder / "log.txt").read_text()
    assert len(list((folder / "pictures").iterdir())) == epochs


def shapes(root):
    epochs, steps = 12, 96
    common = [train, "--model", "unet", "--base-size", 32, "--crop-size", 32, "--generated", 32, "--batch", 4, "--epochs",
              epochs, "--optimizer", "adamw", "--lr", "5e-3", "--warm-up", 3, "--no-wd", "--sync-bn", "--seed", 3]
    run = ["--devices", "cpu:0,cpu:1", "--log-interval", 1]
    whole, cut = root / "whole", root / "cut"
    call(*common, *run, "--save", whole)
    text = cut_off(signal.SIGINT, r"^ +11/96 ", 130, *common, *run, "--save", cut)
    assert "stopped after step" in text, text
    assert differences(whole / "last.safetensors", cut / "last.safetensors")
    text = cut_off(signal.SIGKILL, r"^epoch ([4-9]|1.):", -signal.SIGKILL, train, "--resume", cut, *run)
    assert 11 <= resumed_at(text) < steps
    text = call(train, "--resume", cut / "last.safetensors", *run)
    assert 11 <= resumed_at(text) < steps
    for name in ("last", "best"):
        assert differences(whole / f"{name}.safetensors", cut / f"{name}.safetensors") == []
    same = ("step", "epoch", "lr", "loss", "pixacc", "miou")
    rows, cut_rows = [[[r[c] for c in same] for r in table(f)] for f in (whole, cut)]
    assert rows == cut_rows, [pair for pair in zip(rows, cut_rows) if pair[0] != pair[1]]
    losses = [float(r["loss"]) for r in table(cut) if r["loss"]]
    assert sum(losses[-8:]) < 0.7 * sum(losses[:8]), losses
    for folder in (whole, cut):
        check_records(folder, epochs, steps)
    assert png(cut / "pictures/epoch_012.png")[0] == 220  # as wide as its legend

    check_refusals(common, run, whole, cut)
    check_evaluate(root, cut / "best.safetensors")
    check_predict(root, cut / "best.safetensors")


def check_refusals(common, run, whole, cut):
    assert "holds a training already" in call(*common, *run, "--save", whole, code=1)
    assert "--lr is 0.5" in call(train, "--resume", cut, "--lr", 0.5, code=1)
    for schedule, why in (("cosine:2", "goes on to the end"), ("step,cosine", "needs its epochs"), ("poly:x,cosine", "needs its"),
                          ("rising", "no schedule 'rising'")):
        assert why in call(train, "--schedule", schedule, code=105), schedule


def check_evaluate(root, best):
    whole_pictures = call(evaluate, best, "--device", "cpu:0", "--split", "val")
    assert "disc" in whole_pictures and "8 generated pictures, whole pictures" in whole_pictures, whole_pictures
    score(whole_pictures)
    score(call(evaluate, best, "--device", "cpu:0", "--generated", 2, "--multi-scale", "--scales", "0.5,1", "--absent", "zero"))
    write_weights(best, root / "weights.safetensors")
    plain = call(evaluate, root / "weights.safetensors", "--device", "cpu:0", "--model", "unet", "--classes", 4, "--base-size",
                 32, "--generated", 8)
    assert score(plain)[0] > 0.3
    assert "does not fit" in call(evaluate, root / "weights.safetensors", "--model", "unet", "--classes", 5, code=1)


def check_predict(root, best):
    pictures = root / "pictures"
    for k, (width, height) in enumerate([(40, 30), (33, 47)]):
        write_png(pictures / f"p{k}.png", width, height, 2, [bytes([200, 30 * k, 9] * width)] * height)
    call(predict, best, pictures, "--out", root / "seen", "--device", "cpu:0")
    for k, (width, height) in enumerate([(40, 30), (33, 47)]):
        assert png(root / f"seen/p{k}.png") == (width, height, 3)
        over = png(root / f"seen/p{k}_overlay.png")
        assert over[0] == width and over[1] > height and over[2] == 2, over
    assert "no .png" in call(predict, best, root / "seen/..", code=1)
    call(predict, best, pictures / "p0.png", "--out", root / "streets", "--device", "cpu:0", "--palette", "cityscapes")
    assert b"PLTE\x80\x40\x80\xf4\x23\xe8" in (root / "streets/p0.png").read_bytes()


def folder(root):
    data = voc_folder(root / "voc")
    common = [train, "--model", "fcn", "--backbone", "resnet18", "--variant", "v1b", "--dataset", data, "--base-size", 64,
              "--crop-size", 48, "--batch", 1, "--epochs", 2, "--no-wd", "--aux-weight", 0.5, "--schedule", "constant:1,cosine"]
    run = ["--devices", "cpu:0", "--log-interval", 1]
    whole, cut = root / "whole", root / "cut"
    text = call(*common, *run, "--save", whole)
    assert "3 pictures of" in text and "no other split" in text, text
    cut_off(signal.SIGINT, r"^ +1/6 ", 130, *common, *run, "--save", cut)
    cut_off(signal.SIGINT, r"^ +3/6 ", 130, train, "--resume", cut, *run)  # as a rule in the validation after this step
    call(train, "--resume", cut, *run)
    assert differences(whole / "last.safetensors", cut / "last.safetensors") == []
    assert "model/aux_classifier.0.weight" in tensors(cut / "last.safetensors")[0]
    check_records(cut, 2, 6)
    rates = [float(r["lr"]) for r in table(cut) if r["loss"]]
    assert all(abs(a - b) < 1e-9 for a, b in zip(rates, [1e-3, 1e-3, 1e-3, 1e-3, 5e-4, 0])), rates

    text = call(evaluate, cut / "last.safetensors", "--device", "cpu:0")
    assert "3 pictures of" in text and "IoU" in text, text
    score(text)
    image = sorted((data / "JPEGImages").iterdir())[0]
    call(predict, cut / "last.safetensors", image, "--out", root / "seen", "--device", "cpu:0", "--multi-scale", "--scales", 1)
    assert "only 19 colours" in call(predict, cut / "last.safetensors", image, "--palette", "cityscapes", code=1)
    size = png(root / f"seen/{image.stem}.png")
    masks = data / ("SegmentationClassPNG" if PHOTOGRAPHS.is_dir() else "SegmentationClass")
    assert size == (*png(masks / f"{image.stem}.png")[:2], 3), size
    mixed(root / "mixed")


def mixed(root):
    """Two steps of a ResNet, whose blocks add inside batch norm, over two devices in 16 bits: about f32's losses."""
    common = [train, "--model", "fcn", "--backbone", "resnet18", "--variant", "v1b", "--generated", 4, "--base-size", 32,
              "--crop-size", 32, "--batch", 2, "--epochs", 1, "--sync-bn", "--devices", "cpu:0,cpu:1", "--log-interval", 1]
    losses = {}
    for dtype in ("f32", "bf16", "f16"):
        call(*common, "--dtype", dtype, "--save", root / dtype)
        losses[dtype] = [float(r["loss"]) for r in table(root / dtype) if r["loss"]]
        saved = tensors(root / dtype / "last.safetensors")[0]
        assert {saved[n][0] for n in saved if n.startswith("model/") and n.endswith(".weight")} == {"F32"}, dtype
        assert any(n.startswith("scaler/") for n in saved) == (dtype == "f16"), list(saved)
    for dtype in ("bf16", "f16"):
        assert len(losses[dtype]) == 2 and losses[dtype] != losses["f32"], losses
        assert all(abs(a - b) < 0.05 * b for a, b in zip(losses[dtype], losses["f32"])), losses


for program in (train, evaluate, predict):
    assert "--help" in call(program, "--help")
with tempfile.TemporaryDirectory() as scratch:
    {"shapes": shapes, "folder": folder}[mode](pathlib.Path(scratch))
print("as it should be")
