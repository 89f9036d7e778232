"""All that lies below coreai's public API: graphs made by a program, weights under names of our own, states.

`coreai.authoring` makes graphs out of Python functions and names weights by chance, and has no word for states. What is
here uses `coreai._compiler`, which coreai calls unsupported and unversioned: a release that moves it breaks this file
and no other. Written against coreai-core 1.0.0b3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from coreai.authoring import AIProgram, Context, DebugInfo, Module, TensorSpec, Value

from mctc.ir.op import Array

# After coreai.authoring, without which they can't be imported.
ops: Any = import_module("coreai._compiler.dialects.coreai")
ir: Any = import_module("coreai._compiler.ir")

SUB_BYTE = (2, 4)  # bits of the integers that are stored packed; lower entries lie in lower bits


class Graphs:
    """A Core AI module under construction: functions by name. Use it as a context manager around all of them."""

    def __init__(self) -> None:
        # Where nothing else is said, coreai notes the line of Python: here, that would be one of mctc's own.
        with Context()._mlir_context, DebugInfo.unknown().activate():
            self._module: Any = Module.create()
        self._attributes: dict[str, Any] = {}
        self._open = ExitStack()

    def __enter__(self) -> Graphs:
        self._open.enter_context(self._module)
        self._open.enter_context(DebugInfo.unknown().activate())
        return self

    def __exit__(self, *exception: Any) -> None:
        self._open.__exit__(*exception)

    def graph(self, name: str, inputs: Ports, results: Ports, states: Ports) -> Graph:
        """A function with these ports. States are held by the caller, read and written in place."""
        return Graph(name, inputs, results, states)

    def resource(self, name: str, array: Array, bits: int | None = None) -> Value:
        """A constant under a name of the asset; equal names are stored once and stand for equal arrays.

        bits: of each entry, where they are fewer than eight. The entries are packed here, because coreai stores
        one a byte and reads several: silently wrong, or a crash of the process.
        """
        if name not in self._attributes:
            data = np.ascontiguousarray(array if bits is None else packed(array, bits))
            type_ = tensor_type(array.shape, array.dtype, bits)
            self._attributes[name] = ir.DenseResourceElementsAttr.get_from_buffer(data, name, type_)
        return _constant(self._attributes[name])

    def save(self, path: Path) -> None:
        """Writes an asset."""
        AIProgram(self._module).save_asset(path)


Ports = Mapping[str, tuple[Sequence[int], Any]]  # shape and numpy element type by name


class Graph:
    """One function. `arguments` are the values of its inputs and states by name, inside `body`."""

    def __init__(self, name: str, inputs: Ports, results: Ports, states: Ports) -> None:
        handles = [ops.HandleType.get(tensor_type(*port)) for port in states.values()]
        tokens = [ops.TokenType.get() for _ in states]
        self._states = list(states)
        self._graph = ops.GraphOp(
            name,
            [*handles, *(tensor_type(*port) for port in inputs.values())],
            [*tokens, *(tensor_type(*port) for port in results.values())],
            input_names=[*states, *inputs],
            result_names=[*states, *results],
        )
        self.body: Any = self._graph.block
        self._handles = dict(zip(states, self._graph.arguments))
        self._inputs = {name: Value._from_mlir(raw) for name, raw in zip(inputs, self._graph.arguments[len(states) :])}
        self._tokens: dict[str, Any] = {}

    def arguments(self) -> dict[str, Value]:
        """Inputs, and the contents of states at the beginning of a call. To be called once, inside `body`."""
        held: dict[str, Value] = {}
        for name, handle in self._handles.items():
            raw, self._tokens[name] = ops.read_handle(handle, ops.create_token())
            held[name] = Value._from_mlir(raw)
        return self._inputs | held

    def finish(self, results: Sequence[Value], updates: Mapping[str, Value]) -> None:
        """Ends the function: results in the order of its ports, and what its states hold after a call."""
        # A write counts only if its token leaves the function.
        written = [
            ops.write_handle(self._handles[name], updates[name]._to_mlir(), self._tokens[name]) for name in self._states
        ]
        ops.output([*written, *(value._to_mlir() for value in results)])


def tensor_type(shape: Sequence[int], dtype: Any, bits: int | None = None) -> Any:
    """The type of a tensor; integers of `bits` bits, where that is said."""
    if bits is not None:
        integer = ir.IntegerType.get_signed if np.dtype(dtype).kind == "i" else ir.IntegerType.get_unsigned
        return ir.RankedTensorType.get(list(shape), integer(bits))
    return TensorSpec(list(shape), np.dtype(dtype).type)._to_mlir()


def small_constant(array: Array) -> Value:
    """A constant that is written in the program itself."""
    return _constant(ir.DenseElementsAttr.get(np.ascontiguousarray(array), type=tensor_type(array.shape, array.dtype)))


def packed(codes: Array, bits: int) -> Array:
    """Integers of 2 or 4 bits (two's complement), several to a byte, the first in the lowest bits; [n] bytes."""
    each = 8 // bits
    flat = np.zeros(-(-codes.size // each) * each, np.uint8)
    flat[: codes.size] = codes.ravel() & ((1 << bits) - 1)
    groups = flat.reshape(-1, each)
    joined: Array = np.bitwise_or.reduce(groups << np.arange(0, 8, bits, dtype=np.uint8), axis=1)
    return joined.astype(np.uint8)


def _constant(attribute: Any) -> Value:
    return Value._from_mlir(ops.ConstantOp(value=attribute).result)
