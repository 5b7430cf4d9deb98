"""torchvision.npz: torchvision's fcn_resnet50 and deeplabv3_resnet50 with state, pictures and labels by formula: logits in
evaluation, loss, gradients and running statistics of a training step without dropout."""
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from torchvision.models import segmentation

import formula
import golden

KEYS = pathlib.Path(golden.__file__).parent / "torchvision_keys"
GRADIENTS = """backbone.conv1.weight backbone.bn1.weight backbone.layer1.0.conv2.weight backbone.layer1.0.downsample.0.weight
    backbone.layer2.0.conv2.weight backbone.layer3.0.conv2.weight backbone.layer3.5.bn2.bias backbone.layer4.0.downsample.0.weight
    backbone.layer4.2.conv2.weight classifier.4.weight classifier.4.bias aux_classifier.0.weight aux_classifier.4.weight"""
DEEPLAB = """classifier.0.convs.0.0.weight classifier.0.convs.1.0.weight classifier.0.convs.3.0.weight
    classifier.0.convs.4.1.weight classifier.0.project.0.weight classifier.1.weight"""
STATISTICS = "backbone.bn1 backbone.layer2.3.bn2 backbone.layer4.2.bn3 aux_classifier.1"
CLASSES, IGNORE = 21, 255


def check_names(name, net):
    """The list that the C++ side fills its state from is torchvision's."""
    text = "".join(f"{key} {str(value.dtype).split('.')[1]} {'x'.join(map(str, value.shape)) or 'scalar'}\n"
                   for key, value in net.state_dict().items())
    assert sorted(text.split()) == sorted((KEYS / f"{name}.txt").read_text().split()), name


def picture(shape):
    """The second sample has twice the first one's contrast: a batch norm over two pooled values needs them apart."""
    x = formula.spread("picture", int(np.prod(shape))).reshape(shape)
    return torch.from_numpy(x * np.array([1.0, 2.0]).reshape(2, 1, 1, 1))


def labels(shape):
    b = formula.bits("labels", int(np.prod(shape))).reshape(shape)
    return torch.from_numpy(np.where(b >> 16 & 7, b % CLASSES, IGNORE).astype(np.int64))


def some(values, count=24):
    flat = values.detach().reshape(-1)
    return flat[torch.arange(min(count, len(flat))) * len(flat) // min(count, len(flat))]


def net_case(name, height, width, gradients):
    out = golden.files.setdefault("torchvision", {})
    keep = lambda what, t: out.__setitem__(f"{name}/{what}", torch.as_tensor(t).detach().double().numpy())
    net = getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=True)
    check_names(name, net)
    net.load_state_dict({key: torch.from_numpy(formula.state(key, tuple(value.shape))) if value.is_floating_point() else value
                         for key, value in net.state_dict().items()})
    net.double().eval()
    x, t = picture((2, 3, height, width)), labels((2, height, width))
    keep("size", [float(height), float(width)])
    with torch.no_grad():
        for head, logits in net(x).items():
            keep(f"{head}/some", logits[:, :, ::8, ::8])
            keep(f"{head}/norm", logits.norm())
            keep(f"{head}/largest", logits.abs().max())
    net.train()
    for module in net.modules():
        if isinstance(module, torch.nn.Dropout):
            module.eval()
    y = net(x)
    loss = F.cross_entropy(y["out"], t, ignore_index=IGNORE) + 0.4 * F.cross_entropy(y["aux"], t, ignore_index=IGNORE)
    loss.backward()
    keep("loss", loss)
    parameters, buffers = dict(net.named_parameters()), dict(net.named_buffers())
    for key in gradients.split():
        g = parameters[key].grad
        keep(f"gradient/{key}/some", some(g))
        keep(f"gradient/{key}/norm", g.norm())
        keep(f"gradient/{key}/largest", g.abs().max())
    for key in STATISTICS.split():
        for what in "mean", "var":
            keep(f"statistic/{key}.running_{what}", some(buffers[f"{key}.running_{what}"]))


net_case("fcn_resnet50", 65, 49, GRADIENTS)
net_case("deeplabv3_resnet50", 25, 305, GRADIENTS + " " + DEEPLAB)  # features 4 x 39: dilations 12, 24, 36 reach others
