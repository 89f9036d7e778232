"""What a package's weights are stored as: how many numbers in which form, each place in the weight file once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from mctc.linter.coreml.graph import FunctionGraph, Op, PackageGraph, as_tensor, elements, place_of, tensor_bytes
from mctc.linter.coreml.packed import PALETTES, VALUES
from mctc.linter.coreml.traffic import packed_bytes
from mctc.package.dtypes import DTYPES
from mctc.records import dataclass

INLINE = 16
"""Elements from which a constant in the program itself is a weight, and no setting of an op."""


@dataclass(frozen=True)
class Stored:
    """Weights of one form, such as 'fp16' or 'palette of 4 bits'. parameters: numbers as the ops see them."""

    form: str
    tensors: int
    parameters: int
    bytes: int


def stored_weights(package: PackageGraph) -> tuple[Stored, ...]:
    """The weights by form, the most bytes first; functions share what lies at one place."""
    rows = {place: row for function in package.functions.values() for place, row in _weights(function)}
    return by_form(rows.values())


def by_form(weights: Iterable[tuple[str, int, int]]) -> tuple[Stored, ...]:
    """Form, parameters and bytes of single weights, added up by form."""
    found: dict[str, Stored] = {}
    for form, parameters, size in weights:
        before = found.get(form, Stored(form, 0, 0, 0))
        found[form] = Stored(form, before.tensors + 1, before.parameters + parameters, before.bytes + size)
    return tuple(sorted(found.values(), key=lambda each: -each.bytes))


def _weights(function: FunctionGraph) -> Iterator[tuple[Any, tuple[str, int, int]]]:
    """The place of every weight, and its form, parameters and bytes."""
    inner = {name for op in function.constexprs for name in _names(op)}
    for name, constant in function.constants.items():
        tensor = as_tensor(constant.type)
        if name in inner or tensor is None or tensor.dtype not in DTYPES or not DTYPES[tensor.dtype].bits:
            continue
        inline = not constant.stored_bytes
        if not inline or (DTYPES[tensor.dtype].is_float and elements(tensor) >= INLINE):
            size = constant.stored_bytes or tensor_bytes(tensor)
            yield place_of(constant), (tensor.dtype, elements(tensor), size)
    for op in function.constexprs:
        if not any(result.name in inner for result in op.results):
            parameters = sum(elements(result.type) for result in op.results)
            yield _place(op), (_form(op), parameters, packed_bytes(op))


def _names(op: Op) -> Iterator[str]:
    for operand in op.operands:
        yield from (name for each in op.bindings(operand) if (name := getattr(each, "name", None)) is not None)


def _chain(op: Op) -> Iterator[Op]:
    """The op, and the ops that make the values it unpacks."""
    step: Op | None = op
    while step is not None:
        yield step
        step = step.compression(_values(step))


def _values(op: Op) -> str:
    return "indices" if op.type == PALETTES[0] else "indices_nonzero_data" if op.type in PALETTES else VALUES[op.type]


def _place(op: Op) -> Any:
    *_, last = _chain(op)
    constant = last.constant(_values(last))
    return id(op) if constant is None else place_of(constant)


def _form(op: Op) -> str:
    """'sparse, palette of 4 bits', 'int8 with scales'."""
    steps = list(_chain(op))
    parts = ["sparse"] if any("sparse" in step.type for step in steps) else []
    palette = next((step for step in steps if step.type in PALETTES), None)
    if palette is not None:
        parts.append(f"palette of {_index_bits(palette)} bits")
    scaled = next((step for step in steps if "scale" in step.type or "affine" in step.type), None)
    if scaled is not None and palette is None:
        parts.append(f"{scaled.dtype(_values(scaled))} with scales")
    if palette is None and scaled is None:
        parts.append(str(steps[-1].dtype(_values(steps[-1]))))
    return ", ".join(parts)


def _index_bits(op: Op) -> int:
    """Of an index: the last axis but one of a table of iOS 18, the length of one of iOS 16."""
    lut = op.shape("lut") or ()
    entries = lut[-2] if len(lut) > 2 else lut[0] if lut else None
    return max(1, ((entries or 1) - 1).bit_length())
