"""The U-Net of `colorjax.networks.unet` in PyTorch, as a PyTorch user would write it: what the benchmarks compare with.

Its modules have torchvision's names. It takes colorjax's own numbers (`load`), so that a benchmark can hold that both networks
give the same answer before it times them.
"""

import json
import os
import re
from typing import Any

import safetensors
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorjax.inference import torch_layout

_GUIDES = re.compile(r"(^|\.)(palette|hints|deep_hints)\.")  # numbers of likely colours, and of what follows hints


def conv(cin: int, cout: int, size: int, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(cin, cout, size, stride, size // 2, bias=bias)


class BasicBlock(nn.Module):
    def __init__(self, cin: int, cout: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = conv(cin, cout, 3, stride), nn.BatchNorm2d(cout)
        self.conv2, self.bn2 = conv(cout, cout, 3), nn.BatchNorm2d(cout)
        other = stride != 1 or cin != cout
        self.downsample = nn.Sequential(conv(cin, cout, 1, stride), nn.BatchNorm2d(cout)) if other else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)), inplace=True)))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)), inplace=True)


def stage(cin: int, cout: int, stride: int) -> nn.Sequential:
    return nn.Sequential(BasicBlock(cin, cout, stride), BasicBlock(cout, cout, 1))


class Encoder(nn.Module):
    def __init__(self, width: int, strided: bool):
        super().__init__()
        self.strided = strided
        self.conv1, self.bn1 = conv(1, width, 7, 2 if strided else 1, bias=True), nn.BatchNorm2d(width)
        self.layer1, self.layer2 = stage(width, width, 1), stage(width, 2 * width, 2)
        self.layer3, self.layer4 = stage(2 * width, 4 * width, 2), stage(4 * width, 8 * width, 2)

    def forward(self, luma: Tensor) -> tuple[Tensor, ...]:
        luma = luma.float()
        t = (luma * 50 + 66) / 116  # L* = 116 t - 16
        linear = torch.where(t > 6 / 29, t**3, (t - 4 / 29) * (3 * (6 / 29) ** 2))
        grey = torch.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055)
        stem = F.relu(self.bn1(self.conv1((grey - 0.449) / 0.226)), inplace=True)
        layer1 = self.layer1(F.max_pool2d(stem, 3, 2, 1) if self.strided else stem)
        layer2 = self.layer2(layer1)
        layer3 = self.layer3(layer2)
        return stem, layer1, layer2, layer3, self.layer4(layer3)


class UpBlock(nn.Module):
    def __init__(self, cin: int, cskip: int, cout: int):
        super().__init__()
        self.up = nn.ConvTranspose2d(cin, cout, 2, 2)
        self.conv1, self.bn1 = conv(cout + cskip, cout, 3), nn.BatchNorm2d(cout)
        self.conv2, self.bn2 = conv(cout, cout, 3), nn.BatchNorm2d(cout)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        x = torch.cat([self.up(x), skip], 1)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(x)), inplace=True)


class UNet(nn.Module):
    """luma (B, 1, H, W) in -1..1 -> chroma (B, 2, H / answer, W / answer) in -1..1; H and W are multiples of 32.

    answer: 1, with the strided stem also 2 or 4.
    """

    def __init__(self, width: int = 64, stem: str = "full", answer: int = 1):
        super().__init__()
        strided = stem == "strided"
        self.encoder = Encoder(width, strided)
        self.up3, self.up2 = UpBlock(8 * width, 4 * width, 4 * width), UpBlock(4 * width, 2 * width, 2 * width)
        self.up1 = UpBlock(2 * width, width, width)
        self.up_stem = UpBlock(width, width, width) if strided and answer < 4 else None
        self.up_luma = UpBlock(width, 1, width // 4) if strided and answer == 1 else None
        self.head = conv(width if self.up_luma is None else width // 4, 2, 3, bias=True)

    def forward(self, luma: Tensor) -> Tensor:
        stem, layer1, layer2, layer3, layer4 = self.encoder(luma)
        x = self.up1(self.up2(self.up3(layer4, layer3), layer2), layer1)
        if self.up_stem is not None:
            x = self.up_stem(x, stem)
        if self.up_luma is not None:
            x = self.up_luma(x, luma)
        return torch.tanh(self.head(x).float())


def load(net: UNet, params: Any, stats: Any) -> UNet:
    """Give `net` the numbers of colorjax's network. Raises RuntimeError where one has no place."""
    net.load_state_dict({name: torch.from_numpy(value) for name, value in torch_layout.tensors(params, stats).items()})
    return net


def read(path: str | os.PathLike) -> UNet:
    """The network in a file of `colorjax export --format safetensors`, ready to answer; of a guided one what it says without
    hints. Raises RuntimeError where another number has no place, as those of the shallow network."""
    with safetensors.safe_open(path, "pt") as file:
        model = json.loads(file.metadata()["model"])
        numbers = {name: file.get_tensor(name) for name in file.keys() if not _GUIDES.search(name)}  # noqa: SIM118, no dict
    net = UNet(model["width"], model["stem"], model["answer"])
    net.load_state_dict(numbers)
    return net.eval()
