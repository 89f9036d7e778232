"""The graphs of an asset as they are read back from disk: operations with the types of what they take and give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from coreai.authoring import AIModelAsset

from mctc.records import dataclass
from mctc.targets.coreai.dialect import ir
from mctc.targets.coreai.places import place_of

SMALL = 16  # integers of a constant that are read


@dataclass(frozen=True)
class Tensor:
    """The type of a value: extents (None where they differ from call to call) and element type ('f16', 'si4', 'ui32').

    source: the kind of the operation that made it, '' for an input of the function. numbers: a small constant of
    integers.
    """

    shape: tuple[int | None, ...]
    dtype: str
    source: str = ""
    numbers: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Operation:
    """One operation; `kind` without what dialect it is of. States and tokens are no tensors and left out.

    place: where in the spec it comes from, '' where that is not known.
    """

    kind: str
    operands: tuple[Tensor, ...]
    results: tuple[Tensor, ...]
    place: str = ""


@dataclass(frozen=True)
class ReadGraph:
    """One function of an asset."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operations: tuple[Operation, ...]

    @property
    def computed(self) -> Iterator[Operation]:
        """The operations that are no constants."""
        return (operation for operation in self.operations if operation.kind != "constant")

    def of_kind(self, *kinds: str) -> Iterator[Operation]:
        return (operation for operation in self.operations if operation.kind in kinds)


def read_graphs(asset: Path) -> dict[str, ReadGraph]:
    """All functions of an asset, by name."""
    program: Any = AIModelAsset.load(str(asset)).program  # its module lives as long as it does
    return {graph.attributes["sym_name"].value: _graph(graph) for graph in program._module._mlir_module.body.operations}


def _graph(graph: Any) -> ReadGraph:
    block = graph.regions[0].blocks[0]
    operations: list[Operation] = []
    outputs: tuple[Tensor, ...] = ()
    for each in block.operations:
        operands = tuple(_tensors(each.operation.operands))
        if each.operation.name == "coreai.output":
            outputs = operands
        else:
            results, place = tuple(_tensors(each.operation.results)), place_of(each.operation)
            operations.append(Operation(_kind(each.operation), operands, results, place))
    name = graph.attributes["sym_name"].value
    return ReadGraph(name, tuple(_tensors(block.arguments)), outputs, tuple(operations))


def _kind(operation: Any) -> str:
    return str(operation.name).rpartition(".")[2]


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if not ir.RankedTensorType.isinstance(value.type):
            continue
        type_ = ir.RankedTensorType(value.type)
        shape = tuple(None if type_.is_dynamic_dim(i) else type_.get_dim_size(i) for i in range(type_.rank))
        made = None if ir.BlockArgument.isinstance(value) else value.owner
        source = "" if made is None else _kind(made)
        yield Tensor(shape, str(type_.element_type), source, _numbers(made) if source == "constant" else None)


def _numbers(constant: Any) -> tuple[int, ...] | None:
    attribute = constant.attributes["value"]
    if not ir.DenseIntElementsAttr.isinstance(attribute) or len(attribute) > SMALL:
        return None
    return tuple(int(number) for number in np.array(ir.DenseElementsAttr(attribute)).ravel())
