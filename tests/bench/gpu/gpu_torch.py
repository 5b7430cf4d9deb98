"""PyTorch's side of gpu.cpp: answers "OP key=value …<tab>TIMES" lines with the seconds of one call (bytes for
measure=memory); -1 where it cannot, and after a tab what it lacks. Argument: cuda or cpu. mode=compiled asks for torch.compile, which gets 100 seconds."""
import os
import signal
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
device = sys.argv[1]
if device == "cuda" and not torch.cuda.is_available():
    out.write("no PyTorch that sees the GPU\n")
    sys.exit()
torch.backends.cudnn.benchmark = True
about = f"PyTorch {torch.__version__}, cudnn.benchmark"
if device == "cuda":
    about += f", {torch.cuda.get_device_name()}, cuDNN {torch.backends.cudnn.version()}"
out.write(about + "\n")
out.flush()
last = torch.channels_last


def wait():
    if device == "cuda":
        torch.cuda.synchronize()


def maybe_compiled(f, spec):
    if spec.get("mode") != "compiled":
        return f
    torch._dynamo.reset()  # or it gives up after a few cases of one function
    return torch.compile(f)


def dtype_of(spec):
    return torch.bfloat16 if spec.get("dtype") == "bf16" else torch.float32


def image(n, c, h, w, dtype=torch.float32):
    return torch.randn(n, c, h, w, device=device).to(dtype).contiguous(memory_format=last)


def backward_of(f, *x):
    """One forward and backward pass, from ones."""
    x = [t.requires_grad_() for t in x]
    dy = torch.ones_like(f(*x))
    return lambda: torch.autograd.grad(f(*x), x, dy)


def copy(s):
    a, b = torch.randn(s["n"], device=device), torch.zeros(s["n"], device=device)
    return lambda: b.copy_(a)


def matmul(s):
    a, b = (torch.randn(s["n"], s["n"], device=device).to(dtype_of(s)) for _ in range(2))
    return lambda: a @ b


