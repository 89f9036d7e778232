"""Time behaviour: all that the step derivation knows about an op."""

from __future__ import annotations

from mctc.ir.attribute_value import AttributeValue
from mctc.records import dataclass


@dataclass(frozen=True)
class Pointwise:
    """Frame t from frame t."""


@dataclass(frozen=True)
class Window:
    """Output frame j from input frames j*stride - left ... j*stride + right, zero outside the utterance.

    `operands` are the operands that the window applies to; other sequence operands are pointwise.
    A step hands the op the exact context and sets `given` attributes (no implicit padding).
    """

    left: int
    right: int
    stride: int
    operands: tuple[str, ...]
    given: tuple[tuple[str, AttributeValue], ...]  # attributes of the op when its context is handed to it
    mask: str | None = None  # operand that marks which context frames exist (attention); None: zeros do


@dataclass(frozen=True)
class Spread:
    """Output frame j from input frame j // factor: every frame becomes `factor` that follow one another."""

    factor: int


@dataclass(frozen=True)
class Recurrent:
    """State(t) from state(t-1). `states` pairs the operand that takes a state with the result that returns it.

    `mask` names the operand (one value per frame, 0 or 1) that makes a frame leave the state as it was.
    """

    states: tuple[tuple[str, int], ...]
    mask: str


@dataclass(frozen=True)
class Whole:
    """Needs every frame of `operands` (of all, if none is named); streaming is an error that shows `reason`.

    bound: the attribute that makes it a window once it is a number of frames: where a stream has a longest length, what
    is not bounded otherwise is bounded by that.
    block: frames are in blocks of so many from the first one, and a frame depends on those of its own alone: calls that
    take whole blocks stream. before: how many frames before its block it depends on as well, which are then `given`.
    mask: the operand that then marks which frames of a call exist (attention). instead: what to write where it streams.
    """

    reason: str
    operands: tuple[str, ...] = ()
    bound: str | None = None
    block: int | None = None
    before: int = 0
    mask: str | None = None
    instead: str = ""


TimeBehaviour = Pointwise | Window | Spread | Recurrent | Whole
POINTWISE = Pointwise()
