import torch
import torch.nn.functional as F

from golden import case, rng, uniform


def residuals():
    r = rng("batch_norm_add")
    x, other = uniform(r, 3, 4, 2, 5), uniform(r, 3, 4, 2, 5)
    gamma, beta = uniform(r, 4, low=0.5, high=1.5), uniform(r, 4)

    def block(x, other, gamma, beta):
        return torch.relu(F.batch_norm(x, None, None, gamma, beta, True) + other)

    case("batch_norm_add", "train_relu", [x, other, gamma, beta], block, second=True)


residuals()
