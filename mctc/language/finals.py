"""What recurrences leave behind: `final(h)`, `final(y, "c")`."""

from __future__ import annotations

from mctc.diagnostics.near import listing
from mctc.diagnostics.source import Span
from mctc.ir.program import Value
from mctc.language.failure import fail
from mctc.language.scope import Frame
from mctc.language.session import Session
from mctc.language.values import Single, describe
from mctc.records import dataclass

FINAL = "final"
TAKES = (
    'it takes the frames of a scan\'s state, or what lstm, gru, ssd or selective_scan give, and a name: final(y, "c")'
)


@dataclass(frozen=True)
class Ending:
    """A state behind the last frame, less `start`."""

    value: Value
    start: Value | float = 0.0


def final(values: list[Single], span: Span, session: Session, frame: Frame) -> Value:
    """The state that values[1] names, or the only one, of the recurrence that gave values[0]."""
    if not 1 <= len(values) <= 2 or not isinstance(values[0], Value):
        told = describe(values[0]) if len(values) == 1 else f"{len(values)} values"
        raise fail("MCT0076", f"`{FINAL}` can't be asked of {told}", span, TAKES)
    endings = session.endings.get(values[0])
    if endings is None:
        raise fail("MCT0076", f"`{FINAL}`: {describe(values[0])} is what no recurrence gave", span, TAKES)
    name = values[1] if len(values) == 2 else next(iter(endings))
    if not isinstance(name, str) or name not in endings:
        raise fail("MCT0076", f"`{FINAL}`: there is no state {describe(name)}", span, f"there is {listing(endings)}")
    found = endings[name]
    return shifted(session, found.value, found.start, 1, span, frame)


def shifted(session: Session, value: Value, start: Value | float, sign: int, span: Span, frame: Frame) -> Value:
    """value + sign * start: a state is kept as how far it is from its start."""
    if isinstance(start, Value):
        return session.emit("add" if sign > 0 else "sub", [value, start], {}, span, frame)[0]
    if start == 0:
        return value
    return session.emit("scale", [value], {"factor": 1.0, "offset": sign * start}, span, frame)[0]
