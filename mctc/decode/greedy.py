"""Greedy transducer search (Graves 2012, section 2.5, with a beam of one).

The definition, one frame at a time: join the frame with the predictor's vector; while the best token isn't blank and
fewer than `max_symbols` were emitted at this frame, emit it, step the predictor with it and join again; then go to the
next frame. A blank never steps the predictor.

Since the predictor's vector changes only when a token is emitted, one call of the joiner can look at many frames. The
first frame whose best token isn't blank is where the definition would have emitted; the frames before it are done. So
the number of calls is about tokens plus chunks, not frames, which matters where each call has a fixed cost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mctc.decode.stepper import DecodeError, Floats, Stepper
from mctc.decode.vocabulary import Vocabulary


@dataclass(frozen=True)
class Emission:
    """A token and the encoded frame, counted from the start of the stream, at which it was emitted."""

    token: int
    frame: int


class GreedyDecoder:
    """Decodes a stream of chunks; state carries over between calls of `push`.

    `join_frames` is the number of frames that every call of the joiner takes, for functions of fixed shape: frames
    missing at the end are filled up with zeros and their logits ignored. None gives the joiner all that are left.
    """

    def __init__(
        self,
        stepper: Stepper,
        vocabulary: Vocabulary,
        blank: int = 0,
        max_symbols: int = 5,
        join_frames: int | None = None,
    ) -> None:
        if blank not in vocabulary.tokens or blank < 0:
            raise ValueError(f"blank {blank} is not a token of the vocabulary")
        if max_symbols < 1:
            raise ValueError(f"max_symbols must be at least 1, not {max_symbols}")
        if join_frames is not None and join_frames < 1:
            raise ValueError(f"join_frames must be at least 1, not {join_frames}")
        self.stepper = stepper
        self.vocabulary = vocabulary
        self.blank = blank
        self.max_symbols = max_symbols
        self.join_frames = join_frames
        self.reset()

    def reset(self) -> None:
        """Start a new utterance: states, frame count and call counts begin again."""
        self.stepper.reset()
        self.frames = 0
        self.join_calls = 0
        self.predict_calls = 0
        self._predicted: Floats | None = None

    @property
    def calls(self) -> dict[str, int]:
        """Calls of the functions that search."""
        return {"predictor": self.predict_calls, "joiner": self.join_calls}

    def push(self, mel: NDArray[np.float32]) -> list[Emission]:
        """Encode the next chunk [mel frames, bins] and decode it. Raises `DecodeError` for results that can't be."""
        return self.push_encoded(self.stepper.encode(mel))

    def push_encoded(self, encoded: Floats) -> list[Emission]:
        """Decode the next encoded frames [frames, width]."""
        if encoded.ndim != 2:
            raise DecodeError(f"the encoder returned shape {encoded.shape}, not [frames, width]")
        if self._predicted is None:
            self._predicted = self._predict(self.blank)
        emissions: list[Emission] = []
        frame = symbols = 0
        while frame < len(encoded):
            tokens = self._join(encoded[frame:])
            spoken = np.flatnonzero(tokens != self.blank)
            if not spoken.size:
                frame, symbols = frame + len(tokens), 0
                continue
            skipped = int(spoken[0])
            frame, symbols = frame + skipped, 0 if skipped else symbols
            token = int(tokens[skipped])
            emissions.append(Emission(token, self.frames + frame))
            self._predicted = self._predict(token)
            symbols += 1
            if symbols == self.max_symbols:
                frame, symbols = frame + 1, 0
        self.frames += len(encoded)
        return emissions

    def _predict(self, token: int) -> Floats:
        self.predict_calls += 1
        return self.stepper.predict(token)

    def _join(self, encoded: Floats) -> NDArray[np.int64]:
        """The best token of each frame that one call of the joiner can look at."""
        assert self._predicted is not None
        self.join_calls += 1
        fixed = self.join_frames
        if fixed is None or len(encoded) >= fixed:
            given = encoded[:fixed]
            real = len(given)
        else:
            real = len(encoded)
            given = np.pad(encoded, ((0, fixed - real), (0, 0)))
        logits = self.stepper.join(given, self._predicted)
        if len(logits) != len(given):
            raise DecodeError(f"the joiner returned logits for {len(logits)} frames, not for the {len(given)} given")
        return self.vocabulary.best(logits[:real])


def greedy(
    stepper: Stepper,
    chunks: Iterable[NDArray[np.float32]],
    vocabulary: Vocabulary,
    blank: int = 0,
    max_symbols: int = 5,
    join_frames: int | None = None,
) -> Iterator[Emission]:
    """The tokens of a stream of log-mel chunks [mel frames, bins], each as soon as its chunk is decoded.

    Starts from `stepper.reset()`. The arguments are those of `GreedyDecoder`.
    """
    decoder = GreedyDecoder(stepper, vocabulary, blank, max_symbols, join_frames)
    for chunk in chunks:
        yield from decoder.push(chunk)
