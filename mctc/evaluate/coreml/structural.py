"""Operations that aren't functions of their operands: states and control flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mctc.evaluate.coreml.control import CondStep, LoopStep
from mctc.evaluate.coreml.errors import EvaluationError, TypeMismatch
from mctc.evaluate.coreml.steps import ReadState, Step, WriteState
from mctc.package.model import Operation, Reference
from mctc.package.types import StateType, ValueType, differ

if TYPE_CHECKING:
    from mctc.evaluate.coreml.plan import Compiler


def _read_state(compiler: Compiler, operation: Operation, _steps: list[Step]) -> Step:
    name = _state_name(compiler, operation, "input")
    if len(operation.outputs) != 1:
        raise EvaluationError(f"{compiler.where(operation)}: it has {len(operation.outputs)} results, not one")
    _check_state(compiler, operation, name, operation.outputs[0].type)
    return ReadState(operation, compiler.where(operation), name, compiler.bind(operation.outputs[0]))


def _write_state(compiler: Compiler, operation: Operation, steps: list[Step]) -> Step:
    state, value = ("state", "value") if operation.type == "coreml_update_state" else ("input", "data")
    name = _state_name(compiler, operation, state)
    binding = _sole(operation, value)
    if binding is None:
        raise EvaluationError(f"{compiler.where(operation)}: no value to write")
    data = compiler.slot(binding.name, operation, steps)
    _check_state(compiler, operation, name, compiler.types[binding.name])
    slot = compiler.bind(operation.outputs[0]) if operation.outputs else None
    return WriteState(operation, compiler.where(operation), name, data, slot, operation.index in compiler.lost)


def _check_state(compiler: Compiler, operation: Operation, name: str, type_: ValueType) -> None:
    state = compiler.types[name]
    if compiler.options.check_types and isinstance(state, StateType) and differ(state.wrapped, type_):
        raise TypeMismatch(f"{compiler.where(operation)}: state '{name}' holds {state.wrapped}, this is {type_}")


def _cond(compiler: Compiler, operation: Operation, steps: list[Step]) -> Step:
    predicate = _sole_slot(compiler, operation, "pred", steps)
    if len(operation.blocks) != 2:
        raise EvaluationError(f"{compiler.where(operation)}: a cond has two blocks, this has {len(operation.blocks)}")
    branches = tuple(compiler.scoped(block)[1] for block in operation.blocks)
    if any(len(results) != len(operation.outputs) for _, results in branches):
        raise EvaluationError(
            f"{compiler.where(operation)}: its branches don't give its {len(operation.outputs)} results"
        )
    outputs = tuple(compiler.output(item, exact=True) for item in operation.outputs)
    return CondStep(operation, compiler.where(operation), predicate, branches, outputs)


def _while_loop(compiler: Compiler, operation: Operation, steps: list[Step]) -> Step:
    bindings = operation.inputs.get("loop_vars", ())
    initial = [compiler.slot(item.name, operation, steps) for item in bindings if isinstance(item, Reference)]
    if len(operation.blocks) != 2 or len(initial) != len(bindings):
        raise EvaluationError(f"{compiler.where(operation)}: a while_loop has a condition, a body and named variables")
    parts = [compiler.scoped(block) for block in operation.blocks]
    variables, bodies = [part[0] for part in parts], tuple(part[1] for part in parts)
    counts = {len(initial), len(operation.outputs), *map(len, variables), len(bodies[1][1])}
    if len(counts) != 1 or len(bodies[0][1]) != 1:
        raise EvaluationError(
            f"{compiler.where(operation)}: its blocks don't take and give its {len(initial)} variables"
        )
    outputs = tuple(compiler.output(item, exact=True) for item in operation.outputs)
    return LoopStep(operation, compiler.where(operation), tuple(initial), variables, bodies, outputs)


def _sole_slot(compiler: Compiler, operation: Operation, key: str, steps: list[Step]) -> int:
    binding = _sole(operation, key)
    if binding is None:
        raise EvaluationError(f"{compiler.where(operation)}: '{key}' must be a named value")
    return compiler.slot(binding.name, operation, steps)


def _state_name(compiler: Compiler, operation: Operation, key: str) -> str:
    binding = _sole(operation, key)
    if binding is None or not isinstance(compiler.types.get(binding.name), StateType):
        raise EvaluationError(f"{compiler.where(operation)}: '{key}' isn't a state of the function")
    return binding.name


def _sole(operation: Operation, key: str) -> Reference | None:
    bindings = operation.inputs.get(key, ())
    return bindings[0] if len(bindings) == 1 and isinstance(bindings[0], Reference) else None


STRUCTURAL: dict[str, Callable[[Compiler, Operation, list[Step]], Step]] = {
    "read_state": _read_state,
    "write_state": _write_state,
    "coreml_update_state": _write_state,
    "cond": _cond,
    "while_loop": _while_loop,
}
