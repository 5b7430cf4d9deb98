#!/usr/bin/env python3
"""Writes the golden files beside this script: values and gradients of operations as PyTorch computes them.

    python3 make_golden.py            (any PyTorch for the CPU; Debian: python3-torch)

One .npz per operation, read by golden_test.cpp. Its arrays are named CASE/WHAT: inputs x0, x1, …; the result y; the incoming
gradient dy; gradients dx0, dx1, … of the floating inputs; for some, u0, … and dd0, …: the gradients by x0, … and dy of
sum(u0 dx0 + …); more results by name. Everything is computed in float64 from float32 inputs and stored rounded to float32.
"""
import pathlib
import zipfile

import numpy as np
import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).resolve().parent
files = {}


def rng(name):
    return np.random.default_rng(list(name.encode()))


def uniform(r, *shape, low=-2.0, high=2.0):
    return torch.from_numpy(r.uniform(low, high, shape).astype(np.float32))


def distinct(r, *shape):
    """No two values close to each other, none close to zero."""
    n = int(np.prod(shape))
    values = (np.arange(n) - n // 2 + 0.5) * 0.1
    r.shuffle(values)
    return torch.from_numpy(values.reshape(shape).astype(np.float32))


def labels(r, *shape, classes, ignore=None):
    values = r.integers(0, classes, shape)
    if ignore is not None:
        values[r.uniform(size=shape) < 0.3] = ignore
    return torch.from_numpy(values)


def case(op, name, inputs, function, second=False):
    """Runs `function` on the inputs in float64 and keeps everything. It may return (y, {name: more results})."""
    out = files.setdefault(op, {})
    r = rng(op + name)
    keep = lambda what, t: out.__setitem__(f"{name}/{what}", t.detach().numpy())
    x = []
    for i, t in enumerate(inputs):
        keep(f"x{i}", t)
        x.append(t.double().requires_grad_() if t.is_floating_point() else t)
    y = function(*x)
    y, more = y if isinstance(y, tuple) else (y, {})
    leaves = [t for t in x if t.is_floating_point()]
    dy = uniform(r, *y.shape, low=-1, high=1)
    wide = dy.double().requires_grad_()
    dx = torch.autograd.grad(y, leaves, wide, create_graph=second)
    keep("y", y)
    keep("dy", dy)
    for i, g in enumerate(dx):
        keep(f"dx{i}", g)
    for what, t in more.items():
        keep(what, t)
    if second:
        u = [uniform(r, *g.shape, low=-1, high=1) for g in dx]
        total = sum((a.double() * g).sum() for a, g in zip(u, dx))
        for i, t in enumerate(u):
            keep(f"u{i}", t)
        for i, g in enumerate(torch.autograd.grad(total, leaves + [wide], allow_unused=True)):
            keep(f"dd{i}", torch.zeros_like((leaves + [wide])[i]) if g is None else g)


def elementwise():
    r = rng("unary")
    x, positive, away = uniform(r, 3, 7), uniform(r, 3, 7, low=0.3, high=3), distinct(r, 3, 7)
    for name, f, at in [("neg", torch.neg, x), ("abs", torch.abs, away), ("square", torch.square, x),
                        ("reciprocal", torch.reciprocal, positive), ("sqrt", torch.sqrt, positive),
                        ("rsqrt", torch.rsqrt, positive), ("exp", torch.exp, x), ("log", torch.log, positive),
                        ("tanh", torch.tanh, x), ("sigmoid", torch.sigmoid, x), ("relu", torch.relu, away)]:
        case("unary", name, [at], f, second=name != "abs")  # PyTorch 1.13 has it wrong: it should be zero
    wide = torch.tensor([-30.0, -10.0, -3.0, 3.0, 10.0, 30.0])
    for name, f in [("tanh_wide", torch.tanh), ("sigmoid_wide", torch.sigmoid), ("exp_wide", torch.exp)]:
        case("unary", name, [wide], f)
    r = rng("binary")
    a, b, positive = distinct(r, 4, 1, 5), distinct(r, 3, 5) * 1.37, uniform(r, 3, 1, low=0.5, high=2)
    for name, f in [("add", torch.add), ("sub", torch.sub), ("mul", torch.mul)]:
        case("binary", name, [a, b], f, second=True)
    case("binary", "div", [a, positive], torch.div, second=True)
    case("binary", "maximum", [a, b], torch.maximum)
    case("binary", "minimum", [a, b], torch.minimum)


def reductions():
    r = rng("reduce")
    x = distinct(r, 2, 3, 4)
    case("reduce", "sum_all", [x], lambda x: x.sum())
    case("reduce", "sum_axes", [x], lambda x: x.sum((0, 2)))
    case("reduce", "sum_keep", [x], lambda x: x.sum(1, keepdim=True))
    case("reduce", "mean_all", [x], lambda x: x.mean())
    case("reduce", "mean_axes", [x], lambda x: x.mean((1, 2)))
    case("reduce", "max_axis", [x], lambda x: (x.max(1)[0], {"index": x.max(1)[1]}))
    case("reduce", "max_all", [x], lambda x: (x.max(), {"index": x.argmax()}))
    case("reduce", "max_last", [x], lambda x: (x.max(2, keepdim=True)[0], {"index": x.max(2, keepdim=True)[1]}))


def products():
    r = rng("matmul")
    for name, a, b in [("plain", (5, 7), (7, 3)), ("batched", (2, 4, 3), (2, 3, 5)), ("broadcast", (3, 1, 2, 4), (2, 4, 3)),
                       ("matrix_vector", (4, 6), (6,)), ("vector_matrix", (6,), (6, 4)), ("vectors", (9,), (9,)),
                       ("batch_times_matrix", (3, 4, 5), (5, 2)), ("wide", (3, 64), (64, 5))]:
        case("matmul", name, [uniform(r, *a), uniform(r, *b)], torch.matmul, second=name in ("plain", "broadcast"))


def softmaxes():
    r = rng("softmax")
    case("softmax", "last", [uniform(r, 4, 9)], lambda x: x.softmax(-1), second=True)
    case("softmax", "middle", [uniform(r, 2, 5, 3, 4)], lambda x: x.softmax(1), second=True)
    case("softmax", "large", [uniform(r, 3, 6, low=-90, high=90)], lambda x: x.softmax(1))
    r = rng("cross_entropy")
    image, y = uniform(r, 2, 5, 3, 4), labels(r, 2, 3, 4, classes=5, ignore=-1)
    weight = uniform(r, 5, low=0.2, high=2)
    case("cross_entropy", "plain", [uniform(r, 6, 4), labels(r, 6, classes=4)], F.cross_entropy, second=True)
    case("cross_entropy", "ignore", [image, y], lambda x, y: F.cross_entropy(x, y, ignore_index=-1), second=True)
    for reduction in ("mean", "sum", "none"):
        case("cross_entropy", "weights_" + reduction, [image, y],
             lambda x, y: (F.cross_entropy(x, y, weight.double(), ignore_index=-1, reduction=reduction), {"weights": weight}),
             second=reduction != "sum")
    case("cross_entropy", "confident", [torch.tensor([[100.0, -21.0], [-80.0, 95.0]]), torch.tensor([1, 1])], F.cross_entropy)
    case("cross_entropy", "all_but_one_ignored", [uniform(r, 3, 4), torch.tensor([-1, 2, -1])],
         lambda x, y: F.cross_entropy(x, y, ignore_index=-1))


def convolutions():
    r = rng("conv2d")

    def conv(name, x, w, bias=True, second=False, **options):
        inputs = [uniform(r, *x), uniform(r, *w, low=-1, high=1)] + ([uniform(r, w[0])] if bias else [])
        case("conv2d", name, inputs, lambda x, w, b=None: F.conv2d(x, w, b, **options), second)

    conv("plain", (2, 3, 6, 5), (4, 3, 3, 3), second=True)
    conv("one_by_one", (2, 4, 3, 3), (5, 4, 1, 1))
    conv("padded", (2, 3, 5, 5), (2, 3, 3, 3), padding=1)
    conv("stride", (1, 3, 8, 7), (4, 3, 3, 3), padding=1, stride=2, second=True)
    conv("seven", (1, 3, 12, 12), (4, 3, 7, 7), padding=3, stride=2, bias=False)
    conv("dilation", (1, 3, 9, 9), (4, 3, 3, 3), padding=2, dilation=2, bias=False, second=True)
    conv("groups", (2, 4, 5, 5), (6, 2, 3, 3), padding=1, groups=2)
    conv("depthwise", (2, 4, 6, 6), (4, 1, 3, 3), padding=1, groups=4, stride=2)
    conv("uneven", (1, 2, 7, 8), (3, 2, 3, 2), stride=(2, 1), padding=(0, 1), dilation=(1, 3), bias=False)
    x, w, b = uniform(r, 1, 2, 5, 5), uniform(r, 3, 2, 3, 3, low=-1, high=1), uniform(r, 3)
    case("conv2d", "asymmetric", [x, w, b], lambda x, w, b: F.conv2d(F.pad(x, (1, 2, 0, 1)), w, b, stride=2))


def norms():
    r = rng("batch_norm")
    x, gamma, beta = uniform(r, 3, 4, 2, 5), uniform(r, 4, low=0.5, high=1.5), uniform(r, 4)
    mean, var = uniform(r, 4), uniform(r, 4, low=0.5, high=2)

    def norm(training, relu=False, momentum=0.1, eps=1e-5):
        def f(x, gamma, beta):
            m, v = mean.double().clone(), var.double().clone()
            y = F.batch_norm(x, m, v, gamma, beta, training, momentum, eps)
            y = torch.relu(y) if relu else y
            return y, {"mean": mean, "var": var, "new_mean": m, "new_var": v}
        return f

    case("batch_norm", "train", [x, gamma, beta], norm(True), second=True)
    case("batch_norm", "eval", [x, gamma, beta], norm(False), second=True)
    case("batch_norm", "train_relu", [x, gamma, beta], norm(True, relu=True))
    case("batch_norm", "vectors", [uniform(r, 6, 4) * 3 + 50, gamma, beta], norm(True, momentum=0.3, eps=1e-3))


def images():
    r = rng("max_pool2d")
    x = distinct(r, 2, 3, 7, 8)
    for name, options in [("two", dict(kernel_size=2)), ("stem", dict(kernel_size=3, stride=2, padding=1)),
                          ("ceil", dict(kernel_size=3, stride=2, ceil_mode=True)),
                          ("dilated", dict(kernel_size=2, stride=1, dilation=3)),
                          ("uneven", dict(kernel_size=(2, 3), stride=(1, 2), padding=(1, 0)))]:
        case("max_pool2d", name, [x], lambda x: F.max_pool2d(x, **options))
    r = rng("resize")
    x = uniform(r, 2, 3, 5, 6)
    for name, size in [("up", (9, 11)), ("down", (3, 2)), ("same", (5, 6)), ("one", (1, 1)), ("mixed", (10, 3))]:
        for corners in (False, True):
            case("resize", name + ("_corners" if corners else ""), [x],
                 lambda x: F.interpolate(x, size, mode="bilinear", align_corners=corners))
    case("resize", "from_one", [uniform(r, 1, 2, 1, 1)],
         lambda x: F.interpolate(x, (3, 4), mode="bilinear", align_corners=True))


def views():
    r = rng("view")
    a, b = uniform(r, 2, 3, 4), uniform(r, 2, 2, 4)
    case("view", "concat", [a, b], lambda a, b: torch.cat((a, b), 1))
    case("view", "slice", [a], lambda a: a[:, 1:, ::2])
    case("view", "permute_reshape", [a], lambda a: a.permute(2, 0, 1).reshape(4, 6))
    case("view", "expand", [uniform(r, 3, 1)], lambda a: a.expand(2, 3, 4))
    condition = torch.from_numpy(r.uniform(size=(2, 3, 4)) < 0.5)
    case("view", "where", [condition, a, uniform(r, 4)], torch.where)


def save(path, arrays):
    """As numpy.savez does, but float64 is stored as float32 and every file is the same each time."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            array = np.array(array, np.float32 if array.dtype == np.float64 else array.dtype, order="C")
            with archive.open(zipfile.ZipInfo(name + ".npy"), "w") as file:
                np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)


def main():
    for group in (elementwise, reductions, products, softmaxes, convolutions, norms, images, views):
        group()
    total = 0
    for op, arrays in files.items():
        path = HERE / f"{op}.npz"
        save(path, arrays)
        total += path.stat().st_size
        print(f"{path.name}: {len(arrays)} arrays, {path.stat().st_size} bytes")
    print(f"{total} bytes, PyTorch {torch.__version__}")


main()
