"""The weights inside the package: what they are called, where they are, and that they are those of this version."""

import hashlib
from pathlib import Path

from colorjax.checkpoint.checksums import CHECKSUMS, CheckpointError

PRETRAINED = "pretrained"  # their name wherever a checkpoint is named; a folder that is called so is ./pretrained
FOLDER = Path(__file__).parent.parent / "weights"
# What `sha256sum colorjax/weights/checksums.json` says; that file holds the SHA-256 of every other. New weights, new value.
SHA256 = "5a8b1bb9d3f18425dd8f957396881e4f136c39fbbc491d2c75a5d6faedba9465"


def folder() -> Path:
    """Where they are; only its `checksums.json` is checked here.

    Raises CheckpointError where this installation has none, or where that file is not the one that this version came with.
    """
    if not FOLDER.is_dir():
        raise CheckpointError(
            "this installation of colorjax has no weights inside (colorjax/weights/); install it anew, or train some "
            "(python train.py --config=configs/unet.py --workdir=DIR) and name them: --ckpt DIR, or "
            "Colorizer.from_checkpoint(DIR)"
        )
    try:
        found = hashlib.sha256((FOLDER / CHECKSUMS).read_bytes()).hexdigest()
    except FileNotFoundError:
        raise damaged(f"{CHECKSUMS} is missing") from None
    if found != SHA256:
        raise damaged(f"SHA-256 of {CHECKSUMS} is {found[:12]}, not {SHA256[:12]}")
    return FOLDER


def damaged(reason: object) -> CheckpointError:
    """The error for an installation whose weights are not what they should be."""
    return CheckpointError(f"this installation of colorjax is damaged or altered, install it anew: its weights: {reason}")
