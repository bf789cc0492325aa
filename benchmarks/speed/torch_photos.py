"""Photographs for the U-Net in PyTorch, as a PyTorch user would write it: DataLoader, Pillow, Lab on the device."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

_XYZ = [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]  # from linear sRGB
_WHITE = [0.95047, 1.0, 1.08883]
WAITING = 2  # batches of each worker


class Photographs(Dataset):
    """Random crops, mirrored half of the time: (3, size, size) uint8."""

    def __init__(self, config: Any):
        self.files = sorted(p for p in Path(config.data.dir).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
        self.size, self.jitter = config.image_size, config.data.scale_jitter

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        image = Image.open(self.files[index])
        image.draft("RGB", (round(self.size * (1 + self.jitter)),) * 2)  # JPEG decodes no larger than needed
        image = image.convert("RGB")
        side = min(image.size) / (1 + self.jitter * torch.rand(()).item())
        left, top = ((length - side) * torch.rand(()).item() for length in image.size)
        box = (left, top, left + side, top + side)
        crop = np.asarray(image.resize((self.size, self.size), Image.Resampling.BILINEAR, box=box, reducing_gap=2.0))
        return torch.from_numpy(np.ascontiguousarray((crop[:, ::-1] if torch.rand(()) < 0.5 else crop).transpose(2, 0, 1)))


def workers() -> int:
    return max(1, (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()) - 1)


def batches(config: Any, pinned: bool) -> Iterator[Tensor]:
    """Shuffled batches without end."""
    loader = DataLoader(
        Photographs(config),
        config.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers(),
        pin_memory=pinned,
        persistent_workers=True,
        multiprocessing_context="spawn",  # a process with a GPU must not be forked
        prefetch_factor=WAITING,
    )
    if not len(loader):
        raise ValueError(f"{config.data.dir} holds no {config.batch_size} photographs")
    while True:
        yield from loader


def lab(rgb: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 3, H, W) uint8 sRGB -> luma (B, 1, H, W) = L*/50 - 1, and chroma (B, 2, H, W) = ab/110."""
    rgb = rgb.float() / 255
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = torch.einsum("ij,bjhw->bihw", linear.new_tensor(_XYZ) / linear.new_tensor(_WHITE)[:, None], linear)
    f = torch.where(xyz > (6 / 29) ** 3, xyz.clamp_min(1e-6) ** (1 / 3), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f.unbind(1)
    return ((116 * y - 16) / 50 - 1).unsqueeze(1), torch.stack([500 * (x - y), 200 * (y - z)], 1) / 110


def on_device(rgb_batches: Iterator[Tensor], device: str, compiled: bool) -> Iterator[tuple[Tensor, Tensor]]:
    """(luma, chroma) of each batch, on its way to the device while the batch before is worked on."""
    convert = torch.compile(lab, dynamic=False) if compiled else lab
    for rgb in rgb_batches:
        maps = convert(rgb.to(device, non_blocking=True))
        yield tuple(one.contiguous(memory_format=torch.channels_last) for one in maps)
