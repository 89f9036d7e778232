"""Ops of the iOS 18 opset that do not run on the Neural Engine, by MIL's names. Data.

REFUSED: every source that tested them says no (open reverse-engineering sweeps on M4 and M5, MLComputePlan, comments
of Apple's staff in coremltools' issues). REFUSED_BY_CORE_ML: the engine could, Core ML does not send them there.
"""

from __future__ import annotations

REFUSED = frozenset([
    "lstm", "gru", "rnn", "band_part", "one_hot", "non_zero", "cumsum", "argsort", "mod", "reduce_prod",
    "scatter", "scatter_along_axis", "scatter_nd", "sliding_windows", "reverse_sequence",
    "acos", "asin", "atanh", "cosh", "sinh", "tan",
    "random_normal", "random_uniform", "random_bernoulli", "random_categorical",
    "cond", "while_loop", "shape",
])  # fmt: skip
REFUSED_BY_CORE_ML = frozenset(["reduce_argmax", "reduce_argmin", "crop_resize", "range_1d", "non_maximum_suppression"])
DENIED = REFUSED | REFUSED_BY_CORE_ML
