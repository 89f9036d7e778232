"""Numbers on their way into an artifact: parameters as they are stored, and what fp16 can't hold of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from mctc.diagnostics.errors import MctcError
from mctc.emit.unsupported import UnsupportedError
from mctc.half_bits import is_finite
from mctc.ir.op import Array
from mctc.ir.ops.leaf import Constant
from mctc.ir.program import Parameter
from mctc.quantize import Quantized, QuantizeError
from mctc.weights import Weights

INLINE = 10  # arrays of fewer entries are written in the program, as coremltools does


def stored(weights: Weights, parameter: Parameter, raises: type[MctcError], *, keeps: bool = True) -> Array | Quantized:
    """A parameter as artifacts store it: fp16 or compressed. Raises `raises` where it can't be stored so.

    keeps: False for who tells `weights` where it lies then.
    """
    try:
        found = weights.stored(parameter) if keeps else weights.to_write(parameter)
    except QuantizeError as error:
        raise raises(f"{parameter.told} can't be quantised: {error}", hint=error.hint) from error
    if isinstance(found, np.ndarray):
        check_finite(weights, parameter, found, raises)
    return found


def check_finite(weights: Weights, parameter: Parameter, found: Array, raises: type[MctcError]) -> None:
    """Raises `raises` where a parameter has a value that fp16 can't hold; found: what is stored of it."""
    if not (is_finite(found) if found.dtype == np.float16 else np.isfinite(found).all()):
        try:
            held(weights.value(parameter), np.float16, parameter.told)
        except UnsupportedError as error:
            raise raises(str(error), hint=_scaled(parameter)) from error


def _scaled(parameter: Parameter) -> str:
    hint = "scale it down and what it is multiplied with up"
    if parameter.wide:
        return hint
    within, _, name = parameter.name.rpartition(".")
    return f"{hint}, or keep that part in 32 bits: `quantize {{ {f'{within}.**' if within else name}: f32 }}`"


def held(array: Array, dtype: Any, what: str) -> Array:
    """Floats in `dtype`. Raises UnsupportedError where one is not finite there."""
    with np.errstate(over="ignore"):
        result = np.asarray(array).astype(dtype)
    if not np.isfinite(result).all():
        worst, kind = np.abs(np.asarray(array)).max(), np.dtype(dtype)
        told = f"fp{8 * kind.itemsize} can't hold (its largest is {np.finfo(kind).max:g})"
        raise UnsupportedError(f"{what} has a value of magnitude {worst:g}, which {told}")
    return result


def array_of(op: Constant) -> Array:
    """The numbers of a constant, floats in double precision."""
    array = np.asarray(op.value)
    return array.astype(np.float64) if op.result.type.dtype.is_float else array
