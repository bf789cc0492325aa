"""Photographs to batches: where they come from (`sources`), what is kept (`prepare`), and tf.data (`pipeline`).

The only room that imports TensorFlow, and only when a pipeline is built.
"""

from colorjax.data.pipeline import Data, load

__all__ = ["Data", "load"]
