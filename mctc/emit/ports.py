"""Inputs, states and outputs of a function under the names that they have in an artifact."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

from mctc.driver.names import STATE_OUT, identifier
from mctc.driver.tables import files
from mctc.driver.target import Interface, Port
from mctc.ir.lookups import device_inputs
from mctc.ir.program import Function, State, Value
from mctc.ir.types import DType
from mctc.records import dataclass


def element_types(floats: str) -> Mapping[DType, str]:
    """What element types are called where all floats are `floats`: 'fp16', 'float32'."""
    return {DType.F32: floats, DType.F16: floats, DType.I32: "int32", DType.BOOL: "bool"}


@dataclass(frozen=True)
class Ports:
    """What a call takes and gives, by its names in the artifact, and the states that are held between calls.

    Where states are inputs and outputs, `taken` and `given` have them as well, behind the others.
    """

    taken: Sequence[tuple[str, Value]]
    held: Sequence[tuple[str, State]]
    given: Sequence[tuple[str, Value]]


def ports_of(function: Function, *, states_as_io: bool, lookups: bool = True) -> Ports:
    """The ports of a function. lookups: whether rows of tables are left to the caller (mctc.ir.lookups)."""
    inputs = device_inputs(function) if lookups else [(value.name, value) for value in function.inputs]
    taken = [(identifier(name), value) for name, value in inputs]
    given = [(identifier(name), value) for name, value in function.results]
    states = [(identifier(state.name), state) for state in function.states]
    if states_as_io:
        taken += [(name, state.value) for name, state in states]
        given += [(name + STATE_OUT, state.update) for name, state in states]
    return Ports(taken, [] if states_as_io else states, given)


def interface(
    function: Function,
    artifact: str,
    elements: Mapping[DType, str],
    operations: int,
    *,
    states_as_io: bool,
    lookups: bool = True,
    name: str = "",
    called: Callable[[str], str] = identifier,
    wide: Collection[Value] = (),
) -> Interface:
    """How a function of an artifact is called, for the manifest. States as inputs and outputs are listed as those too.

    elements: names of element types in the artifact. name: the function's, where not its own. called: what a port is
    called there. wide: what is taken in fp32 whatever the other floats are.
    """

    def port(spec: str, value: Value, suffix: str = "", table: str | None = None) -> Port:
        element = "fp32" if value in wide else elements[value.type.dtype]
        return Port.of(spec, called(spec) + suffix, value.type, element, table)

    tables = files(function) if lookups else {}
    taken = device_inputs(function) if lookups else [(value.name, value) for value in function.inputs]
    states = [port(state.name, state.value) for state in function.states]
    inputs = [port(spec, value, table=tables.get(value)) for spec, value in taken]
    outputs = [port(spec, value) for spec, value in function.results]
    if states_as_io:
        inputs += states
        outputs += [port(state.name, state.update, STATE_OUT) for state in function.states]
    ports = tuple(inputs), tuple(outputs), tuple(states)
    return Interface(artifact, name or identifier(function.name), *ports, operations)
