"""Operations under torch.autocast in bfloat16, on the CPU: what dtype comes out, which values and which gradients.

The CPU's autocast knows fewer operations than CUDA's, whose lists weft follows: those rows ("full") convert their inputs to
float32 by hand, as torch.autocast("cuda") does. x0, x1, … are float32 leaves; where a row wants a bfloat16 operand, `half`
makes one of a leaf. y and the gradients are stored as float32; bits says how wide y was.
"""
import warnings

import numpy as np
import torch
import torch.nn.functional as F

from golden import files, labels, rng, uniform

warnings.filterwarnings("ignore")


def half(t):
    return t.bfloat16()


def row(name, inputs, function):
    out = files.setdefault("autocast", {})
    x = [t.clone().requires_grad_() if t.is_floating_point() else t for t in inputs]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = function(*x)
    assert y.dtype in (torch.float32, torch.bfloat16), name
    dy = uniform(rng("autocast" + name), *y.shape, low=-1, high=1)
    leaves = [t for t in x if t.is_floating_point()]
    dx = torch.autograd.grad(y, leaves, dy.to(y.dtype))
    for i, t in enumerate(x):
        out[f"{name}/x{i}"] = t.detach().numpy()
    for what, t in [("y", y), ("dy", dy)] + [(f"dx{i}", g) for i, g in enumerate(dx)]:
        out[f"{name}/{what}"] = t.detach().float().numpy()
    out[f"{name}/bits"] = np.array(16 if y.dtype == torch.bfloat16 else 32)
    assert all(g.dtype == torch.float32 for g in dx), name


def full(function):
    """A row of CUDA's list of float32 operations, of one operand that arrives in bfloat16."""
    return lambda x: function(half(x).float())


r = rng("autocast")
a, b, v = uniform(r, 5, 8), uniform(r, 8, 6), uniform(r, 8)
t = uniform(r, 5, 8)
row("matmul", [a, b], torch.matmul)
row("matmul_half", [a, b], lambda a, b: torch.matmul(half(a), b))
row("matmul_vector", [a, v], torch.matmul)
row("matmul_batched", [uniform(r, 3, 5, 8), uniform(r, 3, 8, 6)], torch.matmul)
row("linear", [uniform(r, 4, 8), uniform(r, 6, 8), uniform(r, 6)], F.linear)
row("conv1d", [uniform(r, 2, 4, 9), uniform(r, 6, 4, 3), uniform(r, 6)], lambda x, w, b: F.conv1d(x, w, b, padding=1))
row("conv2d", [uniform(r, 2, 4, 7, 6), uniform(r, 6, 4, 3, 3), uniform(r, 6)],
    lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1))
row("add_wide", [a, t], lambda a, t: half(a) + t)
row("add_half", [a, t], lambda a, t: half(a) + half(t))
row("mul_wide", [a, t], lambda a, t: half(a) * t)
row("concat_wide", [a, t], lambda a, t: torch.cat([half(a), t]))
row("concat_half", [a, t], lambda a, t: torch.cat([half(a), half(t)]))
row("stack_wide", [a, t], lambda a, t: torch.stack([half(a), t]))
row("where", [a, t], lambda a, t: torch.where(t > 0, half(a).float(), t))
row("relu", [a], lambda a: F.relu(half(a)))
row("tanh", [a], lambda a: torch.tanh(half(a)))
row("sigmoid", [a], lambda a: torch.sigmoid(half(a)))
row("mean", [a], lambda a: half(a).mean(1))
row("mse", [a, t], lambda a, t: F.mse_loss(half(a), t))
row("smooth_l1", [a, t], lambda a, t: F.smooth_l1_loss(half(a), t))
row("cross_entropy", [a, labels(r, 5, classes=8)], lambda a, n: F.cross_entropy(half(a).float(), n))
for name, function in [("softmax", lambda x: F.softmax(x, 1)), ("log_softmax", lambda x: F.log_softmax(x, 1)),
                       ("sum", lambda x: x.sum(1)), ("cumsum", lambda x: x.cumsum(1)), ("prod", lambda x: x.prod(1)),
                       ("exp", torch.exp), ("expm1", torch.expm1), ("softplus", F.softplus),
                       ("norm", lambda x: torch.linalg.vector_norm(x, dim=1)), ("pow", lambda x: x ** 3)]:
    row(name, [a], full(function))
positive = uniform(r, 5, 8, low=0.5, high=3)
for name, function in [("log", torch.log), ("log1p", torch.log1p), ("reciprocal", torch.reciprocal), ("rsqrt", torch.rsqrt),
                       ("divide_into", lambda x: 2 / x), ("pow_base", lambda x: 1.5 ** x)]:
    row(name, [positive], full(function))
