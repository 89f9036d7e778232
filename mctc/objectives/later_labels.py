"""Which op lets a component over labels see later ones: what it has to say in training, and what nobody wrote yet."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import inf

from mctc.ir.ops.loop import ScanState
from mctc.ir.ops.shape import Concat, Pad, Slice
from mctc.ir.program import Function, Op, Value
from mctc.ir.time import Recurrent, Spread, Whole, Window
from mctc.ir.types import Role, TensorType
from mctc.records import dataclass


@dataclass(frozen=True)
class _Seen:
    """Entry j of a value sees labels up to step * j + ahead; `by` is the op that first let it see those behind j."""

    step: Fraction
    ahead: Fraction | float
    by: Op | None = None


ALL = _Seen(Fraction(1), inf)


def sees_later(function: Function) -> Op | None:
    """The op by which a result of the component sees labels behind its own, or what is known of all of them."""
    known = {v: _Seen(Fraction(1), Fraction(0)) for v in function.inputs if _labels(v.type) is not None}
    for op in function.ops:
        given = {value: known[value] for value in op.operands if value in known and value is not None}
        if not given:
            continue
        for index, result in enumerate(op.results):
            found = _result(op, index, given)
            by = next((each.by for each in given.values() if each.ahead == found.ahead and each.by is not None), op)
            known[result] = _Seen(found.step, found.ahead, by if found.ahead > 0 else None)
    ends = (known[value].by for value in function.outputs if value in known)
    return next(filter(None, ends), None)


def _result(op: Op, index: int, given: Mapping[Value, _Seen]) -> _Seen:
    """What a result sees, where operands see so much."""
    step, ahead = next(iter(given.values())).step, max(each.ahead for each in given.values())
    behaviour = op.along(Role.LABEL)
    match op:
        case ScanState():
            return _Seen(step, Fraction(0))
        case Pad() if op.runs_along().role is Role.LABEL:
            return _Seen(step, ahead - step * op.before)
        case Slice() if op.runs_along().role is Role.LABEL and op.begin >= 0:
            return _Seen(step * op.stride, ahead + step * op.begin)
        case Concat() if op.runs_along().role is Role.LABEL:
            return _joined(op, given)
    match behaviour:
        case Window():
            names = {each.name for each in op.fields if each.name in (*behaviour.operands, behaviour.mask)}
            seen = [given[v] for each, v in zip(op.fields, op.operands) if v and v in given and each.name in names]
            ahead = max([ahead, *(each.ahead + each.step * behaviour.right for each in seen)])
            return _Seen(step * behaviour.stride, ahead)
        case Spread():
            return _Seen(step / behaviour.factor, ahead)
        case Whole() if _reads_all(op):
            return ALL
        case Recurrent() if op.padded([index]) is not None:
            return ALL
    return _Seen(step, ahead)


def _reads_all(op: Op) -> bool:
    """Whether an op that needs all labels lets what is said of one depend on later ones. A table of places does not."""
    beside = next((v.type.sequence_role for v in op.present() if v.type.sequence_role is not None), None)
    told = op.padded() is not None or beside is not Role.LABEL  # `padded` tells of frames where there are both
    return told and not any(map(_pairs, op.around()))


def _joined(op: Concat, given: Mapping[Value, _Seen]) -> _Seen:
    """Of parts one behind another: each stands further behind by the length of those before it."""
    step, before = next(iter(given.values())).step, Fraction(0)
    found: Fraction | float = 0
    for value in op.xs:
        extent = value.type.extents[op.position]
        if value in given:
            found = max(found, given[value].ahead - step * before)
        if not extent.is_static:  # what follows stands behind all labels
            return _Seen(step, found)
        before += extent.value
    return _Seen(step, found)


def _labels(type_: TensorType) -> int | None:
    """The axis along which it has an entry for each label."""
    at = type_.find(Role.LABEL)
    return at if at is not None and not type_.extents[at].is_static else None


def _pairs(type_: TensorType) -> bool:
    """Whether it has an entry for each pair of labels, as scores that a spec masks by itself."""
    return type_.roles.count(Role.LABEL) > 1
