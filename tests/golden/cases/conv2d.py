import torch.nn.functional as F

from golden import case, rng, uniform


def convolutions():
    r = rng("conv2d")

    def conv(name, x, w, bias=True, second=False, **options):
        inputs = [uniform(r, *x), uniform(r, *w, low=-1, high=1)] + ([uniform(r, w[0])] if bias else [])
        case("conv2d", name, inputs, lambda x, w, b=None: F.conv2d(x, w, b, **options), second)

    conv("plain", (2, 3, 6, 5), (4, 3, 3, 3), second=True)
    conv("one_by_one", (2, 4, 3, 3), (5, 4, 1, 1))
    conv("padded", (2, 3, 5, 5), (2, 3, 3, 3), padding=1)
    conv("stride", (1, 3, 8, 7), (4, 3, 3, 3), padding=1, stride=2, second=True)
    conv("seven", (1, 3, 12, 12), (4, 3, 7, 7), padding=3, stride=2, bias=False)
    conv("dilation", (1, 3, 9, 9), (4, 3, 3, 3), padding=2, dilation=2, bias=False, second=True)
    conv("groups", (2, 4, 5, 5), (6, 2, 3, 3), padding=1, groups=2)
    conv("depthwise", (2, 4, 6, 6), (4, 1, 3, 3), padding=1, groups=4, stride=2)
    conv("uneven", (1, 2, 7, 8), (3, 2, 3, 2), stride=(2, 1), padding=(0, 1), dilation=(1, 3), bias=False)
    x, w, b = uniform(r, 1, 2, 5, 5), uniform(r, 3, 2, 3, 3, low=-1, high=1), uniform(r, 3)
    case("conv2d", "asymmetric", [x, w, b], lambda x, w, b: F.conv2d(F.pad(x, (1, 2, 0, 1)), w, b, stride=2))


convolutions()
