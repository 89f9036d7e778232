"""Parameters as a package stores them: initialisers in fp16 or compressed, and the nodes that make fp32 of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mctc.emit.stored import stored
from mctc.ir.ops.leaf import ParameterOp
from mctc.ir.program import WIDE, Function, Parameter, Program
from mctc.quantize import Palette, Quantized, Scaled
from mctc.targets.onnx.errors import OnnxError
from mctc.weights import Weights

if TYPE_CHECKING:
    from mctc.targets.onnx.graph import GraphEmitter

FP16_BITS = 16


def emit_parameter(e: GraphEmitter, parameter: Parameter, weights: Weights) -> str:
    """The name of the parameter's value in fp32: bit for bit what the package's fp16 tensor holds. Raises OnnxError."""
    found = stored(weights, parameter, OnnxError)
    if isinstance(found, np.ndarray):
        half = e.initialiser(parameter.name, found)
    else:
        half = _dequantised(e, parameter.name, found)
    return e.cast(half, "float32", called=f"{parameter.name}.value")


def stored_bytes(program: Program, function: Function) -> int:
    """Bytes that the parameters of a function take as they are stored, tables and scales not counted."""
    names = {op.parameter for op in function.ops if isinstance(op, ParameterOp)}
    return sum(p.type.size * (p.quantization.bits if p.quantization else WIDE.bits if p.wide else FP16_BITS) // 8
               for p in (program.parameters[name] for name in names))  # fmt: skip


def _dequantised(e: GraphEmitter, name: str, found: Quantized) -> str:
    return _looked_up(e, name, found) if isinstance(found, Palette) else _scaled(e, name, found)


def _scaled(e: GraphEmitter, name: str, found: Scaled) -> str:
    """DequantizeLinear with an fp16 scale: one for each output channel, or one for all."""
    codes = e.initialiser(name, found.codes, "int4" if found.bits == 4 else None)
    axes = [i for i, extent in enumerate(found.scale.shape) if extent != 1]
    scale = e.initialiser(f"{name}.scale", found.scale.reshape(-1 if axes else ()))
    return e.node("DequantizeLinear", codes, scale, called=f"{name}.half", **({"axis": axes[0]} if axes else {}))


def _looked_up(e: GraphEmitter, name: str, found: Palette) -> str:
    """Gather from the table; several tables lie end to end, and the codes of a group start at its own."""
    codes = e.cast(e.initialiser(name, found.codes, "uint4" if found.bits <= 4 else None), "int32", f"{name}.codes")
    groups, entries = found.table.shape
    if groups > 1:
        channels = found.codes.shape[found.axis]
        starts = np.repeat(np.arange(groups, dtype=np.int32) * entries, channels // groups)
        shape = [channels if i == found.axis else 1 for i in range(found.codes.ndim)]
        codes = e.node("Add", codes, e.initialiser(f"{name}.starts", starts.reshape(shape)), called=f"{name}.indices")
    table = e.initialiser(f"{name}.table", found.table.reshape(-1))
    return e.node("Gather", table, codes, called=f"{name}.half", axis=0)
