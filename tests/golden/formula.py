"""Values that both sides compute instead of storing them: element i of `name` is a hash of both. tests/golden/formula.h has
the same in C++."""
import numpy as np

SPREADS = {"running_mean": (0.1, 0.0), "running_var": (0.5, 1.0), "bn3.weight": (0.06, 0.2), "weight": (0.1, 0.4),
           "bias": (0.2, 0.8)}


def bits(name, count):
    """32 bits per element: FNV-1a of the name, plus i times the golden ratio, mixed (Wellons' lowbias32)."""
    start = 2166136261
    for byte in name.encode():
        start = (start ^ byte) * 16777619 % 2**32
    x = np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9) + np.uint32(start)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def spread(name, count):
    """In [-1, 1), multiples of 2^-23, so that float32 holds them."""
    return (bits(name, count) >> np.uint32(8)).astype(np.float64) / 2**23 - 1


def state(name, shape):
    """A parameter or buffer of a net, float32. Weights of convolutions have variance 2 / fan_in. Batch norms shift by twice what
    they scale by and residual branches are small, so that few activations are near ReLU's kink: one that rounding moves over it
    changes gradients by more than rounding itself does."""
    u = spread(name, int(np.prod(shape)))
    if len(shape) == 4:
        v = u * np.sqrt(6.0 / np.prod(shape[1:]))
    else:
        scale, shift = next(value for end, value in SPREADS.items() if name.endswith(end))
        v = shift + scale * u
    return v.astype(np.float32).reshape(shape)
