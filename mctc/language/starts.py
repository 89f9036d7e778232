"""Where a state of a scan starts: those of a stream begin at zeros, so another start is told from what is kept.

A state that is kept as how far it is from its start has the precision of numbers as large as the start, near zero too.
A start below 1, or one that a tensor says, is kept like that: it costs an addition, and states of about 1 lose nothing.
Another number, 1 too, is added to a state that is kept as it is, at the first frame alone.
"""

from __future__ import annotations

from mctc.diagnostics.source import Span
from mctc.ir.dims import Extent
from mctc.ir.program import Value
from mctc.ir.types import Role, TensorType
from mctc.language.scope import Frame
from mctc.language.session import Session

OFFSET = 1.0  # a state is kept less of its start where that is smaller


def kept_as_it_is(start: Value | float) -> bool:
    """Whether a state with this start is kept as it is, not as how far it is from its start."""
    return not isinstance(start, Value) and abs(start) >= OFFSET


def first_frame(session: Session, start: float, state: TensorType, name: str, span: Span, frame: Frame) -> Value:
    """`start` at the first frame and zero later, with the batch and the frames of a state.

    It is a loop of its own, which depends on nothing, so that a state with it in front is as linear as without.
    """
    spread = (Role.BATCH, state.sequence_role)
    axes = tuple((axis.role.value, axis.extent if axis.role in spread else Extent.of(1)) for axis in state.axes)
    (before,) = session.emit("scan_state", [], {"axes": axes, "state": f"{name}_begun"}, span, frame)
    (one,) = session.emit("scale", [before], {"factor": 0.0, "offset": 1.0}, span, frame)
    leaving = session.emit("scan", [before, one, before], {"states": 1}, span, frame)[1]
    return session.emit("scale", [leaving], {"factor": -start, "offset": start}, span, frame)[0]
