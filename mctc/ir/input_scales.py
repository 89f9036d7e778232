"""Scales of activations in 8 bits: parameters that stand beside the weights whose inputs they are of.

`encoder.in_proj.weight` is multiplied with what `encoder.in_proj_input.scale` is the scale of; where `table` of the
whole model is read by the decoder, it is `decoder.table_input.scale`.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from mctc.ir.ops.leaf import parameter_of
from mctc.ir.ops.quantize import FakeQuantize
from mctc.ir.program import Initializer, Program

WEIGHT, BESIDE, SCALE = ".weight", "_input", "scale"
NAMED = re.compile(rf"(.+){BESIDE}(?:_\d+)?\.{SCALE}")
START = Initializer("constant", (("value", 4 / 127),))  # reaches four standard deviations behind a norm


def scale_beside(weight: str, taken: Collection[str]) -> str:
    """The name of a new scale beside a weight. taken: names of tensors and instances."""
    base = weight.removesuffix(WEIGHT) + BESIDE
    place, number = base, 1
    while any(each == place or each.startswith(f"{place}.") for each in taken):
        number += 1
        place = f"{base}_{number}"
    return f"{place}.{SCALE}"


def is_scale(name: str) -> bool:
    """Whether a tensor of a checkpoint is called as such a scale."""
    return NAMED.fullmatch(name) is not None


def scales_of(program: Program) -> dict[str, str]:
    """The scales that a program reads, and the checkpoint's weight that each stands beside."""
    found: dict[str, str] = {}
    for _, op in program.ops():
        name = parameter_of(op.scale) if isinstance(op, FakeQuantize) else ""
        if (match := NAMED.fullmatch(name)) is not None:
            weights = match[1] + WEIGHT, match[1], match[1].partition(".")[2]  # the last: of the whole model
            found[name] = next((weight for weight in weights if weight in program.sources), match[1])
    return found
