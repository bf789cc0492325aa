"""How well chroma goes up to full size: true ab, scaled down to what a network gives, and up again in several ways.

    python benchmarks/quality/upsampling.py --photos=DIR [--size=256]

It takes each photograph in colour below DIR whose short side is at least twice `--size`. Its L* and ab are scaled to a short
side of `--size`: bicubic, antialiased, as the network's copy is. Then ab is scaled up again. The error is the mean of |da*| and
|db*|, over all pixels and over edges. Edges are the 5 % of the pixels where the true ab changes most.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import common
from colorjax import photos
from colorjax.inference.upsampling import Upsampler
from colorjax.science import color

METHODS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "Lanczos": Image.Resampling.LANCZOS,
}


def resized(array: np.ndarray, shape: tuple[int, int], how: Image.Resampling) -> np.ndarray:
    planes = [Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(array, -1, 0)]
    return np.stack([np.asarray(plane.resize(shape[::-1], how)) for plane in planes], axis=-1)


def joint_bilateral(lightness: np.ndarray, small: np.ndarray, ab: np.ndarray, sigma: float, sigma_l: float) -> np.ndarray:
    """Kopf et al. 2007 over 4x4 neighbours of the small copy, strip by strip."""
    (height, width), (h, w) = lightness.shape, small.shape
    y, x = ((np.arange(n) + 0.5) * m / n - 0.5 for n, m in ((height, h), (width, w)))
    result = np.empty((height, width, 2), np.float32)
    for rows in np.array_split(np.arange(height), max(1, height // 64)):
        total, weight = 0, 0
        for dy in range(-1, 3):
            iy = np.clip(np.floor(y[rows]).astype(int) + dy, 0, h - 1)
            near_y = np.exp(-(((np.floor(y[rows]) + dy - y[rows]) / sigma) ** 2) / 2).astype(np.float32)
            for dx in range(-1, 3):
                ix = np.clip(np.floor(x).astype(int) + dx, 0, w - 1)
                near_x = np.exp(-(((np.floor(x) + dx - x) / sigma) ** 2) / 2).astype(np.float32)
                alike = np.exp(-(((lightness[rows] - small[iy][:, ix]) / sigma_l) ** 2) / 2)
                share = near_y[:, None] * near_x * (alike + 1e-6)
                total, weight = total + share[..., None] * ab[iy][:, ix], weight + share
        result[rows] = total / weight[..., None]
    return result


def errors(lab: np.ndarray, size: int) -> dict[str, tuple[float, float]]:
    """Of each method, its mean error over all pixels and over edges."""
    shape, ab = lab.shape[:2], lab[..., 1:]
    scale = size / min(shape)
    small = resized(lab, tuple(round(side * scale) for side in shape), Image.Resampling.BICUBIC)
    steps = sum((step**2).sum(axis=-1) for step in np.gradient(ab, axis=(0, 1)))
    edges = steps >= np.quantile(steps, 0.95)
    results = {name: resized(small[..., 1:], shape, how) for name, how in METHODS.items()}
    results["joint bilateral, sigma 0.6, 4 L*"] = joint_bilateral(lab[..., 0], small[..., 0], small[..., 1:], 0.6, 4)
    upsampler = Upsampler(small[..., 0], small[..., 1:], shape)
    strips = [slice(top, min(top + 256, shape[0])) for top in range(0, shape[0], 256)]
    results["colorjax"] = np.concatenate([upsampler.rows(rows, lab[rows, :, 0]) for rows in strips])
    wrong = {name: np.abs(found - ab).mean(axis=-1) for name, found in results.items()}
    return {name: (float(error.mean()), float(error[edges].mean())) for name, error in wrong.items()}


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--photos", required=True, type=Path)
    parser.add_argument("--size", type=common.positive, default=256)
    args = parser.parse_args()
    found = []
    for _, path in photos.find([args.photos]):
        rgb = photos.read_rgb(path)
        if min(rgb.shape[:2]) >= 2 * args.size:
            found.append(errors(color.rgb_to_lab(rgb.astype(np.float32) / 255), args.size))
            print(
                path.name, rgb.shape[:2], *(f"{name} {edge:.3f}" for name, (_, edge) in found[-1].items()), sep="  ", flush=True
            )
    if len(found) < 20:
        print(f"only {len(found)} photographs: too few to tell")
    table = {name: np.array([one[name] for one in found]) for name in found[0]}
    bicubic, bilinear = table["bicubic"][:, 0].mean(), table["bilinear"][:, 1].mean()
    print(f"\n{len(found)} photographs, ab at {args.size} pixels\n")
    fewer = "photographs with fewer edge errors than bilinear"
    common.table("", "mean error", "of bicubic", "edge error", "of bilinear", fewer)
    for name, values in table.items():
        mean, edge = values.mean(axis=0)
        better = (values[:, 1] < table["bilinear"][:, 1]).mean()
        of_bicubic, of_bilinear = f"{mean / bicubic - 1:+.1%}", f"{edge / bilinear - 1:+.1%}"
        common.row(name, f"{mean:.3f}", of_bicubic, f"{edge:.3f}", of_bilinear, f"{better:.0%}")


if __name__ == "__main__":
    main()
