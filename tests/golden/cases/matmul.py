import torch

from golden import case, rng, uniform


def products():
    r = rng("matmul")
    for name, a, b in [("plain", (5, 7), (7, 3)), ("batched", (2, 4, 3), (2, 3, 5)), ("broadcast", (3, 1, 2, 4), (2, 4, 3)),
                       ("matrix_vector", (4, 6), (6,)), ("vector_matrix", (6,), (6, 4)), ("vectors", (9,), (9,)),
                       ("batch_times_matrix", (3, 4, 5), (5, 2)), ("wide", (3, 64), (64, 5))]:
        case("matmul", name, [uniform(r, *a), uniform(r, *b)], torch.matmul, second=name in ("plain", "broadcast"))


products()
