"""Op declarations, one file a family. Importing this package declares them all."""

from mctc.ir.ops import (
    attention,
    convolution,
    elementwise,
    leaf,
    linear,
    loop,
    norm,
    position,
    quantize,
    recurrent,
    reduce,
    relative_attention,
    scan,
    shape,
    ssd,
    training,
)

__all__ = [
    "attention",
    "convolution",
    "elementwise",
    "leaf",
    "linear",
    "loop",
    "norm",
    "position",
    "quantize",
    "recurrent",
    "reduce",
    "relative_attention",
    "scan",
    "shape",
    "ssd",
    "training",
]
