"""nn_losses.npz: the mean of each loss of nn/loss.h and nn/segmentation_loss.h. Those PyTorch lacks are written out here."""
import torch
import torch.nn.functional as F

from golden import case, labels, rng, uniform

r = rng("nn_losses")
logits, target = uniform(r, 3, 4, 5, 2), labels(r, 3, 5, 2, classes=4, ignore=-1)
weights = torch.tensor([0.5, 2.0, 1.0, 0.25])


def loss(name, inputs, function, **more):
    case("nn_losses", name, inputs, lambda *x: (function(*x), {k: v for k, v in more.items()}), second=not name.startswith(("ohem", "l1", "smooth_l1")))


loss("nll", [F.log_softmax(logits, 1), target], lambda x, t: F.nll_loss(x, t, ignore_index=-1))
loss("nll_weights", [F.log_softmax(logits, 1), target],
     lambda x, t: F.nll_loss(x, t, weights.double(), ignore_index=-1), weights=weights)
loss("smoothing", [logits, target], lambda x, t: F.cross_entropy(x, t, ignore_index=-1, label_smoothing=0.2))
loss("smoothing_weights", [logits, target],
     lambda x, t: F.cross_entropy(x, t, weights.double(), ignore_index=-1, label_smoothing=0.2), weights=weights)

a, b = uniform(r, 4, 6), uniform(r, 4, 6)
probability = uniform(r, 4, 6, low=0, high=1)
positive = uniform(r, 6, low=0.5, high=3)
for name, kwargs, more in [("bce", {}, {}), ("bce_positive", {"pos_weight": positive.double()}, {"positive": positive})]:
    loss(name, [a * 3, probability], lambda x, t, kwargs=kwargs: F.binary_cross_entropy_with_logits(x, t.detach(), **kwargs)
         + 0 * t.sum(), **more)
zeros = probability.clone()
zeros[1] = 0
loss("kl", [F.log_softmax(a, 1), zeros], lambda x, t: F.kl_div(x, t.detach(), reduction="batchmean") + 0 * t.sum())
loss("l1", [a, b], lambda x, t: F.l1_loss(x, t))
loss("mse", [a, b], lambda x, t: F.mse_loss(x, t))
loss("smooth_l1", [a, b], lambda x, t: F.smooth_l1_loss(x, t))
loss("smooth_l1_beta", [a, b], lambda x, t: F.smooth_l1_loss(x, t, beta=0.4))


def focal(gamma, w=None):
    def function(x, t):
        ce = F.cross_entropy(x, t, ignore_index=-1, reduction="none")
        v = (torch.ones(4) if w is None else w).double()[t.clamp(min=0)] * (t >= 0)
        return (v * (1 - torch.exp(-ce)) ** gamma * ce).sum() / v.sum()
    return function


loss("focal", [logits, target], focal(2))
loss("focal_weights", [logits, target], focal(1.5, weights), weights=weights)


def dice(smooth):
    def function(x, t):
        p, total = torch.softmax(x, 1), 0
        for n in range(x.shape[0]):
            score = 0
            for c in range(x.shape[1]):
                q, g = p[n, c][t[n] >= 0], (t[n][t[n] >= 0] == c).double()
                score = score + (2 * (q * g).sum() + smooth) / (q.sum() + g.sum() + smooth)
            total = total + 1 - score / x.shape[1]
        return total / x.shape[0]
    return function


loss("dice", [logits, target], dice(1))
loss("dice_sharp", [logits, target], dice(0.01))


def ohem(threshold, min_keep, w=None):
    def function(x, t):
        total, weight = 0, 0
        for n in range(x.shape[0]):
            ce = F.cross_entropy(x[n:n + 1], t[n:n + 1], ignore_index=-1, reduction="none")[0][t[n] >= 0]
            v = (torch.ones(4) if w is None else w).double()[t[n][t[n] >= 0]]
            p = torch.exp(-ce)
            limit = max(threshold, p.sort()[0][min(min_keep, len(p)) - 1].item())
            total, weight = total + (v * ce)[p <= limit].sum(), weight + v[p <= limit].sum()
        return total / weight
    return function


loss("ohem", [logits, target], ohem(0.1, 3))
loss("ohem_weights", [logits, target], ohem(0.3, 1, weights), weights=weights)
