"""Patterns for tests of films: something to be followed."""

import cv2
import numpy as np


def pattern(seed, shape=(160, 400)):
    """L* of blots of several sizes, (H, W) float32 in about 20..80."""
    rng = np.random.default_rng(seed)
    blots = sum(cv2.GaussianBlur(rng.normal(size=shape), (0, 0), sigma) * sigma for sigma in (2, 5, 12))
    return np.clip(50 + 14 * blots / blots.std(), 5, 95).astype(np.float32)
