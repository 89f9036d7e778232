"""When frames exist: the delay of a value in a stream, and which input frames it depends on."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from mctc.records import dataclass


@dataclass(frozen=True)
class Timing:
    """Of a value with a streaming axis.

    delay: its frames come this many frames late: chunk n holds frames n*C - delay ... (n+1)*C - delay - 1.
    past, ahead: frame j depends on input frames j*jump - past ... j*jump + ahead; past None means all of them.
    jump: input frames per frame of this value. Input frames are those of the dimension (T): an input of 2*T frames has
    two in each, so these are fractions.
    within: by how much past and ahead are wider because every frame depends on all of its own block.
    """

    delay: int = 0
    past: Fraction | int | None = 0
    ahead: Fraction | int = 0
    jump: Fraction = Fraction(1)
    within: Fraction | int = 0

    def late(self, frames: int) -> Timing:
        return replace(self, delay=self.delay + frames) if frames else self

    def recurrent(self) -> Timing:
        return Timing(self.delay, None, self.ahead, self.jump)

    def window(self, left: int, right: int, stride: int, delay: int) -> Timing:
        past = None if self.past is None else self.past + left * self.jump
        return Timing(delay, past, self.ahead + right * self.jump, self.jump * stride)

    def spread(self, factor: int) -> Timing:
        """Of a result with `factor` frames for each: `past` is that of the last of them, `ahead` of the first."""
        jump = self.jump / factor
        past = None if self.past is None else self.past + (factor - 1) * jump
        return replace(self, delay=self.delay * factor, past=past, jump=jump)

    def block(self, frames: int, before: int = 0) -> Timing:
        """Of a result of blocks of `frames` that see `before` frames more: a second one over the same blocks sees no
        further but by those."""
        more = max(Fraction(0), (frames - 1) * self.jump - self.within)
        past = None if self.past is None else self.past + more + before * self.jump
        return replace(self, past=past, ahead=self.ahead + more, within=self.within + more)


def join(timings: list[Timing]) -> Timing:
    """The timing of a pointwise result of operands that were aligned to the same delay."""
    first = timings[0]
    if all(each is first for each in timings):
        return first
    pasts = [timing.past for timing in timings]
    past = None if None in pasts else max(p for p in pasts if p is not None)
    ahead = max(t.ahead for t in timings)
    widened = [ahead - max(t.ahead - t.within for t in timings)]
    if past is not None:
        widened.append(past - max(p - t.within for p, t in zip(pasts, timings) if p is not None))
    return Timing(max(t.delay for t in timings), past, ahead, timings[0].jump, min(widened))


def window_delay(delay: int, right: int, stride: int) -> int:
    """The least delay of a window's result when its input comes `delay` frames late.

    By the end of chunk n the input holds frames below (n+1)*C - delay; output j needs frame j*stride + right.
    """
    return (delay + right) // stride
