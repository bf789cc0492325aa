"""The trunks of torchvision that the `lpips` package asks for, without torchvision, which does not import beside every torch.

AlexNet: Krizhevsky, One weird trick, 2014. SqueezeNet 1.1: Iandola et al. 2016. Layers as in torchvision.models.
"""

import sys
import types

import torch
from torch import nn

LAYERS = {
    "alex": lambda: [
        *(nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2)),
    ],
    "squeeze": lambda: [
        *(nn.Conv2d(3, 64, 3, 2), nn.ReLU(), _pool(), Fire(64, 16, 64), Fire(128, 16, 64)),
        *(_pool(), Fire(128, 32, 128), Fire(256, 32, 128)),
        *(_pool(), Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256)),
    ],
}


class Fire(nn.Module):
    def __init__(self, cin, narrow, wide):
        super().__init__()
        self.squeeze = nn.Conv2d(cin, narrow, 1)
        self.expand1x1 = nn.Conv2d(narrow, wide, 1)
        self.expand3x3 = nn.Conv2d(narrow, wide, 3, padding=1)

    def forward(self, x):
        x = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.expand1x1(x)), torch.relu(self.expand3x3(x))], 1)


def _pool():
    return nn.MaxPool2d(3, 2, ceil_mode=True)


def trunk(net, weights=None, seed=0):
    """torchvision's `features` of a net: with a state dict, else at random with activations of about 1."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        features = nn.Sequential(*LAYERS[net]())
        for module in features.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                nn.init.normal_(module.bias, std=0.1)
    if weights is not None:
        features.load_state_dict({key.removeprefix("features."): torch.tensor(value) for key, value in weights.items()})
    return features


def package(net, features):
    """The `lpips` package's own LPIPS(net) around these features."""
    models = types.ModuleType("torchvision.models")
    name = {"alex": "alexnet", "squeeze": "squeezenet1_1"}[net]
    setattr(models, name, lambda pretrained=False: types.SimpleNamespace(features=features))
    torchvision = types.ModuleType("torchvision")
    torchvision.models = models
    before = {key: sys.modules.get(key) for key in ("torchvision", "torchvision.models")}
    sys.modules |= {"torchvision": torchvision, "torchvision.models": models}
    try:
        import lpips

        lpips.pretrained_networks.tv = models
        return lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    finally:
        for key, module in before.items():
            if module is None:
                del sys.modules[key]
            else:
                sys.modules[key] = module
