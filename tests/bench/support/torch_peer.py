"""Answers "CASE<tab>TIMES" lines with the seconds of one call of that case, -1 if there is none, and the line "peak memory" with
the most bytes that this process has had resident. Argument: threads."""
import os
import resource
import sys
import time

out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # whatever else prints goes elsewhere
try:
    import torch
    import torch.nn.functional as F
except ImportError:
    out.write("no PyTorch\n")
    sys.exit()
torch.set_num_threads(int(sys.argv[1]))
out.write(f"PyTorch {torch.__version__}\n")
out.flush()

M = 1 << 20


def forward(f, *shapes):
    x = [torch.randn(*s) for s in shapes]

    def run():
        with torch.no_grad():
            f(*x)
    return run


def both(f, *shapes, last=False):
    """Forward and backward; channels-last images if `last`."""
    x = [torch.randn(*s) for s in shapes]
    x = [t.contiguous(memory_format=torch.channels_last) if last and t.dim() == 4 else t for t in x]
    x = [t.requires_grad_() for t in x]
    dy = torch.ones_like(f(*x))

    def run():
        torch.autograd.grad(f(*x), x, dy)
    return run


def batch_norm_relu():
    gamma, beta = torch.ones(64, requires_grad=True), torch.zeros(64, requires_grad=True)
    mean, var = torch.zeros(64), torch.ones(64)
    x = torch.randn(8, 64, 64, 64).contiguous(memory_format=torch.channels_last).requires_grad_()
    dy = torch.ones_like(x)
    return lambda: torch.autograd.grad(F.relu(F.batch_norm(x, mean, var, gamma, beta, True)), [x, gamma, beta], dy)


def cross_entropy():
    x = torch.randn(8, 21, 128, 128).contiguous(memory_format=torch.channels_last).requires_grad_()
    y = torch.randint(0, 21, (8, 128, 128))
    return lambda: torch.autograd.grad(F.cross_entropy(x, y, ignore_index=-1), [x])


def embedding():
    w, i = torch.randn(10000, 256, requires_grad=True), torch.randint(0, 10000, (8192,))
    dy = torch.ones(8192, 256)
    return lambda: torch.autograd.grad(F.embedding(i, w), [w], dy)


def adam():
    p = [torch.randn(M, requires_grad=True) for _ in range(4)]
    for t in p:
        t.grad = torch.randn(M)
    return torch.optim.Adam(p).step


def fcn():
    """One training step of a net of six convolutions on 8x3x128x128."""
    torch.manual_seed(0)
    layers, c = [], 3
    for i, o in enumerate((32, 64, 64, 128, 128)):
        layers += [torch.nn.Conv2d(c, o, 3, padding=1, stride=2 if i in (1, 3) else 1, bias=False), torch.nn.BatchNorm2d(o),
                   torch.nn.ReLU()]
        c = o
    net = torch.nn.Sequential(*layers, torch.nn.Conv2d(c, 21, 1),
                              torch.nn.Upsample(size=(128, 128), mode="bilinear")).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
    x = torch.randn(8, 3, 128, 128).contiguous(memory_format=torch.channels_last)
    y = torch.randint(0, 21, (8, 128, 128))

    def run():
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
    return run


def deeplab():
    """One training step of torchvision's DeepLabV3-ResNet50 with its auxiliary head on 4x3x128x128."""
    from torchvision.models import segmentation
    torch.manual_seed(0)
    net = segmentation.deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=21, aux_loss=True)
    net = net.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
    x = torch.randn(4, 3, 128, 128).contiguous(memory_format=torch.channels_last)
    y = torch.randint(0, 21, (4, 128, 128))

    def run():
        optimizer.zero_grad()
        logits = net(x)
        (F.cross_entropy(logits["out"], y) + 0.4 * F.cross_entropy(logits["aux"], y)).backward()
        optimizer.step()
    return run


def missing(case):
    """-1 as the answer where torchvision is not installed."""
    try:
        return case()
    except ImportError:
        return None


wide = (16 * M,)
rows = (8192, 1000)
image = (8, 64, 64, 64)
cases = {
    "add": lambda: forward(torch.add, wide, wide),
    "relu": lambda: forward(torch.relu, wide),
    "exp": lambda: forward(torch.exp, wide),
    "tanh": lambda: forward(torch.tanh, wide),
    "gelu": lambda: forward(F.gelu, wide),
    "sum": lambda: forward(torch.sum, wide),
    "sum rows": lambda: forward(lambda x: x.sum(1), rows),
    "sum columns": lambda: forward(lambda x: x.sum(0), rows),
    "max rows": lambda: forward(lambda x: x.max(1), rows),
    "transpose": lambda: forward(lambda x: x.t().contiguous(), (4096, 4096)),
    "concat": lambda: forward(lambda a, b: torch.cat((a, b), 1), image, image),
    "cast to bf16": lambda: forward(lambda x: x.to(torch.bfloat16), wide),
    "softmax": lambda: both(lambda x: x.softmax(1), rows),
    "log_softmax": lambda: both(lambda x: x.log_softmax(1), rows),
    "cross_entropy": cross_entropy,
    "batch_norm + relu": batch_norm_relu,
    "max_pool2d": lambda: both(lambda x: F.max_pool2d(x, 3, 2, 1), image, last=True),
    "avg_pool2d": lambda: both(lambda x: F.avg_pool2d(x, 2), image, last=True),
    "resize bilinear": lambda: both(lambda x: F.interpolate(x, (128, 128), mode="bilinear"), (8, 21, 32, 32), last=True),
    "layer_norm": lambda: both(lambda x: F.layer_norm(x, (1000,)), rows),
    "cumsum": lambda: forward(lambda x: x.cumsum(1), rows),
    "sort": lambda: forward(lambda x: x.sort(1), (512, 1000)),
    "embedding": embedding,
    "adam step, 4 M values": adam,
    "product 512": lambda: forward(torch.matmul, (512, 512), (512, 512)),
    "conv 4x64x56x56": lambda: both(lambda x, w: F.conv2d(x, w, padding=1), (4, 64, 56, 56), (64, 64, 3, 3), last=True),
    "fcn step": fcn,
    "deeplab step": lambda: missing(deeplab),
}
ready = {}
for line in sys.stdin:
    name, times = line.rstrip("\n").split("\t")
    if name not in ready and name in cases:
        ready.clear()
        ready[name] = cases[name]()
        if ready[name]:
            ready[name]()
    if name == "peak memory":
        out.write(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}\n")
    elif not ready.get(name):
        out.write("-1\n")
    else:
        start = time.perf_counter()
        for _ in range(int(times)):
            ready[name]()
        out.write(f"{(time.perf_counter() - start) / int(times)}\n")
    out.flush()
