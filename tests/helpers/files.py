"""Photo files that many tests colour."""

import numpy as np
import skimage
import tifffile

_GREY = skimage.data.chelsea()[:90, 100:250, 1]
CAT = np.stack([_GREY, _GREY * 0.93, _GREY * 0.84], axis=-1).astype(np.uint8)  # a toned print: it is not in colour already


DEEP = np.round(CAT[..., 1] / 255.0 * 65535 + np.linspace(0, 200, CAT[..., 1].size).reshape(CAT.shape[:2])).clip(0, 65535)


DEEP = DEEP.astype(np.uint16)


def copies(folder):
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.suffix != ".json"
    )


def multipage(path):
    with tifffile.TiffWriter(path) as writer:
        writer.write(CAT[..., 0], photometric="minisblack", description="page one", metadata=None, resolution=(300, 300))
        writer.write(np.dstack([DEEP] * 3), photometric="rgb", metadata=None)
        writer.write(CAT[:40], photometric="rgb", metadata=None)
