"""How much faster the new recipe's steps are than the old one's, at the same size, batch and terms.

    python benchmarks/speed/train_recipes.py [--sizes 96 160] [--batch=16] [--rounds=5]

`old` is how the first weights were made: every stage trained, chroma at full resolution (`configs/release.py:finish`).
`new` is `configs/quarter.py`: the stem to layer2 as ImageNet left them, chroma at a quarter of the resolution. Both pay for the
same terms. Each step is `train.py`'s own, on random pictures that lie there already; the ways take turns.
"""

import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import common

TERMS = {"delta_e": 1.0, "psnr": 0.6, "colourfulness": 0.12}
STEPS = 3  # in a round


class Way:
    """A recipe's step and its state."""

    def __init__(self, recipe: str, size: int, batch: int):
        import jax
        import numpy as np

        from colorjax.networks import state
        from colorjax.platform import sharding
        from colorjax.science import bins
        from colorjax.training import optim, steps
        from configs import quarter, release

        config: Any = release.get_config("finish") if recipe == "old" else quarter.get_config()
        config.image_size, config.batch_size, config.loss.palette = size, batch, 0.01
        config.loss.update(**TERMS)
        config.data.update(lab="device", aged=0.15, unhinted=0.6)
        mesh, optimizers = sharding.make_mesh(batch), optim.make(config, 10**6)
        self._now = state.new(config, optimizers)
        if self._now.average:
            self._now.average = jax.tree.map(lambda leaf: leaf + 0, {"params": self._now.params, "stats": self._now.stats})
        pictures = np.random.default_rng(0).integers(0, 256, (batch, size, size, 3), np.uint8)
        self._batch = sharding.put({"image_u8": pictures, "mask": np.ones(batch, np.float32)}, mesh)
        self._step, self._wait = steps.make(config, optimizers, mesh, np.zeros(bins.COUNT)), jax.block_until_ready
        self._pictures = batch
        self.rate(1)  # compiles

    def rate(self, count: int = STEPS) -> float:
        """Pictures a second over some steps."""
        start = time.perf_counter()
        for _ in range(count):
            self._now, scalars = self._step(self._now, self._batch)
        self._wait(scalars)
        return count * self._pictures / (time.perf_counter() - start)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[96, 160])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    common.table("pixels", "old, pictures a second", "new", "ratio, median of the rounds (lowest to highest)")
    for size in args.sizes:
        ways = {recipe: Way(recipe, size, args.batch) for recipe in ("old", "new")}
        told = common.in_turns(ways, args.rounds, lambda recipe, _, ways=ways: ways[recipe].rate())
        ratios = [new / old for old, new in zip(told["old"], told["new"], strict=True)]
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        common.row(size, *(statistics.median(told[recipe]) for recipe in ("old", "new")), spread)


if __name__ == "__main__":
    main()
