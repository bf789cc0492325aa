"""Photographs to batches: where they come from (`sources`), what is kept (`prepare`), and tf.data (`pipeline`).

The only room that imports TensorFlow, and only when a pipeline is built.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # not used by anything here, and announced in four lines at every start

from colorjax.data.pipeline import Data, load

__all__ = ["Data", "load"]
