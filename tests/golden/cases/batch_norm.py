import torch
import torch.nn.functional as F

from golden import case, rng, uniform


def norms():
    r = rng("batch_norm")
    x, gamma, beta = uniform(r, 3, 4, 2, 5), uniform(r, 4, low=0.5, high=1.5), uniform(r, 4)
    mean, var = uniform(r, 4), uniform(r, 4, low=0.5, high=2)

    def norm(training, relu=False, momentum=0.1, eps=1e-5):
        def f(x, gamma, beta):
            m, v = mean.double().clone(), var.double().clone()
            y = F.batch_norm(x, m, v, gamma, beta, training, momentum, eps)
            y = torch.relu(y) if relu else y
            return y, {"mean": mean, "var": var, "new_mean": m, "new_var": v}
        return f

    case("batch_norm", "train", [x, gamma, beta], norm(True), second=True)
    case("batch_norm", "eval", [x, gamma, beta], norm(False), second=True)
    case("batch_norm", "train_relu", [x, gamma, beta], norm(True, relu=True))
    case("batch_norm", "vectors", [uniform(r, 6, 4) * 3 + 50, gamma, beta], norm(True, momentum=0.3, eps=1e-3))


norms()