def conv(s):
    x = image(s["n"], s["c"], s["size"], s["size"], dtype_of(s))
    w = image(s["o"], s["c"], s["k"], s["k"], dtype_of(s))

    def f(x, w):
        return F.conv2d(x, w, stride=s["s"], padding=s["d"] * (s["k"] // 2), dilation=s["d"])
    if s.get("both"):
        return backward_of(f, x, w)

    def run():
        with torch.no_grad():
            f(x, w)
    return run


def bn(s):
    c = s["c"]
    x = [image(s["n"], c, s["size"], s["size"], dtype_of(s)) for _ in range(1 + s["add"])]
    mean, var = torch.zeros(c, device=device), torch.ones(c, device=device)
    gamma, beta = torch.ones(c, device=device), torch.zeros(c, device=device)

    def f(gamma, beta, x, other=None):
        y = F.batch_norm(x, mean, var, gamma, beta, True)
        return F.relu(y if other is None else y + other)
    return backward_of(maybe_compiled(f, s), gamma, beta, *x)


def ce(s):
    y = torch.randint(0, s["c"], (s["n"], s["size"], s["size"]), device=device)
    return backward_of(maybe_compiled(lambda x: F.cross_entropy(x, y, ignore_index=-1), s),
                       image(s["n"], s["c"], s["size"], s["size"]))


def resize(s):
    return backward_of(maybe_compiled(lambda x: F.interpolate(x, (s["out"], s["out"]), mode="bilinear"), s),
                       image(s["n"], s["c"], s["size"], s["size"]))


def softmax(s):
    return backward_of(maybe_compiled(lambda x: x.softmax(1), s), torch.randn(s["n"], s["c"], device=device))


def total(s):
    a = torch.randn(s["n"], device=device)
    return lambda: a.sum()


def add(s):
    a, b = torch.randn(s["n"], device=device), torch.randn(s["n"], device=device)
    return lambda: a + b


def pool(s):
    return backward_of(maybe_compiled(lambda x: F.max_pool2d(x, 3, 2, 1), s), image(s["n"], s["c"], s["size"], s["size"]))


def update(s):
    import torchvision
    net = getattr(torchvision.models, f"resnet{s['depth']}")(weights=None)
    net.fc = torch.nn.Identity()
    net = net.to(device)
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    if s["optimizer"] == "sgd":
        return torch.optim.SGD(net.parameters(), 1e-9, momentum=0.9, foreach=True).step
    return torch.optim.Adam(net.parameters(), 1e-9, foreach=True).step


def step(s):
    import torchvision
    if s["net"] == "resnet50":
        net = torchvision.models.resnet50(weights=None)
        labels = torch.randint(0, 1000, (s["n"],), device=device)
    else:
        make = getattr(torchvision.models.segmentation, s["net"])
        net = make(weights=None, weights_backbone=None, num_classes=21, aux_loss=True)
        labels = torch.randint(0, 21, (s["n"], s["size"], s["size"]), device=device)
    net = net.to(device).to(memory_format=last)
    optimizer = torch.optim.SGD(net.parameters(), 1e-4, momentum=0.9)
    x = image(s["n"], 3, s["size"], s["size"])
    bf16 = s.get("dtype") == "bf16"

    def loss_of(x):
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            y = net(x)
        if torch.is_tensor(y):
            return F.cross_entropy(y.float(), labels)
        return F.cross_entropy(y["out"].float(), labels) + 0.4 * F.cross_entropy(y["aux"].float(), labels)
    loss_of = maybe_compiled(loss_of, s)

    def run():
        optimizer.zero_grad(set_to_none=True)
        loss_of(x).backward()
        optimizer.step()
    return run


makers = {f.__name__: f for f in (copy, matmul, conv, bn, ce, resize, softmax, add, pool, update, step)}
makers["sum"] = total


class TooLong(Exception):
    pass


def too_long(*_):
    raise TooLong


signal.signal(signal.SIGALRM, too_long)
lacks = {}  # modules that a case needs
ready = {}  # the last eager and the last compiled case: both are asked for in turn


def prepared(text, spec):
    mode = spec.get("mode", "eager")
    if ready.get(mode, ("", None))[0] != text:
        ready.pop(mode, None)
        if mode == "eager":
            ready.clear()
            if device == "cuda":
                torch.cuda.empty_cache()
        tf32 = spec.get("dtype") == "tf32"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        run = None
        signal.alarm(100 if mode == "compiled" else 0)
        try:
            run = makers[text.split()[0]](spec)
            for _ in range(3):
                run()
            wait()
        except ModuleNotFoundError as error:
            lacks[text] = f"no {error.name}"
        except Exception as error:  # TooLong, out of memory, no compiler
            sys.stderr.write(f"gpu_torch: {text}: {type(error).__name__}: {str(error)[:200]}\n")
            run = None
        signal.alarm(0)
        ready[mode] = (text, run)
    return ready[mode][1]


def answer(text, times):
    spec = dict(word.split("=") for word in text.split()[1:])
    spec = {key: int(value) if value.isdigit() else value for key, value in spec.items()}
    measure = spec.pop("measure", "time")
    text = text.replace(f" measure={measure}", "")
    run = prepared(text, spec)
    if run is None:
        return f"-1\t{lacks[text]}" if text in lacks else -1
    if measure == "memory":
        if device != "cuda":
            return -1
        torch.cuda.reset_peak_memory_stats()
        run()
        wait()
        return torch.cuda.max_memory_allocated()
    wait()
    start = time.perf_counter()
    for _ in range(times):
        run()
    host = time.perf_counter() - start
    wait()
    return (host if measure == "host" else time.perf_counter() - start) / times


for line in sys.stdin:
    name, count = line.rstrip("\n").split("\t")
    out.write(f"{answer(name, int(count))}\n")
    out.flush()
