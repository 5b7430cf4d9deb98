import torch.nn.functional as F

from golden import case, rng, uniform


def norms():
    r = rng("group_norm")
    x, gamma, beta = uniform(r, 3, 6, 2, 5), uniform(r, 6, low=0.5, high=1.5), uniform(r, 6)
    case("group_norm", "groups", [x, gamma, beta], lambda x, g, b: F.group_norm(x, 3, g, b), second=True)
    case("group_norm", "instances", [x, gamma, beta],
         lambda x, g, b: F.instance_norm(x, weight=g, bias=b), second=True)
    case("group_norm", "layers", [uniform(r, 4, 3, 6), gamma, beta], lambda x, g, b: F.layer_norm(x, (6,), g, b),
         second=True)
    case("group_norm", "layers_of_two", [uniform(r, 4, 3, 6), uniform(r, 3, 6)],
         lambda x, g: F.layer_norm(x, (3, 6), g, None, 1e-3), second=True)


norms()
