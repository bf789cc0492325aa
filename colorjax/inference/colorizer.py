"""`Colorizer`: a photograph of any size in, the same photograph in colour out. Imports no TensorFlow."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from colorjax import checkpoint
from colorjax.inference import engines, framing, pixels
from colorjax.inference.upsampling import Upsampler, neighbours
from colorjax.science import bins, color
from colorjax.science.hints import Hint, HintError, drawn
from colorjax.science.hints import checked as checked_hints

MAX_STRENGTH, MAX_SIZE = 1.5, 2048
SCALES = (0.75, 1.0, 1.25)  # of the working size, over which `uncertainty` looks
_MULTIPLE = 32  # the network's coarsest map, to which sizes are padded
_NOT_GUIDED = "the network takes no hints: it was trained without (see configs/guided.py)"
_PLAIN = Image.Resampling.BILINEAR  # it never leaves the range of what it is given


class NoColorError(ValueError):
    """The network has no colour for a photograph, whose copy would be grey."""


class Prediction(NamedTuple):
    """What a network says of a photograph: ab (h, w, 2), and L* (h, w) of what it saw, at the same scale; Lab units."""

    lightness: np.ndarray
    ab: np.ndarray


class Suggestion(NamedTuple):
    """A colour that a point may have had. rgb: 0..255, sRGB, at the photograph's lightness. share: how likely, 0..1."""

    rgb: tuple[int, int, int]
    share: float


