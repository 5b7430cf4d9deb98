import torch

from golden import case, distinct, rng, uniform


def elementwise():
    r = rng("unary")
    x, positive, away = uniform(r, 3, 7), uniform(r, 3, 7, low=0.3, high=3), distinct(r, 3, 7)
    for name, f, at in [("neg", torch.neg, x), ("abs", torch.abs, away), ("square", torch.square, x),
                        ("reciprocal", torch.reciprocal, positive), ("sqrt", torch.sqrt, positive),
                        ("rsqrt", torch.rsqrt, positive), ("exp", torch.exp, x), ("log", torch.log, positive),
                        ("tanh", torch.tanh, x), ("sigmoid", torch.sigmoid, x), ("relu", torch.relu, away)]:
        case("unary", name, [at], f, second=name != "abs")  # PyTorch 1.13 has it wrong: it should be zero
    wide = torch.tensor([-30.0, -10.0, -3.0, 3.0, 10.0, 30.0])
    for name, f in [("tanh_wide", torch.tanh), ("sigmoid_wide", torch.sigmoid), ("exp_wide", torch.exp)]:
        case("unary", name, [wide], f)
    r = rng("binary")
    a, b, positive = distinct(r, 4, 1, 5), distinct(r, 3, 5) * 1.37, uniform(r, 3, 1, low=0.5, high=2)
    for name, f in [("add", torch.add), ("sub", torch.sub), ("mul", torch.mul)]:
        case("binary", name, [a, b], f, second=True)
    case("binary", "div", [a, positive], torch.div, second=True)
    case("binary", "maximum", [a, b], torch.maximum)
    case("binary", "minimum", [a, b], torch.minimum)


elementwise()
