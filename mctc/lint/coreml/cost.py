"""What an op is estimated to take on either backend: a roofline, calibrated on published rows of one chip.

The rows are 751K's example estimates of the segmenter on an M4 (H16, macOS 27.0.1; coreml_dispatch.md), microseconds
on the Neural Engine and on the CPU (BNNS), fp16; the shapes of rows that state none are taken to be 64x32x32:

    conv 3x3, 64 to 64, 32x32    4.67   100.06        concat to 64x32x32           2.62    22.79
    conv 1x1, the same           1.17    21.62        attention 1x8x128x64         7.18     8.62
    matmul 128x256 by 256x128    2.24    11.12        softmax or layer_norm        3.59     4.31
    upsample_bilinear x2         3.31   499.64        relu                         2.62     2.62
                                                      transpose of H and W         3.81     3.00

Two rates of arithmetic (16.2 and 0.755 TFLOP/s, from the 3x3 convolution; the matmul gives the same 0.755) and, for
each class of ops, a rate of memory on either side reproduce every row to two digits. Other chips are not known: every
report says that these are an M4's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

from mctc.lint.coreml.graph import LARGEST, Op, Shape, as_tensor, size_of, tensor_bytes
from mctc.package import Reference

CHIP = "M4 (H16), macOS 27.0.1"
ANE_FLOPS = 16.17e6
"""Operations a microsecond on the Neural Engine: 2 * 64 * 64 * 9 * 32 * 32 in 4.67 us."""
CPU_FLOPS = 0.7545e6


@dataclass(frozen=True)
class Rates:
    """Bytes a microsecond on either side; `computes`: whether arithmetic bounds it as well."""

    ane: float
    cpu: float
    computes: bool = False


@dataclass(frozen=True)
class Cost:
    """Microseconds on the Neural Engine and on the CPU, operations and bytes that they were estimated from."""

    ane: float
    cpu: float
    flops: int
    bytes: int


FREE = Cost(0.0, 0.0, 0, 0)
_K = 1e3  # bytes a microsecond in one GB/s
CONVOLUTION = Rates(231 * _K, 12.5 * _K, computes=True)
MATMUL = Rates(73.1 * _K, 60.8 * _K, computes=True)
ATTENTION = Rates(73.0 * _K, 60.8 * _K)
NORMALISE = Rates(73.0 * _K, 60.8 * _K)
ELEMENTWISE = Rates(100 * _K, 100 * _K)
JOIN = Rates(100 * _K, 11.5 * _K)
BILINEAR = Rates(198 * _K, 1.312 * _K)
TRANSPOSE = Rates(68.8 * _K, 87.4 * _K)
RECURRENT = Rates(73.1 * _K, 60.8 * _K, computes=True)

CLASSES: dict[str, Rates] = {
    **dict.fromkeys(("conv", "conv_transpose"), CONVOLUTION),
    **dict.fromkeys(("matmul", "linear", "einsum"), MATMUL),
    **dict.fromkeys(("lstm", "gru", "rnn"), RECURRENT),
    "scaled_dot_product_attention": ATTENTION,
    **dict.fromkeys(
        ("softmax", "layer_norm", "instance_norm", "batch_norm", "l2_norm", "local_response_norm",
         "avg_pool", "max_pool", "l2_pool"), NORMALISE),
    **dict.fromkeys(("concat", "stack"), JOIN),
    **dict.fromkeys(("upsample_bilinear", "resize_bilinear", "resize", "resample", "affine"), BILINEAR),
    "transpose": TRANSPOSE,
}  # fmt: skip
VIEWS = frozenset(("reshape", "expand_dims", "squeeze", "identity", "read_state"))
"""Change no byte: taken to cost nothing on either side."""


def cost(op: Op) -> Cost:
    """The estimate for one op; unknown extents count as one."""
    if op.type in VIEWS:
        return FREE
    rates = CLASSES.get(op.type, NORMALISE if op.type.startswith("reduce_") else ELEMENTWISE)
    flops = _flops(op)
    moved, stored, unpacked = moved_bytes(op)
    ane, cpu = (moved + stored) / rates.ane, (moved + unpacked) / rates.cpu
    if rates.computes:
        ane, cpu = max(ane, flops / ANE_FLOPS), max(cpu, flops / CPU_FLOPS)
    return Cost(ane, cpu, flops, moved + stored)


def moved_bytes(op: Op) -> tuple[int, int, int]:
    """Bytes of activations in and out, of weights as stored, and of weights unpacked."""
    function = op.function
    moved = sum(tensor_bytes(result.type) for result in op.results)
    stored = unpacked = 0
    for binding in chain.from_iterable(op.operation.inputs.values()):
        size = tensor_bytes(function.type_of(binding))
        if isinstance(binding, Reference) and binding.name not in function.fixed:
            moved += size
        else:
            packed = function.compressed.get(binding.name) if isinstance(binding, Reference) else None
            stored += size if packed is None else packed_bytes(packed)
            unpacked += size
    return moved, stored, unpacked


def packed_bytes(op: Op) -> int:
    """Bytes that the operands of a constexpr op take, those of constexpr ops before it included, each once."""
    total, steps, seen = 0, [op], {op}
    for step in steps:  # grows while it is walked
        for operand in step.operands:
            inner = step.compression(operand)
            if inner is None:
                total += sum(tensor_bytes(type_) for type_ in step.types(operand) if type_)
            elif inner not in seen:
                seen.add(inner)
                steps.append(inner)
    return total


def _known(shape: Shape | None) -> tuple[int, ...]:
    return tuple(max(1, extent) if extent is not None else 1 for extent in shape or ())


def _count(op: Op) -> int:
    return size_of(_known(op.result.shape)) if op.result is not None else 0


def _convolution(op: Op) -> int:
    weight = _known(op.shape("weight"))
    return 2 * _count(op) * size_of(weight[1:])


def _transposed(op: Op) -> int:
    weight = _known(op.shape("weight"))
    return 2 * size_of(_known(op.shape("x"))) * size_of(weight[1:])


def _linear(op: Op) -> int:
    weight = _known(op.shape("weight"))
    return 2 * _count(op) * (weight[-1] if weight else 1)


def _matmul(op: Op) -> int:
    shape = _known(op.shape("x"))
    across = op.value("transpose_x", False) is True and len(shape) > 1
    return 2 * _count(op) * (shape[-2 if across else -1] if shape else 1)


def _einsum(op: Op) -> int:
    """Two operations for every combination of the equation's letters."""
    equation = op.value("equation", "")
    terms = str(equation).partition("->")[0].replace(" ", "").split(",")
    extents: dict[str, int] = {}
    for letters, type_ in zip(terms, op.types("values")):
        tensor = as_tensor(type_)
        extents.update(zip(letters, _known(tensor.shape if tensor else None)))
    return 2 * size_of(extents.values())


def _attention(op: Op) -> int:
    """The two products of scaled dot-product attention."""
    query, key, value = (_known(op.shape(name)) for name in ("query", "key", "value"))
    if not (len(query) >= 2 and len(key) >= 2 and len(value) >= 2):
        return 0
    return 2 * size_of(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _recurrent(op: Op) -> int:
    weights = sum(size_of(_known(op.shape(name))) for name in op.operands if name.startswith("weight"))
    steps = _known(op.shape("x"))
    return 2 * weights * size_of(steps[:2])


FLOPS: dict[str, Callable[[Op], int]] = {
    "conv": _convolution, "conv_transpose": _transposed, "linear": _linear, "matmul": _matmul, "einsum": _einsum,
    "scaled_dot_product_attention": _attention, "lstm": _recurrent, "gru": _recurrent, "rnn": _recurrent,
}  # fmt: skip


def _flops(op: Op) -> int:
    return min(FLOPS.get(op.type, _count)(op), LARGEST)
