import torch.nn.functional as F

from golden import case, rng, uniform


def pools():
    r = rng("avg_pool2d")
    x = uniform(r, 2, 3, 7, 8)
    for name, options in [("two", dict(kernel_size=2)), ("padded", dict(kernel_size=3, stride=2, padding=1)),
                          ("inside", dict(kernel_size=3, stride=2, padding=1, count_include_pad=False)),
                          ("ceil", dict(kernel_size=2, stride=2, ceil_mode=True, count_include_pad=False)),
                          ("ceil_counted", dict(kernel_size=3, stride=2, padding=1, ceil_mode=True)),
                          ("uneven", dict(kernel_size=(2, 3), stride=(1, 2), padding=(1, 0)))]:
        case("avg_pool2d", name, [x], lambda x: F.avg_pool2d(x, **options))
    r = rng("adaptive_avg_pool2d")
    x = uniform(r, 2, 3, 7, 11)
    for size in (1, 2, 3, 6):
        case("adaptive_avg_pool2d", f"to_{size}", [x], lambda x: F.adaptive_avg_pool2d(x, size))


pools()
