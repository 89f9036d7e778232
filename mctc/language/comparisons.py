"""Comparisons of tensors, with one another and with numbers: 1 where they hold, else 0."""

from __future__ import annotations

from mctc.ir.program import Value
from mctc.ir.types import DType
from mctc.language import syntax as s
from mctc.language.arithmetic import is_number
from mctc.language.failure import fail
from mctc.language.scope import Frame
from mctc.language.session import Session
from mctc.language.values import Single, describe

COMPARISONS = {  # the op of each, whether its operands change sides, and whether it holds where the op does not
    ">": ("greater", False, False),
    "<": ("greater", True, False),
    "<=": ("greater", False, True),
    ">=": ("greater", True, True),
    "==": ("equal", False, False),
    "!=": ("equal", False, True),
}


def compared(node: s.Binary, left: Single, right: Single, frame: Frame, session: Session) -> Value:
    """`left operator right`, one of them a tensor. Whole numbers are compared as floats, which hold token ids."""
    tensors = [_float(value, node, frame, session) for value in (left, right)]
    like = next(value for value in tensors if isinstance(value, Value))
    operands: list[Value | None] = []
    for value in tensors:
        if not isinstance(value, Value) and not is_number(value):
            message = f"`{node.operator}` does not work between {describe(left)} and {describe(right)}"
            raise fail("MCT0070", message, node.span)
        known = value if isinstance(value, Value) else session.number(float(value), like, node.span, frame)
        operands.append(known)
    op, swapped, negated = COMPARISONS[node.operator]
    holds = session.emit(op, operands[::-1] if swapped else operands, {}, node.span, frame)[0]
    if not negated:
        return holds
    return session.emit("scale", [holds], {"factor": -1.0, "offset": 1.0}, node.span, frame)[0]


def _float(value: Single, node: s.Binary, frame: Frame, session: Session) -> Single:
    if not isinstance(value, Value) or value.type.dtype.is_float:
        return value
    return session.emit("cast", [value], {"dtype": DType.F32.value}, node.span, frame)[0]
