"""IR ops as MIL operations: one file a family, each a table of rules by op name."""

from __future__ import annotations

from collections.abc import Mapping

from mctc.targets.ane.function import Rule
from mctc.targets.ane.rules import convolution, elementwise, leaf, linear, norm, reduce, shape

RULES: Mapping[str, Rule] = {
    **leaf.RULES,
    **elementwise.RULES,
    **linear.RULES,
    **convolution.RULES,
    **norm.RULES,
    **reduce.RULES,
    **shape.RULES,
}
