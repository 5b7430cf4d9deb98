"""What the files in cases/ are written with: inputs from a seed per case, and case(), which runs and keeps it."""
import zipfile

import numpy as np
import torch

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


def save(path, arrays):
    """As numpy.savez does, but float64 is stored as float32 and every file is the same each time."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            array = np.array(array, np.float32 if array.dtype == np.float64 else array.dtype, order="C")
            with archive.open(zipfile.ZipInfo(name + ".npy"), "w") as file:
                np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)
