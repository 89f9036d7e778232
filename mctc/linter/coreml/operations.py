"""How many operations an op takes: two for a multiply-accumulate, one for each result of what only streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

from mctc.linter.coreml.graph import LARGEST, Op, Shape, as_tensor, size_of


def operations(op: Op) -> int:
    """The operations of one op; unknown extents count as one."""
    return min(OPERATIONS.get(op.type, results)(op), LARGEST)


def multiply_accumulates(ops: Iterable[Op]) -> int:
    """Those of convolutions, products, attention and recurrent layers."""
    return min(sum(operations(op) // 2 for op in ops if op.type in OPERATIONS), LARGEST)


@lru_cache(maxsize=1 << 12)
def known(shape: Shape | None) -> tuple[int, ...]:
    """A shape, where an extent that is not known or zero counts as one."""
    return tuple(max(1, extent) if extent is not None else 1 for extent in shape or ())


def results(op: Op) -> int:
    """Elements of the first result."""
    return size_of(known(op.result.shape)) if op.result is not None else 0


def _convolution(op: Op) -> int:
    weight = known(op.shape("weight"))
    return 2 * results(op) * size_of(weight[1:])


def _transposed(op: Op) -> int:
    weight = known(op.shape("weight"))
    return 2 * size_of(known(op.shape("x"))) * size_of(weight[1:])


def _linear(op: Op) -> int:
    weight = known(op.shape("weight"))
    return 2 * results(op) * (weight[-1] if weight else 1)


def _matmul(op: Op) -> int:
    shape = known(op.shape("x"))
    across = op.value("transpose_x", False) is True and len(shape) > 1
    return 2 * results(op) * (shape[-2 if across else -1] if shape else 1)


def _einsum(op: Op) -> int:
    """Two operations for every combination of the equation's letters."""
    equation = op.value("equation", "")
    terms = str(equation).partition("->")[0].replace(" ", "").split(",")
    extents: dict[str, int] = {}
    for letters, type_ in zip(terms, op.types("values")):
        tensor = as_tensor(type_)
        extents.update(zip(letters, known(tensor.shape if tensor else None)))
    return 2 * size_of(extents.values())


def _attention(op: Op) -> int:
    """The two products of scaled dot-product attention."""
    query, key, value = (known(op.shape(name)) for name in ("query", "key", "value"))
    if not (len(query) >= 2 and len(key) >= 2 and len(value) >= 2):
        return 0
    return 2 * size_of(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _recurrent(op: Op) -> int:
    weights = sum(size_of(known(op.shape(name))) for name in op.operands if name.startswith("weight"))
    steps = known(op.shape("x"))
    return 2 * weights * size_of(steps[:2])


OPERATIONS: dict[str, Callable[[Op], int]] = {
    "conv": _convolution, "conv_transpose": _transposed, "linear": _linear, "matmul": _matmul, "einsum": _einsum,
    "scaled_dot_product_attention": _attention, "lstm": _recurrent, "gru": _recurrent, "rnn": _recurrent,
}  # fmt: skip
