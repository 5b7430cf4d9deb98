import torch.nn.functional as F

from golden import case, rng, uniform


def nearest():
    r = rng("resize_nearest")
    x = uniform(r, 2, 3, 5, 6)
    for name, size in [("up", (9, 11)), ("down", (3, 2)), ("one", (1, 1)), ("mixed", (10, 3))]:
        case("resize_nearest", name, [x], lambda x: F.interpolate(x, size, mode="nearest"))
    case("resize_nearest", "by", [x], lambda x: F.interpolate(x, scale_factor=(1.7, 0.6), mode="nearest"))
    case("resize_nearest", "by_bilinear", [x], lambda x: F.interpolate(x, scale_factor=(1.7, 0.6), mode="bilinear"))
    case("resize_nearest", "by_corners", [x],
         lambda x: F.interpolate(x, scale_factor=2.5, mode="bilinear", align_corners=True))


nearest()
