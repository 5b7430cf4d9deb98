"""optim.npz: 20 steps of PyTorch's optimizers from 0.1 i with gradients sin(0.7 step + 0.3 i); schedule.npz: rates by step."""
import numpy as np
import torch

import golden

N = 37


def optimizer(name, make):
    w = (0.1 * torch.arange(N, dtype=torch.float64)).requires_grad_()
    o = make([w])
    for step in range(1, 21):
        w.grad = torch.sin(0.7 * step + 0.3 * torch.arange(N, dtype=torch.float64))
        o.step()
    golden.files.setdefault("optim", {})[name + "/w"] = w.detach().numpy()


def schedule(name, steps, make, lr=0.2):
    o = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    s = make(o)
    rates = []
    for _ in range(steps):
        rates.append(o.param_groups[0]["lr"])
        o.step()
        s.step()
    golden.files.setdefault("schedule", {})[name + "/lr"] = np.array(rates, np.float64)


T, S = torch.optim, torch.optim.lr_scheduler
optimizer("sgd", lambda p: T.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01))
optimizer("nesterov", lambda p: T.SGD(p, lr=0.05, momentum=0.9, weight_decay=0.01, nesterov=True))
optimizer("adam", lambda p: T.Adam(p, lr=0.02, weight_decay=0.1))
optimizer("adamw", lambda p: T.AdamW(p, lr=0.02, weight_decay=0.1))
optimizer("rmsprop", lambda p: T.RMSprop(p, lr=0.02, alpha=0.9, weight_decay=0.1))
optimizer("rmsprop_all", lambda p: T.RMSprop(p, lr=0.02, weight_decay=0.1, momentum=0.7, centered=True))

schedule("step", 20, lambda o: S.StepLR(o, 6, 0.5))
schedule("multi_step", 20, lambda o: S.MultiStepLR(o, [3, 9, 10], 0.5))
schedule("cosine", 20, lambda o: S.CosineAnnealingLR(o, 19, 0.05))
schedule("one_cycle", 40, lambda o: S.OneCycleLR(o, max_lr=0.5, total_steps=41))
schedule("one_cycle_linear", 40, lambda o: S.OneCycleLR(o, max_lr=0.5, total_steps=41, pct_start=0.4, anneal_strategy="linear"))
schedule("warm_up", 20, lambda o: S.SequentialLR(
    o, [S.LinearLR(o, 0.25, 1.0, 5), S.StepLR(o, 6, 0.5)], [5]))
