"""How far a film is."""

import sys
import time

from tqdm import tqdm

from colorjax.film.lists import Shot


class Progress:
    """How far it is, and how much time is left: a bar, or a line for each shot where nobody watches."""

    def __init__(self, found: list[Shot], todo: list[Shot]):
        self._numbers = {shot: number for number, shot in enumerate(found, 1)}
        self._todo, self._start, self._done = sum(shot.end - shot.first for shot in todo), time.monotonic(), 0
        self._watched = sys.stderr.isatty()
        self._bar = tqdm(total=self._todo, unit="frame", disable=not self._watched)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def frame(self, shot: Shot) -> None:
        """One is written."""
        self._done += 1
        self._bar.set_description(f"shot {self._numbers[shot]} of {len(self._numbers)}", refresh=False)
        self._bar.update()

    def shot(self, shot: Shot) -> None:
        """One is done."""
        if not self._watched:
            spent = time.monotonic() - self._start
            left = round(spent / self._done * (self._todo - self._done))
            words = f"shot {self._numbers[shot]} of {len(self._numbers)} is coloured, {self._done / spent:.1f} frames a second"
            print(f"{words}, about {left // 3600}:{left // 60 % 60:02}:{left % 60:02} left", file=sys.stderr, flush=True)
