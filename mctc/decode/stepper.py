"""What decoding asks of whatever executes a transducer's three functions."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mctc.diagnostics.errors import MctcError

# Any float type: an executor hands on the precision it computes in.
Floats = NDArray[np.floating[Any]]


class DecodeError(MctcError):
    """Decoding can't go on: what a function returned, where, and what was expected of it."""


def checked_frames(encoded: Floats) -> Floats:
    """Encoded frames as they are. Raises DecodeError for an array that isn't [frames, width]."""
    if encoded.ndim != 2:
        raise DecodeError(f"the encoder returned shape {list(encoded.shape)}, not [frames, width]")
    return encoded


def blocks(encoded: Floats, size: int) -> list[Floats]:
    """Encoded frames, at most `size` at a time; none where there are no frames. Raises DecodeError."""
    encoded = checked_frames(encoded)
    return [encoded[at : at + size] for at in range(0, len(encoded), size)]


class Stepper(Protocol):
    """A transducer, one step at a time. It holds the states of the encoder and of the predictor itself."""

    def reset(self) -> None:
        """Set the states of encoder and predictor to those before the first frame and the first token."""

    def encode(self, mel: NDArray[np.float32]) -> Floats:
        """Encoded frames [frames, width] of the next chunk of log-mel frames [mel frames, bins]."""

    def predict(self, token: int) -> Floats:
        """The predictor's vector [width] after one more token. Only tokens that were emitted are ever given to it,
        and the blank once at the start."""

    def join(self, encoded: Floats, predicted: Floats) -> Floats:
        """Logits [frames, vocabulary] of encoded frames [frames, width], each joined with the one vector [width].

        Each row of the result depends on its own frame alone.
        """
