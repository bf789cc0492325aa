"""`Colorizer`: a photograph of any size in, the same photograph in colour out. Imports no TensorFlow."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import nnx
from PIL import Image

from colorjax import checkpoint, color, state

_MULTIPLE = 32  # the network's coarsest map; sizes are padded to it, so that few shapes are ever compiled
_MAX_ASPECT = 4  # longer photographs are shown to the network at a smaller scale
_STRIP_PIXELS = 2**20  # full-size work is done in strips of about so many pixels, which bounds its memory
_LEVELS = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}


class Colorizer:
    """Colours photographs with a trained network.

    The network sees a copy whose short side is `size` pixels; the chroma it predicts is scaled up (bicubic) and joined to
    the photograph's own full-size L*. Colours outside sRGB give up chroma, never lightness.

        colorizer = Colorizer.from_checkpoint("runs/unet")
        colour = colorizer(np.asarray(Image.open("grandmother.jpg")))
    """

    def __init__(self, network: checkpoint.Network, size: int | None = None):
        """network: see `checkpoint.load`. size: the working resolution, default that of its training."""
        size = network.config.image_size if size is None else size
        if size < _MULTIPLE:
            raise ValueError(f"size={size} must be at least {_MULTIPLE} pixels")
        self.size = size
        self.network = network
        self._predict = _predictor(network)

    @classmethod
    def from_checkpoint(cls, path: str | Path, size: int | None = None) -> "Colorizer":
        """From a workdir (best checkpoint), one of its checkpoints/STEP, or an exported folder.

        Raises checkpoint.CheckpointError where there is none or it is damaged.
        """
        return cls(checkpoint.load(path), size)

    @classmethod
    def pretrained(cls, size: int | None = None) -> "Colorizer":
        """With the weights inside the package. Raises checkpoint.CheckpointError: this version ships none yet."""
        folder = Path(__file__).parent / checkpoint.WEIGHTS
        if not folder.is_dir():
            raise checkpoint.CheckpointError(
                "this version of colorjax ships no weights yet; train some (python train.py --config=configs/unet.py "
                "--workdir=DIR) and name them: --ckpt DIR, or Colorizer.from_checkpoint(DIR)"
            )
        return cls.from_checkpoint(folder, size)

    def __call__(self, image: np.ndarray, hints: None = None) -> np.ndarray:
        """Colour a photograph.

        image: (H, W) or (H, W, 3), uint8, uint16 or float in 0..1, sRGB-encoded; of a picture in colour only the lightness
        is used. hints: guided colour is not in this version.
        Returns (H, W, 3) of the same size and dtype; each pixel's L* is the input's, up to the dtype's rounding.
        Raises TypeError or ValueError for other shapes, types and ranges.
        """
        if hints is not None and len(hints):
            raise ValueError("hints are not supported by this version; pass hints=None")
        image = _checked(image)
        ab = self.predict_ab(image)
        result = np.empty((*image.shape[:2], 3), image.dtype)
        scaled = _Upscaled(ab, image.shape[:2])
        for rows in _strips(image.shape[:2]):
            result[rows] = _join(image[rows], scaled.rows(rows))
        return result

    def predict_ab(self, image: np.ndarray) -> np.ndarray:
        """The network's answer for a photograph as `__call__` takes it: ab in Lab units, (h, w, 2) float32, at its scale."""
        image = _checked(image)
        height, width = image.shape[:2]
        scale = self.size / min(height, width) * min(1.0, _MAX_ASPECT * min(height, width) / max(height, width))
        h, w = (max(1, round(side * scale)) for side in (height, width))
        grey = Image.fromarray(_grey_copy(image))
        grey = np.asarray(grey.resize((w, h), Image.Resampling.BICUBIC, reducing_gap=3.0))
        luma = (color.grey_to_lightness(np.clip(grey, 0, 1)) - 50) / 50
        bottom, right = -h % _MULTIPLE, -w % _MULTIPLE
        padded = np.pad(luma, ((0, bottom), (0, right)), mode="symmetric")
        predicted = np.asarray(self._predict(padded[None, ..., None].astype(np.float32)))[0, :h, :w]
        if not np.isfinite(predicted).all():
            raise FloatingPointError("the network's answer is not finite; its weights are damaged")
        return np.clip(predicted, -1, 1) * 110


def _predictor(network: checkpoint.Network) -> Callable[[np.ndarray], jax.Array]:
    graphdef = state.graphdef(network.config.model)
    params, stats = network.params, network.stats

    @jax.jit
    def run(params: Any, stats: Any, luma: jax.Array) -> jax.Array:
        model = nnx.merge(graphdef, params, stats)
        model.eval()
        return model(luma)

    return lambda luma: run(params, stats, luma)


def _checked(image: np.ndarray) -> np.ndarray:
    image = np.asarray(image)
    image = image.astype(image.dtype.newbyteorder("="), copy=False)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[-1] != 3) or 0 in image.shape:
        raise ValueError(f"image has shape {image.shape}; it must be (H, W) or (H, W, 3) with at least one pixel")
    if image.dtype in _LEVELS:
        return image
    if not np.issubdtype(image.dtype, np.floating):
        raise TypeError(f"image has dtype {image.dtype}; it must be uint8, uint16 or float")
    if not (np.isfinite(image).all() and image.min() >= 0 and image.max() <= 1):
        raise ValueError(f"image has values from {image.min()} to {image.max()}; floats must be in 0..1")
    return image


def _lightness(image: np.ndarray) -> np.ndarray:
    """L* in 0..100, (H, W) float32, of pixels as `Colorizer` takes them."""
    values = image.astype(np.float32) / _LEVELS.get(image.dtype, 1.0)
    return color.grey_to_lightness(values) if image.ndim == 2 else color.rgb_to_lab(values)[..., 0]


def _grey_copy(image: np.ndarray) -> np.ndarray:
    """The sRGB grey of each pixel's lightness, (H, W) float32 in 0..1, made strip by strip."""
    grey = np.empty(image.shape[:2], np.float32)
    for rows in _strips(image.shape[:2]):
        grey[rows] = color.lightness_to_grey(_lightness(image[rows]))
    return grey


def _strips(shape: tuple[int, int]) -> Iterator[slice]:
    height, width = shape
    step = max(1, _STRIP_PIXELS // width)
    return (slice(top, min(top + step, height)) for top in range(0, height, step))


class _Upscaled:
    """ab (h, w, 2) scaled up to `shape`, strip by strip."""

    def __init__(self, ab: np.ndarray, shape: tuple[int, int]):
        self._planes = [Image.fromarray(np.ascontiguousarray(ab[..., i])) for i in range(2)]
        self._shape = shape
        self._scale = ab.shape[0] / shape[0]

    def rows(self, rows: slice) -> np.ndarray:
        size = (self._shape[1], rows.stop - rows.start)
        box = (0, rows.start * self._scale, self._planes[0].width, min(rows.stop * self._scale, self._planes[0].height))
        strips = [plane.resize(size, Image.Resampling.BICUBIC, box=box) for plane in self._planes]
        return np.stack([np.asarray(strip) for strip in strips], axis=-1)


def _join(image: np.ndarray, ab: np.ndarray) -> np.ndarray:
    """The photograph's lightness with `ab`, in its dtype."""
    lab = np.concatenate([_lightness(image)[..., None], ab], axis=-1)
    outside = ~color.in_gamut(lab)
    lab[outside] = color.fit_to_gamut(lab[outside])
    rgb = color.lab_to_rgb(lab)
    level = _LEVELS.get(image.dtype)
    return (np.round(rgb * level) if level else rgb).astype(image.dtype)
