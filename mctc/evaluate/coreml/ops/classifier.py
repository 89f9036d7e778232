"""The op that ends a classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import op
from mctc.evaluate.coreml.precision import Array


@op("classify", result="", note="the likeliest label, and the probabilities as a tensor in the order of the classes")
def classify(probabilities: Array, classes: Sequence[Any]) -> tuple[Any, Array]:
    """The first of the likeliest labels, and every class's probability [classes]: Core ML's dictionary by position."""
    flat = probabilities.reshape(-1)
    if flat.size != len(classes):
        raise ValueError(f"{len(classes)} classes for {flat.size} probabilities")
    return np.asarray(classes[int(np.argmax(flat))]), flat
