"""Programs: SSA functions over typed values, parameters with recipes, and what the spec's sections said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from fractions import Fraction
from functools import cached_property

from mctc.ir.attribute_value import AttributeValue
from mctc.ir.domain import MASK, Domain, Interval
from mctc.ir.location import Origin
from mctc.ir.op import Op
from mctc.ir.section import Section
from mctc.ir.types import DType, Role, TensorType
from mctc.ir.value import Value, name_like
from mctc.records import dataclass

__all__ = ["Dim", "Function", "Op", "PackedState", "Parameter", "Program", "Section", "State", "Value", "name_like"]


@dataclass(frozen=True)
class Dim:
    """A named dimension: its role and, for time, its rate in frames per second."""

    role: Role
    rate: Fraction | None = None


@dataclass(frozen=True)
class State:
    """State of a step function: `value` comes in, `update` (a value of the same type) goes out; starts at zero."""

    name: str
    value: Value
    update: Value


@dataclass(frozen=True)
class PackedState:
    """Where a state of the derived step lies in a packed one.

    Entry (c, j) of the state, c along its channels and j over its other axes in row-major order, is entry
    row * W + column + c * pitch + j of state `tensor`, flattened; W is the last extent of that, and `pitch` is W where
    it is None. A state without a channel axis is one row. shape: that in which the state is kept.
    """

    name: str
    tensor: str
    row: int
    column: int
    shape: tuple[int, ...]
    pitch: int | None = None


@dataclass
class Function:
    """A component. `inputs` and `results` are named; a step function also has states.

    `packing` says where the states that a pass packed together are to be found. `domains` are what the spec says of the
    entries of inputs, by name; ask `domain` for what an input may be.
    """

    name: str
    inputs: list[Value]
    ops: list[Op]
    results: list[tuple[str, Value]]
    states: list[State] = field(default_factory=list)
    origin: Origin = field(default_factory=Origin)
    packing: tuple[PackedState, ...] = ()
    domains: Mapping[str, Domain] = field(default_factory=dict)

    def uses(self) -> dict[Value, list[Op]]:
        """Ops that use each value. Results and state updates are not in it: see `outputs`."""
        table: dict[Value, list[Op]] = {}
        for op in self.ops:
            for operand in op.operands:
                if operand is not None:
                    table.setdefault(operand, []).append(op)
        return table

    def domain(self, value: Value) -> Domain:
        """What the entries of an input may be: as stated, else ids below its bound, 0 and 1 in a bool, any number."""
        if value.name in self.domains:
            return self.domains[value.name]
        bound = value.type.bound
        if bound is not None and bound.is_static:
            return Interval(0, bound.value, (False, True), whole=True)
        return MASK if value.type.dtype is DType.BOOL else Interval(whole=value.type.dtype is DType.I32)

    @property
    def outputs(self) -> list[Value]:
        """Everything that leaves the function: results and state updates."""
        return [value for _, value in self.results] + [state.update for state in self.states]


@dataclass(frozen=True)
class Initializer:
    """How a parameter starts when no weights are given: a rule of mctc.initializers and its numbers."""

    rule: str = "zeros"
    arguments: tuple[tuple[str, float], ...] = ()


PALETTE_BITS = (1, 2, 3, 4, 6, 8)


@dataclass(frozen=True)
class Quantization:
    """How a parameter is stored: 'int8', 'int4' (symmetric, one scale per output channel) or 'palette'.

    `bits` is for palettes: one of PALETTE_BITS, what Core ML stores from iOS 18 on. `group` output channels share a
    palette, None means one per tensor.
    `axis` is where the output channels lie: 0, but 1 in an embedding table. `expanded`: the values are those of codes
    and scales, and are stored as fp16. `wide`: products of codes and scales are fp32, not rounded to fp16.
    `activations`: bits that what is multiplied with the weight is to be held in, 8 or None; quantize-activations takes
    it up.
    """

    scheme: str
    bits: int
    group: int | None = None
    axis: int = 0
    expanded: bool = False
    wide: bool = False
    activations: int | None = None


@dataclass(frozen=True)
class Source:
    """A leaf of a recipe: a tensor of the checkpoint, by name."""

    name: str
    type: TensorType


@dataclass(frozen=True)
class Derived:
    """A node of a recipe: an op of the IR applied to recipes. `result` picks one of several results."""

    op: str
    operands: tuple[Recipe | None, ...]
    attributes: tuple[tuple[str, AttributeValue], ...]
    type: TensorType
    result: int = 0


Recipe = Source | Derived


@dataclass(frozen=True)
class Parameter:
    """A trained tensor. Its value is its recipe evaluated over the checkpoint's tensors (see mctc.weights)."""

    name: str
    type: TensorType
    recipe: Recipe
    quantization: Quantization | None = None
    origin: Origin = field(default_factory=Origin)
    wide: bool = False  # stored in fp32, not rounded to fp16

    @property
    def told(self) -> str:
        """Its name and its line: 'parameter encoder.norm.weight at spec/a.mct:5:12'."""
        place = "" if self.origin.location is None else f" at {self.origin.location}"
        return f"parameter {self.name}{place}"


WIDE = Quantization("f32", 32)


@dataclass(frozen=True)
class QuantizeRule:
    """`pattern` is a path pattern over parameter names; quantization None means: leave in fp16, WIDE: keep in fp32, and
    compute in it."""

    pattern: str
    quantization: Quantization | None
    origin: Origin = field(default_factory=Origin)

    @cached_property
    def is_wide(self) -> bool:
        return self.quantization == WIDE


@dataclass(frozen=True)
class VocabularyMap:
    """A padded vocabulary axis: entries 0..valid-1 are the spec's; valid..padded-1 can never win."""

    function: str
    result: str
    valid: int
    padded: int


@dataclass
class Program:
    """A whole model. `sources` are the checkpoint's own tensors with their initialisers, by name.

    `instances` says which block of the spec stands at each instance path.
    """

    name: str
    dims: dict[str, Dim] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    parameters: dict[str, Parameter] = field(default_factory=dict)
    sources: dict[str, tuple[TensorType, Initializer]] = field(default_factory=dict)
    train: Section = field(default_factory=Section)
    stream: Section = field(default_factory=Section)
    utterance: Section = field(default_factory=Section)
    audio: Section = field(default_factory=Section)
    tokens: Section = field(default_factory=Section)
    passes: Section = field(default_factory=Section)
    prune: Section = field(default_factory=Section)
    quantize: tuple[QuantizeRule, ...] = ()
    vocabularies: tuple[VocabularyMap, ...] = ()
    instances: dict[str, str] = field(default_factory=dict)

    def ops(self) -> Iterator[tuple[Function, Op]]:
        for function in self.functions.values():
            for op in function.ops:
                yield function, op
