import torch
import torch.nn.functional as F

from golden import case, rng, uniform


def linears():
    r = rng("linear")
    case("linear", "rows", [uniform(r, 5, 3), uniform(r, 4, 3), uniform(r, 4)], F.linear, second=True)
    case("linear", "no_bias", [uniform(r, 2, 3, 6), uniform(r, 4, 6)], F.linear, second=True)
    case("outer", "vectors", [uniform(r, 4), uniform(r, 7)], torch.outer, second=True)


linears()
