"""What a caller of a step must know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from fractions import Fraction

from mctc.ir.types import Role
from mctc.records import dataclass
from mctc.streaming.timing import Timing


@dataclass(frozen=True)
class StepInfo:
    """What a caller of a step must know. Frames are those of the named input or result.

    component: the spec's component that it is derived from. role: the axis that streams. chunk: frames a call of the
    dimension that it goes along; `symbol` is its name in the spec, `rate` its frames a second, if it has a rate.
    frames: frames a call of every input and result that streams. timings: of every result that streams.
    streams: False for a function that takes a whole utterance of `chunk` frames in one call and carries nothing.
    labels: labels a call of every input and result that has labels beside time; each label is a stream of its own.
    """

    function: str
    role: Role
    symbol: str | None
    chunk: int
    frames: Mapping[str, int]
    timings: Mapping[str, Timing]
    rate: Fraction | None
    needs_valid: bool
    component: str = ""
    streams: bool = True
    labels: Mapping[str, int] = field(default_factory=dict)

    @property
    def chunk_ms(self) -> float | None:
        return None if self.rate is None else float(1000 * self.chunk / self.rate)

    def rate_of(self, name: str) -> Fraction | None:
        """Frames a second of an input or result that has frames, if the dimension has a rate."""
        return None if self.rate is None else self.rate * self.frames.get(name, self.chunk) / self.chunk

    def delay_ms(self, result: str) -> float | None:
        timing = self.timings[result]
        return None if self.rate is None else float(1000 * timing.delay * timing.jump / self.rate)

    def latency_ms(self, result: str) -> float | None:
        """Algorithmic latency: from the moment a frame's audio begins until the call that returns it can start."""
        delay = self.delay_ms(result)
        return None if delay is None or self.chunk_ms is None else self.chunk_ms + delay
