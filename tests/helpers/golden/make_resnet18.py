"""Makes resnet18_features.npz: what PyTorch's ResNet-18, built as torchvision builds it, sees in a grey picture.

    python tests/golden/make_resnet18.py        # needs NumPy and torch, no colorjax

Weights and picture come from a NumPy seed, here and in tests/test_pretrained.py, so that only features are stored: a few
hundred numbers of each stage, from where no filter reaches over the border of the picture.
"""

from pathlib import Path

import numpy as np

PATH = Path(__file__).with_name("resnet18_features.npz")
SEED = 18
HEIGHT, WIDTH = 512, 544  # the receptive field of layer4 is 435 wide
# channels, pixels from one position of the map to the next, side of the receptive field
STAGES = {"stem": (64, 2, 7), "layer1": (64, 4, 43), "layer2": (128, 8, 99), "layer3": (256, 16, 211), "layer4": (512, 32, 435)}
_PLAN = ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2))


def random_weights(seed: int = SEED) -> dict[str, np.ndarray]:
    """A torchvision state dict of float32 numbers with which features neither vanish nor explode.

    Only `Generator.random` is used, whose stream NumPy keeps; kernels have the scale that fits the BatchNorm variances.
    """
    rng, weights = np.random.default_rng(seed), {}

    def uniform(low: float, high: float, *shape: int) -> np.ndarray:
        return (low + (high - low) * rng.random(shape)).astype(np.float32)

    def conv(name: str, cout: int, cin: int, size: int) -> None:
        reach = 0.2 * np.sqrt(3 / (cin * size * size))
        weights[f"{name}.weight"] = uniform(-reach, reach, cout, cin, size, size)

    def batch_norm(name: str, features: int) -> None:
        weights[f"{name}.weight"] = uniform(0.5, 1.5, features)
        weights[f"{name}.bias"] = uniform(-0.5, 0.5, features)
        weights[f"{name}.running_mean"] = uniform(-0.1, 0.1, features)
        weights[f"{name}.running_var"] = uniform(0.01, 0.07, features)
        weights[f"{name}.num_batches_tracked"] = np.array(7)

    conv("conv1", 64, 3, 7)
    batch_norm("bn1", 64)
    for layer, (cin, cout, stride) in enumerate(_PLAN, 1):
        for block, channels in enumerate((cin, cout)):
            name = f"layer{layer}.{block}"
            conv(f"{name}.conv1", cout, channels, 3)
            batch_norm(f"{name}.bn1", cout)
            conv(f"{name}.conv2", cout, cout, 3)
            batch_norm(f"{name}.bn2", cout)
            if block == 0 and (stride != 1 or cin != cout):
                conv(f"{name}.downsample.0", cout, cin, 1)
                batch_norm(f"{name}.downsample.1", cout)
    weights["fc.weight"], weights["fc.bias"] = uniform(-0.1, 0.1, 1000, 512), uniform(-0.1, 0.1, 1000)
    return weights


def random_grey(seed: int = SEED, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A smooth picture of sRGB grey levels in 0..1, (height, width) float32: bilinear between random knots."""
    knots = np.random.default_rng([seed, 1]).random((height // 8 + 2, width // 8 + 2))
    rows, columns = np.arange(height) / 8, np.arange(width) / 8
    top, left = rows.astype(int), columns.astype(int)
    down, right = (rows - top)[:, None], (columns - left)[None]
    upper = knots[top][:, left] * (1 - right) + knots[top][:, left + 1] * right
    lower = knots[top + 1][:, left] * (1 - right) + knots[top + 1][:, left + 1] * right
    return (upper * (1 - down) + lower * down).astype(np.float32)


def interior(stage: str, length: int) -> tuple[int, int]:
    """First position of a stage's map, and one past the last, whose receptive field lies within `length` pixels."""
    _, stride, field = STAGES[stage]
    first = -(-(field // 2) // stride)
    return first, (length - 1 - field // 2) // stride + 1


def sample(stage: str, height: int = HEIGHT, width: int = WIDTH) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and channels of a stage at which the golden file holds features: about 600, as indices of equal shape."""
    channels, _, _ = STAGES[stage]
    rng = np.random.default_rng([SEED, 2, list(STAGES).index(stage)])
    ranges = (interior(stage, height), interior(stage, width), (0, channels))
    return tuple((low + (high - low) * rng.random(600)).astype(int) for low, high in ranges)


def network(weights: dict[str, np.ndarray]):
    """torchvision's ResNet-18 as a torch module with these weights; calling it gives {stage: (1, C, h, w)}."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, cin, cout, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(cout)
            self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(cout)
            self.downsample = None
            if stride != 1 or cin != cout:
                self.downsample = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

        def forward(self, x):
            y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            return torch.relu(y + (x if self.downsample is None else self.downsample(x)))

    class ResNet18(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
            self.bn1 = nn.BatchNorm2d(64)
            for layer, (cin, cout, stride) in enumerate(_PLAN, 1):
                setattr(self, f"layer{layer}", nn.Sequential(Block(cin, cout, stride), Block(cout, cout, 1)))
            self.fc = nn.Linear(512, 1000)

        def forward(self, x):
            maps = {"stem": torch.relu(self.bn1(self.conv1(x)))}
            x = nn.functional.max_pool2d(maps["stem"], 3, 2, 1)
            for layer in range(1, 5):
                x = maps[f"layer{layer}"] = getattr(self, f"layer{layer}")(x)
            return maps

    module = ResNet18().eval()
    module.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in weights.items()}, strict=True)
    return module


def torch_features(weights: dict[str, np.ndarray], grey: np.ndarray) -> dict[str, np.ndarray]:
    """The feature maps (h, w, C) by stage that torch computes of an (H, W) grey picture given as ImageNet-normalised RGB."""
    import torch

    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    rgb = torch.from_numpy(grey)[None, None].repeat(1, 3, 1, 1)
    with torch.no_grad():
        maps = network(weights)((rgb - mean) / std)
    return {stage: value[0].numpy().transpose(1, 2, 0) for stage, value in maps.items()}


def main() -> None:
    """Write the golden file and say how its features are spread."""
    features = torch_features(random_weights(), random_grey())
    golden = {stage: features[stage][sample(stage)] for stage in STAGES}
    np.savez_compressed(PATH, **golden)
    for stage, values in golden.items():
        print(
            f"{stage:<8}{features[stage].shape!s:<18}mean {values.mean():.3f}, std {values.std():.3f}, max {values.max():.3f}"
        )
    print(f"{PATH.name}: {PATH.stat().st_size} bytes")


if __name__ == "__main__":
    main()
