"""Compiles a function of a package into steps: constants resolved once, types checked, dead values freed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from mctc.evaluate.coreml.declaration import REGISTRY, OpDeclaration
from mctc.evaluate.coreml.errors import EvaluationError, TypeMismatch, UnsupportedOp
from mctc.evaluate.coreml.int8_operands import int8_scales
from mctc.evaluate.coreml.precision import Precision, hold
from mctc.evaluate.coreml.steps import OP_ERRORS, ComputeStep, Frame, LoadStep, Output, Step
from mctc.evaluate.coreml.structural import STRUCTURAL
from mctc.package.dtypes import DTYPES
from mctc.package.errors import UnknownElementType
from mctc.package.model import Block, Constant, Function, Operation, Reference
from mctc.package.types import NamedType, TensorType, ValueType, differ
from mctc.records import dataclass

if TYPE_CHECKING:  # the engine's arithmetic is written with the ops of this package
    from mctc.evaluate.engine.engine import Engine
    from mctc.evaluate.faults.fault import Wrong
    from mctc.evaluate.faults.table import Injected

_KEPT_ANYWAY = 16384
"""Elements up to which a constant is kept in memory even when weights aren't."""
_FOLD_LIMIT = 1 << 24
"""Elements up to which the result of an op over constants is computed once."""
_NEVER_FOLDED = frozenset({"random_normal", "random_uniform", "random_bernoulli", "random_categorical"})


@dataclass(frozen=True)
class Options:
    """How a function is compiled; see Evaluator."""

    precision: Precision
    keep_weights: bool
    check_types: bool
    engine: Engine | None = None
    faults: Injected | None = None


@dataclass(frozen=True)
class CompiledPlan:
    """A compiled function: run the steps over a copy of `template`; inputs and results by slot."""

    template: list[Any]
    steps: tuple[Step, ...]
    inputs: Mapping[str, int]
    outputs: tuple[tuple[NamedType, int], ...]


def compile_function(function: Function, options: Options) -> CompiledPlan:
    """Raises UnsupportedOp, TypeMismatch, EvaluationError or PackageError, each naming the operation."""
    return Compiler(function, options).compile()


