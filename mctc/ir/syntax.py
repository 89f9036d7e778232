"""What the parser of the textual form makes: statements and items with their lines, values still by name."""

from __future__ import annotations

from dataclasses import field
from fractions import Fraction

from mctc.diagnostics.errors import MctcError
from mctc.ir.attribute_value import Attributes, AttributeValue
from mctc.ir.domain import Domain
from mctc.ir.location import Origin
from mctc.ir.program import Initializer, PackedState, Quantization
from mctc.ir.types import TensorType
from mctc.records import dataclass


class IrSyntaxError(MctcError):
    """A text that is no program. `line` and `column` count from 1."""

    def __init__(self, message: str, line: int, column: int = 1, *, hint: str | None = None) -> None:
        super().__init__(f"line {line}, column {column}: {message}", hint=hint)
        self.line, self.column = line, column


@dataclass(frozen=True)
class Local:
    """A use or definition of an SSA value."""

    name: str
    line: int
    column: int


@dataclass(frozen=True)
class Setting:
    name: str
    value: AttributeValue


@dataclass(frozen=True)
class Entries:
    """The entries of a constant as lists of numbers; with `splat`, the one that all are equal to."""

    value: AttributeValue
    storage: str | None
    splat: bool = False


@dataclass(frozen=True)
class Encoded:
    """The bytes of a constant in base64; with `packed`, those of its zlib form."""

    text: str
    storage: str | None
    packed: bool = False


ArrayText = Entries | Encoded


@dataclass(frozen=True)
class Leaf:
    name: str
    type: TensorType | None
    line: int


@dataclass(frozen=True)
class Fixed:
    """A constant in a recipe."""

    array: ArrayText
    type: TensorType | None


@dataclass(frozen=True)
class Node:
    """An op that is applied in a recipe: operands, None for one that is absent, and settings."""

    op: str
    arguments: tuple[RecipeArgument, ...]
    result: int
    type: TensorType | None
    line: int


RecipeText = Leaf | Fixed | Node
RecipeArgument = RecipeText | Setting | None


@dataclass(frozen=True)
class DimItem:
    name: str
    role: str
    rate: Fraction | None
    line: int


@dataclass(frozen=True)
class SourceItem:
    name: str
    type: TensorType
    start: Initializer


@dataclass(frozen=True)
class ParameterItem:
    name: str
    type: TensorType | None
    recipe: RecipeText | None
    quantization: Quantization | None
    origin: Origin
    line: int


@dataclass(frozen=True)
class SectionItem:
    word: str
    settings: Attributes


RuleText = tuple[str, Quantization | None, Origin]


@dataclass(frozen=True)
class RulesItem:
    rules: tuple[RuleText, ...]


@dataclass(frozen=True)
class VocabularyItem:
    function: str
    result: str
    valid: int
    padded: int


@dataclass(frozen=True)
class InstanceItem:
    path: str
    block: str


@dataclass(frozen=True)
class DomainLine:
    """What the entries of an input may be; whether they are whole numbers is told by its type."""

    value: Local
    domain: Domain


@dataclass(frozen=True)
class StateLine:
    value: Local
    type: TensorType
    name: str | None


@dataclass(frozen=True)
class NextLine:
    state: Local
    update: Local


@dataclass(frozen=True)
class PackedLine:
    entry: PackedState


@dataclass(frozen=True)
class ReturnLine:
    results: tuple[tuple[str, Local], ...]


@dataclass(frozen=True)
class ParameterText:
    name: str


@dataclass(frozen=True)
class Application:
    """An op that is applied: operands, None for one that is absent, and settings."""

    op: str
    arguments: tuple[OpArgument, ...]


OpArgument = Local | Setting | None
Body = ParameterText | Entries | Encoded | Application


@dataclass(frozen=True)
class OpLine:
    results: tuple[Local, ...]
    body: Body
    types: tuple[TensorType, ...] | None
    origin: Origin


Statement = DomainLine | StateLine | NextLine | PackedLine | ReturnLine | OpLine


InputText = tuple[Local, TensorType]


@dataclass(frozen=True)
class FunctionItem:
    name: str
    inputs: tuple[InputText, ...]
    origin: Origin
    statements: tuple[Statement, ...]
    line: int


Item = DimItem | SourceItem | ParameterItem | SectionItem | RulesItem | VocabularyItem | InstanceItem | FunctionItem


@dataclass(frozen=True)
class ProgramText:
    """`name` is None when the text has no `program` around its items."""

    name: str | None
    items: tuple[Item, ...] = field(default_factory=tuple)
