"""How a function of a package is called, for the manifest."""

from __future__ import annotations

from mctc.driver.names import STATE_OUT, identifier
from mctc.driver.tables import files
from mctc.driver.target import Interface, Port
from mctc.ir.lookups import device_inputs
from mctc.ir.program import Function
from mctc.ir.types import TensorType
from mctc.targets.ane.emit import SINGLE_NAME
from mctc.targets.ane.function import MIL_DTYPE


def interface(function: Function, artifact: str, alone: bool, states_as_io: bool, operations: int) -> Interface:
    """Ports under the names that they have in the package. States as inputs and outputs are listed as those too."""
    states = [_port(state.name, state.value.type) for state in function.states]
    tables = files(function)
    inputs = [_port(spec, value.type, table=tables.get(value)) for spec, value in device_inputs(function)]
    outputs = [_port(name, value.type) for name, value in function.results]
    if states_as_io:
        inputs += states
        outputs += [_port(state.name, state.update.type, STATE_OUT) for state in function.states]
    name = SINGLE_NAME if alone else identifier(function.name)
    return Interface(artifact, name, tuple(inputs), tuple(outputs), tuple(states), operations)


def _port(spec: str, type_: TensorType, suffix: str = "", table: str | None = None) -> Port:
    return Port.of(spec, identifier(spec) + suffix, type_, MIL_DTYPE[type_.dtype], table)
