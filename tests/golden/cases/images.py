import torch.nn.functional as F

from golden import case, distinct, rng, uniform


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


images()
