"""A function as rules see it: ops with their operands looked up, constants apart.

`const` and `constexpr_*` operations, and ops whose operands are all constant, are no work for any device: they are
values here. Everything else is an op, those of nested blocks included, in the order of the program.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from itertools import chain
from math import prod
from typing import Any

from mctc.package import (
    Block,
    Constant,
    Function,
    ListType,
    NamedType,
    Operation,
    Package,
    PackageError,
    Reference,
    StateType,
    TensorType,
    ValueType,
)
from mctc.package.dtypes import DTYPES
from mctc.records import dataclass

Shape = tuple[int | None, ...]
NOT_OPERANDS = ("name", "val")
NEVER_FOLDED = ("random_", "make_list")
"""How the types of ops begin whose result isn't known from constant operands."""
LARGEST = 1 << 62
READ_LIMIT = 1 << 20
"""Elements up to which a constant's value is read; a rule that needs more looks at the type alone."""


class Op:
    """One op, or one constexpr: its operands by name, its results, who makes what it takes, who takes what it makes.

    type: in MIL, such as conv. result: the tensor type of the first of its results. inside: the op whose block it is
    in.
    """

    __slots__ = (
        "_asked", "_at_work", "function", "inside", "is_constexpr", "name", "operation", "position", "result",
        "results", "type",
    )  # fmt: skip

    def __init__(self, operation: Operation, function: FunctionGraph, position: int, inside: Op | None) -> None:
        self.operation = operation
        self.function = function
        self.position = position
        self.inside = inside
        # A hundred rules ask for these, so they are looked up once.
        self.type: str = operation.type
        self.name: str = operation.name
        self.is_constexpr = operation.type.startswith("constexpr_")
        self.results: tuple[NamedType, ...] = operation.outputs
        self.result = as_tensor(self.results[0].type) if self.results else None
        self._at_work: tuple[tuple[str, TensorType], ...] | None = None
        self._asked: dict[str, TensorType | None] = {}

    def __repr__(self) -> str:
        return f"{self.type} {self.name!r}"

    @property
    def operands(self) -> list[str]:
        """Names of the operands that are bound."""
        names = list(self.operation.inputs)
        if self.is_constexpr:
            names += [key for key in self.operation.attributes if key not in NOT_OPERANDS]
        return names

    def has(self, operand: str) -> bool:
        return bool(self.bindings(operand))

    def bindings(self, operand: str) -> tuple[Reference | Constant, ...]:
        """What an operand is bound to: one value, or several for a list such as `values` of concat."""
        found = self.operation.inputs.get(operand, ())
        if not found and self.is_constexpr and operand in self.operation.attributes and operand not in NOT_OPERANDS:
            return (self.operation.attributes[operand],)  # the form of iOS 16
        return found

    @property
    def bound(self) -> Iterator[Reference | Constant]:
        """What all operands are bound to, in their order."""
        if not self.is_constexpr:
            return chain.from_iterable(self.operation.inputs.values())
        return chain.from_iterable(map(self.bindings, self.operands))

    def types(self, operand: str) -> list[ValueType | None]:
        """The type of every value of an operand; None for a name that nothing defines."""
        return [self.function.type_of(binding) for binding in self.bindings(operand)]

    def tensor(self, operand: str) -> TensorType | None:
        """The tensor type of an operand's one value (the first of a list)."""
        if operand not in self._asked:  # a dozen rules ask for the same
            bindings = self.bindings(operand)
            self._asked[operand] = as_tensor(self.function.type_of(bindings[0])) if bindings else None
        return self._asked[operand]

    def shape(self, operand: str) -> Shape | None:
        """The extents of an operand, None for unknown ones; None where not even the rank is known."""
        tensor = self.tensor(operand)
        return tensor.shape if tensor is not None else None

    def dtype(self, operand: str) -> str | None:
        tensor = self.tensor(operand)
        return tensor.dtype if tensor is not None else None

    @property
    def at_work(self) -> tuple[tuple[str, TensorType], ...]:
        """Its tensors that exist only while the program runs: by operand, results under ''. No constants."""
        if self._at_work is None:  # a dozen rules look at them
            self._at_work = tuple(self._tensors())
        return self._at_work

    def _tensors(self) -> Iterator[tuple[str, TensorType]]:
        types, fixed = self.function.types, self.function.fixed
        for operand, bindings in self.operation.inputs.items():
            for binding in bindings:
                if isinstance(binding, Reference) and binding.name not in fixed:
                    tensor = as_tensor(types.get(binding.name))
                    if tensor is not None:
                        yield operand, tensor
        for result in self.operation.outputs:
            tensor = as_tensor(result.type)
            if tensor is not None:
                yield "", tensor

    def is_constant(self, operand: str) -> bool:
        """Whether all values of an operand are known before the program runs; true for one that is not bound."""
        return all(
            isinstance(binding, Constant) or binding.name in self.function.fixed for binding in self.bindings(operand)
        )

    def constant(self, operand: str) -> Constant | None:
        """The stored constant an operand is bound to, not read."""
        bindings = self.bindings(operand)
        if not bindings:
            return None
        binding = bindings[0]
        return binding if isinstance(binding, Constant) else self.function.constants.get(binding.name)

    def value(self, operand: str, default: Any = None) -> Any:
        """The value of a small constant: a number, bool or str for a scalar, else an array; `default` where the
        operand is not bound, not constant, too large to read, or can't be read."""
        constant = self.constant(operand)
        return default if constant is None else read_constant(constant, default)

    def numbers(self, operand: str, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The value of a constant list of whole numbers, such as strides."""
        found = self.value(operand)
        try:
            return default if found is None or isinstance(found, str) else tuple(int(each) for each in _flat(found))
        except (OverflowError, ValueError):  # not finite, or text
            return default

    def compression(self, operand: str) -> Op | None:
        """The constexpr op that an operand's value is unpacked by."""
        bindings = self.bindings(operand)
        if not bindings or isinstance(bindings[0], Constant):
            return None
        return self.function.compressed.get(bindings[0].name)

    def producer(self, operand: str) -> Op | None:
        """The op that makes an operand's one value; None for inputs and constants."""
        bindings = self.bindings(operand)
        return None if not bindings or isinstance(bindings[0], Constant) else self.function.made.get(bindings[0].name)

    def producers(self) -> Iterator[Op]:
        """The ops that make its operands, each as often as it is used."""
        made = self.function.made
        for bindings in self.operation.inputs.values():
            for binding in bindings:
                if isinstance(binding, Reference) and binding.name in made:
                    yield made[binding.name]

    def users(self) -> list[Op]:
        """The ops that take one of its results, in order."""
        return [user for result in self.results for user in self.function.uses.get(result.name, ())]


@dataclass(frozen=True)
class Misfit:
    """Why the ops of a function don't fit together at a size. index: the operation's, op: its name."""

    index: int
    op: str
    reason: str


class FunctionGraph:
    """A function of a package, at one size where its inputs can have several.

    ops: what computes, in order. types: of every value. constants: stored ones by name. compressed: the constexpr op by
    the name of its result; folded: other ops over constants alone, likewise. fixed: names of all values known before
    the program runs. made, uses: ops by the names of the values that they make and take. by_index: every op, those over
    constants included, by its operation's index. bounded: where the values of a name lie, as far as so many ops before
    it tell (mctc.linter.coreml.bounds); what was asked for. misfit: where its ops don't fit together at this size.
    """

    def __init__(self, function: Function, package: PackageGraph, misfit: Misfit | None = None) -> None:
        self.function = function
        self.package = package
        self.misfit = misfit
        self.ops: list[Op] = []
        self.constexprs: list[Op] = []
        self.types: dict[str, ValueType] = {item.name: item.type for item in (*function.inputs, *function.states)}
        self.constants: dict[str, Constant] = {}
        self.compressed: dict[str, Op] = {}
        self.folded: dict[str, Op] = {}
        self.fixed: set[str] = set()
        self.made: dict[str, Op] = {}
        self.uses: dict[str, list[Op]] = {}
        self.by_index: dict[int, Op] = {}
        self.bounded: dict[tuple[str, int], tuple[float, float] | None] = {}
        self._add(function.body, None)

    @property
    def name(self) -> str:
        return self.function.name

    @property
    def inputs(self) -> tuple[NamedType, ...]:
        return self.function.inputs

    @property
    def outputs(self) -> tuple[NamedType, ...]:
        return self.function.outputs

    @property
    def states(self) -> tuple[NamedType, ...]:
        return self.function.states

    def type_of(self, binding: Reference | Constant) -> ValueType | None:
        """The type of a value that an op takes; None for a name that nothing defines."""
        return binding.type if isinstance(binding, Constant) else self.types.get(binding.name)

    def of_type(self, *types: str) -> list[Op]:
        return [op for op in self.ops if op.type in types]

    def stored(self) -> Iterator[Constant]:
        """Every stored constant, in whatever form it is bound."""
        yield from self.constants.values()
        for op in (*self.ops, *self.constexprs):
            yield from (binding for binding in op.bound if isinstance(binding, Constant))

    def _add(self, block: Block, inside: Op | None) -> None:
        for item in block.inputs:
            self.types[item.name] = item.type
        for operation in block.operations:
            for result in operation.outputs:
                self.types[result.name] = result.type
            if operation.type == "const":
                self._add_constant(operation)
                continue
            op = self.by_index[operation.index] = Op(operation, self, len(self.ops), inside)
            references = [b.name for each in operation.inputs.values() for b in each if isinstance(b, Reference)]
            if operation.type.startswith("constexpr_"):
                op.position = len(self.constexprs)
                self.constexprs.append(op)
                self._fix(op, compressed=True)
            elif self._folds(operation, references):
                self._fix(op, compressed=False)
            else:
                self._add_op(op, references)
            for nested in operation.blocks:
                self._add(nested, op)

    def _folds(self, operation: Operation, references: list[str]) -> bool:
        """Whether all that an operation takes, and so what it makes, is known before the program runs."""
        if operation.blocks or not references or operation.type.startswith(NEVER_FOLDED):
            return False
        return all(name in self.fixed for name in references)

    def _add_constant(self, operation: Operation) -> None:
        value = operation.attributes.get("val")
        for result in operation.outputs:
            self.fixed.add(result.name)
            if value is not None:
                self.constants[result.name] = value

    def _fix(self, op: Op, *, compressed: bool) -> None:
        for result in op.results:
            self.fixed.add(result.name)
            (self.compressed if compressed else self.folded)[result.name] = op

    def _add_op(self, op: Op, references: Iterable[str]) -> None:
        self.ops.append(op)
        for result in op.results:
            self.made[result.name] = op
        for name in dict.fromkeys(references):
            self.uses.setdefault(name, []).append(op)


class PackageGraph:
    """All functions of a package, and what they share."""

    def __init__(self, package: Package, misfits: Mapping[str, Misfit | None] | None = None) -> None:
        self.package = package
        self.functions = {
            name: FunctionGraph(function, self, (misfits or {}).get(name))
            for name, function in package.functions.items()
        }

    @cached_property
    def weight_bytes(self) -> int:
        """Bytes of all stored constants, each place in the weight file once."""
        sizes: dict[Any, int] = {}
        for graph in self.functions.values():
            for constant in graph.stored():
                sizes[place_of(constant)] = constant.stored_bytes or tensor_bytes(constant.type)
        return sum(sizes.values())


def read_constant(constant: Constant, default: Any = None) -> Any:
    """A small constant's value: a Python scalar, text, a list or an array; `default` where it can't be read."""
    if _room(constant.type) > READ_LIMIT:
        return default
    try:
        value = constant.value()
    except (PackageError, ValueError, TypeError):
        return default
    if getattr(value, "shape", None) == ():
        return value.item()
    return value


def _room(type_: ValueType) -> int:
    """Elements, where an extent of 0 counts as 1: as a list, an array of 2^32 rows of nothing has 2^32 entries."""
    tensor = as_tensor(type_)
    return elements(type_) or size_of(extent or 1 for extent in (tensor.shape if tensor else None) or ())


@lru_cache(maxsize=4096)  # a program of thousands of ops has a few dozen types
def elements(type_: ValueType) -> int:
    """How many elements a value has; unknown extents count as one."""
    tensor = as_tensor(type_)
    if tensor is None or tensor.shape is None:
        return 1
    return size_of(max(0, extent) if extent is not None else 1 for extent in tensor.shape)


@lru_cache(maxsize=4096)
def tensor_bytes(type_: ValueType | None) -> int:
    """Bytes of a value as packed; strings and unknown element types count nothing, nor does a value without a type."""
    tensor = as_tensor(type_)
    if tensor is None or tensor.dtype not in DTYPES:
        return 0
    return -(-elements(tensor) * DTYPES[tensor.dtype].bits // 8)


def size_of(extents: Iterable[int]) -> int:
    """The product of extents, LARGEST at most: a hostile shape of many huge ones stays a number to reckon with."""
    return min(prod(extents), LARGEST)


def as_tensor(type_: ValueType | None) -> TensorType | None:
    """The tensor that a type holds: itself, what a state wraps, or an entry of a list."""
    if isinstance(type_, TensorType):
        return type_
    if isinstance(type_, StateType):
        return type_.wrapped
    return type_.element if isinstance(type_, ListType) else None


def place_of(constant: Constant) -> Any:
    """What tells two stored constants apart: the place in the weight file, or being another object."""
    start = getattr(constant.loader, "start", None)
    return id(constant) if start is None else (getattr(constant.loader.file, "path", None), start)  # type: ignore[attr-defined]


def _flat(value: Any) -> Iterable[Any]:
    ravel = getattr(value, "ravel", None)
    if ravel is not None:
        found: Iterable[Any] = ravel().tolist()
        return found
    return value if isinstance(value, (list, tuple)) else [value]
