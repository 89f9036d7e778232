"""Parameters and constants of a program as constants of a Core AI asset, each stored once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from coreai.authoring import Value, blockwise_shift_scale, lut_to_dense

from mctc.emit.stored import INLINE, check_finite, held
from mctc.emit.stored import stored as form
from mctc.ir.op import Array
from mctc.ir.program import Parameter
from mctc.quantize import Palette, Scaled
from mctc.targets.coreai.dialect import SUB_BYTE, Graphs, small_constant
from mctc.targets.coreai.errors import CoreAiError
from mctc.weights import Weights

BYTE = 8


class Constants:
    """What graphs read that no caller gives. Floats are of the type that the asset computes in.

    An asset in fp16 holds parameters in the form of their quantisation. One in fp32, which is for comparing and not for
    shipping, holds the very numbers that the fp16 one stands for, uncompressed.
    """

    def __init__(self, graphs: Graphs, weights: Weights, precision: str) -> None:
        self.graphs, self.weights = graphs, weights
        self.dtype: Any = np.float16 if precision == "fp16" else np.float32

    def parameter(self, parameter: Parameter, shape: Sequence[int]) -> Value:
        """A parameter under `shape`, which differs from its own by axes of extent 1 at most. Raises CoreAiError."""
        half = self.dtype is np.float16
        stored = form(self.weights, parameter, CoreAiError) if half else self.weights.deployed(parameter)
        name = self._name(parameter.name, parameter.type.shape, shape)
        if isinstance(stored, Scaled) and tuple(shape) == parameter.type.shape:
            return self._scaled(name, stored)
        if isinstance(stored, Palette) and tuple(shape) == parameter.type.shape:
            return self._palette(name, stored)
        dense = stored if isinstance(stored, np.ndarray) else stored.dequantize()
        with np.errstate(over="ignore"):  # of a part that others keep in fp32
            dense = dense.astype(self.dtype, copy=False)
        check_finite(self.weights, parameter, dense, CoreAiError)
        return self.graphs.resource(name, dense.reshape(shape))

    def array(self, array: Array, what: str) -> Value:
        """A constant; integers become int32. Raises UnsupportedError for a number that the asset's type can't hold."""
        if array.dtype.kind == "f":
            array = held(array, self.dtype, what)
        elif array.dtype.kind in "iu":
            array = array.astype(np.int32)
        if array.size < INLINE or array.dtype.kind == "b":
            return small_constant(array)
        data = np.ascontiguousarray(array)
        digest = hashlib.sha256(repr((data.shape, data.dtype.name)).encode() + data.tobytes()).hexdigest()[:16]
        return self.graphs.resource(f"constant_{digest}", data)

    def _scaled(self, name: str, stored: Scaled) -> Value:
        """scale * codes; both offsets are 0."""
        bits = None if stored.bits == BYTE else stored.bits
        data = self.graphs.resource(name, stored.codes, bits)
        scale = self.graphs.resource(f"{name}.scale", stored.scale)
        zero = self.graphs.resource(f"{name}.zero", np.zeros(stored.scale.shape, np.int8), bits)
        offset = self.graphs.resource(f"{name}.offset", np.zeros(stored.scale.shape, np.float16))
        return blockwise_shift_scale(data, scale, zero, offset)

    def _palette(self, name: str, stored: Palette) -> Value:
        """table[group, code]. coreai has integers of 2, 4 and 8 bits: other codes are the next wider, their table is
        filled up."""
        bits = next((each for each in SUB_BYTE if each >= stored.bits), None)
        groups, size = stored.table.shape
        entries = 1 << (bits or BYTE)
        table = np.zeros((groups, entries), np.float16)
        table[:, :size] = stored.table
        blocks = [groups if axis == stored.axis else 1 for axis in range(stored.codes.ndim)]
        indices = self.graphs.resource(name, stored.codes, bits)
        lut = self.graphs.resource(f"{name}.table", table.reshape(*blocks, entries, 1))
        return lut_to_dense(indices, lut, np.array(0, np.int16))

    @staticmethod
    def _name(name: str, own: Sequence[int], shape: Sequence[int]) -> str:
        """The spec's own name; one more for every other shape that the parameter is read in."""
        return name if tuple(own) == tuple(shape) else f"{name}.{'x'.join(map(str, shape))}"
