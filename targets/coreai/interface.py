"""How a function of an asset is called, for the manifest; names as Core ML packages have them."""

from __future__ import annotations

from mctc.driver.names import STATE_OUT, identifier
from mctc.driver.tables import files
from mctc.driver.target import Interface, Port
from mctc.ir.lookups import device_inputs
from mctc.ir.program import Function
from mctc.ir.types import DType, TensorType


def interface(function: Function, artifact: str, states_as_io: bool, precision: str, operations: int) -> Interface:
    """Ports under the names that they have in the asset. States as inputs and outputs are listed as those too."""

    def port(spec: str, type_: TensorType, suffix: str = "", table: str | None = None) -> Port:
        dtype = {DType.I32: "int32", DType.BOOL: "bool"}.get(type_.dtype, precision)
        return Port.of(spec, identifier(spec) + suffix, type_, dtype, table)

    states = [port(state.name, state.value.type) for state in function.states]
    tables = files(function)
    inputs = [port(spec, value.type, table=tables.get(value)) for spec, value in device_inputs(function)]
    outputs = [port(name, value.type) for name, value in function.results]
    if states_as_io:
        inputs += states
        outputs += [port(state.name, state.update.type, STATE_OUT) for state in function.states]
    name = identifier(function.name)
    return Interface(artifact, name, tuple(inputs), tuple(outputs), tuple(states), operations)
