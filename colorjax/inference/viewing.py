"""What the network is shown of a photograph, at any size, and what it says of that: chroma, features, likely colours."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from PIL import Image

from colorjax import checkpoint
from colorjax.inference import framing, pixels
from colorjax.inference.engines import Engine
from colorjax.inference.upsampling import Upsampler, neighbours
from colorjax.science import color

_SMOOTH = Image.Resampling.BICUBIC

Told = Callable[[tuple[int, int]], np.ndarray] | None  # hints at a size (h, w), as `hints.drawn` has them; None for none


class Prediction(NamedTuple):
    """What a network says of a photograph: ab (h, w, 2), and L* (h, w) of what it saw, at the same scale; Lab units."""

    lightness: np.ndarray
    ab: np.ndarray

    def at(self, lightness: Float[np.ndarray, "H W"]) -> "Prediction":
        """The same at another scale, along the edges of the lightness there."""
        if lightness.shape == self.lightness.shape:
            return self
        rows = slice(0, lightness.shape[0])
        return Prediction(lightness, Upsampler(self.lightness, self.ab, lightness.shape).rows(rows, lightness))


class View:
    """A photograph, checked, before a network.

    mirrored: whether answers are means with those for the mirror image. frame: what of it is shown, where that is known.
    hinted: somebody says a colour of it, so that even an empty page, which may be a sky, gets some.
    """

    def __init__(
        self,
        network: checkpoint.Network,
        engine: Engine,
        image: np.ndarray,
        mirrored: bool = False,
        frame: framing.Frame | None = None,
        hinted: bool = False,
    ):
        self.image = image
        self.frame, self._paper = (frame, None) if frame else framing.on_paper(image)
        if hinted and self._paper is not None and self._paper.all():
            self._paper = None
        self._network, self._engine = network, engine
        self._both = mirrored
        self._scales = tuple(network.config.looks)
        self._part = network.config.model.answer
        self._lumas: dict[int, np.ndarray] = {}

    def seen(self, size: int, told: Told = None) -> Float[np.ndarray, "h w c"]:
        """A copy in which the photograph's frame is `size` wide or high: luma (h, w, 1), with hints, if any, (h, w, 4).

        Its sides are multiples of `model.answer`, so that the answer covers the photograph exactly.
        """
        if size not in self._lumas:
            self._lumas[size] = self._luma(size)
        luma = self._lumas[size]
        return np.concatenate([luma, told(luma.shape[:2])], axis=-1) if told else luma

    def _luma(self, size: int) -> Float[np.ndarray, "h w 1"]:
        height, width = self.image.shape[:2]
        short, long = sorted(self.frame.shape)
        seen = size * min(1.0, framing.LONGEST * short / long)
        if long > framing.LONG * short:  # a strip has as many parts as it is long, and is not enlarged for them
            seen = min(seen, max(short, framing.MULTIPLE))
        scale = seen / short
        shape = tuple(max(1, round(side * scale / self._part)) * self._part for side in (height, width))
        return (color.grey_to_lightness(pixels.small_grey(self.image, shape))[..., None] - 50) / 50

    def lightness(self, size: int) -> Float[np.ndarray, "h w"]:
        """L* of what is `seen` at that size."""
        return self.seen(size)[..., 0] * 50 + 50

    def answer(self, size: int, told: Told = None) -> Prediction:
        """What the network says; of what is larger than it knows, in the colours that it has at the size of its training."""
        (lightness, ab), trained = self._looked(size, told), self._network.config.image_size
        if size > trained:
            ab = _anchored(ab, self._looked(trained, told).ab)
        return Prediction(lightness, ab)

    def _looked(self, size: int, told: Told) -> Prediction:
        """The mean over the looks that the network asks for, at the finest scale: every second one is mirrored."""
        answers = []
        for index, scale in enumerate(self._scales):
            ways = (False, True) if self._both else (index % 2 == 1,)
            answers.append(self.answer_at(round(scale * size), ways, told))
        if len(answers) == 1:
            return answers[0]
        lightness = max((answer.lightness for answer in answers), key=len)
        place, mean = self._inside(lightness.shape), np.zeros((*lightness.shape, 2), np.float32)
        height, width = lightness[place].shape
        for answer in answers:  # within the frame alone: at its edge no colour is mixed with that of a mount
            inside = answer.ab[self._inside(answer.lightness.shape)]
            mean[place] += pixels.resized(inside, (height, width), _SMOOTH) / len(answers)
        return Prediction(lightness, mean)

    def _inside(self, shape: tuple[int, int]) -> tuple[slice, slice]:
        """Where the frame lies in an answer of this shape."""
        part = self._part
        rows, columns = self.frame.scaled((shape[0] * part, shape[1] * part), self.image.shape[:2], part)
        return slice(rows.start // part, rows.stop // part), slice(columns.start // part, columns.stop // part)

    def answer_at(self, size: int, mirrored: tuple[bool, ...], told: Told = None) -> Prediction:
        """The mean of the answers for the photograph as it is and mirrored, as asked; outside of its frame no colour."""
        seen, part = self.seen(size, told), self._part
        place = self._inside((seen.shape[0] // part, seen.shape[1] // part))
        rows, columns = (slice(part * span.start, part * span.stop) for span in place)
        inside = seen[rows, columns]

        def ask(seen: np.ndarray) -> np.ndarray:
            answer = self._engine.predict(*_given(seen))[0, : seen.shape[0] // part, : seen.shape[1] // part]
            if not np.isfinite(answer).all():
                raise FloatingPointError("the network's answer is not finite; its weights are damaged")
            return answer

        def whole(seen: np.ndarray) -> np.ndarray:
            return framing.answered(seen, self.frame.twins, part, ask)

        answers = [whole(inside[:, ::-1])[:, ::-1] if mirror else whole(inside) for mirror in mirrored]
        ab = np.zeros((seen.shape[0] // part, seen.shape[1] // part, 2), np.float32)
        ab[place] = np.clip(sum(answers) / len(answers), -1, 1) * 110
        return Prediction(_coarser(seen[..., 0], part) * 50 + 50, ab)

    def features(self, size: int, told: Told = None) -> Float[np.ndarray, "h w c"]:
        """What a guided network's palette looks at: of each square of 4 x 4 pixels of what is seen, mounts and all."""
        seen = self.seen(size, told)
        given = _given(seen)
        features = self._engine.features(*given)[0]
        step = 4 * len(features) // given[0].shape[1]
        rows, columns = (-(-side // 4) for side in seen.shape[:2])
        return features[::step, ::step][:rows, :columns]

    def likely(self, features: Float[np.ndarray, "*hw c"]) -> Float[np.ndarray, "*hw n"]:
        """How likely each colour of `bins` is, by features: shares of 1."""
        palette: Any = self._network.params["palette"]["logits"]
        logits = features @ np.asarray(palette["kernel"], np.float32)[0, 0] + np.asarray(palette["bias"], np.float32)
        weights = np.exp(logits - logits.max(-1, keepdims=True))
        return weights / weights.sum(-1, keepdims=True)

    def without_mount(self, ab: Float[np.ndarray, "h w 2"]) -> Float[np.ndarray, "h w 2"]:
        """The same on pictures, no colour on mounts and paper."""
        inside, place = np.zeros_like(ab), self.frame.scaled(ab.shape[:2], self.image.shape[:2], 1)
        inside[place] = ab[place]
        return inside if self._paper is None else inside * (1 - pixels.resized(self._paper[..., None], ab.shape[:2]))

    def without_paper(self, prediction: Prediction) -> Prediction:
        """The same, finer where paper shows beside pictures, for that gets no colour."""
        if self._paper is None:
            return prediction
        lightness = self.lightness(framing.LOOKED_AT)
        fine = prediction.at(max(lightness, prediction.lightness, key=len))
        return fine._replace(ab=self.without_mount(fine.ab))


def _coarser(plane: np.ndarray, size: int) -> np.ndarray:
    """Means of squares of `size` pixels, (h / size, w / size)."""
    height, width = plane.shape
    return plane.reshape(height // size, size, width // size, size).mean((1, 3)) if size > 1 else plane


def _given(seen: np.ndarray) -> list[np.ndarray]:
    """What an engine takes, each a batch of one: luma, and hints where there are any, padded to whole maps."""
    sides = seen.shape[:2]
    padding = [(0, -side % (framing.MULTIPLE if side == min(sides) else framing.padded(min(sides)))) for side in sides]
    padded = np.pad(seen, (*padding, (0, 0)), mode="symmetric").astype(np.float32)[None]
    return [padded[..., :1], padded[..., 1:]] if seen.shape[-1] > 1 else [padded]


def _anchored(ab: np.ndarray, anchor: np.ndarray) -> np.ndarray:
    """The fine detail of `ab` on the colours of a smaller `anchor`, within the range of the anchor's neighbours there."""
    shape = ab.shape[:2]
    detail = ab - pixels.resized(pixels.resized(ab, anchor.shape[:2], _SMOOTH), shape, _SMOOTH)
    low, high = (pixels.resized(neighbours(anchor, pick), shape) for pick in (np.minimum, np.maximum))
    return np.clip(pixels.resized(anchor, shape, _SMOOTH) + detail, low, high)
