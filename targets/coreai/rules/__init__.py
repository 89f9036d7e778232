"""IR ops as Core AI ops: one file a family, each a table of rules by op name."""

from __future__ import annotations

from collections.abc import Mapping

from mctc.targets.coreai.function import Rule
from mctc.targets.coreai.rules import convolution, elementwise, linear, reduce, shape

RULES: Mapping[str, Rule] = {
    **elementwise.RULES,
    **linear.RULES,
    **convolution.RULES,
    **reduce.RULES,
    **shape.RULES,
}
