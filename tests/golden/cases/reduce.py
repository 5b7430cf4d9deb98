from golden import case, distinct, rng


def reductions():
    r = rng("reduce")
    x = distinct(r, 2, 3, 4)
    case("reduce", "sum_all", [x], lambda x: x.sum())
    case("reduce", "sum_axes", [x], lambda x: x.sum((0, 2)))
    case("reduce", "sum_keep", [x], lambda x: x.sum(1, keepdim=True))
    case("reduce", "mean_all", [x], lambda x: x.mean())
    case("reduce", "mean_axes", [x], lambda x: x.mean((1, 2)))
    case("reduce", "max_axis", [x], lambda x: (x.max(1)[0], {"index": x.max(1)[1]}))
    case("reduce", "max_all", [x], lambda x: (x.max(), {"index": x.argmax()}))
    case("reduce", "max_last", [x], lambda x: (x.max(2, keepdim=True)[0], {"index": x.max(2, keepdim=True)[1]}))


reductions()
