"""Inputs and results of components: a width that two of them have in common goes in both, what is read or fed from
outside stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mctc.ir.types import Role
from mctc.objectives.misfit import MisfitError
from mctc.objectives.wiring import Wire, among_rows, wires
from mctc.rewrite.held import Held

if TYPE_CHECKING:
    from mctc.ir.program import Program, Value
    from mctc.rewrite.axis_groups import Groups

BEHIND = "end the component in a layer behind it, whose channels stay"
UNREAD = f"no component of the model reads it, so what does stands outside of it: {BEHIND}"
ROWS = f"rows of a table that lies beside the packages stand among its frames: {BEHIND}"
FED = "what is fed from outside of the model keeps its size"


def interfaces(program: Program, groups: Groups) -> None:
    """Joins the channels of each result with those of the inputs that take it, as the objective says, and holds all
    else that a component is given and gives."""
    try:
        found, unread = wires(program), UNREAD
    except MisfitError as error:
        found = []
        unread = f"{error.message}; or {BEHIND}"
    inside = [(each, *ends) for each in found if (ends := _channels(each)) is not None]
    made = {(wire.maker.name, wire.result): at for wire, at, _ in inside}
    taken = {wire.input: at for wire, _, at in inside}
    rows = among_rows(program)
    for wire, of, to in inside:
        groups.join(groups.nodes(wire.value, of), groups.nodes(wire.input, to))
    for function in program.functions.values():
        for value in function.inputs:
            _hold(value, taken.get(value), Held(f"`{value.name}`, an input of {function.name}", FED), groups)
        for name, value in function.results:
            hint = ROWS if (function.name, name) == rows else unread
            why = Held(f"`{name}`, a result of {function.name}", hint)
            _hold(value, made.get((function.name, name)), why, groups)
        for state in function.states:
            groups.hold(state.value, Held(f"a state of {function.name}"))
            groups.hold(state.update, Held(f"a state of {function.name}"))


def _channels(wire: Wire) -> tuple[int, int] | None:
    """Where a result and the input that takes it have the channels that both are; None where they are not alike."""
    axes = [(value.type, value.type.find(Role.CHANNEL)) for value in (wire.value, wire.input)]
    (made, of), (taken, to) = axes
    if of is None or to is None or made.extents[of] != taken.extents[to]:
        return None
    return of, to


def _hold(value: Value, free: int | None, why: Held, groups: Groups) -> None:
    for axis in range(value.type.rank):
        if axis != free:
            groups.hold(value, why, axis)
