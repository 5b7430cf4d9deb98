import torch
import torch.nn.functional as F

from golden import case, labels, rng, uniform


def losses():
    r = rng("losses")
    x, y = uniform(r, 2, 5, 3, 4), labels(r, 2, 3, 4, classes=5, ignore=-1)
    weight = uniform(r, 5, low=0.2, high=2)
    for reduction in ("mean", "sum", "none"):
        case("nll_loss", "weights_" + reduction, [x, y],
             lambda x, y: (F.nll_loss(x, y, weight.double(), ignore_index=-1, reduction=reduction), {"weights": weight}))
        case("cross_entropy_smoothed", "weights_" + reduction, [x, y],
             lambda x, y: (F.cross_entropy(x, y, weight.double(), ignore_index=-1, reduction=reduction,
                                           label_smoothing=0.1), {"weights": weight}), second=True)
    a, t, w = uniform(r, 3, 4), uniform(r, 3, 4, low=0, high=1), uniform(r, 4, low=0.2, high=2)
    case("binary_cross_entropy", "mean", [a, t], F.binary_cross_entropy_with_logits, second=True)
    case("binary_cross_entropy", "positive", [a, t],
         lambda a, t: (F.binary_cross_entropy_with_logits(a, t, pos_weight=w.double()), {"weights": w}))
    b = uniform(r, 3, 4)
    case("smooth_l1", "one", [a, b], F.smooth_l1_loss, second=True)
    case("smooth_l1", "third", [a, b], lambda a, b: F.smooth_l1_loss(a, b, beta=0.3, reduction="none"))
    case("smooth_l1", "l1", [a, b], lambda a, b: F.l1_loss(a, b, reduction="sum"))
    case("kl_divergence", "mean", [a, t + 0.1], lambda a, t: F.kl_div(a, t, reduction="mean"), second=True)
    case("kl_divergence", "log", [a, b], lambda a, b: F.kl_div(a, b, reduction="none", log_target=True), second=True)


losses()
