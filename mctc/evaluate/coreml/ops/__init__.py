"""The ops, a file a family; importing this package declares them all."""

from __future__ import annotations

from mctc.evaluate.coreml.ops import (  # noqa: F401
    activation,
    classifier,
    constexpr,
    convolution,
    detection,
    elementwise_binary,
    elementwise_unary,
    image_resizing,
    image_sampling,
    linear,
    lists,
    normalization,
    pool,
    quantization,
    random,
    recurrent,
    reduction,
    scatter_gather,
    tensor_operation,
    tensor_transformation,
    transformer,
)
