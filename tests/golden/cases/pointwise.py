import torch
import torch.nn.functional as F

from golden import case, distinct, rng, uniform


def pointwise():
    r = rng("pointwise")
    x, positive, away = uniform(r, 3, 7), uniform(r, 3, 7, low=0.3, high=3), distinct(r, 11, 7)
    first_only = ["sign", "floor", "ceil", "round", "hard_sigmoid"]  # PyTorch 1.13 has no second gradient of the last
    for name, f, at in [("expm1", torch.expm1, x), ("log1p", torch.log1p, positive), ("sin", torch.sin, x),
                        ("cos", torch.cos, x), ("erf", torch.erf, x), ("elu", F.elu, away),
                        ("hard_swish", F.hardswish, away), ("hard_sigmoid", F.hardsigmoid, away),
                        ("sign", torch.sign, away), ("floor", torch.floor, away), ("ceil", torch.ceil, away),
                        ("round", torch.round, away)]:
        case("pointwise", name, [at], f, second=name not in first_only)
    halves = torch.tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    case("pointwise", "round_halves", [halves], torch.round)
    kinks = torch.tensor([-3.0, 0.0, 3.0])
    for name, f in [("hard_swish_kinks", F.hardswish), ("hard_sigmoid_kinks", F.hardsigmoid), ("elu_kinks", F.elu)]:
        case("pointwise", name, [kinks], f)
    large = torch.tensor([-4.0e9, -1234567.0, -355.0, 11.0, 22.0, 1.0e6, 3.0e7])
    for name, f in [("sin_large", torch.sin), ("cos_large", torch.cos)]:
        case("pointwise", name, [large], f)
    a, b, divisor = uniform(r, 4, 1, 5, low=0.3, high=2), uniform(r, 3, 5), distinct(r, 3, 1) * 7.3
    case("pointwise", "pow", [a, b], torch.pow, second=True)
    case("pointwise", "pow_zeros", [torch.tensor([0.0, 0.0, 2.0, -2.0]), torch.tensor([0.0, 2.0, 0.0, 0.0])], torch.pow)
    case("pointwise", "remainder", [distinct(r, 4, 1, 5) * 3.1, divisor], torch.remainder)
    case("pointwise", "lerp", [a, b, uniform(r, 4, 3, 5, low=0, high=1)], torch.lerp, second=True)
    case("pointwise", "lerp_number", [a, b], lambda a, b: torch.lerp(a, b, 0.7))


pointwise()
