"""The photographs that the documentation shows: where they come from, who took them, and under which licence.

Each comes with a package: scikit-image, scikit-learn, or Debian's lomiri-wallpapers-16.04. Nothing else is shown.

    pip download --no-deps --dest wheels scikit-learn && unzip -d PACKAGES wheels/scikit_learn-*.whl
    apt-get download lomiri-wallpapers-16.04 && dpkg-deb -x lomiri-wallpapers-16.04_*.deb PACKAGES

PACKAGES is what the scripts here take as --packages. scikit-image is part of the extra `test`.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

_SKIMAGE, _SKLEARN, _LOMIRI = "scikit-image", "scikit-learn", "lomiri-wallpapers-16.04"
_BY, _BY_2, _BY_SA, _CC0 = "CC BY 4.0", "CC BY 2.0", "CC BY-SA 4.0", "CC0 1.0"


class Shown(NamedTuple):
    """A photograph. key: its name here. remark: what happened to its colours, as somebody saw it."""

    key: str
    file: str
    package: str
    title: str
    author: str
    licence: str
    remark: str


GALLERY = (
    Shown(
        "mountains",
        "picosdeeuropa_by_Aitzol_Berasategi.jpg",
        _LOMIRI,
        "Picos de Europa",
        "Aitzol Berasategi",
        _BY,
        "Sky and rock are near the truth.",
    ),
    Shown(
        "cat", "chelsea.png", _SKIMAGE, "Chelsea the cat", "Stéfan van der Walt", _CC0, "The fur is right. The eyes were green."
    ),
    Shown(
        "pagoda",
        "china.jpg",
        _SKLEARN,
        "Pagoda in China",
        "danielbuechele",
        _BY_2,
        "Trees are right. The painted wood was red.",
    ),
    Shown(
        "bridge",
        "Bridge_by_Sander_Klootwijk.jpg",
        _LOMIRI,
        "Bridge",
        "Sander Klootwijk",
        _BY_SA,
        "A sky is easy: it is nearly always blue.",
    ),
    Shown(
        "brook",
        "life_by_Aitzol_Berasategi.jpg",
        _LOMIRI,
        "Brook in a wood",
        "Aitzol Berasategi",
        _BY,
        "Leaves and stones are near the truth, and too yellow.",
    ),
    Shown(
        "dogs",
        "friends_by_Aitzol_Berasategi.jpg",
        _LOMIRI,
        "Friends",
        "Aitzol Berasategi",
        _BY,
        "The dogs are near the truth. The curtain and the wood got a tint of orange.",
    ),
    Shown(
        "autumn",
        "aitzgorri_by_Aitzol_Berasategi.jpg",
        _LOMIRI,
        "Aitzgorri in autumn",
        "Aitzol Berasategi",
        _BY,
        "The wood was orange. Nothing in its lightness says so.",
    ),
    Shown(
        "sunset",
        "sunset_by_Aitzol_Berasategi.jpg",
        _LOMIRI,
        "Sunset",
        "Aitzol Berasategi",
        _BY,
        "The glow is there. The ground lost its autumn colours.",
    ),
    Shown(
        "astronaut",
        "astronaut.png",
        _SKIMAGE,
        "Eileen Collins",
        "NASA",
        "public domain",
        "The orange suit became brown, and the face's colour spills over hair and wall.",
    ),
    Shown(
        "coffee",
        "coffee.png",
        _SKIMAGE,
        "Coffee",
        "Rachel Michetti",
        _CC0,
        "The red saucer became grey. Lightness does not tell red from grey.",
    ),
    Shown(
        "flower", "flower.jpg", _SKLEARN, "Dahlia", "vultilion", _BY_2, "A flower may have any colour; its ground was green."
    ),
    Shown(
        "dandelion",
        "seeding_by_Clements_Engelhardt.jpg",
        _LOMIRI,
        "Seeding",
        "Clemens Engelhardt",
        _CC0,
        "The heads were nearly white. The large one became yellow, and some are rusty.",
    ),
)
BY_KEY = {shown.key: shown for shown in GALLERY}


def read(shown: Shown, packages: Path, long_side: int) -> np.ndarray:
    """(H, W, 3) uint8, its longer side at most so many pixels. Raises FileNotFoundError where the package is not there."""
    import skimage

    roots = [Path(skimage.__file__).parent / "data", packages]
    found = [path for root in roots for path in sorted(root.rglob(shown.file))] if packages.is_dir() else []
    if not found:
        raise FileNotFoundError(f"{shown.file} of the package {shown.package} is not below --packages {packages}")
    with Image.open(found[0]) as picture:
        picture = picture.convert("RGB")
        picture.thumbnail((long_side, long_side), Image.Resampling.LANCZOS)
        return np.asarray(picture)
