"""Greedy CTC search (Graves et al. 2006, section 3.2: best path decoding)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mctc.decode.greedy import Emission
from mctc.decode.stepper import DecodeError, Floats
from mctc.decode.vocabulary import Vocabulary


class CtcDecoder:
    """Decodes a stream of frames: of each its best token, of equal ones in a row the first, without blanks."""

    calls: Mapping[str, int] = MappingProxyType({})  # of functions that search

    def __init__(self, vocabulary: Vocabulary, blank: int = 0) -> None:
        if blank not in vocabulary.tokens or blank < 0:
            raise ValueError(f"blank {blank} is not a token of the vocabulary")
        self.vocabulary, self.blank = vocabulary, blank
        self.reset()

    def reset(self) -> None:
        """Start a new utterance."""
        self.frames, self._last = 0, self.blank

    def push_encoded(self, encoded: Floats) -> list[Emission]:
        """Decode the next frames: logits or log-probabilities [frames, vocabulary]. Raises DecodeError for NaN."""
        if encoded.ndim != 2:
            raise DecodeError(f"the encoder returned shape {encoded.shape}, not [frames, vocabulary]")
        emissions: list[Emission] = []
        for at, token in enumerate(self.vocabulary.best(encoded).tolist() if len(encoded) else []):
            if token not in (self._last, self.blank):
                emissions.append(Emission(token, self.frames + at))
            self._last = token
        self.frames += len(encoded)
        return emissions
