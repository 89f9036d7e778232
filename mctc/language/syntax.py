"""The syntax tree. Spans take no part in equality, so two texts that differ in layout alone have equal trees."""

from __future__ import annotations

from dataclasses import field

from mctc.diagnostics.source import SourceFile, Span
from mctc.records import dataclass


@dataclass(frozen=True)
class Node:
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True)
class Identifier(Node):
    text: str


# Expressions


@dataclass(frozen=True)
class Name(Node):
    text: str


@dataclass(frozen=True)
class Number(Node):
    text: str


@dataclass(frozen=True)
class Quantity(Node):
    """A number with a unit: 320 ms."""

    text: str
    unit: Identifier


@dataclass(frozen=True)
class String(Node):
    """`text` is as written, with its quotes and escapes."""

    text: str

    @property
    def value(self) -> str:
        plain = {"n": "\n", "t": "\t"}
        parts = self.text[1:-1].split("\\\\")
        for letter, character in {**plain, '"': '"'}.items():
            parts = [part.replace("\\" + letter, character) for part in parts]
        return "\\".join(parts)


@dataclass(frozen=True)
class Word(Node):
    """true, false or none."""

    text: str


@dataclass(frozen=True)
class Group(Node):
    """Round brackets that the author wrote."""

    inner: Expression


@dataclass(frozen=True)
class ListDisplay(Node):
    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Unary(Node):
    operator: str
    operand: Expression


@dataclass(frozen=True)
class Binary(Node):
    """Arithmetic, comparison, `and` and `or`; `operator` as written."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Choice(Node):
    """chosen if condition else other"""

    chosen: Expression
    condition: Expression
    other: Expression


@dataclass(frozen=True)
class Argument(Node):
    name: Identifier | None
    value: Expression


@dataclass(frozen=True)
class Call(Node):
    callee: Expression
    arguments: tuple[Argument, ...]
    label: Identifier | None  # the name behind `as`


@dataclass(frozen=True)
class Item(Node):
    value: Expression
    index: Expression


@dataclass(frozen=True)
class Member(Node):
    value: Expression
    name: Identifier


@dataclass(frozen=True)
class Spread(Node):
    """`...` in a tensor type: any leading axes."""


Expression = (
    Name
    | Number
    | Quantity
    | String
    | Word
    | Group
    | ListDisplay
    | Unary
    | Binary
    | Choice
    | Call
    | Item
    | Member
    | Spread
)

# Types and headers


@dataclass(frozen=True)
class Limit(Node):
    """A comparison behind a type: `> 0`."""

    operator: str
    value: Expression


@dataclass(frozen=True)
class Limits(Node):
    """`> 0 and <= 1`"""

    limits: tuple[Limit, ...]


@dataclass(frozen=True)
class OneOf(Node):
    """in {0, 1}"""

    values: tuple[Expression, ...]


@dataclass(frozen=True)
class Between(Node):
    """in [-1, 1]"""

    low: Expression
    high: Expression


Domain = Limits | OneOf | Between


@dataclass(frozen=True)
class Type(Node):
    dtype: Identifier
    axes: tuple[Expression, ...]
    domain: Domain | None


@dataclass(frozen=True)
class TensorInput(Node):
    name: Identifier
    type: Type
    default: Expression | None


@dataclass(frozen=True)
class ValueInput(Node):
    name: Identifier
    default: Expression | None


@dataclass(frozen=True)
class Result(Node):
    name: Identifier | None
    type: Type


Input = TensorInput | ValueInput

# Statements


@dataclass(frozen=True)
class Body(Node):
    statements: tuple[Statement, ...]


@dataclass(frozen=True)
class Import(Node):
    path: String


@dataclass(frozen=True)
class Model(Node):
    name: Identifier
    inputs: tuple[Input, ...] | None
    body: Body


@dataclass(frozen=True)
class Variant(Node):
    """model NAME = BASE(overrides)"""

    name: Identifier
    base: Identifier
    arguments: tuple[Argument, ...]


@dataclass(frozen=True)
class Block(Node):
    name: Identifier
    inputs: tuple[Input, ...]
    results: tuple[Result, ...] | None
    body: Body


@dataclass(frozen=True)
class Component(Node):
    name: Identifier
    inputs: tuple[Input, ...]
    results: tuple[Result, ...] | None
    body: Body


@dataclass(frozen=True)
class Section(Node):
    name: Identifier
    body: Body


@dataclass(frozen=True)
class Dim(Node):
    name: Identifier
    role: Identifier
    rate: Expression | None
    extent: Expression | None


@dataclass(frozen=True)
class Parameter(Node):
    name: Identifier
    type: Type
    initial: Expression | None


@dataclass(frozen=True)
class Assign(Node):
    targets: tuple[Identifier, ...]
    value: Expression


@dataclass(frozen=True)
class Path(Node):
    """Elements of a path pattern: names, `*`, `**`, numbers and {a, b} alternatives."""

    elements: tuple[tuple[str, ...], ...]

    def __str__(self) -> str:
        return ".".join(e[0] if len(e) == 1 else "{" + ", ".join(e) + "}" for e in self.elements)


@dataclass(frozen=True)
class Rule(Node):
    path: Path
    value: Expression


@dataclass(frozen=True)
class Repeat(Node):
    index: Identifier | None
    count: Expression
    label: Identifier | None
    body: Body


@dataclass(frozen=True)
class ScanState(Node):
    """A state of a scan: its type over all frames, and what it is before the first one."""

    name: Identifier
    type: Type
    start: Expression | None


@dataclass(frozen=True)
class Scan(Node):
    """A recurrence over the frames of its states."""

    states: tuple[ScanState, ...]
    body: Body


@dataclass(frozen=True)
class If(Node):
    """`branches` are (condition, body), tried in order; `otherwise` is the body of the last else."""

    branches: tuple[tuple[Expression, Body], ...]
    otherwise: Body | None


@dataclass(frozen=True)
class Assert(Node):
    condition: Expression
    message: Expression | None


@dataclass(frozen=True)
class Return(Node):
    values: tuple[Expression, ...]


Statement = (
    Import
    | Model
    | Variant
    | Block
    | Component
    | Section
    | Dim
    | Parameter
    | Assign
    | Rule
    | Repeat
    | Scan
    | If
    | Assert
    | Return
)


@dataclass(frozen=True)
class File:
    source: SourceFile = field(compare=False, repr=False)
    statements: tuple[Statement, ...]
