import torch.nn.functional as F

from golden import case, rng, uniform


def pads():
    r = rng("pad")
    x = uniform(r, 2, 3, 5, 6)
    for name, sides, options in [("constant", (1, 2, 3, 0), dict(value=1.5)), ("crop", (-1, 2, 1, -2), {}),
                                 ("reflect", (1, 2, 3, 4), dict(mode="reflect")),
                                 ("replicate", (7, 2, 0, 1), dict(mode="replicate"))]:
        case("pad", name, [x], lambda x: F.pad(x, sides, **options))


pads()
