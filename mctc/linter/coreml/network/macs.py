"""Multiply-accumulates of a layer: products that are summed, as `mctc compare` counts them of a spec.

Convolutions, inner and matrix products, recurrent layers and dot products count; what is elementwise, a norm, a softmax
or a look-up counts nothing. A transposed convolution counts the products of every entry of its input, those that fall
outside the result too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from mctc.linter.coreml.network.extents import product
from mctc.linter.coreml.network.planes import window
from mctc.package.network import Extents, Layer

GATES = {"simpleRecurrent": 1, "gru": 3, "uniDirectionalLSTM": 4, "biDirectionalLSTM": 8}
"""Pairs of matrices of a recurrent layer, both directions together."""


def macs(layer: Layer, inputs: Sequence[Extents | None], outputs: Sequence[Extents | None]) -> int | None:
    """None where the shapes that it takes aren't known, or what the layer does (a custom one)."""
    if layer.type in ("custom", "unknown"):
        return None
    count = COUNTS.get(layer.type)
    if count is None:
        return 0
    if not inputs or not outputs or inputs[0] is None or outputs[0] is None:
        return None
    return count(layer, [shape or () for shape in inputs], outputs[0])


def _convolution(layer: Layer, inputs: Sequence[Extents], output: Extents) -> int | None:
    kernel = prod(window(layer.settings.kernelSize, 3))
    return _kernels(layer.settings, kernel, layer.settings.kernelChannels, inputs[0], output)


def _convolution3d(layer: Layer, inputs: Sequence[Extents], output: Extents) -> int | None:
    settings = layer.settings
    kernel = settings.kernelDepth * settings.kernelHeight * settings.kernelWidth
    return _kernels(settings, kernel, settings.inputChannels // (settings.nGroups or 1), inputs[0], output)


def _kernels(settings: Any, kernel: int, channels: int, taken: Extents, made: Extents) -> int | None:
    """Every result is a sum over a kernel; of a transposed convolution, every entry goes into as many results."""
    if settings.isDeconvolution:
        return product((*taken, kernel, settings.outputChannels // (settings.nGroups or 1)))
    return product((*made, kernel, channels))


def _inner_product(layer: Layer, inputs: Sequence[Extents], output: Extents) -> int | None:
    return product((*output, layer.settings.inputChannels))


def _matmul(layer: Layer, inputs: Sequence[Extents], output: Extents) -> int | None:
    if len(inputs) == 1:
        return product((*output, layer.settings.weightMatrixFirstDimension))
    left = inputs[0]
    return product((*output, left[-2] if layer.settings.transposeA and len(left) > 1 else left[-1]))


def _recurrent(layer: Layer, inputs: Sequence[Extents], output: Extents) -> int | None:
    settings = layer.settings
    step = settings.outputVectorSize * (settings.inputVectorSize + settings.outputVectorSize)
    return product((*inputs[0][:2], GATES[layer.type], step))


def _dot(layer: Layer, inputs: Sequence[Extents], output: Extents) -> int | None:
    return product(inputs[0])


COUNTS: dict[str, Callable[[Layer, Sequence[Extents], Extents], int | None]] = {
    "convolution": _convolution,
    "convolution3d": _convolution3d,
    "innerProduct": _inner_product,
    "batchedMatmul": _matmul,
    "dot": _dot,
    **dict.fromkeys(GATES, _recurrent),
}
