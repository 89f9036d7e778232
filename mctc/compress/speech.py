"""Utterances as a model's loss takes them: frames of the build's own front end, and labels of its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from hashlib import sha256

import numpy as np

from mctc.audio.front_end import FrontEnd, frames_of
from mctc.audio.load import load_audio
from mctc.compress.errors import CompressError
from mctc.ir.op import Array
from mctc.records import dataclass
from mctc.score.utterance import Utterance
from mctc.tokens import Tokens, TokensError

UNKNOWN = ("<unk>", "[UNK]")  # as libraries call it
KEPT = 512 << 20  # bytes of frames that are held between readings


@dataclass
class Speech:
    """Utterances whose texts the tokens spell."""

    utterances: Sequence[Utterance]
    front_end: FrontEnd
    tokens: Tokens
    _frames: dict[int, Array] = field(default_factory=dict)

    def heard(self, at: int) -> tuple[Array, Array]:
        """Frames [T, bins] and labels [U] of an utterance. Raises CompressError for a text that no tokens spell."""
        each = self.utterances[at]
        if at not in self._frames:
            samples = load_audio(each.audio, self.front_end.sample_rate, each.start, each.duration)
            frames = frames_of(samples, self.front_end)
            if sum(kept.nbytes for kept in self._frames.values()) + frames.nbytes > KEPT:
                return frames, self._labels(each)
            self._frames[at] = frames
        return self._frames[at], self._labels(each)

    def _labels(self, each: Utterance) -> Array:
        try:
            return np.array(self.tokens.encode(each.text), np.int64)
        except TokensError as error:
            raise CompressError(f"{each.place}: {error.message}", hint=error.hint) from error

    def unknown(self) -> tuple[int, int]:
        """How many tokens of all texts are the one that stands for what can't be spelt, and how many there are."""
        ids = [at for at, name in self.tokens.special.items() if name in UNKNOWN]
        labels = [self._labels(each) for each in self.utterances]
        return sum(int(np.isin(each, ids).sum()) for each in labels), sum(map(len, labels))

    def digest(self) -> str:
        """Of what is said where, whatever folder the recordings lie in."""
        told = [(each.id, each.audio.name, each.start, each.duration, each.text) for each in self.utterances]
        return sha256(repr(told).encode()).hexdigest()
