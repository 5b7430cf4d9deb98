import torch

from golden import case, rng, uniform


def views():
    r = rng("view")
    a, b = uniform(r, 2, 3, 4), uniform(r, 2, 2, 4)
    case("view", "concat", [a, b], lambda a, b: torch.cat((a, b), 1))
    case("view", "slice", [a], lambda a: a[:, 1:, ::2])
    case("view", "permute_reshape", [a], lambda a: a.permute(2, 0, 1).reshape(4, 6))
    case("view", "expand", [uniform(r, 3, 1)], lambda a: a.expand(2, 3, 4))
    condition = torch.from_numpy(r.uniform(size=(2, 3, 4)) < 0.5)
    case("view", "where", [condition, a, uniform(r, 4)], torch.where)


views()
