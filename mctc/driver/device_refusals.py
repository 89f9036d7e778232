"""What Core ML and the Neural Engine can't take of step functions, told from types before anything is lowered."""

from __future__ import annotations

from collections.abc import Iterator

from mctc.driver.names import place
from mctc.driver.refusal import Refusal
from mctc.hardware.devices import find_device
from mctc.ir.lookups import reason_against
from mctc.ir.ops.attention import OverKeys
from mctc.ir.ops.leaf import Leaf
from mctc.ir.ops.linear import Embedding
from mctc.ir.ops.recurrent import Cell
from mctc.ir.ops.scan import SelectiveScan
from mctc.ir.ops.shape import Concat, Pad, Reshape, Slice, Split, laid_out
from mctc.ir.ops.ssd import Ssd
from mctc.ir.program import Op, Program
from mctc.ir.types import DType, Role, TensorType

LARGEST_EXACT = 2048  # whole numbers up to it are exact in fp16
OVER_ROWS = (OverKeys, Cell, SelectiveScan, Ssd)
"""Ops that are lowered along the frames of a row: of vectors that no further axis multiplies."""

MOVING = (Leaf, Reshape, Slice, Concat, Split, Pad, Embedding)


def sequences_of_rows(program: Program) -> Iterator[Refusal]:
    """Ops along frames whose tensors have labels or features besides, or whose frames differ in kind."""
    for _, op in program.ops():
        if not isinstance(op, OVER_ROWS):
            continue
        attends = isinstance(op, OverKeys)
        values = (op.q, op.k, op.v) if isinstance(op, OverKeys) else (op.x,)
        others = [value.type for value in values if not _is_row(value.type, in_place=attends)]
        if others:
            hint = "give it vectors over frames, or over labels, in a component of their own"
            told = f"{place(op)}: it runs over a row of vectors, and {others[0]} is none"
            yield Refusal(told, op.origin.location, hint)


def _is_row(type_: TensorType, *, in_place: bool) -> bool:
    """(batch, channel, 1, frames); `in_place`: what is counted along is the last axis, not a single label before it."""
    return laid_out(type_) and type_.rank == 4 and type_.shape[2] == 1 and (type_.sequence == 3 or not in_place)


def whole_numbers(program: Program) -> Iterator[Refusal]:
    """Arithmetic in whole numbers, and results of them: the Neural Engine has none (ANE-DT-004, ANE-DT-005)."""
    for function in program.functions.values():
        results = {value for _, value in function.results}
        for op in function.ops:
            if any(
                value.type.dtype is DType.I32 and (value in results or not isinstance(op, MOVING))
                for value in op.results
            ):
                yield _whole_number(op)
        for name, value in function.results:
            if value in function.inputs and value.type.dtype is DType.I32:
                told = f"result `{name}` of {function.name} is i32, in which the Neural Engine computes nothing"
                yield Refusal(told, function.origin.location, "leave it out: it is an input")


def _whole_number(op: Op) -> Refusal:
    told = f"{place(op)}: the Neural Engine computes nothing in i32 (ANE-DT-004, ANE-DT-005)"
    return Refusal(told, op.origin.location, "compute in f32; only ids of an embedding are i32")


def long_axes(program: Program, device: str | None) -> Iterator[Refusal]:
    """Axes of frames, labels or features beyond what the Neural Engine of a device takes (ANE-SH-002)."""
    limit = find_device(device).family.extent
    for function in program.functions.values():
        for op in function.ops:
            found = (axis for value in op.results for axis in value.type.axes)
            axis = next((each for each in found if each.role in LONG and each.extent.value > limit), None)
            if axis is not None:
                told = (
                    f"{place(op)}: {axis.extent} entries of {axis.role.value}, over the limit of {limit} (ANE-SH-002)"
                )
                yield Refusal(told, op.origin.location, "use a smaller chunk, a shorter utterance or fewer bins")
                break  # what follows in the function has the same axis


def lookups_that_stay(program: Program) -> Iterator[Refusal]:
    """Lookups in tables too large for a product, which can't be left to the app either: a gather (ANE-OP-022)."""
    for function in program.functions.values():
        for op in function.ops:
            if not isinstance(op, Embedding) or op.table.type.shape[0] <= LARGEST_EXACT:
                continue
            reason = reason_against(op, function)
            if reason is not None:
                told = f"{place(op)}: a table of more than {LARGEST_EXACT} rows is looked up by the app, but {reason}"
                yield Refusal(f"{told} (ANE-OP-022)", op.origin.location, "do more with the rows in this component")


LONG = (Role.TIME, Role.LABEL, Role.FEATURE)
