"""A deployed program as the message of a Core ML model: one ML program, a function for each of the program's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mctc.driver.names import identifier
from mctc.emit.skeleton import Emitted
from mctc.ir.program import Function, Program
from mctc.package.protobuf import model_class
from mctc.targets.ane.constants import Store
from mctc.targets.ane.errors import EmitError
from mctc.targets.ane.function import MIL_DTYPE, FunctionEmitter
from mctc.targets.ane.messages import set_feature
from mctc.targets.ane.rules import RULES

SPECIFICATION_VERSION = 9  # iOS 18, macOS 15
SINGLE_NAME = "main"  # what the function of a package with one function is called
MODEL_LIMIT = (1 << 31) - 1  # bytes; protobuf's own


def emit_model(
    program: Program,
    functions: Sequence[Function],
    store: Store,
    *,
    states_as_io: bool = False,
    metadata: Mapping[str, str] | None = None,
) -> tuple[bytes, Emitted]:
    """The model that holds `functions`; their weights go to `store`. Raises EmitError.

    A model of several functions keeps their names; one function alone is called 'main', as Core ML expects it.
    """
    model = model_class()()
    model.specificationVersion = SPECIFICATION_VERSION
    model.mlProgram.version = 1
    alone = len(functions) == 1
    emitters: dict[str, FunctionEmitter] = {}
    for function in functions:
        name = SINGLE_NAME if alone else identifier(function.name)
        emitter = FunctionEmitter(program, function, model.mlProgram.functions[name], store, states_as_io)
        emitter.run(RULES)
        emitters[function.name] = emitter
        described = model.description if alone else model.description.functions.add(name=name)
        _describe(described, emitter)
    if len(functions) > 1:
        model.description.defaultFunctionName = identifier(functions[0].name)  # the component that the spec has first
    for key, value in sorted((metadata or {}).items()):
        model.description.metadata.userDefined[key] = value
    return _serialise(model), Emitted(
        operations={name: emitter.count for name, emitter in emitters.items()},
        made={name: emitter.made for name, emitter in emitters.items()},
        called=dict.fromkeys(emitters, SINGLE_NAME) if alone else {},
        values={name: emitter.values for name, emitter in emitters.items()},
    )


def _serialise(model: Any) -> bytes:
    data: bytes = model.SerializeToString(deterministic=True)
    if len(data) > MODEL_LIMIT:
        raise EmitError(f"the program takes {len(data)} bytes, more than a Core ML model can hold")
    return data


def _describe(message: Any, emitter: FunctionEmitter) -> None:
    ports = emitter.ports
    for name, value in ports.taken:
        dtype, shape = emitter.taken_as(value)
        set_feature(message.input.add(), name, shape, dtype)
    for name, value in ports.given:
        set_feature(message.output.add(), name, value.type.shape, MIL_DTYPE[value.type.dtype])
    for name, state in ports.held:
        set_feature(message.state.add(), name, state.value.type.shape, state=True)