class Colorizer:
    """Colours photographs with a trained network.

    The network sees a copy whose short side is `size` pixels; the chroma it predicts is scaled up along the photograph's
    own edges and joined to its full-size L*. Colours outside sRGB give up chroma, never lightness.

        colorizer = Colorizer.from_checkpoint("runs/unet")
        colour = colorizer(np.asarray(Image.open("grandmother.jpg")))

    A guided network (`model.guided`) also follows hints, colours that somebody chose for points of the photograph:

        colour = colorizer(photograph, hints=[(120, 340, (35, 64, 142))])
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
        """From a workdir (best checkpoint), one of its checkpoints/STEP, an exported folder, or "pretrained".

        Raises checkpoint.CheckpointError where there is none or it is damaged.
        """
        return cls(checkpoint.load(path), size, flip=flip, engine=engine)

    @classmethod
    def pretrained(cls, size: int | None = None, *, flip: bool = False, engine: str = "auto") -> "Colorizer":
        """With the weights inside the package.

        Raises checkpoint.CheckpointError where they are not those that this version came with, or an installation has none.
        """
        return cls.from_checkpoint(checkpoint.PRETRAINED, size, flip=flip, engine=engine)

    @property
    def guided(self) -> bool:
        """Whether the network follows hints."""
        return self.network.config.model.guided

    def __call__(self, image: np.ndarray, hints: Iterable[Any] | None = None, *, strength: float = 1.0) -> np.ndarray:
        """Colour a photograph.

        image: (H, W) or (H, W, 3), uint8, uint16 or float in 0..1, sRGB-encoded; of a picture in colour only the lightness
        is used. hints: colours chosen for points, each (x, y, (r, g, b)) or otherwise as `hints.of` takes it: column and row
        from 0, sRGB of 0..255, of which a* and b* count. strength: factor of chroma, 0 (grey) to 1.5.
        Returns (H, W, 3) of the same size and dtype; each pixel's L* is the input's, up to the dtype's rounding.
        Raises TypeError or ValueError for other shapes, types and ranges, NoColorError where the network answers grey,
        hints.HintError (a ValueError) for hints that are malformed, outside, or for a network that is not guided.
        """
        return self.paint(image, self.predict(image, hints), strength=strength)

    def predict(self, image: np.ndarray, hints: Iterable[Any] | None = None, frame: framing.Frame | None = None) -> Prediction:
        """The network's answer for a photograph and hints as `__call__` takes them, at its scale. Raises as `__call__` does.

        frame: what of it the network is shown, where that is known: the pictures of a film have one. Default `framing.of` it.
        """
        image, mirrored = pixels.checked(image), (False, True) if self.flip else (False,)
        hints, frame = self._followed(hints, image), frame or framing.of(image)
        prediction = self._predict_at(image, self.size, mirrored, hints, frame)
        if self.size > (trained := self.network.config.image_size):
            anchor = self._predict_at(image, trained, mirrored, hints, frame)
            prediction = Prediction(prediction.lightness, _anchored(prediction.ab, anchor.ab))
        if not np.abs(prediction.ab).max() >= 1:
            raise NoColorError("the network has no colour for it; are its weights trained?")
        return prediction

    def predict_ab(self, image: np.ndarray, hints: Iterable[Any] | None = None) -> np.ndarray:
        """The ab of `predict`, (h, w, 2) float32."""
        return self.predict(image, hints).ab

    def suggest(
        self, image: np.ndarray, x: int, y: int, hints: Iterable[Any] | None = None, count: int = 6
    ) -> list[Suggestion]:
        """At most `count` colours that a point may well have, given the hints; those of a guided network, the likeliest first.

        image, hints: as `__call__` takes them. x, y: column and row, from 0. Each stands for its neighbourhood in the plane of
        a* and b*, so that no two are alike. It asks at the size of the training, without `flip`. Raises as `__call__` does.
        """
        image = pixels.checked(image)
        if not self.guided:
            raise HintError(_NOT_GUIDED)
        (point,) = checked_hints([(x, y, (0, 0, 0))], image.shape)
        size, frame = min(self.size, self.network.config.image_size), framing.of(image)
        seen = self._seen(image, size, self._followed(hints, image), frame)
        given = _given(seen)
        features = self.engine.features(*given)[0]
        step = 4 * len(features) // given[0].shape[1]  # from one colour of the palette to the next
        row, column = (
            at * small // large // 4 for at, small, large in zip((point.y, point.x), seen.shape, image.shape, strict=False)
        )
        palette = self.network.params["palette"]["logits"]
        logits = features[row * step, column * step] @ np.asarray(palette["kernel"], np.float32)[0, 0] + palette["bias"]
        lightness = pixels.lightness(image[y : y + 1, x : x + 1])
        found = bins.likeliest(np.exp(logits - logits.max()), count)
        shown = (pixels.join(lightness, ab[None, None], np.dtype(np.uint8))[0, 0] for ab, _ in found)
        return [Suggestion((int(r), int(g), int(b)), share) for (r, g, b), (_, share) in zip(shown, found, strict=True)]

    def paint(
        self, image: np.ndarray, prediction: Prediction, *, strength: float = 1.0, out: np.ndarray | None = None
    ) -> np.ndarray:
        """The photograph in the colours of a prediction, as `__call__` returns it; `out` may be the photograph itself."""
        if not 0 <= strength <= MAX_STRENGTH:
            raise ValueError(f"strength={strength} must be in 0..{MAX_STRENGTH}")
        image = pixels.checked(image)
        shape = image.shape[:2]
        result = np.empty((*shape, 3), image.dtype) if out is None else out
        scaled = Upsampler(prediction.lightness, prediction.ab, shape)

        def strip(rows: slice) -> None:
            lightness = pixels.lightness(image[rows])
            result[rows] = pixels.join(lightness, strength * scaled.rows(rows, lightness), image.dtype)

        pixels.each(strip, pixels.strips(shape))
        return result

    def uncertainty(self, image: np.ndarray, hints: Iterable[Any] | None = None) -> np.ndarray:
        """Where the colour is a guess: (h, w) float32 at the network's scale, in Lab units.

        The standard deviation of ab, root of the sum over both, between the answers for the photograph and its mirror
        image, each shown at the scales `SCALES` of the working size, or of that of the training if that is smaller.
        """
        image, size = pixels.checked(image), min(self.size, self.network.config.image_size)
        hints, frame, answers = self._followed(hints, image), framing.of(image), []
        for scale in SCALES:
            for mirrored in (False, True):
                at = max(_MULTIPLE, round(scale * size))
                answers.append(self._predict_at(image, at, (mirrored,), hints, frame).ab)
        shape = max((answer.shape[:2] for answer in answers), key=lambda shape: shape[0])
        spread = np.stack([_resized(answer, shape) for answer in answers]).std(axis=0)
        return np.sqrt((spread**2).sum(axis=-1))

    def _followed(self, hints: Iterable[Any] | None, image: np.ndarray) -> tuple[Hint, ...]:
        """The hints, checked. Raises HintError where there are any and the network is not guided."""
        hints = checked_hints(hints, image.shape)
        if hints and not self.guided:
            raise HintError(_NOT_GUIDED)
        return hints

    def _seen(self, image: np.ndarray, size: int, hints: tuple[Hint, ...], frame: framing.Frame) -> np.ndarray:
        """A photograph at the scale at which its frame is `size` wide or high: luma (h, w, 1), with hints, if any, (h, w, 4).

        Its sides are multiples of `model.answer`, so that the answer covers the photograph exactly.
        """
        height, width = image.shape[:2]
        short, long = sorted(frame.shape)
        scale = size / short * min(1.0, framing.LONGEST * short / long)
        answer = self.network.config.model.answer
        shape = tuple(max(1, round(side * scale / answer)) * answer for side in (height, width))
        luma = (color.grey_to_lightness(pixels.small_grey(image, shape))[..., None] - 50) / 50
        return np.concatenate([luma, drawn(hints, (height, width), shape)], axis=-1) if hints else luma

    def _predict_at(
        self, image: np.ndarray, size: int, mirrored: tuple[bool, ...], hints: tuple[Hint, ...], frame: framing.Frame
    ) -> Prediction:
        """The mean of the answers for the photograph as it is and mirrored, as asked; outside of its frame no colour."""
        seen, part = self._seen(image, size, hints, frame), self.network.config.model.answer
        rows, columns = frame.scaled(seen.shape[:2], image.shape[:2], part)
        inside = seen[rows, columns]

        def ask(seen: np.ndarray) -> np.ndarray:
            answer = self.engine.predict(*_given(seen))[0, : seen.shape[0] // part, : seen.shape[1] // part]
            if not np.isfinite(answer).all():
                raise FloatingPointError("the network's answer is not finite; its weights are damaged")
            return answer

        def whole(seen: np.ndarray) -> np.ndarray:
            return framing.answered(seen, frame.twins, part, ask)

        answers = [whole(inside[:, ::-1])[:, ::-1] if mirror else whole(inside) for mirror in mirrored]
        ab = np.zeros((seen.shape[0] // part, seen.shape[1] // part, 2), np.float32)
        place = tuple(slice(span.start // part, span.stop // part) for span in (rows, columns))
        ab[place] = np.clip(sum(answers) / len(answers), -1, 1) * 110
        return Prediction(_coarser(seen[..., 0], part) * 50 + 50, ab)


def _coarser(plane: np.ndarray, size: int) -> np.ndarray:
    """Means of squares of `size` pixels, (h / size, w / size)."""
    height, width = plane.shape
    return plane.reshape(height // size, size, width // size, size).mean((1, 3)) if size > 1 else plane


def _given(seen: np.ndarray) -> list[np.ndarray]:
    """What an engine takes, each a batch of one: luma, and hints where there are any, padded to whole maps."""
    sides = seen.shape[:2]
    coarse = -(-min(sides) // (4 * _MULTIPLE)) * _MULTIPLE  # a dozen lengths for a width, so that few shapes are compiled
    padding = [(0, -side % (_MULTIPLE if side == min(sides) else coarse)) for side in sides]
    padded = np.pad(seen, (*padding, (0, 0)), mode="symmetric").astype(np.float32)[None]
    return [padded[..., :1], padded[..., 1:]] if seen.shape[-1] > 1 else [padded]


def _anchored(ab: np.ndarray, anchor: np.ndarray) -> np.ndarray:
    """The fine detail of `ab` on the colours of a smaller `anchor`, within the range of the anchor's neighbours there."""
    shape = ab.shape[:2]
    detail = ab - _resized(_resized(ab, anchor.shape[:2]), shape)
    low, high = (_resized(neighbours(anchor, pick), shape, _PLAIN) for pick in (np.minimum, np.maximum))
    return np.clip(_resized(anchor, shape) + detail, low, high)


def _resized(array: np.ndarray, shape: tuple[int, int], how: Image.Resampling = Image.Resampling.BICUBIC) -> np.ndarray:
    planes = [Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(array, -1, 0)]
    return np.stack([np.asarray(plane.resize(shape[::-1], how)) for plane in planes], axis=-1)
