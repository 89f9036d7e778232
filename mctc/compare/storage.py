"""Bytes of a parameter as a package stores it, without the alignment of the weight file."""

from __future__ import annotations

from mctc.ir.program import Parameter

WHOLE = 4  # bytes of an fp32 number
HALF = 2  # bytes of an fp16 number: plain entries, scales, and the tables of palettes


def stored_bytes(parameter: Parameter) -> int:
    """fp16, or codes of a few bits with a scale an output channel, or codes with a table a group of channels."""
    shape, size, how = parameter.type.shape, parameter.type.size, parameter.quantization
    if how is None or how.expanded:
        return (WHOLE if parameter.wide else HALF) * size
    codes = -(-size * how.bits // 8)
    channels = shape[how.axis] if len(shape) > 1 else 1
    if how.scheme == "palette":
        tables = channels // how.group if how.group and len(shape) > 1 else 1
        return codes + HALF * tables * (1 << how.bits)
    return codes + HALF * channels
