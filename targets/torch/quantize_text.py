"""Quantisation schemes as named constants of the emitted module: `INT8 = Quantize("int8", 8)`."""

from __future__ import annotations

from mctc.driver.names import identifier
from mctc.ir.program import Quantization
from mctc.targets.torch.expressions.text import literal


def constant_name(how: Quantization) -> str:
    """INT8, INT4, PALETTE4, PALETTE4_GROUP16; INT8_COLUMNS where output channels are columns (an embedding table)."""
    name = how.scheme.upper() + (str(how.bits) if how.scheme == "palette" else "")
    name += f"_GROUP{how.group}" if how.group is not None else ""
    return identifier(name + ("_COLUMNS" if how.axis else ""))


def constant_text(how: Quantization) -> str:
    group = f", group={how.group}" if how.group is not None else ""
    axis = f", axis={how.axis}" if how.axis else ""
    return f"{constant_name(how)} = Quantize({literal(how.scheme)}, {how.bits}{group}{axis})"
