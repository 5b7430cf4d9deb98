import torch.nn.functional as F

from golden import case, rng, uniform


def convolutions():
    r = rng("conv_transpose2d")

    def transposed(name, x, w, second=False, **options):
        out = w[1] * options.get("groups", 1)
        inputs = [uniform(r, *x), uniform(r, *w, low=-1, high=1), uniform(r, out)]
        case("conv_transpose2d", name, inputs, lambda x, w, b: F.conv_transpose2d(x, w, b, **options), second)

    transposed("plain", (2, 3, 3, 4), (3, 2, 3, 3), second=True)
    transposed("twice", (1, 2, 3, 4), (2, 3, 3, 3), stride=2, padding=1, output_padding=1, second=True)
    transposed("dilated", (1, 2, 3, 4), (2, 3, 3, 3), padding=1, dilation=2)
    transposed("groups", (1, 4, 3, 3), (4, 3, 2, 2), groups=2, stride=(2, 1))
    r = rng("conv1d")
    lines = [uniform(r, 2, 4, 9), uniform(r, 6, 2, 3, low=-1, high=1), uniform(r, 6)]
    case("conv1d", "groups", lines, lambda x, w, b: F.conv1d(x, w, b, stride=2, padding=1, groups=2), second=True)
    case("conv1d", "dilated", [uniform(r, 1, 3, 9), uniform(r, 2, 3, 3)], lambda x, w: F.conv1d(x, w, dilation=3))


convolutions()