class Compiler:
    """Turns operations into steps; one instance per function."""

    def __init__(self, function: Function, options: Options) -> None:
        self.function = function
        self.options = options
        self.types: dict[str, ValueType] = {}
        self._slots: dict[str, int] = {}
        self._constants: dict[int, Any] = {}
        self._deferred: dict[str, Callable[[], Any]] = {}
        self.makers: dict[str, Operation] = {}
        self._count = 0
        faults = options.faults
        sites = None if faults is None else faults.sites(function)
        self._wrong: Mapping[int, Wrong] = {} if sites is None else sites.wrong
        self.lost: frozenset[int] = frozenset() if sites is None else sites.lost

    def compile(self) -> CompiledPlan:
        function = self.function
        self.types.update((item.name, item.type) for item in (*function.inputs, *function.states))
        inputs = {item.name: self._new_slot(item.name) for item in function.inputs}
        steps, outputs = self.block(function.body)
        used = {slot for step in steps for slot in step.reads()} | set(outputs)
        template: list[Any] = [None] * self._count
        for slot, value in self._constants.items():
            if slot in used:
                template[slot] = value
        return CompiledPlan(template, tuple(steps), inputs, tuple(zip(function.outputs, outputs, strict=True)))

    def where(self, operation: Operation) -> str:
        """How messages name an operation."""
        return f"function '{self.function.name}', {operation}"

    def block(self, block: Block) -> tuple[list[Step], list[int]]:
        """Steps of a block and the slots of its results; values made in it are freed in it."""
        first = self._count
        steps: list[Step] = []
        for operation in block.operations:
            self.makers.update((item.name, operation) for item in operation.outputs)
            try:
                self._operation(operation, steps)
            except MemoryError as error:
                raise EvaluationError(f"{self.where(operation)}: out of memory") from error
            except UnknownElementType as error:
                raise EvaluationError(f"{self.where(operation)}: {error}", hint=error.hint) from error
        outputs = [self.slot(name, None, steps) for name in block.outputs]
        self._plan_frees(steps, first, set(outputs))
        return steps, outputs

    def scoped(self, block: Block) -> tuple[list[int], tuple[list[Step], list[int]]]:
        """Compiles an inner block: the slots of its inputs, its steps and results. Its names end with it."""
        outer = self._slots.copy(), self._deferred.copy(), self.types.copy()
        variables = [self.bind(item) for item in block.inputs]
        compiled = self.block(block)
        self._slots, self._deferred, self.types = outer
        return variables, compiled

    def constant(self, name: str) -> Any:
        """The value of a constant that is kept; None for anything else."""
        return self._constants.get(self._slots.get(name, -1))

    def slot(self, name: str, operation: Operation | None, steps: list[Step]) -> int:
        """The slot of a value; emits the load of a constant that isn't kept."""
        if name in self._deferred:
            slot = self._fresh()
            steps.append(LoadStep(self._deferred[name], slot))
            return slot
        if name not in self._slots:
            place = self.where(operation) if operation else f"function '{self.function.name}'"
            raise EvaluationError(f"{place}: the value '{name}' isn't defined before it is used")
        return self._slots[name]

    def bind(self, item: NamedType) -> int:
        """A slot for a value that a block takes in."""
        self.types[item.name] = item.type
        return self._new_slot(item.name)

    def output(self, item: NamedType, *, exact: bool = False, constant: bool = False) -> Output:
        """The finishing of one declared output, in a new slot; a constant is what is stored, in either precision."""
        slot = self.bind(item)
        if not isinstance(item.type, TensorType) or item.type.dtype == "string":
            return Output(slot, item, None, False, False)
        holder = DTYPES[item.type.dtype].holder
        floats = holder.kind == "f"
        rounds = item.type.dtype == "fp16" and (constant or self.options.precision == "fp16") and not exact
        return Output(slot, item, np.dtype(np.float32) if floats else holder, rounds, self.options.check_types)

    def _operation(self, operation: Operation, steps: list[Step]) -> None:
        if operation.type == "const":
            self._const(operation)
        elif operation.type in STRUCTURAL:
            steps.append(STRUCTURAL[operation.type](self, operation, steps))
        else:
            declaration = REGISTRY.get(operation.type)
            if declaration is None:
                raise UnsupportedOp(
                    f"{self.where(operation)}: the evaluator doesn't have the op '{operation.type}'",
                    hint="docs/evaluator.md lists the ops it has",
                )
            self._compute(operation, declaration, steps)

    def _const(self, operation: Operation) -> None:
        if "val" not in operation.attributes or len(operation.outputs) != 1:
            raise EvaluationError(f"{self.where(operation)}: a const without a value")
        output = operation.outputs[0]
        constant = operation.attributes["val"]
        if self.options.check_types and differ(constant.type, output.type):
            raise TypeMismatch(f"{self.where(operation)}: declared {output.type}, the value is {constant.type}")
        self.types[output.name] = output.type
        if not self.options.keep_weights and _size(output.type) > _KEPT_ANYWAY:
            self._deferred[output.name] = partial(self._held, constant)
        else:
            self._constants[self._new_slot(output.name)] = self._held(constant)

    def _held(self, constant: Constant) -> Any:
        value = constant.value()
        if isinstance(constant.type, TensorType) and isinstance(value, np.ndarray):
            return hold(value, constant.type.dtype, self.options.precision)
        return value

    def _compute(self, operation: Operation, declaration: OpDeclaration, steps: list[Step]) -> None:
        operands = self._operands(operation, declaration)
        self._check_names(operation, declaration, operands)
        self._check_operands(operation, declaration, operands)
        loads: list[Step] = []
        singles: dict[str, int] = {}
        lists: dict[str, tuple[int, ...]] = {}
        for key, bindings in operands.items():
            slots = tuple(self._binding(binding, operation, loads) for binding in bindings)
            if key in declaration.lists or len(slots) != 1:
                lists[key] = slots
            else:
                singles[key] = slots[0]
        constant = operation.type.startswith("constexpr_")
        engine = self._engine_of(operation, singles, lists)
        call, singles, lists = self._specialise(operation, declaration, singles, lists, engine)
        exact = declaration.exact or engine is not None or getattr(call, "exact", False)
        outputs = tuple(self.output(item, exact=exact, constant=constant) for item in operation.outputs)
        step = ComputeStep(
            operation, self.where(operation), call, tuple(singles.items()), tuple(lists.items()), outputs
        )
        if declaration.takes_out and engine is None and operation.index not in self._wrong:
            step.over = tuple(singles.items())
        if operation.type.startswith("constexpr_") and (loads or self._too_big(operation)):
            self._defer(step, loads)
        elif not singles and not lists and not loads and self._foldable(operation):
            self._fold(step)
        else:
            steps += [*loads, step]

    def _operands(self, operation: Operation, declaration: OpDeclaration) -> dict[str, tuple[Any, ...]]:
        if operation.type.startswith("constexpr_") and not operation.inputs:  # iOS 16 keeps them as attributes
            known = declaration.operands  # others say how a value is kept, such as its alignment
            return {key: (value,) for key, value in operation.attributes.items() if key in known}
        return dict(operation.inputs)

    def _binding(self, binding: Reference | Constant, operation: Operation, loads: list[Step]) -> int:
        if isinstance(binding, Reference):
            return self.slot(binding.name, operation, loads)
        slot = self._fresh()
        if not self.options.keep_weights and _size(binding.type) > _KEPT_ANYWAY:
            loads.append(LoadStep(partial(self._held, binding), slot))
        else:
            self._constants[slot] = self._held(binding)
        return slot

    def _specialise(
        self, operation: Operation, declaration: OpDeclaration, singles: dict[str, int],
        lists: dict[str, tuple[int, ...]], engine: Engine | None,
    ) -> tuple[Callable[..., Any], dict[str, int], dict[str, tuple[int, ...]]]:  # fmt: skip
        constants: dict[str, Any] = {k: self._constants[s] for k, s in singles.items() if s in self._constants}
        constants.update(
            (key, [self._constants[slot] for slot in slots])
            for key, slots in lists.items()
            if all(slot in self._constants for slot in slots)
        )
        call = None
        if engine is not None:
            call = engine.call(self.function.name, operation, declaration, constants, int8_scales(self, operation))
        elif declaration.specialise:
            with suppress(*OP_ERRORS):  # the plain function says at run time what is wrong
                call = declaration.specialise(constants)
        if call is None:
            call = partial(declaration.function, **constants) if constants else declaration.function
        if operation.index in self._wrong:
            from mctc.evaluate.faults.table import wrapped

            call = wrapped(self._wrong[operation.index], call, constants)
        return (
            call,
            {key: slot for key, slot in singles.items() if key not in constants},
            {key: slots for key, slots in lists.items() if key not in constants},
        )

    def _engine_of(
        self, operation: Operation, singles: Mapping[str, int], lists: Mapping[str, tuple[int, ...]]
    ) -> Engine | None:
        """The engine that an operation runs on; what only depends on constants runs nowhere."""
        engine = self.options.engine
        slots = {*singles.values(), *(slot for each in lists.values() for slot in each)}
        if engine is None or slots <= self._constants.keys() or not engine.takes(self.function.name, operation):
            return None
        return engine

    def _foldable(self, operation: Operation) -> bool:
        if operation.type in _NEVER_FOLDED:
            return False
        return all(
            isinstance(item.type, TensorType) and _size(item.type) <= _FOLD_LIMIT for item in operation.outputs
        ) or (operation.type.startswith("constexpr_"))

    def _too_big(self, operation: Operation) -> bool:
        return not self.options.keep_weights and any(_size(item.type) > _KEPT_ANYWAY for item in operation.outputs)

    def _fold(self, step: ComputeStep) -> None:
        frame = Frame({}, None, None)
        with np.errstate(all="ignore"):
            step.run(frame)
        self._constants.update((output.slot, frame.values[output.slot]) for output in step.outputs)

    def _defer(self, step: ComputeStep, loads: Sequence[Step]) -> None:
        for place, output in enumerate(step.outputs):
            self._deferred[output.declared.name] = partial(self._decompress, step, tuple(loads), place)

    def _decompress(self, step: ComputeStep, loads: Sequence[Step], place: int) -> Any:
        frame = Frame({}, None, None)
        for load in loads:
            load.run(frame)
        step.run(frame)
        return frame.values[step.outputs[place].slot]

    def _check_names(self, operation: Operation, declaration: OpDeclaration, operands: Mapping[str, Any]) -> None:
        unknown = [key for key in operands if key not in declaration.operands]
        if unknown:
            has = ", ".join(declaration.operands)
            raise EvaluationError(f"{self.where(operation)}: the op has no operand '{unknown[0]}'; it has: {has}")
        missing = [key for key, needed in declaration.operands.items() if needed and not operands.get(key)]
        if missing:
            raise EvaluationError(f"{self.where(operation)}: the operand '{missing[0]}' is missing")

    def _check_operands(self, operation: Operation, declaration: OpDeclaration, operands: Mapping[str, Any]) -> None:
        if not self.options.check_types:
            return
        dtypes: dict[str, str] = {}
        for key, bindings in operands.items():
            for binding in bindings:
                type_ = self.types.get(binding.name) if isinstance(binding, Reference) else binding.type
                if not isinstance(type_, TensorType) or type_.dtype == "string":  # a name among numbers, in elem_shape
                    continue
                if dtypes.setdefault(key, type_.dtype) != type_.dtype:
                    raise TypeMismatch(f"{self.where(operation)}: '{key}' mixes {dtypes[key]} and {type_.dtype}")
        kinds = {dtypes[key] for key in declaration.same if key in dtypes}
        if len(kinds) > 1:
            listed = ", ".join(f"{key} {dtypes[key]}" for key in declaration.same if key in dtypes)
            raise TypeMismatch(f"{self.where(operation)}: these operands must have one element type: {listed}")
        self._check_results(operation, declaration, dtypes, operands)

    def _check_results(
        self, operation: Operation, declaration: OpDeclaration, dtypes: Mapping[str, str], operands: Mapping[str, Any]
    ) -> None:
        rule = declaration.result
        wanted = rule if isinstance(rule, tuple) else rule(dtypes, self._known(operands))
        for place, item in enumerate(operation.outputs):
            want = wanted[min(place, len(wanted) - 1)] if wanted else ""
            dtype = want if want in DTYPES else dtypes.get(want)
            if dtype and isinstance(item.type, TensorType) and item.type.dtype != dtype:
                raise TypeMismatch(
                    f"{self.where(operation)}: '{item.name}' is declared {item.type}, the op gives {dtype}"
                )

    def _known(self, operands: Mapping[str, Any]) -> dict[str, Any]:
        known: dict[str, Any] = {}
        for key, (binding, *_) in ((key, value) for key, value in operands.items() if value):
            if isinstance(binding, Constant):
                known[key] = binding.value() if _size(binding.type) <= _KEPT_ANYWAY else None
            elif self._slots.get(binding.name) in self._constants:
                known[key] = self._constants[self._slots[binding.name]]
        return known

    def _plan_frees(self, steps: list[Step], first: int, results: set[int]) -> None:
        last: dict[int, int] = {}
        for place, step in enumerate(steps):
            for slot in (*step.reads(), *step.writes()):
                last[slot] = place
        frees: dict[int, list[int]] = {}
        for slot, place in last.items():
            if slot >= first and slot not in results and slot not in self._constants:
                frees.setdefault(place, []).append(slot)
        for place, slots in frees.items():
            steps[place].frees = tuple(slots)
        for step in steps:
            if isinstance(step, ComputeStep) and step.over:
                step.over = tuple((key, slot) for key, slot in step.over if slot in step.frees)

    def _new_slot(self, name: str) -> int:
        if name in self._slots or name in self._deferred:
            raise EvaluationError(f"function '{self.function.name}': the value '{name}' is defined twice")
        self._slots[name] = self._fresh()
        return self._slots[name]

    def _fresh(self) -> int:
        self._count += 1
        return self._count - 1


def _size(type_: ValueType) -> int:
    if not isinstance(type_, TensorType) or type_.shape is None:
        return _FOLD_LIMIT + 1
    return prod(_FOLD_LIMIT + 1 if n is None else n for n in type_.shape)
