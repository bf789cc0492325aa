"""`Colorizer`: a photograph of any size in, the same photograph in colour out. Imports no TensorFlow."""

import functools
import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from colorjax import checkpoint
from colorjax.inference import doubts, engines, framing, pixels, reaching, variants
from colorjax.inference.reaching import Reach
from colorjax.inference.upsampling import Upsampler
from colorjax.inference.viewing import Prediction, View
from colorjax.platform import usage
from colorjax.science import bins
from colorjax.science.hints import OBJECT, Hint, HintError, drawn
from colorjax.science.hints import checked as checked_hints
from colorjax.science.tints import Tint

MAX_SIZE = 2048
_LEAST = 32  # pixels that a network is shown
_PLAIN = 10  # of L*: what goes over less, as an empty page, may well have no colour
_NOT_GUIDED = "the network takes no hints: it was trained without (see configs/guided.py)"


class NoColorError(ValueError):
    """The network has no colour for a photograph, whose copy would be grey."""


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
        with paints wildly, so what is larger than it knows stays as at the size of its training. How often it looks, and at
        which scales of `size`, is a setting of the network (`looks`); every second look is mirrored. flip: each look both as it
        is and mirrored (twice the work). engine: what computes: "jax"; "onnx", ONNX Runtime on
        the processor (`pip install 'colorjax[onnx]'`; equal within 1e-3 in float32); "auto", the latter where it is installed
        and there is no accelerator.
        Raises ValueError for a size or an engine that there is not, TypeError for what is no network and no number.
        """
        if not isinstance(network, checkpoint.Network):
            raise TypeError(f"network is {network!r}; Colorizer.from_checkpoint takes a path, and Colorizer.pretrained nothing")
        size = network.config.image_size if size is None else size
        usage.within("size=", size, _LEAST, MAX_SIZE, f"at least {_LEAST} pixels and at most {MAX_SIZE}", whole=True)
        self.size, self.flip, self.network = size, flip, network
        self.engine = engines.make(network, engine)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled it is what it was made of, for pools of processes: each makes the engine anew."""
        return functools.partial(type(self), flip=self.flip, engine=self.engine.name), (self.network, self.size)

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

    def __call__(
        self,
        image: np.ndarray,
        hints: Iterable[Any] | None = None,
        *,
        strength: float = 1.0,
        warmth: float = 0.0,
        saturation: float = 0.0,
    ) -> np.ndarray:
        """Colour a photograph.

        image: (H, W) or (H, W, 3), uint8, uint16 or float in 0..1, sRGB-encoded, or such a picture of Pillow, which says what
        its array hides, as a palette; of a picture in colour only the lightness is used. hints: colours chosen for points, each
        (x, y, (r, g, b)) or otherwise as `hints.of` takes it: column and row from 0, sRGB of 0..255, of which a* and b* count;
        how far they go: see `hints.Hint`. strength: factor of chroma, 0 (grey) to 1.5. warmth: -1 (cool) to 1. saturation: of
        pale colours above all, -1 to 1.
        Returns (H, W, 3) of the same size and dtype; each pixel's L* is the input's, up to the dtype's rounding.
        Raises TypeError or ValueError for other shapes, types and ranges, NoColorError where the network answers grey and it
        is no empty page, hints.HintError (a ValueError) for hints that are malformed, outside, or for a network that is not
        guided.
        """
        Tint(strength, warmth, saturation).check()
        return self.paint(image, self.predict(image, hints), strength=strength, warmth=warmth, saturation=saturation)

    def colorize_file(self, source: str | Path, target: str | Path | None = None, **settings: Any) -> Any:
        """Colour a file with this network, with all that `colorjax colorize` promises: see `colorjax.colorize_file`.

        Colorizer.pretrained().colorize_file("photo.jpg", "result.jpg", strength=0.8)
        """
        package = importlib.import_module("colorjax")  # files are of a wing above this one, which the package alone knows
        return package.colorize_file(source, target, colorizer=self, **settings)

    def predict(self, image: np.ndarray, hints: Iterable[Any] | None = None, frame: framing.Frame | None = None) -> Prediction:
        """The network's answer for a photograph and hints as `__call__` takes them, at its scale. Raises as `__call__` does.

        Where hints are of objects, its scale is that at which these are looked for (`reaching`), if that is finer.
        frame: what of it the network is shown, where that is known: the pictures of a film have one. Default `framing.of` it.
        """
        view, hints = self._view(image, hints, frame)
        prediction = self._answer(view, hints)
        if not np.abs(prediction.ab).max() >= 1 and np.ptp(prediction.lightness) > _PLAIN:
            raise NoColorError("the network has no colour for it; are its weights trained?")
        return view.without_paper(prediction)

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
        if not self.guided:
            raise HintError(_NOT_GUIDED)
        view, hints = self._view(image, hints)
        (point,) = checked_hints([(x, y, (0, 0, 0))], view.image.shape)
        features = view.features(self._trained, self._reach(view, hints).drawn if hints else None)
        row, column = (
            at * small // large for at, small, large in zip((point.y, point.x), features.shape, view.image.shape, strict=False)
        )
        lightness = pixels.lightness(view.image[point.y : point.y + 1, point.x : point.x + 1])
        found = bins.likeliest(view.likely(features[row, column]), count)
        shown = (pixels.join(lightness, ab[None, None], np.dtype(np.uint8))[0, 0] for ab, _ in found)
        return [Suggestion((int(r), int(g), int(b)), share) for (r, g, b), (_, share) in zip(shown, found, strict=True)]

    def variants(self, image: np.ndarray, count: int = 3, hints: Iterable[Any] | None = None) -> list[Prediction]:
        """`count` answers for a photograph, for `paint`, the likeliest first: the first is that of `predict`.

        The others have other likely colours (`variants`); what hints say stays. image, hints: as `__call__` takes them.
        Raises as `__call__` does, ValueError for counts out of range, HintError where the network is not guided, for then it
        has no palette.
        """
        usage.within("count=", count, 1, variants.MOST, whole=True)
        if not self.guided:
            raise HintError("the network has no variants: it was trained without a palette (see configs/guided.py)")
        view, hints = self._view(image, hints)
        first = self.predict(image, hints)
        if count == 1:
            return [first]
        told = self._reach(view, hints).drawn if hints else None
        features = view.features(self._trained, told)
        shape, onto = features.shape[:2], first.ab.shape[:2]
        ab, light = pixels.resized(first.ab, shape), pixels.resized(view.lightness(self._trained)[..., None], shape)[..., 0]
        shifts = variants.shifts(features, view.likely(features), light, ab, count - 1)
        free = 1 - reaching.kept(told, onto) if told else 1.0  # where nobody has said what the colour is
        others = (first.ab + view.without_mount(free * pixels.resized(shift, onto)) for shift in shifts)
        return [first, *(Prediction(first.lightness, ab) for ab in others)]

    def variant(self, image: np.ndarray, number: int, hints: Iterable[Any] | None = None) -> Prediction:
        """The variant of that number, from 1; of 0 what `predict` says."""
        return self.variants(image, number, hints)[-1] if number else self.predict(image, hints)

    def paint(
        self,
        image: np.ndarray,
        prediction: Prediction,
        *,
        strength: float = 1.0,
        warmth: float = 0.0,
        saturation: float = 0.0,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """The photograph in the colours of a prediction, as `__call__` returns it; `out` may be the photograph itself.

        Raises as `__call__` does, ValueError for an `out` that is no array of its shape and type.
        """
        tint = Tint(strength, warmth, saturation)
        tint.check()
        image = pixels.checked(image)
        shape = image.shape[:2]
        result = np.empty((*shape, 3), image.dtype) if out is None else out
        if not isinstance(result, np.ndarray) or (result.shape, result.dtype) != ((*shape, 3), image.dtype):
            raise ValueError(f"out must be an array of shape {(*shape, 3)} and dtype {image.dtype}, as what is painted")
        scaled = Upsampler(prediction.lightness, tint.of(prediction.ab), shape)

        def strip(rows: slice) -> None:
            lightness = pixels.lightness(image[rows])
            result[rows] = pixels.join(lightness, scaled.rows(rows, lightness), image.dtype)

        pixels.each(strip, pixels.strips(shape))
        return result

    @property
    def calibrated(self) -> bool:
        """Whether `uncertainty` says how far off colours are; else it only says where they are more of a guess."""
        return self.network.calibration is not None

    def uncertainty(
        self,
        image: np.ndarray,
        hints: Iterable[Any] | None = None,
        *,
        calibrated: bool | None = None,
        of: Prediction | None = None,
    ) -> np.ndarray:
        """Where the colour is a guess: (h, w) float32 at the network's scale, in Lab units.

        How far a* and b* are off, on average, where a network says so: by the table in `calibration.json` beside its weights.
        Without that, or with calibrated=False, what the network says: the mean distance to the colours that its palette holds
        for likely; of one that is not guided the standard deviation between answers for the photograph and its mirror image,
        each at several scales. Where hints of objects reach, somebody has said what the colour is: there it is 0.

        of: the colours that are doubted, as one of `variants` (default: those of `predict`); for these the table was not
        measured. Raises as `__call__` does, ValueError for calibrated=True where there is no table.
        """
        if calibrated and not self.calibrated:
            raise ValueError("the uncertainty of this network is not calibrated (see benchmarks/quality/calibrate.py)")
        view, hints = self._view(image, hints)
        reach, size = self._reach(view, hints) if hints else None, self._trained
        told = reach.drawn if reach else None
        if self.network.config.model.guided:  # it has a palette
            features = view.features(size, told)
            answer = view.answer_at(size, (False,), told).ab if of is None else of.ab
            doubt = doubts.expected(view.likely(features), pixels.resized(answer, features.shape[:2]))
        else:
            sizes = [max(_LEAST, round(scale * size)) for scale in doubts.SCALES]
            ways = [(at, mirrored) for at in sizes for mirrored in (False, True)]
            doubt = doubts.spread([view.answer_at(at, (mirrored,), told).ab for at, mirrored in ways])
        table = None if calibrated is False else self.network.calibration
        doubt = doubt if table is None else doubts.calibrated(doubt, table)
        return doubt * (1 - pixels.resized(reach.share[..., None], doubt.shape)[..., 0]) if reach else doubt

    def _view(
        self, image: np.ndarray, hints: Iterable[Any] | None, frame: framing.Frame | None = None
    ) -> tuple[View, tuple[Hint, ...]]:
        """A photograph before the network, and its hints, checked. Raises as `__call__` does."""
        image = pixels.checked(image)
        hints = checked_hints(hints, image.shape)
        if hints and not self.guided:
            raise HintError(_NOT_GUIDED)
        return View(self.network, self.engine, image, self.flip, frame, hinted=bool(hints)), hints

    @property
    def _trained(self) -> int:
        """The working size, or that of the training if that is smaller: at which features and likely colours are sound."""
        return min(self.size, self.network.config.image_size)

    def _reach(self, view: View, hints: tuple[Hint, ...]) -> Reach:
        features = view.features(self._trained) if any(hint.reach == OBJECT for hint in hints) else None
        return Reach(hints, view.image.shape[:2], view.lightness(reaching.SIDE), features)

    def _answer(self, view: View, hints: tuple[Hint, ...]) -> Prediction:
        """What the network says, as far as the hints reach."""
        free = tuple(hint for hint in hints if not hint.is_bounded)
        plain = view.answer(self.size, functools.partial(drawn, free, view.image.shape[:2]) if free else None)
        if len(free) == len(hints):
            return plain
        reach, lightness = self._reach(view, hints), view.lightness(reaching.SIDE)
        lightness = max(lightness, plain.lightness, key=len)  # the finer one
        answers = [prediction.at(lightness).ab for prediction in (plain, view.answer(self.size, reach.drawn))]
        return Prediction(lightness, view.without_mount(reach.applied(*answers)))
