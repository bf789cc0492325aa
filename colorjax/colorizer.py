"""`Colorizer`: a photograph of any size in, the same photograph in colour out. Imports no TensorFlow."""

import functools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from colorjax import checkpoint, color, engines
from colorjax.upsampling import Upsampler, neighbours

MAX_STRENGTH, MAX_SIZE = 1.5, 2048
SCALES = (0.75, 1.0, 1.25)  # of the working size, over which `uncertainty` looks
_MULTIPLE = 32  # the network's coarsest map, to which sizes are padded
_MAX_ASPECT = 4  # longer photographs are shown to the network at a smaller scale
_STRIP_PIXELS = 2**18  # full-size work is done in strips of about so many pixels, which bounds its memory
_PLAIN = Image.Resampling.BILINEAR  # it never leaves the range of what it is given
_WORKERS = min(4, os.cpu_count() or 1)
_LEVELS = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}


class NoColorError(ValueError):
    """The network has no colour for a photograph, whose copy would be grey."""


class Prediction(NamedTuple):
    """What a network says of a photograph: L* (h, w) of the copy that it saw, and its ab (h, w, 2), both in Lab units."""

    lightness: np.ndarray
    ab: np.ndarray


class Colorizer:
    """Colours photographs with a trained network.

    The network sees a copy whose short side is `size` pixels; the chroma it predicts is scaled up along the photograph's
    own edges and joined to its full-size L*. Colours outside sRGB give up chroma, never lightness.

        colorizer = Colorizer.from_checkpoint("runs/unet")
        colour = colorizer(np.asarray(Image.open("grandmother.jpg")))
    """

    def __init__(self, network: checkpoint.Network, size: int | None = None, *, flip: bool = False, engine: str = "auto"):
        """network: see `checkpoint.load`. size: the working resolution, default that of its training.

        A larger `size` gives finer colour edges but no other colours: a network that sees more pixels than it was trained
        with paints wildly, so what is larger than it knows stays as at the size of its training. flip: average with the
        answer for the mirrored photograph (twice the work). engine: what computes: "jax"; "onnx", ONNX Runtime on
        the processor (`pip install 'colorjax[onnx]'`; equal within 1e-3 in float32); "auto", the latter where it is installed
        and there is no accelerator.
        Raises ValueError for a size or an engine that there is not.
        """
        size = network.config.image_size if size is None else size
        if not _MULTIPLE <= size <= MAX_SIZE:
            raise ValueError(f"size={size} must be at least {_MULTIPLE} pixels and at most {MAX_SIZE}")
        self.size, self.flip, self.network = size, flip, network
        self.engine = engines.make(network, engine)

    @classmethod
    def from_checkpoint(
        cls, path: str | Path, size: int | None = None, *, flip: bool = False, engine: str = "auto"
    ) -> "Colorizer":
        """From a workdir (best checkpoint), one of its checkpoints/STEP, or an exported folder.

        Raises checkpoint.CheckpointError where there is none or it is damaged.
        """
        return cls(checkpoint.load(path), size, flip=flip, engine=engine)

    @classmethod
    def pretrained(cls, size: int | None = None, *, flip: bool = False, engine: str = "auto") -> "Colorizer":
        """With the weights inside the package. Raises checkpoint.CheckpointError: this version ships none yet."""
        folder = Path(__file__).parent / checkpoint.WEIGHTS
        if not folder.is_dir():
            raise checkpoint.CheckpointError(
                "this version of colorjax ships no weights yet; train some (python train.py --config=configs/unet.py "
                "--workdir=DIR) and name them: --ckpt DIR, or Colorizer.from_checkpoint(DIR)"
            )
        return cls.from_checkpoint(folder, size, flip=flip, engine=engine)

    def __call__(self, image: np.ndarray, hints: None = None, *, strength: float = 1.0) -> np.ndarray:
        """Colour a photograph.

        image: (H, W) or (H, W, 3), uint8, uint16 or float in 0..1, sRGB-encoded; of a picture in colour only the lightness
        is used. hints: guided colour is not in this version. strength: factor of chroma, 0 (grey) to 1.5.
        Returns (H, W, 3) of the same size and dtype; each pixel's L* is the input's, up to the dtype's rounding.
        Raises TypeError or ValueError for other shapes, types and ranges, NoColorError where the network answers grey.
        """
        if hints is not None and len(hints):
            raise ValueError("hints are not supported by this version; pass hints=None")
        return self.paint(image, self.predict(image), strength=strength)

    def predict(self, image: np.ndarray) -> Prediction:
        """The network's answer for a photograph as `__call__` takes it, at its scale. Raises as `__call__` does."""
        image, mirrored = _checked(image), (False, True) if self.flip else (False,)
        prediction = self._predict_at(image, self.size, mirrored)
        if self.size > (trained := self.network.config.image_size):
            anchor = self._predict_at(image, trained, mirrored)
            prediction = Prediction(prediction.lightness, _anchored(prediction.ab, anchor.ab))
        if not np.abs(prediction.ab).max() >= 1:
            raise NoColorError("the network has no colour for it; are its weights trained?")
        return prediction

    def predict_ab(self, image: np.ndarray) -> np.ndarray:
        """The ab of `predict`, (h, w, 2) float32."""
        return self.predict(image).ab

    def paint(
        self, image: np.ndarray, prediction: Prediction, *, strength: float = 1.0, out: np.ndarray | None = None
    ) -> np.ndarray:
        """The photograph in the colours of a prediction, as `__call__` returns it; `out` may be the photograph itself."""
        if not 0 <= strength <= MAX_STRENGTH:
            raise ValueError(f"strength={strength} must be in 0..{MAX_STRENGTH}")
        image = _checked(image)
        shape = image.shape[:2]
        result = np.empty((*shape, 3), image.dtype) if out is None else out
        scaled = Upsampler(prediction.lightness, prediction.ab, shape)

        def strip(rows: slice) -> None:
            lightness = _lightness(image[rows])
            result[rows] = _join(lightness, strength * scaled.rows(rows, lightness), image.dtype)

        _each(strip, _strips(shape))
        return result

    def uncertainty(self, image: np.ndarray) -> np.ndarray:
        """Where the colour is a guess: (h, w) float32 at the network's scale, in Lab units.

        The standard deviation of ab, root of the sum over both, between the answers for the photograph and its mirror
        image, each shown at the scales `SCALES` of the working size, or of that of the training if that is smaller.
        """
        image, size = _checked(image), min(self.size, self.network.config.image_size)
        answers = []
        for scale in SCALES:
            for mirrored in (False, True):
                answers.append(self._predict_at(image, max(_MULTIPLE, round(scale * size)), (mirrored,)).ab)
        shape = max((answer.shape[:2] for answer in answers), key=lambda shape: shape[0])
        spread = np.stack([_resized(answer, shape) for answer in answers]).std(axis=0)
        return np.sqrt((spread**2).sum(axis=-1))

    def _predict_at(self, image: np.ndarray, size: int, mirrored: tuple[bool, ...]) -> Prediction:
        """The mean of the answers for the photograph as it is and mirrored, as asked."""
        height, width = image.shape[:2]
        scale = size / min(height, width) * min(1.0, _MAX_ASPECT * min(height, width) / max(height, width))
        h, w = (max(1, round(side * scale)) for side in (height, width))
        lightness = color.grey_to_lightness(_small_grey(image, (h, w)))
        luma = (lightness - 50) / 50
        answers = [self._ask(luma[:, ::-1])[:, ::-1] if mirror else self._ask(luma) for mirror in mirrored]
        return Prediction(lightness, np.clip(sum(answers) / len(answers), -1, 1) * 110)

    def _ask(self, luma: np.ndarray) -> np.ndarray:
        """The network's chroma (h, w, 2) for a luma (h, w), padded to whole maps and cropped again."""
        (h, w), short = luma.shape, min(luma.shape)
        coarse = -(-short // (4 * _MULTIPLE)) * _MULTIPLE  # a dozen lengths for a width, so that few shapes are compiled
        bottom, right = (-side % (_MULTIPLE if side == short else coarse) for side in (h, w))
        padded = np.pad(luma, ((0, bottom), (0, right)), mode="symmetric")
        predicted = self.engine.predict(padded[None, ..., None].astype(np.float32))[0, :h, :w]
        if not np.isfinite(predicted).all():
            raise FloatingPointError("the network's answer is not finite; its weights are damaged")
        return predicted


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


@functools.cache
def _tables(dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Of each level of an integer type: its linear light, and the L* of the grey that has it."""
    levels = np.arange(_LEVELS[dtype] + 1).astype(np.float32) / _LEVELS[dtype]
    return color.srgb_to_linear(levels), color.grey_to_lightness(levels)


def _lightness(image: np.ndarray) -> np.ndarray:
    """L* in 0..100, (H, W) float32, of pixels as `Colorizer` takes them."""
    if image.dtype not in _LEVELS:
        values = image.astype(np.float32)
        return color.grey_to_lightness(values) if image.ndim == 2 else color.linear_to_lightness(color.srgb_to_linear(values))
    linear, lightness = _tables(image.dtype)
    return lightness[image] if image.ndim == 2 else color.linear_to_lightness(linear[image])


def _small_grey(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The sRGB grey of each pixel's lightness, scaled to `shape` (bicubic), float32 in 0..1.

    A large photograph is first reduced by whole factors, strip by strip, to at least three times `shape` (as Pillow's
    `reducing_gap`), so that no second picture of its size is ever made.
    """
    size = image.shape[:2]
    factors = tuple(max(1, int(side / small / 3)) for side, small in zip(size, shape, strict=True))
    reduced = np.empty([-(-side // factor) for side, factor in zip(size, factors, strict=True)], np.float32)

    def strip(rows: slice) -> None:
        grey = Image.fromarray(color.lightness_to_grey(_lightness(image[rows])))
        top = rows.start // factors[0]
        small = np.asarray(grey.reduce(factors[::-1]))
        reduced[top : top + len(small)] = small

    _each(strip, _strips(size, factors[0]))
    box = (0, 0, size[1] / factors[1], size[0] / factors[0])
    grey = Image.fromarray(reduced).resize(shape[::-1], Image.Resampling.BICUBIC, box=box)
    return np.clip(np.asarray(grey), 0, 1)


def _strips(shape: tuple[int, int], multiple: int = 1) -> Iterator[slice]:
    """Slices of whole rows, each but the last of a number that `multiple` divides."""
    height, width = shape
    step = max(1, _STRIP_PIXELS // width // multiple) * multiple
    return (slice(top, min(top + step, height)) for top in range(0, height, step))


def _each(work: Callable[[slice], None], strips: Iterator[slice]) -> None:
    """Do the work on every strip, several at a time: NumPy and Pillow leave the interpreter to others meanwhile."""
    with ThreadPoolExecutor(_WORKERS) as pool:
        for _ in pool.map(work, strips):
            pass


def _join(lightness: np.ndarray, ab: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Pixels (n, W, 3) of this lightness with `ab`, as far as sRGB has them."""
    lab = np.concatenate([lightness[..., None], ab], axis=-1)
    outside = ~color.in_gamut(lab)
    lab[outside] = color.fit_to_gamut(lab[outside])
    rgb = color.lab_to_rgb(lab)
    level = _LEVELS.get(dtype)
    return (np.round(rgb * level) if level else rgb).astype(dtype)


def _anchored(ab: np.ndarray, anchor: np.ndarray) -> np.ndarray:
    """The fine detail of `ab` on the colours of a smaller `anchor`, within the range of the anchor's neighbours there."""
    shape = ab.shape[:2]
    detail = ab - _resized(_resized(ab, anchor.shape[:2]), shape)
    low, high = (_resized(neighbours(anchor, pick), shape, _PLAIN) for pick in (np.minimum, np.maximum))
    return np.clip(_resized(anchor, shape) + detail, low, high)


def _resized(array: np.ndarray, shape: tuple[int, int], how: Image.Resampling = Image.Resampling.BICUBIC) -> np.ndarray:
    planes = [Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(array, -1, 0)]
    return np.stack([np.asarray(plane.resize(shape[::-1], how)) for plane in planes], axis=-1)


def lightness_difference(
    one: np.ndarray, other: np.ndarray, without: list[int] | None = None, where: np.ndarray | None = None
) -> tuple[float, float]:
    """|L*(one) - L*(other)| of two pictures of one size as `Colorizer` takes them: (largest, mean over the pixels).

    without: a box (left, top, right, bottom) that does not count.
    """
    totals = []

    def strip(rows: slice) -> None:
        difference = np.abs(_lightness(one[rows]) - _lightness(other[rows]))
        if without is not None:
            left, top, right, bottom = without
            difference[max(0, top - rows.start) : max(0, bottom - rows.start), left:right] = 0
        if where is not None:
            difference[~where[rows]] = 0
        totals.append((float(difference.max()), float(difference.sum(dtype=np.float64))))

    _each(strip, _strips(one.shape[:2]))
    return max(largest for largest, _ in totals), sum(total for _, total in totals) / (one.shape[0] * one.shape[1])
