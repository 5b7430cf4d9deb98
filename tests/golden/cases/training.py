"""training.npz and training.safetensors: 20 steps of a small U-Net (nn/models/u_net.h) in PyTorch: initial state, pictures,
labels; the loss of every step and the final pixel accuracy and mean IoU, by SGD with a poly schedule and by AdamW."""
import json
import pathlib
import struct

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import formula
import golden

N, SIDE, BATCH, STEPS, CLASSES, IGNORE = 16, 24, 4, 20, 3, 255


class DoubleConv(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o)
        self.conv2, self.norm2 = nn.Conv2d(o, o, 3, padding=1, bias=False), nn.BatchNorm2d(o)

    def forward(self, x):
        return F.relu(self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))


class UNet(nn.Module):
    def __init__(self, a=6, b=12, c=20):
        super().__init__()
        self.down = nn.ModuleList([DoubleConv(1, a), DoubleConv(a, b), DoubleConv(b, c)])
        self.up = nn.ModuleList([DoubleConv(c + b, b), DoubleConv(b + a, a)])
        self.head = nn.Conv2d(a, CLASSES, 1)

    def forward(self, x):
        skips = [self.down[0](x)]
        for level in self.down[1:]:
            skips.append(level(F.max_pool2d(skips[-1], 2)))
        y = skips[-1]
        for level, skip in zip(self.up, skips[-2::-1]):
            y = level(torch.cat([F.interpolate(y, size=skip.shape[2:], mode="bilinear", align_corners=False), skip], 1))
        return self.head(y)


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, t in sorted(tensors.items(), key=lambda item: (item[1].dtype != torch.int64, item[0])):
        array = t.numpy()
        header[name] = {"dtype": "I64" if array.dtype == np.int64 else "F32", "shape": list(array.shape),
                        "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def pictures():
    """Bright discs (1) and darker squares (2) in noise; the border of a disc is not labelled."""
    r = golden.rng("training")
    i, j = np.mgrid[:SIDE, :SIDE]
    x, t = np.zeros((N, 1, SIDE, SIDE)), np.zeros((N, SIDE, SIDE), np.int64)
    for n in range(N):
        square = np.maximum(abs(i - r.uniform(5, 19)), abs(j - r.uniform(5, 19))) < r.uniform(2, 5)
        distance = np.hypot(i - r.uniform(6, 18), j - r.uniform(6, 18)) - r.uniform(3, 6)
        t[n][square] = 2
        t[n][distance < 0] = 1
        x[n, 0] = np.array([60, 150, 110])[t[n]] + r.uniform(-50, 50, (SIDE, SIDE))
        t[n][abs(distance) < 0.5] = IGNORE
    return np.rint(x).astype(np.uint8), t.astype(np.uint8)


def scores(net, x, t):
    net.eval()
    with torch.no_grad():
        p = net(x).argmax(1)
    known = t != IGNORE
    count = torch.bincount(t[known] * CLASSES + p[known], minlength=CLASSES**2).reshape(CLASSES, CLASSES).double()
    hits = count.diag()
    return [(hits.sum() / count.sum()).item(), (hits / (count.sum(0) + count.sum(1) - hits)).mean().item()]


def training(name, make, power):
    net = UNet()
    net.load_state_dict(initial)
    net.double()
    optimizer = make(net.parameters())
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (1 - step / (STEPS - 1)) ** power)
    losses = []
    for step in range(STEPS):
        at = step * BATCH % N
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x[at:at + BATCH]), t[at:at + BATCH], ignore_index=IGNORE)
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    out[f"{name}/losses"], out[f"{name}/scores"] = np.array(losses), np.array(scores(net, x, t))


out = golden.files.setdefault("training", {})
out["picture"], out["labels"] = pictures()
x, t = torch.from_numpy(out["picture"]).double() / 255, torch.from_numpy(out["labels"]).long()
initial = {key: torch.from_numpy(formula.state(key, tuple(v.shape))) if v.is_floating_point() and "running" not in key else v
           for key, v in UNet().state_dict().items()}
write_safetensors(pathlib.Path(golden.__file__).parent / "training.safetensors", initial)
training("sgd", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-4), 0.9)
training("adamw", lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.05), 0)
