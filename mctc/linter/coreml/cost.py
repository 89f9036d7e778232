"""What an op is estimated to take on either backend, the way Core ML's segmenter estimates it on an M4.

The rates are in rates.py, data with their source. An op that only moves bytes takes the longer of its bytes and its
operations; one with rates of its own takes those alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mctc.linter.coreml.graph import Op, size_of
from mctc.linter.coreml.operations import known, operations, results
from mctc.linter.coreml.rates import (
    FREE,
    GELU_OPERATIONS,
    MEMORY,
    PEAK,
    RATES,
    RESIDENT,
    SCORE_OPERATIONS,
    SPREAD,
    Measure,
    Rate,
)
from mctc.linter.coreml.traffic import entries, moved_bytes, streamed_bytes


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
    moved, stored, unpacked = moved_bytes(op)
    rate = next((each for each in OWN.get(op.type, ()) if MEASURES[each.by](op) < each.below), None)
    ane, cpu = _own(op, rate, stored, unpacked) if rate else _streamed(op, stored, unpacked)
    return Cost(ane, cpu, operations(op), moved + stored, _spread(op, rate))


def _spread(op: Op, rate: Rate | None) -> float:
    """How far the CPU's estimate may be off. Of linear layers that are not square the study has one alone."""
    if op.type == "linear" and rate is not None:
        taken, made = _widths(op)
        return rate.spread * max(taken, made) / min(taken, made)
    return rate.spread if rate is not None else SPREAD.get(op.type, 1.0)


def _streamed(op: Op, stored: int, unpacked: int) -> tuple[float, float]:
    streamed = streamed_bytes(op)
    ane, cpu = (streamed + stored) / MEMORY.ane, (streamed + unpacked) / MEMORY.cpu
    return max(ane, work(op) / PEAK.ane), max(cpu, work(op) / PEAK.cpu)


def _own(op: Op, rate: Rate, stored: int, unpacked: int) -> tuple[float, float]:
    """At the op's own rates; weights of more than RESIDENT bytes are read from memory."""
    ane, cpu = (MEASURES[of](op) / each for of, each in ((rate.of, rate.ane), (rate.cpu_of or rate.of, rate.cpu)))
    if stored > RESIDENT:
        ane, cpu = max(ane, stored / MEMORY.ane), max(cpu, unpacked / MEMORY.cpu)
    return ane, cpu


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


def _intensity(op: Op) -> float:
    moved, _, unpacked = moved_bytes(op)
    return work(op) / max(1, moved + unpacked)


MEASURES: dict[Measure, Callable[[Op], float]] = {
    Measure.BYTES: streamed_bytes, Measure.ENTRIES: entries, Measure.RESULTS: results, Measure.WORK: work,
    Measure.INTENSITY: _intensity, Measure.TABLE: lambda op: size_of(known(op.shape("x"))),
}  # fmt: skip
OWN: dict[str, tuple[Rate, ...]] = {type_: rates for types, rates in RATES.items() for type_ in types}
