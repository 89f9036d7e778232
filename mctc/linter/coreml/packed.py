"""How the weights of convolutions and products are packed: chains of constexpr ops, their scales and palettes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from mctc.linter.coreml.forms import CONVOLUTIONS, groups
from mctc.linter.coreml.graph import FunctionGraph, Op
from mctc.linter.coreml.target import Target
from mctc.records import dataclass

WEIGHTED = ("conv", "conv_transpose", "linear", "matmul")
PALETTES = ("constexpr_lut_to_dense", "constexpr_lut_to_sparse")
BLOCKS = ("constexpr_blockwise_shift_scale", "constexpr_sparse_blockwise_shift_scale")
AFFINE = "constexpr_affine_dequantize"
VALUES = {
    "constexpr_affine_dequantize": "quantized_data",
    "constexpr_blockwise_shift_scale": "data",
    "constexpr_sparse_blockwise_shift_scale": "nonzero_data",
    "constexpr_sparse_to_dense": "nonzero_data",
    "constexpr_cast": "source_val",
}
"""The operand of a constexpr op that holds the values: what the next op of a chain makes."""
LONGEST_CHAIN = 8


@dataclass(frozen=True)
class Palette:
    """bits of an index; tables along each axis of the weight; entries of a vector and the axis that they fill (None
    where not told); whole: whether entries are stored as integers; scaled: whether fp16 ones have a scale besides."""

    bits: int
    tables: tuple[int, ...]
    vector: int
    vector_axis: int | None
    whole: bool
    scaled: bool


@dataclass(frozen=True)
class Packed:
    """The packed weight of `op`. chain: the constexpr ops, the one that makes the weight first."""

    op: Op
    operand: str
    shape: tuple[int, ...]
    chain: tuple[Op, ...]

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def out_axis(self) -> int | None:
        """The axis of output channels; None where the rank doesn't fit."""
        if self.op.type == "matmul":
            return None if self.rank < 2 else self.rank - 2 if self._contracts_last else self.rank - 1
        place = 1 if self.op.type == "conv_transpose" else 0
        return place if place < self.rank else None

    @property
    def contracted(self) -> tuple[int, ...]:
        """The axes that are summed over."""
        if self.op.type == "matmul":
            return (self.rank - 1 if self._contracts_last else self.rank - 2,) if self.rank > 1 else ()
        return tuple(axis for axis in range(self.rank) if axis != self.out_axis)

    @property
    def _contracts_last(self) -> bool:
        flipped = self.op.value(f"transpose_{self.operand}", False) is True
        return flipped == (self.operand == "y")

    @property
    def out_channels(self) -> int:
        return 1 if self.out_axis is None else self.shape[self.out_axis]

    @cached_property
    def types(self) -> frozenset[str]:
        return frozenset(step.type for step in self.chain)

    def blocks(self, step: Op) -> tuple[int, ...]:
        """How many scales a step of the chain has along each axis of the weight."""
        shape = _sizes(step, "scale")
        if step.type == AFFINE and len(shape) == 1 and self.rank:
            axis = step.value("axis", 0)
            axis = axis % self.rank if isinstance(axis, int) else 0
            return tuple(shape[0] if each == axis else 1 for each in range(self.rank))
        return shape if len(shape) == self.rank else (1,) * self.rank

    @cached_property
    def palette(self) -> Palette | None:
        step = next((step for step in self.chain if step.type in PALETTES), None)
        lut = _sizes(step, "lut") if step is not None else ()
        if step is None or not lut:
            return None
        if len(lut) != self.rank + 2:  # the form of iOS 16: one table
            return Palette(_bits(lut[0]), (1,) * self.rank, 1, None, *_entries(step))
        axis = step.value("vector_axis")
        axis = axis % self.rank if isinstance(axis, int) and self.rank else None
        return Palette(_bits(lut[-2]), lut[:-2], lut[-1], axis, *_entries(step))

    @property
    def group_size(self) -> int | None:
        """Output channels that share one table; None where one table serves all of them."""
        tables = 1 if self.palette is None or self.out_axis is None else self.palette.tables[self.out_axis]
        return max(1, self.out_channels // tables) if tables > 1 else None

    @property
    def integers(self) -> tuple[Op, str] | None:
        """The step that scales integers, and their element type; None where the stored values are none."""
        for step in self.chain:
            dtype = step.dtype(VALUES[step.type]) if step.type in (AFFINE, *BLOCKS) else None
            if dtype is not None:
                return (step, dtype) if "int" in dtype else None
        return None

    @property
    def per_channel(self) -> bool:
        """Whether no step has two scales for one output channel."""
        steps = [step for step in self.chain if step.type in (AFFINE, *BLOCKS)]
        return all(self.blocks(step)[axis] == 1 for step in steps for axis in self.contracted)

    @property
    def depthwise(self) -> bool:
        return self.op.type in CONVOLUTIONS and groups(self.op) > 1 and groups(self.op) == self.op_channels

    @property
    def op_channels(self) -> int | None:
        shape = self.op.shape("x")
        return shape[1] if shape is not None and len(shape) > 1 else None


def packed(op: Op) -> Packed | None:
    """The packed weight of an op of WEIGHTED; None where it has none."""
    if not op.function.compressed:
        return None
    for operand in ("y", "x") if op.type == "matmul" else ("weight",):
        step = op.compression(operand)
        if step is not None:
            shape = tuple(max(1, extent or 1) for extent in op.shape(operand) or ())
            return Packed(op, operand, shape, _chain(step))
    return None


def find_packed(find: Callable[[Packed], str | None]) -> Callable[[Op, Target], str | None]:
    """Makes the `find` of an OpRule from one that looks at a packed weight."""

    def look(op: Op, _: Target) -> str | None:
        weight = packed(op)
        return None if weight is None else find(weight)

    return look


def packed_weights(function: FunctionGraph) -> list[Packed]:
    """Every packed weight, once for each op that takes it."""
    return [weight for op in function.of_type(*WEIGHTED) if (weight := packed(op)) is not None]


def counted(count: int, noun: str = "weight") -> str:
    """'1 weight', '3 weights'."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _chain(step: Op | None) -> tuple[Op, ...]:
    steps: list[Op] = []
    while step is not None and len(steps) < LONGEST_CHAIN:
        steps.append(step)
        step = step.compression(VALUES[step.type]) if step.type in VALUES else None
    return tuple(steps)


def _sizes(step: Op, operand: str) -> tuple[int, ...]:
    return tuple(max(1, extent or 1) for extent in step.shape(operand) or ())


def _bits(entries: int) -> int:
    return max(1, (entries - 1).bit_length())


def _entries(step: Op) -> tuple[bool, bool]:
    """Whether the entries of a table are stored as integers, and whether fp16 ones have a scale of their own."""
    inner = step.compression("lut")
    stored = step.dtype("lut") if inner is None else inner.dtype(VALUES.get(inner.type, ""))
    whole = "int" in (stored or "")
    return whole, inner is not None and inner.type in BLOCKS and not whole
