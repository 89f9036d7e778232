"""The ops, a file a family; importing this package declares them all."""

from __future__ import annotations

from mctc.evaluate.coreml.ops import (  # noqa: F401
    activation,
    constexpr,
    convolution,
    elementwise_binary,
    elementwise_unary,
    linear,
    normalization,
    reduction,
    tensor_transformation,
)
