"""A Core ML package as read from disk: plain frozen records, constants behind a loader."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Protocol

from mctc.diagnostics.clean import clean
from mctc.package.errors import AbsentFile
from mctc.package.network import Network
from mctc.package.types import NamedType, TensorType, ValueType
from mctc.records import dataclass


class Loader(Protocol):
    """Where a constant's value comes from."""

    @property
    def stored_bytes(self) -> int:
        """Bytes on disk; 0 for a value written inline in the program."""

    def load(self) -> Any:
        """The value: an array, a string, or a list of them."""


@dataclass(frozen=True)
class Reference:
    """A use of the value with this name."""

    name: str


@dataclass(frozen=True, eq=False)
class Constant:
    """A constant value, read when asked for.

    `value()` returns an array of the type's holder (sub-byte integers unpacked into int8/uint8), a str for a string
    scalar, or a list for a list constant. Nothing is cached.
    """

    type: ValueType
    loader: Loader = field(repr=False)

    def value(self) -> Any:
        """Reads and decodes the value. Raises PackageError when the stored bytes can't be the declared type."""
        return self.loader.load()

    @property
    def stored_bytes(self) -> int:
        """Bytes the value takes in the weight file; 0 when it is written inline."""
        return self.loader.stored_bytes

    @property
    def place(self) -> Hashable:
        """Which bytes of which file it is; None where that isn't told, as of a value that is written inline."""
        return getattr(self.loader, "place", None)


Binding = Reference | Constant


@dataclass(frozen=True)
class Block:
    """A list of operations with inputs and the names of its results (the body of a function, a branch or a loop)."""

    inputs: tuple[NamedType, ...]
    outputs: tuple[str, ...]
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Operation:
    """One operation. `index` counts the function's operations in reading order, those inside blocks included."""

    index: int
    type: str
    name: str
    inputs: Mapping[str, tuple[Binding, ...]]
    outputs: tuple[NamedType, ...]
    attributes: Mapping[str, Constant]
    blocks: tuple[Block, ...] = ()

    def __str__(self) -> str:
        return f"operation {self.index}, {clean(self.type)} '{clean(self.name)}'"


@dataclass(frozen=True)
class Function:
    """A function: `inputs` without the states, which are listed in `states`; the body in order of execution.

    `attributes` are those that a text states of it; a specification has none.
    """

    name: str
    opset: str
    inputs: tuple[NamedType, ...]
    states: tuple[NamedType, ...]
    outputs: tuple[NamedType, ...]
    body: Block
    attributes: Mapping[str, Constant] = field(default_factory=dict)

    @property
    def operations(self) -> tuple[Operation, ...]:
        """The operations of the body, nested blocks not entered."""
        return self.body.operations

    def walk(self) -> Iterator[Operation]:
        """Every operation in reading order, nested blocks entered."""
        stack = list(reversed(self.body.operations))
        while stack:
            operation = stack.pop()
            yield operation
            for block in reversed(operation.blocks):
                stack.extend(reversed(block.operations))


@dataclass(frozen=True)
class Feature:
    """An input, output or state as the model description tells it to an app.

    `kind` is "tensor", "state", "image", "int64", "double", "string", "dictionary" or "sequence"; `type` is None where
    the description gives no shape. `flexible` tells that other shapes are allowed too: those in `enumerated` (the
    default is among them), or all within `ranges`, which holds the least and the greatest extent of each axis, None
    where there is no greatest. Those of an image are its height and width, and `size` its default ones.
    `default` fills an `optional` input that is left out; None where nothing says what does.
    """

    name: str
    kind: str
    type: TensorType | None
    optional: bool = False
    flexible: bool = False
    description: str = ""
    enumerated: tuple[tuple[int, ...], ...] = ()
    ranges: tuple[tuple[int, int | None], ...] = ()
    size: tuple[int, int] | None = None
    default: float | None = None

    def refusal(self, shape: Sequence[int]) -> str | None:
        """Why the description doesn't allow a tensor of this shape; None where it does. An image's last two axes are
        its height and width."""
        shape = tuple(shape)
        first = max(0, len(shape) - 2) if self.kind == "image" else 0
        if len(self.enumerated) > 1 and shape[first:] not in self.enumerated and shape not in self.enumerated:
            return f"only {', '.join('x'.join(map(str, each)) for each in self.enumerated)} are allowed"
        for axis, (least, most) in enumerate(self.ranges, first):
            if axis < len(shape) and not least <= shape[axis] <= (shape[axis] if most is None else most):
                return f"axis {axis} goes from {least}{'' if most is None else f' to {most}'}"
        return None


@dataclass(frozen=True)
class Description:
    """A function's interface in the model description."""

    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]
    states: tuple[Feature, ...]


@dataclass(frozen=True)
class Metadata:
    """Who made the package; `user` holds the key-value pairs the author added."""

    short_description: str = ""
    version: str = ""
    author: str = ""
    license: str = ""
    user: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Package:
    """An ML program. `descriptions` has an entry for every function that the model description names.

    `container` is what it was read from: "mlpackage" (a folder), "mlmodel" (a bare specification) or "mlmodelc" (a
    compiled model). `member` is its name in the pipeline that it is part of. `absent` are weight files that aren't
    there: the constants in them have a type and a size, and asking for a value raises AbsentFile.
    """

    path: Path
    spec_version: int
    metadata: Metadata
    functions: Mapping[str, Function]
    default_function: str
    descriptions: Mapping[str, Description] = field(default_factory=dict)
    container: str = "mlpackage"
    member: str = ""
    absent: tuple[AbsentFile, ...] = ()

    @property
    def opset(self) -> str:
        """The opset of the default function."""
        return self.functions[self.default_function].opset


@dataclass(frozen=True)
class ForeignModel:
    """A model that is no ML program, as far as it is read.

    `kind` is the name of the model type in Model.proto ("neuralNetwork", "pipeline" and so on); `layers` are the name
    and type of each layer of a neural network, `members` the models of a pipeline. `member` is its own name in the
    pipeline that it is part of. `network` is there for a neural network whose layers are read.
    """

    path: Path
    spec_version: int
    kind: str
    layers: tuple[tuple[str, str], ...] = ()
    inputs: tuple[Feature, ...] = ()
    outputs: tuple[Feature, ...] = ()
    members: tuple[Package | ForeignModel, ...] = ()
    member: str = ""
    network: Network | None = None
    metadata: Metadata = field(default_factory=Metadata)
    container: str = "mlmodel"
