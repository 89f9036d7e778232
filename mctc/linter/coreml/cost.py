"""What an op of a package is estimated to take on either backend: what mctc/hardware/cost.py makes of its counts."""

from __future__ import annotations

from collections.abc import Callable

from mctc.hardware.cost import Counted, estimate
from mctc.hardware.rates import FREE, GELU_OPERATIONS, SCORE_OPERATIONS
from mctc.linter.coreml.graph import Op, size_of
from mctc.linter.coreml.operations import known, operations, results
from mctc.linter.coreml.traffic import entries, moved_bytes, streamed_bytes
from mctc.records import dataclass


@dataclass(frozen=True)
class Cost:
    """Microseconds on the Neural Engine and on the CPU, operations and bytes that they were estimated from.

    spread: the factor by which the CPU's may be off either way.
    """

    ane: float
    cpu: float
    flops: int
    bytes: int
    spread: float = 1.0


NOTHING = Cost(0.0, 0.0, 0, 0)


def cost(op: Op) -> Cost:
    """The estimate for one op; unknown extents count as one."""
    if op.type in FREE:
        return NOTHING
    counted = count(op)
    found = estimate(counted)
    return Cost(found.ane, found.cpu, operations(op), counted.moved + counted.stored, found.spread)


def count(op: Op) -> Counted:
    """What the estimate counts of an op."""
    moved, stored, unpacked = moved_bytes(op)
    table = size_of(known(op.shape("x")))
    return Counted(
        op.type, streamed_bytes(op), entries(op), results(op), work(op), moved, stored, unpacked, table, _widths(op)
    )


def work(op: Op) -> int:
    """Operations as the segmenter counts them.

    A transposed convolution counts its output, a dilated convolution as if it skipped what it dilates, a linear layer
    as many outputs as it has inputs, a pool its window, gelu what approximates it (iso/conv_transpose, conv3x3_d2,
    linear, max_pool_k15, gelu_tanh), attention its scores.
    """
    return WORK.get(op.type, operations)(op)


def _dilated(op: Op) -> int:
    return operations(op) // max(1, size_of(op.numbers("dilations", (1,))))


def _by_output(op: Op) -> int:
    weight = known(op.shape("weight"))
    groups = max(1, size_of(op.numbers("groups", (1,))))
    return 2 * results(op) * size_of(weight[:1] + weight[2:]) // groups


def _scores(op: Op) -> int:
    query, key = known(op.shape("query")), known(op.shape("key"))
    return SCORE_OPERATIONS * size_of(query[:-1]) * (key[-2] if len(key) > 1 else 1)


def _square(op: Op) -> int:
    taken, made = _widths(op)
    return 2 * results(op) // made * taken * taken


def _widths(op: Op) -> tuple[int, int]:
    """The features that a linear layer takes and makes."""
    weight = known(op.shape("weight"))
    return (weight[-1], weight[0]) if len(weight) > 1 else (1, 1)


def _window(op: Op) -> int:
    return results(op) * max(1, size_of(op.numbers("kernel_sizes", (1,))))


WORK: dict[str, Callable[[Op], int]] = {
    "conv": _dilated, "conv_transpose": _by_output, "linear": _square, "scaled_dot_product_attention": _scores,
    "gelu": lambda op: GELU_OPERATIONS * results(op),
    **dict.fromkeys(("avg_pool", "max_pool", "l2_pool"), _window),
}  # fmt: skip
