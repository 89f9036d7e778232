"""What rules read off ops of one kind: kernels, strides, axes. Unknown extents come out as None, missing ones as 1."""

from __future__ import annotations

from math import isfinite
from typing import Any

from mctc.linter.coreml.graph import Op, Shape

CONVOLUTIONS = ("conv", "conv_transpose")
POOLS = ("avg_pool", "max_pool", "l2_pool")
PRODUCTS = ("conv", "conv_transpose", "linear", "matmul", "einsum")
MAIN_OPERANDS = ("x", "values", "input", "query", "data", "a", "state")


def main_operand(op: Op) -> str | None:
    """The operand that carries the activations: x, or the first of `values`."""
    return next((name for name in MAIN_OPERANDS if op.has(name)), None)


def main_shape(op: Op) -> Shape | None:
    name = main_operand(op)
    return op.shape(name) if name is not None else None


def rank(shape: Shape | None) -> int:
    return len(shape) if shape is not None else 0


def kernel(op: Op) -> tuple[int, ...]:
    """Spatial extents of a convolution's or a pool's window, width last; empty where the file doesn't say."""
    if op.type in CONVOLUTIONS:
        shape = op.shape("weight") or ()
        return tuple(extent for extent in shape[2:] if extent is not None)
    return op.numbers("kernel_sizes")


def strides(op: Op) -> tuple[int, ...]:
    """Strides of a convolution or pool; ones where they are left out."""
    return op.numbers("strides") or tuple(1 for _ in kernel(op))


def dilations(op: Op) -> tuple[int, ...]:
    return op.numbers("dilations") or tuple(1 for _ in kernel(op))


def whole(value: Any) -> int | None:
    """A number as a whole one; None for what is no number, or no finite one."""
    return int(value) if isinstance(value, (int, float)) and isfinite(value) else None


def groups(op: Op) -> int:
    found = whole(op.value("groups", 1))
    return 1 if found is None else found


def channels(op: Op) -> tuple[int | None, int | None]:
    """Channels into and out of a convolution: the second axis of x and of the result."""
    inside = op.shape("x")
    outside = op.result.shape if op.result is not None else None
    return (
        inside[1] if inside is not None and len(inside) > 1 else None,
        outside[1] if outside is not None and len(outside) > 1 else None,
    )


def axes(op: Op, operand: str = "axes") -> tuple[int, ...]:
    """Axes of a reduction or transpose, counted from the front where the rank is known; empty where left out."""
    count = rank(main_shape(op))
    return tuple(axis + count if axis < 0 else axis for axis in op.numbers(operand))


def axis(op: Op, default: int | None = None) -> int | None:
    """The one axis that an op works along, counted from the front; None where the file doesn't say."""
    found = whole(op.value("axis", default))
    return found + rank(main_shape(op)) if found is not None and found < 0 else found


def times(extents: tuple[int, ...]) -> str:
    """'3x3', as messages write a window."""
    return "x".join(map(str, extents))


def counted(count: int, noun: str) -> str:
    """'1 op', '2 ops'."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def is_cast(op: Op | None, source: str, target: str) -> bool:
    """Whether this is a cast from one element type to another."""
    if op is None or op.type != "cast" or op.result is None:
        return False
    return op.dtype("x") == source and op.result.dtype == target


def enters(op: Op) -> bool:
    """Whether this is the cast of an input of the function, at the edge of the program."""
    return op.type == "cast" and op.producer("x") is None


def leaves(op: Op) -> bool:
    """Whether this is the cast of a result of the function, at the edge of the program."""
    return op.type == "cast" and not op.users()


def window(op: Op) -> tuple[int, int, int] | None:
    """Depth, height and width of a convolution's or a pool's window, ones in front: a 1-D kernel lies along the width.

    None where the file doesn't give all of them.
    """
    if op.type in CONVOLUTIONS:
        shape = op.shape("weight") or ()
        if len(shape) < 3 or any(extent is None for extent in shape[2:]):
            return None
    found = kernel(op)
    if not 1 <= len(found) <= 3:
        return None
    depth, height, width = (1,) * (3 - len(found)) + found
    return depth, height, width
