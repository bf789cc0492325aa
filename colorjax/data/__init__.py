"""Photographs to batches.

`listing` and `sources` (where they come from), `facts` and `prepare` (what each is), `choice` (what is kept), `roster` (what
a run began with), `balance` (in which order), `ops` and `pipeline` (tf.data).

The only wing that imports TensorFlow, and only when a pipeline is built.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # not used by anything here, and announced in four lines at every start

from colorjax.data.pipeline import Data, load

__all__ = ["Data", "balance", "load", "ops", "pipeline", "prepare", "roster", "sources"]
