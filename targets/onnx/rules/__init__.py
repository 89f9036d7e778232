"""IR ops as ONNX nodes: one file a family, each a table of rules by op name."""

from __future__ import annotations

from collections.abc import Mapping

from mctc.targets.onnx.graph import Rule
from mctc.targets.onnx.rules import (
    attention,
    convolution,
    elementwise,
    leaf,
    linear,
    norm,
    recurrent,
    reduce,
    relative_attention,
    scan,
    shape,
)

RULES: Mapping[str, Rule] = {
    **leaf.RULES,
    **elementwise.RULES,
    **linear.RULES,
    **convolution.RULES,
    **norm.RULES,
    **reduce.RULES,
    **shape.RULES,
    **attention.RULES,
    **relative_attention.RULES,
    **recurrent.RULES,
    **scan.RULES,
}
