"""Which photographs make up a batch: as they come, or balanced by colour against the warm brown cast.

Every order is a pure function of the seed and the epoch: `order(epoch)` gives the places of one epoch on the training side,
(steps x batch,) int64, batch after batch.
"""

from collections.abc import Callable, Sequence

import numpy as np

from colorjax.data.prepare import Facts
from colorjax.science import bins

Order = Callable[[int], np.ndarray]
BALANCES = ("none", "temperature", "histogram")
_MOST = 4.0  # no photograph is shown more than so many times as often as without balance, nor less than the inverse
_ROUNDS = 200  # of the search for weights; the entropy changes by under 0.001 bits after half of them


def epoch_order(seed: int, epoch: int, count: int, total: int) -> np.ndarray:
    """The pictures of one epoch: `total` indices below `count`, each visited once before any is visited again."""
    rng = np.random.default_rng([seed, epoch])
    rounds = [rng.permutation(count) for _ in range(-(-total // count))]
    return np.concatenate(rounds)[:total]


def wanted(config: object) -> bool:
    """Whether a run needs to know the colours of its photographs before it starts."""
    return config.data.balance != "none" or config.loss.rarity > 0


def make(config: object, facts: Sequence[Facts], count: int) -> tuple[Order, dict]:
    """The order that `config.data.balance` names, and what to tell of it, for `count` training photographs.

    facts: of each training photograph; may be empty where `wanted` is False.
    Raises ValueError for an unknown name, and where the photographs are all warm or all cool.
    """
    name, batch = config.data.balance, config.batch_size
    total = -(-count // batch) * batch
    if name == "none":
        return lambda epoch: epoch_order(config.seed, epoch, count, total), {}
    if name == "temperature":
        warm = np.array([one.mean_b for one in facts]) > config.data.warm_above
        told = {"warm": int(warm.sum()), "cool": int((~warm).sum()), "warm_above": config.data.warm_above}
        return temperature(config.seed, batch, total, warm), told
    if name == "histogram":
        colours = np.stack([one.colours for one in facts])
        weights = flat_weights(colours)
        even = np.full(count, 1 / count)
        told = {"entropy_bits": entropy(even, colours), "entropy_bits_balanced": entropy(weights, colours)}
        return histogram(config.seed, batch, total, weights, colours), told
    raise ValueError(f"data.balance={name!r} is unknown; legal are {', '.join(BALANCES)}")


def temperature(seed: int, batch: int, total: int, warm: np.ndarray) -> Order:
    """Every batch half warm and half cool (one more or less, in turns, where its size is odd).

    warm: (n,) bool. Each side goes round on its own: a photograph is seen again only after all others of its side, across
    the epochs. Raises ValueError where a side is empty.
    """
    sides = np.flatnonzero(warm), np.flatnonzero(~warm)
    if not (len(sides[0]) and len(sides[1])):
        raise ValueError(
            f"data.balance=temperature needs warm and cool photographs: {len(sides[0])} are warm, {len(sides[1])} cool "
            "(mean b* above data.warm_above or not)"
        )
    steps = total // batch

    def drawn(side: int, first: int, end: int) -> np.ndarray:
        """Places number `first` to `end` of the endless row of a side's shuffles."""
        size = len(sides[side])
        rounds = range(first // size, -(-end // size))
        shuffles = [np.random.default_rng([seed, side, n]).permutation(sides[side]) for n in rounds]
        return np.concatenate(shuffles)[first - rounds[0] * size :][: end - first]

    def order(epoch: int) -> np.ndarray:
        warm_each = (batch + np.arange(epoch * steps, (epoch + 1) * steps) % 2) // 2
        first = epoch * steps * (batch // 2) + (epoch * steps // 2 if batch % 2 else 0)
        count = int(warm_each.sum())
        is_warm = np.arange(batch) < warm_each[:, None]
        places = np.empty((steps, batch), np.int64)
        places[is_warm] = drawn(0, first, first + count)
        places[~is_warm] = drawn(1, epoch * total - first, (epoch + 1) * total - first - count)
        return np.random.default_rng([seed, 2, epoch]).permuted(places, axis=1).ravel()

    return order


def histogram(seed: int, batch: int, total: int, weights: np.ndarray, colours: np.ndarray) -> Order:
    """Photographs drawn as often as `weights` (n,) say, and dealt out so that every batch has its share of every hue.

    An epoch shows each photograph `total * weights` times, rounded up or down at random (systematic sampling). Sorted by
    hue, these are cut into as many parts as a batch has places; a batch gets one of each part. colours: (n, bins.COUNT).
    """
    steps = total // batch
    centres = (np.arange(bins.SIDE) - bins.SIDE // 2).astype(np.float64)
    planes = colours.reshape(-1, bins.SIDE, bins.SIDE).astype(np.float64)
    hue = np.arctan2(planes.sum(1) @ centres, planes.sum(2) @ centres)

    def order(epoch: int) -> np.ndarray:
        rng = np.random.default_rng([seed, 3, epoch])
        shuffled = rng.permutation(len(weights))
        ends = np.cumsum(weights[shuffled])
        drawn = shuffled[np.searchsorted(ends / ends[-1] * total, np.arange(total) + rng.random(), side="right") % len(weights)]
        parts = drawn[np.argsort(hue[drawn], kind="stable")].reshape(batch, steps)
        dealt = rng.permuted(parts, axis=1).T
        return rng.permuted(dealt, axis=1).ravel()

    return order


def flat_weights(colours: np.ndarray) -> np.ndarray:
    """How often to show each photograph, (n,) with sum 1, so that the ab histogram of what is shown is as flat as possible.

    colours: pixels by bin of each, (n, bins.COUNT). Maximises the entropy of the weighted mean histogram (concave) by
    exponentiated gradients (Kivinen and Warmuth 1997); weights stay, within a percent, between 1/4 and 4 times 1/n.
    """
    shares = _shares(colours)
    count = len(shares)
    weights = np.full(count, 1 / count)
    for _ in range(_ROUNDS):
        mean = weights @ shares
        gain = shares @ -np.log(np.maximum(mean, 1e-12)).astype(np.float32)
        weights = weights * np.exp(0.3 * (gain - gain.mean()))
        for _ in range(8):  # to the nearest weights within bounds whose sum is 1
            weights = np.clip(weights / weights.sum(), 1 / (_MOST * count), _MOST / count)
    return weights / weights.sum()


def entropy(weights: np.ndarray, colours: np.ndarray) -> float:
    """Entropy in bits of the weighted mean ab histogram: 0 for one colour only, log2(Q) where all Q are equally common."""
    mean = weights @ _shares(colours)
    return float(-(mean * np.log2(np.maximum(mean, 1e-12))).sum())


def _shares(colours: np.ndarray) -> np.ndarray:
    return colours.astype(np.float32) / colours.sum(1, keepdims=True, dtype=np.float32)
