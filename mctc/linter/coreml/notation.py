"""Small programs as text, for the examples of rules and for tests of rules. The text has Python's syntax:

    x: fp16[1, 64, 32, 32]                                      an input; `_` is an unknown extent, `1:512` a range
                                                                whose default is its lower bound
    k: enum[fp16[1, 80], fp16[1, 160]]                          an input of enumerated shapes
    i: pixels[fp32[1, 3, 64, 64]]                               an image of 64 by 64
    s: state[fp16[1, 64, 1, 32]]                                a state
    w: fp16[64, 64, 1, 1] = constexpr_lut_to_dense(indices=uint4[64, 64, 1, 1], lut=fp16[1, 1, 1, 1, 16, 1])
    c: fp16 = const(val=0.5)                                    a constant with a name
    y: fp16[1, 64, 32, 32] = conv(x=x, weight=w, strides=[1, 1])
    a: (fp16[1, 32, 32, 32], fp16[1, 32, 32, 32]) = split(x=y, num_splits=2, axis=1)     results a and a_1
    return y

An operand is a name, a list of names, a number, text, a list of numbers, or a constant by its type alone:
`fp16[64, 3]` (zeros, which take no memory), `fp16[8](-inf)` (all the same), `fp16(0.5)`. `for _ in range(4):` repeats
lines, each time with new names. `name=` names an op, `attributes={...}` adds attributes. `opset = "CoreML6"` is the
opset (CoreML8 if left out); `def encoder():` holds the lines of one function of several.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from mctc.package import (
    Block,
    Constant,
    Description,
    Feature,
    Function,
    Metadata,
    NamedType,
    Operation,
    Package,
    Reference,
    StateType,
    TensorType,
)
from mctc.package.dtypes import DTYPES
from mctc.records import dataclass

DEFAULT_OPSET = "CoreML8"
SPEC_VERSION = {"CoreML5": 6, "CoreML6": 7, "CoreML7": 8, "CoreML8": 9, "CoreML9": 10}
FORMS = ("state", "enum", "pixels")
BRANCHING = {"cond": 2, "while_loop": 2}  # how many (empty) blocks such an op gets


@dataclass(frozen=True, eq=False)
class Filled:
    """A constant whose elements are all the same, made when asked for."""

    type: TensorType
    fill: float
    stored_bytes: int

    def load(self) -> Any:
        import numpy as np

        shape = tuple(extent or 0 for extent in self.type.shape or ())
        return np.full(shape, self.fill, DTYPES[self.type.dtype].holder)


@dataclass(frozen=True, eq=False)
class Held:
    """A constant already in memory."""

    held: Any
    stored_bytes: int = 0

    def load(self) -> Any:
        return self.held


def read_notation(text: str, path: str = "example.mlpackage", user: Mapping[str, str] | None = None) -> Package:
    """The package that the text describes. Raises ValueError, or SyntaxError for what is not Python."""
    tree = ast.parse(text)
    opset = DEFAULT_OPSET
    bodies: dict[str, list[ast.stmt]] = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            opset = str(ast.literal_eval(statement.value))
        elif isinstance(statement, ast.FunctionDef):
            bodies[statement.name] = statement.body
        else:
            bodies.setdefault("main", []).append(statement)
    read = {name: _FunctionReader(name, opset) for name in bodies}
    functions = {name: read[name].function(body) for name, body in bodies.items()}
    descriptions = {name: reader.description() for name, reader in read.items()}
    metadata = Metadata(user=dict(user or {}))
    version = SPEC_VERSION.get(opset, max(SPEC_VERSION.values()) + 1)
    return Package(Path(path), version, metadata, functions, next(iter(functions)), descriptions)


class _FunctionReader:
    """Reads the statements of one function."""

    def __init__(self, name: str, opset: str) -> None:
        self.name, self.opset = name, opset
        self.inputs: list[NamedType] = []
        self.states: list[NamedType] = []
        self.features: list[Feature] = []
        self.operations: list[Operation] = []
        self.outputs: tuple[str, ...] = ()
        self.names: dict[str, str] = {}
        self.types: dict[str, Any] = {}
        self.used: dict[str, int] = {}

    def function(self, body: list[ast.stmt]) -> Function:
        for statement in body:
            self.statement(statement)
        outputs = tuple(NamedType(name, self.types[name]) for name in self.outputs)
        block = Block((), self.outputs, tuple(self.operations))
        return Function(self.name, self.opset, tuple(self.inputs), tuple(self.states), outputs, block)

    def description(self) -> Description:
        inputs = tuple(feature for feature in self.features if feature.kind != "state")
        states = tuple(feature for feature in self.features if feature.kind == "state")
        outputs = tuple(Feature(name, "tensor", self.types[name]) for name in self.outputs)
        return Description(inputs, outputs, states)

    def statement(self, statement: ast.stmt) -> None:
        if isinstance(statement, ast.For):
            assert isinstance(statement.iter, ast.Call)
            for _ in range(ast.literal_eval(statement.iter.args[0])):
                for each in statement.body:
                    self.statement(each)
        elif isinstance(statement, ast.Return):
            value = statement.value
            returned = value.elts if isinstance(value, ast.Tuple) else [value]
            self.outputs = tuple(self.names[each.id] for each in returned if isinstance(each, ast.Name))
        elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            self.operation("", [], statement.value)
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            name = statement.target.id
            if statement.value is None:
                self.input(name, statement.annotation)
                return
            assert isinstance(statement.value, ast.Call)
            annotation = statement.annotation
            elements = annotation.elts if isinstance(annotation, ast.Tuple) else [annotation]
            self.operation(name, [tensor_type(each) for each in elements], statement.value)
        else:
            raise ValueError(f"not understood: {ast.unparse(statement)}")

    def input(self, name: str, annotation: ast.expr) -> None:
        self.names[name] = name
        self.used[name] = 1
        form, inside = _form(annotation)
        if form == "pixels":
            pixels = tensor_type(inside)
            height, width = (pixels.shape or ())[-2:]
            self.inputs.append(NamedType(name, pixels))
            self.features.append(Feature(name, "image", None, size=(height or 1, width or 1)))
            self.types[name] = pixels
            return
        if form == "state":
            state = tensor_type(inside)
            self.states.append(NamedType(name, StateType(state)))
            self.features.append(Feature(name, "state", state))
            self.types[name] = StateType(state)
            return
        if form == "enum":
            shapes = [tensor_type(each) for each in inside.elts] if isinstance(inside, ast.Tuple) else []
            extents = tuple(tuple(extent or 0 for extent in each.shape or ()) for each in shapes)
            varying = tuple(found[0] if len(set(found)) == 1 else None for found in zip(*extents))
            type_ = TensorType(shapes[0].dtype, varying)
            feature = Feature(name, "tensor", shapes[0], flexible=True, enumerated=extents)
        else:
            type_, ranges = tensor_type(annotation), ranges_of(annotation)
            default = TensorType(type_.dtype, tuple(low for low, _ in ranges)) if ranges else type_
            feature = Feature(name, "tensor", default, flexible=bool(ranges), ranges=ranges)
        self.inputs.append(NamedType(name, type_))
        self.features.append(feature)
        self.types[name] = type_

    def operation(self, name: str, results: list[TensorType], call: ast.Call) -> None:
        assert isinstance(call.func, ast.Name)
        keywords = {each.arg or "": each.value for each in call.keywords}
        made = [name if not place else f"{name}_{place}" for place in range(len(results))]
        operands = {key: self.bindings(value) for key, value in keywords.items() if key not in ("name", "attributes")}
        fresh = [self.fresh(each) for each in made]
        given = keywords.get("name")
        called = str(ast.literal_eval(given)) if given is not None else (fresh[0] if fresh else call.func.id)
        extra = ast.literal_eval(keywords["attributes"]) if "attributes" in keywords else {}
        attributes = {key: _constant(value) for key, value in {"name": called, **extra}.items()}
        if call.func.id == "const":
            (attributes["val"],) = operands.pop("val")
        outputs = tuple(NamedType(each, type_) for each, type_ in zip(fresh, results))
        self.types.update((each.name, each.type) for each in outputs)
        blocks = tuple(Block((), (), ()) for _ in range(BRANCHING.get(call.func.id, 0)))
        index = len(self.operations)
        self.operations.append(Operation(index, call.func.id, called, operands, outputs, attributes, blocks))

    def fresh(self, name: str) -> str:
        """A name for a result: the one written, or that with a number where it was used before."""
        used = self.used.get(name, 0)
        self.used[name] = used + 1
        self.names[name] = f"{name}__{used}" if used else name
        return self.names[name]

    def bindings(self, value: ast.expr) -> tuple[Any, ...]:
        if isinstance(value, ast.List) and value.elts and all(self.is_value(each) for each in value.elts):
            return tuple(self.binding(each) for each in value.elts)
        return (self.binding(value),)

    def is_value(self, value: ast.expr) -> bool:
        return (isinstance(value, ast.Name) and value.id not in NUMBERS) or is_typed(value)

    def binding(self, value: ast.expr) -> Any:
        if isinstance(value, ast.Name) and value.id not in NUMBERS:
            return Reference(self.names.get(value.id, value.id))
        return typed_constant(value) if is_typed(value) else _constant(number(value))


NUMBERS = {"inf": float("inf"), "nan": float("nan"), "True": True, "False": False}


def number(value: ast.expr) -> Any:
    """Numbers, text and lists of them, with inf and nan."""
    if isinstance(value, ast.Name):
        return NUMBERS[value.id]
    if isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.USub):
        return -number(value.operand)
    if isinstance(value, ast.List):
        return [number(each) for each in value.elts]
    return ast.literal_eval(value)


def is_typed(value: ast.expr) -> bool:
    """Whether this is a constant by its type: fp16[64, 3], fp16[8](-inf) or fp16(0.5)."""
    inner = value.func if isinstance(value, ast.Call) else value
    name = inner.value if isinstance(inner, ast.Subscript) else inner
    return isinstance(name, ast.Name) and name.id in DTYPES


def typed_constant(value: ast.expr) -> Constant:
    """A constant of a type: zeros, or filled with the number in the call."""
    fill = number(value.args[0]) if isinstance(value, ast.Call) else 0
    inner = value.func if isinstance(value, ast.Call) else value
    type_ = tensor_type(inner)
    bits = DTYPES[type_.dtype].bits * prod(extent or 0 for extent in type_.shape or ())
    return Constant(type_, Filled(type_, fill, -(-bits // 8)))


def tensor_type(node: ast.expr) -> TensorType:
    """fp16[1, 64], or fp16 for a scalar."""
    if isinstance(node, ast.Name):
        return TensorType(node.id, ())
    assert isinstance(node, ast.Subscript)
    assert isinstance(node.value, ast.Name)
    return TensorType(node.value.id, tuple(_extent(each) for each in _axes(node)))


def ranges_of(node: ast.expr) -> tuple[tuple[int, int | None], ...]:
    """Lower and upper extent of each axis where one axis is a range; else nothing."""
    axes = _axes(node)
    if not any(isinstance(axis, ast.Slice) for axis in axes):
        return ()
    return tuple(_range(axis) for axis in axes)


def _range(axis: ast.expr) -> tuple[int, int | None]:
    if isinstance(axis, ast.Slice):
        upper = None if axis.upper is None else int(ast.literal_eval(axis.upper))
        return int(ast.literal_eval(axis.lower or ast.Constant(1))), upper
    extent = _extent(axis)
    return (extent, extent) if extent is not None else (1, None)


def _axes(node: ast.expr) -> list[ast.expr]:
    if not isinstance(node, ast.Subscript):
        return []
    inside = node.slice
    return list(inside.elts) if isinstance(inside, ast.Tuple) else [inside]


def _extent(node: ast.expr) -> int | None:
    if isinstance(node, ast.Slice) or (isinstance(node, ast.Name) and node.id == "_"):
        return None
    return int(ast.literal_eval(node))


def _form(node: ast.expr) -> tuple[str, ast.expr]:
    """'state', 'enum' or 'pixels', and what it holds; '' for a plain type."""
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in FORMS:
        return node.value.id, node.slice
    return "", node


def _constant(value: Any) -> Constant:
    if isinstance(value, str):
        return Constant(TensorType("string", ()), Held(value))
    if isinstance(value, list) and value and isinstance(value[0], str):
        return Constant(TensorType("string", (len(value),)), Held(value))
    import numpy as np

    array = np.asarray(value)
    dtype = {"f": "fp16", "b": "bool"}.get(array.dtype.kind, "int32")
    return Constant(TensorType(dtype, array.shape), Held(array.astype(DTYPES[dtype].holder)))
