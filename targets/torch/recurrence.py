"""A `scan` of the spec as a loop over frames in the method that holds it."""

from __future__ import annotations

from collections.abc import Sequence

from mctc.emit.unsupported import UnsupportedError
from mctc.ir.loops import Loop, loops, sees_one_frame
from mctc.ir.ops.loop import Scan
from mctc.ir.program import Op, Value
from mctc.ir.types import TensorType
from mctc.records import dataclass
from mctc.targets.torch.loops import Loop as Rounds
from mctc.targets.torch.tree import Node

Item = Op | Node | Rounds


@dataclass(frozen=True, eq=False)
class Recurrence:
    """A loop of the program, and the items of a node that run once a frame. given: what the node takes."""

    loop: Loop
    items: tuple[Item, ...]
    given: tuple[Value, ...] = ()

    @property
    def read(self) -> list[Value]:
        """The values from outside: what the states start from, what the frames see, and what they are counted by."""
        starts = [state.start for state in self.loop.states if state.start is not None]
        return [*starts, *self.loop.outer, self.frames]

    @property
    def frames(self) -> Value:
        """A value from outside that has the frames. Raises UnsupportedError where there is none."""
        states = {e for state in self.loop.states for e in state.result.type.extents if not e.is_static}
        known = (*self.loop.outer, *(value for value in self.given if states.issubset(value.type.extents)))
        found = next((value for value in known if self.loop.runs_along(value)), None)
        if found is None:
            where = self.loop.close.origin.path or "the component"
            told = f"a scan of a module counts the frames of what it reads, and nothing that {where} takes has any"
            raise UnsupportedError(told)
        return found


def with_recurrences(items: Sequence[Item], ops: Sequence[Op], given: Sequence[Value]) -> list[Item | Recurrence]:
    """The items of a node that takes `given`, each loop that is closed among them as one. Raises UnsupportedError for
    an instance that runs once a frame and would see others."""
    left: list[Item | Recurrence] = list(items)
    if not any(isinstance(item, Scan) for item in items):
        return left
    for loop in loops(ops):
        if loop.close in items:
            own = set(loop.ops)
            inside = tuple(item for item in items if own.intersection(_ops(item)))
            for op in (op for item in inside for op in _ops(item)):
                if not sees_one_frame(op, loop.role):
                    told = f"`{op.name}` of {op.origin.path} stands in a block that also reads a state of a scan"
                    raise UnsupportedError(f"{told}: a module calls that once a frame; move `{op.name}` out of it")
            dropped = {*inside, *loop.states}
            left = [item for item in left if item not in dropped]
            left[left.index(loop.close)] = Recurrence(loop, inside, tuple(given))
    return left


def _ops(item: Item) -> list[Op]:
    if isinstance(item, Rounds):
        return [op for node in item.nodes for op in node.ops()]
    return list(item.ops()) if isinstance(item, Node) else [item]


def one_frame(text: str, type_: TensorType, t: str) -> str:
    """Frame t of a value, its axis kept."""
    return f"{text}[{_at(type_, f'{t} : {t} + 1')}]"


def with_frame(text: str, type_: TensorType) -> str:
    """A state as a frame of `type_`."""
    return text if _kept_whole(type_) else f"{text}[{_at(type_, 'None')}]"


def without_frame(text: str, type_: TensorType) -> str:
    """A frame of `type_` as a state."""
    return text if _kept_whole(type_) else f"{text}[{_at(type_, '0')}]"


def _kept_whole(type_: TensorType) -> bool:
    from mctc.ir.ops.loop import held_type

    return held_type(type_).rank == type_.rank


def _at(type_: TensorType, index: str) -> str:
    assert type_.sequence is not None
    last = type_.sequence == type_.rank - 1
    return f"..., {index}" if last else ", ".join([*[":"] * type_.sequence, index])
