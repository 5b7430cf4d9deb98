import torch

from golden import case, distinct, rng, uniform


def statistics():
    r = rng("statistics")
    x, tall = distinct(r, 2, 3, 4), uniform(r, 5, 3)
    case("statistics", "prod_axis", [x], lambda x: x.prod(1), second=True)
    case("statistics", "prod_all", [tall], lambda x: x.prod(), second=True)
    zeros = torch.tensor([[0.0, 2.0, 3.0], [0.0, 0.0, 5.0], [1.0, 2.0, 4.0]])
    case("statistics", "prod_zeros", [zeros], lambda x: x.prod(1, keepdim=True), second=True)
    case("statistics", "min_axis", [x], lambda x: (x.min(1)[0], {"index": x.min(1)[1]}))
    case("statistics", "min_all", [x], lambda x: x.min())
    case("statistics", "var_axes", [x], lambda x: x.var((0, 2), unbiased=True), second=True)
    case("statistics", "var_population", [x], lambda x: x.var(1, unbiased=False, keepdim=True), second=True)
    case("statistics", "std_all", [x], lambda x: x.std(), second=True)
    case("statistics", "std_axis", [tall], lambda x: x.std(0, unbiased=False), second=True)
    case("statistics", "std_equal", [torch.full((2, 3), 1.5)], lambda x: x.std(1))
    case("statistics", "norm_1", [x], lambda x: x.norm(1, (0, 1)))
    case("statistics", "norm_2", [x], lambda x: x.norm(2, 2), second=True)
    case("statistics", "norm_2_zero", [torch.zeros(2, 3)], lambda x: x.norm(2, 1))
    ties = torch.tensor([[2.0, -2.0, 1.0], [0.5, 3.0, -1.0]])
    case("statistics", "norm_inf", [ties], lambda x: x.norm(float("inf"), 1, keepdim=True))
    case("statistics", "logsumexp_axes", [x], lambda x: x.logsumexp((1, 2)), second=True)
    case("statistics", "logsumexp_far", [tall * 100 + 5000], lambda x: x.logsumexp(0))
    case("statistics", "cumsum_first", [x], lambda x: x.cumsum(0))
    case("statistics", "cumsum_middle", [x], lambda x: x.cumsum(1), second=True)
    case("statistics", "cumsum_last", [x], lambda x: x.cumsum(2))


statistics()
