"""The rules that a graph with known shapes decides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mctc.targets.coreai.graphs import Operation, ReadGraph, Tensor
from mctc.targets.coreai.neural_engine.rule import Rule, Severity

MOST_AXES = 5
ROW_BYTES = 64  # a row of the last axis takes a multiple of it
BYTES = {"f16": 2, "f32": 4, "si32": 4, "ui32": 4, "si16": 2, "ui16": 2}
ENGINE_FLOAT = "f16"
EQUAL_STRIDES = frozenset((4, 6, 8, 9, 12, 16, 24, 32))
STRIDES_BESIDE_TWO = frozenset((3, 4, 8, 9))
PALETTE_STRIDE = 2
LARGE_KERNEL = 9
LARGE_DILATION = 3


def _shown(operation: Operation) -> str:
    told = f"{operation.kind} {_type((*operation.results, Tensor((), '?'))[0])}"
    return f"{told} of {operation.place}" if operation.place else told


def _type(tensor: Tensor) -> str:
    return f"{tensor.dtype}[{', '.join('?' if n is None else str(n) for n in tensor.shape)}]"


def _computed(graph: ReadGraph) -> Iterator[tuple[Operation, Tensor]]:
    return ((operation, result) for operation in graph.computed for result in operation.results)


def _ports(graph: ReadGraph) -> tuple[Tensor, ...]:
    return (*graph.inputs, *graph.outputs)


def _wide(tensor: Tensor) -> bool:
    return tensor.dtype.lstrip("b")[0] == "f" and tensor.dtype != ENGINE_FLOAT


def _rank(graph: ReadGraph) -> Iterable[str]:
    return (_shown(operation) for operation, result in _computed(graph) if len(result.shape) > MOST_AXES)


def _wide_ports(graph: ReadGraph) -> Iterable[str]:
    return (_type(port) for port in _ports(graph) if _wide(port))


def _dynamic(graph: ReadGraph) -> Iterable[str]:
    return (_type(port) for port in _ports(graph) if None in port.shape)


def _short_rows(graph: ReadGraph) -> Iterable[str]:
    for port in _ports(graph):
        row = (port.shape[-1] or 0) * BYTES.get(port.dtype, 1) if port.shape else 0
        if row % ROW_BYTES:
            yield f"{_type(port)} has rows of {row} bytes"


def _singleton_rows(graph: ReadGraph) -> Iterable[str]:
    return (_shown(op) for op, result in _computed(graph) if len(result.shape) > 1 and result.shape[-1] == 1)


def _odd_rows(graph: ReadGraph) -> Iterable[str]:
    for operation, result in _computed(graph):
        last = result.shape[-1] if result.shape else 1
        if last is not None and last & (last - 1):
            yield _shown(operation)


def _layout(graph: ReadGraph) -> Iterable[str]:
    return (_type(port) for port in _ports(graph) if len(port.shape) != 4 or port.shape[2] != 1)


def _movement(graph: ReadGraph) -> Iterable[str]:
    return map(_shown, graph.of_kind("reshape", "transpose", "cast"))


def _constant_product(graph: ReadGraph) -> Iterable[str]:
    products = graph.of_kind("batch_matmul", "broadcasting_batch_matmul")
    return (_shown(op) for op in products if any(operand.source == "constant" for operand in op.operands))


def _wide_results(graph: ReadGraph) -> Iterable[str]:
    return (_shown(operation) for operation, result in _computed(graph) if _wide(result))


def _wide_constants(graph: ReadGraph) -> Iterable[str]:
    return (_shown(op) for op in graph.of_kind("constant") if any(map(_wide, op.results)))


def _softmax_axis(graph: ReadGraph) -> Iterable[str]:
    for operation in graph.of_kind("softmax"):
        x, axis = operation.operands[:2]
        if axis.numbers is not None and axis.numbers[0] % len(x.shape) != 1:
            yield _shown(operation)


def _convolutions(graph: ReadGraph) -> Iterator[tuple[Operation, tuple[int, ...], tuple[int, ...]]]:
    """Convolutions with their strides and dilations."""
    for operation in graph.of_kind("conv2d"):
        stride, dilation = operation.operands[2].numbers, operation.operands[3].numbers
        if stride is not None and dilation is not None:
            yield operation, stride, dilation


def _equal_strides(graph: ReadGraph) -> Iterable[str]:
    for operation, (high, along), _ in _convolutions(graph):
        if high == along and high > 2 and high not in EQUAL_STRIDES:
            yield f"{_shown(operation)}, stride {high}"


def _mixed_strides(graph: ReadGraph) -> Iterable[str]:
    for operation, strides, _ in _convolutions(graph):
        low, high = sorted(strides)
        if 1 < low < high and (low != 2 or high not in STRIDES_BESIDE_TWO):
            yield f"{_shown(operation)}, strides {strides}"


def _palette_stride(graph: ReadGraph) -> Iterable[str]:
    for operation, strides, _ in _convolutions(graph):
        if operation.operands[1].source == "lut_to_dense" and max(strides) > PALETTE_STRIDE:
            yield f"{_shown(operation)}, strides {strides}"


def _large_kernels(graph: ReadGraph) -> Iterable[str]:
    for operation, _, _ in _convolutions(graph):
        kernel = operation.operands[1].shape[2:]
        if any(extent is not None and extent >= LARGE_KERNEL for extent in kernel):
            yield f"{_shown(operation)}, kernel {kernel}"


def _chained_convolutions(graph: ReadGraph) -> Iterable[str]:
    return (_shown(op) for op, _, _ in _convolutions(graph) if op.operands[0].source == "conv2d")


def _dilations(graph: ReadGraph) -> Iterable[str]:
    for operation, _, dilation in _convolutions(graph):
        if max(dilation) > LARGE_DILATION:
            yield f"{_shown(operation)}, dilation {dilation}"


def _block_scales(graph: ReadGraph) -> Iterable[str]:
    for operation in graph.of_kind("blockwise_shift_scale"):
        if sum(extent != 1 for extent in operation.operands[1].shape) > 1:
            yield _shown(operation)


def _looked_up(graph: ReadGraph) -> Iterable[str]:
    return map(_shown, graph.of_kind("gather_nd", "gather_along_axis"))


def _norm_axis(graph: ReadGraph) -> Iterable[str]:
    for operation in graph.of_kind("reduce_mean"):
        if operation.operands[1].numbers != (1,):
            yield _shown(operation)


def _held_states(graph: ReadGraph) -> Iterable[str]:
    return map(_shown, graph.of_kind("read_handle"))


def _silu(graph: ReadGraph) -> Iterable[str]:
    return map(_shown, graph.of_kind("silu"))


def _tanh(graph: ReadGraph) -> Iterable[str]:
    return map(_shown, graph.of_kind("tanh"))


ERROR, WARNING, COST = Severity.ERROR, Severity.WARNING, Severity.COST

RULES: tuple[Rule, ...] = (
    Rule("NE01", "Tensors have few axes", "at most 5", ERROR, _rank),
    Rule("NE02", "Inputs and outputs are fp16, int8 or int16", "no fp32", ERROR, _wide_ports),
    Rule("NE03", "Shapes are known; one function for each", "no dynamic extent", ERROR, _dynamic),
    Rule("NE05", "Rows of inputs and outputs are whole blocks", "last axis a multiple of 64 bytes", COST, _short_rows),
    Rule("NE06", "The last axis is no single entry: it is padded to 64 bytes", "32 times the memory in fp16", WARNING,
         _singleton_rows),
    Rule("NE07", "The last axis is a power of two", "2^k", COST, _odd_rows),
    Rule("NE08", "Inputs and outputs are (batch, channel, 1, sequence)", "rank 4, third axis 1", COST, _layout),
    Rule("NE09", "Few reshapes, transposes and casts: each may be a copy", "none", COST, _movement),
    Rule("NE11", "Projections are 1x1 convolutions", "no product with a constant", COST, _constant_product),
    Rule("NE13", "Nothing is computed in fp32", "no fp32 result", ERROR, _wide_results),
    Rule("NE14", "Softmax runs along the channels", "axis 1", COST, _softmax_axis),
    Rule("NE15", "Equal strides above 2 are products of few twos and threes", "4, 6, 8, 9, 12, 16, 24, 32", WARNING,
         _equal_strides),
    Rule("NE16", "Of two unequal strides above 1, one is 2", "the other 3, 4, 8 or 9", WARNING, _mixed_strides),
    Rule("NE17", "A convolution with a palette has a small stride", "at most 2", WARNING, _palette_stride),
    Rule("NE18", "Kernels are small; a large one is split in two", "below 9 (Apple's example)", COST, _large_kernels),
    Rule("NE19", "Convolutions with nothing between them are one", "none in a row", COST, _chained_convolutions),
    Rule("NE20", "A dilation is a chain of twos and threes", "at most 3 each", COST, _dilations),
    Rule("NE23", "Integer weights have a scale for each output channel, palettes one for a group of them", "no blocks",
         WARNING, _block_scales),
    Rule("NE24", "Nothing is looked up by ids inside of the function", "no gather", WARNING, _looked_up),
    Rule("NE25", "Norms run along the channels", "axis 1", COST, _norm_axis),
    Rule("NE30", "States are inputs and outputs, not written in the graph", "no handle", WARNING, _held_states),
    Rule("NE32", "silu is x * sigmoid(x): its own lowering goes through fp32", "no silu", ERROR, _silu),
    Rule("NE33", "tanh is 2 * sigmoid(2x) - 1", "no tanh", WARNING, _tanh),
    Rule("NE34", "Constants are fp16", "no fp32 constant", ERROR, _wide_constants),
)  # fmt: skip
