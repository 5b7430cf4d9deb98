import torch
import torch.nn.functional as F

from golden import case, labels, rng, uniform


def softmaxes():
    r = rng("softmax")
    case("softmax", "last", [uniform(r, 4, 9)], lambda x: x.softmax(-1), second=True)
    case("softmax", "middle", [uniform(r, 2, 5, 3, 4)], lambda x: x.softmax(1), second=True)
    case("softmax", "large", [uniform(r, 3, 6, low=-90, high=90)], lambda x: x.softmax(1))
    r = rng("cross_entropy")
    image, y = uniform(r, 2, 5, 3, 4), labels(r, 2, 3, 4, classes=5, ignore=-1)
    weight = uniform(r, 5, low=0.2, high=2)
    case("cross_entropy", "plain", [uniform(r, 6, 4), labels(r, 6, classes=4)], F.cross_entropy, second=True)
    case("cross_entropy", "ignore", [image, y], lambda x, y: F.cross_entropy(x, y, ignore_index=-1), second=True)
    for reduction in ("mean", "sum", "none"):
        case("cross_entropy", "weights_" + reduction, [image, y],
             lambda x, y: (F.cross_entropy(x, y, weight.double(), ignore_index=-1, reduction=reduction), {"weights": weight}),
             second=reduction != "sum")
    case("cross_entropy", "confident", [torch.tensor([[100.0, -21.0], [-80.0, 95.0]]), torch.tensor([1, 1])], F.cross_entropy)
    case("cross_entropy", "all_but_one_ignored", [uniform(r, 3, 4), torch.tensor([-1, 2, -1])],
         lambda x, y: F.cross_entropy(x, y, ignore_index=-1))


softmaxes()
