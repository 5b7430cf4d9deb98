import torch.nn.functional as F

from golden import case, rng, uniform


def log_softmaxes():
    r = rng("log_softmax")
    case("log_softmax", "last", [uniform(r, 4, 9)], lambda x: F.log_softmax(x, -1), second=True)
    case("log_softmax", "middle", [uniform(r, 2, 5, 3, 4)], lambda x: F.log_softmax(x, 1), second=True)
    case("log_softmax", "large", [uniform(r, 3, 6, low=-90, high=90)], lambda x: F.log_softmax(x, 1))


log_softmaxes()
