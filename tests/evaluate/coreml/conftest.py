"""Programs of one operation, built in memory, and real packages, built with coremltools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.evaluate.coreml import Evaluator
from mctc.evaluate.coreml.shapes import at_shapes
from mctc.package import Block, Constant, Function, NamedType, Operation, Package, Reference, StateType, TensorType

_NAMES = {"float16": "fp16", "float32": "fp32", "float64": "fp32", "int64": "int32"}


@dataclass(frozen=True)
class Held:
    """A constant's value, already in memory."""

    value: Any
    stored_bytes: int = 0

    def load(self) -> Any:
        return self.value


def type_of(value: Any) -> TensorType:
    """The MIL type of a Python value: floats are fp32, integers int32."""
    if isinstance(value, str):
        return TensorType("string", ())
    array = np.asarray(value)
    return TensorType(_NAMES.get(array.dtype.name, array.dtype.name), array.shape)


def constant(value: Any, dtype: str | None = None) -> Constant:
    """A constant of a Python value or array."""
    type_ = type_of(value)
    if dtype is not None:
        type_ = TensorType(dtype, type_.shape)
    if isinstance(value, str):
        return Constant(type_, Held(value))
    array = np.asarray(value)
    narrow = {"float64": np.float32, "int64": np.int32}.get(array.dtype.name)
    return Constant(type_, Held(array if narrow is None else array.astype(narrow)))


class Sketch:
    """Collects the operations of a function."""

    def __init__(self) -> None:
        self.inputs: list[NamedType] = []
        self.states: list[NamedType] = []
        self.operations: list[Operation] = []

    def input(self, name: str, dtype: str, shape: tuple[int | None, ...]) -> str:
        self.inputs.append(NamedType(name, TensorType(dtype, shape)))
        return name

    def state(self, name: str, shape: tuple[int, ...]) -> str:
        self.states.append(NamedType(name, StateType(TensorType("fp16", shape))))
        return name

    def op(self, type_: str, results: dict[str, Any], blocks: Sequence[Block] = (), **operands: Any) -> str:
        """Adds an operation; operands are names, constants, or lists of either. Returns its last result's name."""
        bindings = {
            key: tuple(
                Reference(item) if isinstance(item, str) else item
                for item in (value if isinstance(value, list) else [value])
            )
            for key, value in operands.items()
        }
        outputs = tuple(NamedType(name, type_) for name, type_ in results.items())
        operation = Operation(len(self.operations), type_, f"the_{type_}", bindings, outputs, {}, tuple(blocks))
        self.operations.append(operation)
        return list(results)[-1] if results else ""

    def package(self, outputs: Sequence[str]) -> Package:
        types = {item.name: item.type for operation in self.operations for item in operation.outputs}
        types.update((item.name, item.type) for item in self.inputs)
        function = Function(
            name="main",
            opset="CoreML8",
            inputs=tuple(self.inputs),
            states=tuple(self.states),
            outputs=tuple(NamedType(name, types[name]) for name in outputs),
            body=Block((), tuple(outputs), tuple(self.operations)),
        )
        from mctc.package import Metadata

        return Package(Path("memory.mlpackage"), 9, Metadata(), {"main": function}, "main")


def run_op(
    op: str, expected: Sequence[np.ndarray], operands: dict[str, Any], precision: Any, fixed: set[str]
) -> list[Any]:
    """Runs one operation: arrays are passed in, except those in `fixed`, which are constants like all the rest."""
    sketch, feeds = Sketch(), {}
    bound: dict[str, Any] = {}
    for key, value in operands.items():
        items = value if isinstance(value, list) and value and isinstance(value[0], np.ndarray) else [value]
        names: list[Any] = []
        for place, item in enumerate(items):
            if isinstance(item, Constant):
                names.append(item)
            elif isinstance(item, np.ndarray) and key not in fixed:
                name = f"{key}_{place}"
                sketch.input(name, type_of(item).dtype, item.shape)
                feeds[name] = item
                names.append(name)
            else:
                names.append(constant(item))
        bound[key] = names
    results = {f"y{place}": type_of(value) for place, value in enumerate(expected)}
    sketch.op(op, results, **bound)
    package = sketch.package(list(results))
    computed = Evaluator(package, precision=precision).function()(feeds)
    found = [computed[name] for name in results]
    if not op.startswith("constexpr_"):  # what those make is declared
        known = shapes_without_running(package)
        assert known == [np.shape(value) for value in found] or (known is None and op in READ_SIZES)
    return found


READ_SIZES = ("non_zero", "fill", "reshape_like")
"""Ops whose extents depend on numbers that a test passes in."""


def shapes_without_running(package: Package) -> list[Any] | None:
    """The shapes of the results by at_shapes, from those of the inputs alone; None where not all can be known."""
    function = package.functions["main"]
    inner = (replace(each, outputs=tuple(map(_untyped, each.outputs))) for each in function.operations)
    body = replace(function.body, operations=tuple(inner))
    shapes = {item.name: item.type.shape for item in function.inputs if isinstance(item.type, TensorType)}
    found = at_shapes(replace(function, body=body), shapes)
    assert found.misfit is None
    types = [item.type for item in found.function.outputs]
    known = [type_.shape for type_ in types if isinstance(type_, TensorType) and type_.shape is not None]
    return known if len(known) == len(types) and not any(None in shape for shape in known) else None


def _untyped(item: NamedType) -> NamedType:
    return NamedType(item.name, replace(item.type, shape=None)) if isinstance(item.type, TensorType) else item


@pytest.fixture
def sketch() -> Sketch:
    """An empty function to add operations to."""
    return Sketch()


@pytest.fixture
def const() -> Callable[..., Constant]:
    """`const(value, dtype=None)` makes a constant operand."""
    return constant


@pytest.fixture
def check() -> Callable[..., None]:
    """`check(op, expected, **operands)` compares an op with an independent result, shape and element type included.

    Arrays are operands at run time; numbers, strings and lists of numbers are constants. The op runs three times: all
    arrays passed in; all but the first constant (what weights are); all constant (folded while compiling).
    """

    def compare(op: str, expected: Any, *, rtol: float = 2e-5, atol: float = 2e-6, **operands: Any) -> None:
        wanted = list(expected) if isinstance(expected, tuple) else [expected]
        arrays = [key for key, value in operands.items() if isinstance(value, np.ndarray)]
        for fixed in ([], arrays[1:], list(operands)):
            found = run_op(op, wanted, operands, "fp32", set(fixed))
            for one, other in zip(found, wanted, strict=True):
                assert one.shape == np.shape(other)
                np.testing.assert_allclose(one, other, rtol=rtol, atol=atol, err_msg=op)

    return compare
