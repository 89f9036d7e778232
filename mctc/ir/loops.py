"""Recurrences of the author's own as loops: the ops that run frame by frame, and what they do with one frame.

A function holds them like any other ops, typed over all frames, so that passes need not know them. What depends on a
`scan_state` runs frame by frame up to the `scan` that closes it; what doesn't is computed for all frames at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from mctc.ir.attribute_value import Attributes, AttributeValue
from mctc.ir.build import make
from mctc.ir.dims import Extent
from mctc.ir.op import Op
from mctc.ir.ops.leaf import Leaf
from mctc.ir.ops.loop import Scan, ScanState
from mctc.ir.time import Pointwise, Window
from mctc.ir.types import Role, TensorType
from mctc.ir.value import Value, name_like
from mctc.records import dataclass

ONE = Extent.of(1)


@dataclass(frozen=True, eq=False)
class Loop:
    """One recurrence: its states, the ops that depend on them in order, and the scan that closes it."""

    states: tuple[ScanState, ...]
    ops: tuple[Op, ...]
    close: Scan

    @property
    def frames(self) -> Extent:
        """How many frames it runs over."""
        return _frames(self.states[0].result.type)

    @property
    def role(self) -> Role:
        """Of the axis that it runs along."""
        role = self.states[0].result.type.sequence_role
        assert role is not None
        return role

    @property
    def outer(self) -> tuple[Value, ...]:
        """The values from outside in the order of their use; parameters and constants are not among them."""
        own = {value for op in (*self.states, *self.ops) for value in op.results}
        used = (value for op in (*self.ops, self.close) for value in op.present())
        return tuple(dict.fromkeys(v for v in used if v not in own and not isinstance(v.owner, Leaf)))

    def runs_along(self, value: Value) -> bool:
        """Whether a frame of the loop sees one frame of a value, not all of it."""
        return value.type.sequence_role is self.role and _frames(value.type) == self.frames


@dataclass(frozen=True)
class Frame:
    """What a loop does with one frame: its ops over a sequence axis of extent 1.

    taken: what each value from outside is inside; itself where it has no frames. before, after: the states as they come
    and go. others: what else leaves.
    """

    taken: dict[Value, Value]
    before: tuple[Value, ...]
    ops: tuple[Op, ...]
    after: tuple[Value, ...]
    others: tuple[Value, ...]


def loops(ops: Sequence[Op]) -> list[Loop]:
    """The recurrences among the ops of a function, in the order in which they are closed."""
    found: list[Loop] = []
    for end, close in enumerate(ops):
        if isinstance(close, Scan):
            states = tuple(value.owner for value in close.parts[0] if isinstance(value.owner, ScanState))
            moving = {state.result for state in states}
            inside: list[Op] = []
            for op in ops[:end]:
                if moving.intersection(op.present()):
                    inside.append(op)
                    moving.update(op.results)
            found.append(Loop(states, tuple(inside), close))
    return found


def loop_of(ops: Sequence[Op], close: Scan) -> Loop:
    """The loop that a scan closes."""
    return next(loop for loop in loops(ops) if loop.close is close)


def in_order(ops: Sequence[Op]) -> list[Op | Loop]:
    """The ops of a function as they can be computed: each loop as one item, in the place of the scan that closes it."""
    closed = {loop.close: loop for loop in loops(ops)}
    if not closed:
        return list(ops)
    inside = {op for loop in closed.values() for op in (*loop.states, *loop.ops)}
    return [closed[op] if isinstance(op, Scan) else op for op in ops if op not in inside]


def sees_one_frame(op: Op, role: Role) -> bool:
    """Whether a frame of an op's results along the axis of `role` needs that frame of its operands alone."""
    found = op.along(role)
    return isinstance(found, Pointwise) or (
        isinstance(found, Window) and (found.left, found.right, found.stride) == (0, 0, 1) and found.mask is None
    )


def frame_of(loop: Loop) -> Frame:
    """The ops of a loop for one frame. Raises InferenceError for an op that can't take one frame alone."""
    made: dict[Value, Value] = {}
    for value in loop.outer:
        made[value] = Value(_one(value.type), value.name) if loop.runs_along(value) else value
    taken = dict(made)
    for state in loop.states:
        made[state.result] = Value(_one(state.result.type), state.state)
    ops = []
    for op in loop.ops:
        operands = [None if value is None else made.get(value, value) for value in op.operands]
        attributes: Attributes = {name: _for_one(value, loop.role) for name, value in op.attributes.items()}
        ops.append(make(type(op), operands, attributes, op.origin))
        for old, new in zip(op.results, ops[-1].results, strict=True):
            made[old] = new
            name_like(new, old)
    before, after, others = ([made.get(value, value) for value in part] for part in loop.close.parts)
    return Frame(taken, tuple(before), tuple(ops), tuple(after), tuple(others))


def _frames(type_: TensorType) -> Extent:
    assert type_.sequence is not None
    return type_.extents[type_.sequence]


def _one(type_: TensorType) -> TensorType:
    assert type_.sequence is not None
    return type_.with_extent(type_.sequence, ONE)


def _for_one(value: AttributeValue, role: Role) -> AttributeValue:
    """An attribute in which the axis that a loop runs along has one frame."""
    if isinstance(value, tuple) and value and all(isinstance(each, tuple) and len(each) == 2 for each in value):
        return tuple((name, 1) if name == role.value else (name, extent) for name, extent in value)
    return value
