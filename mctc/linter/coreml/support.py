"""Which ops are known, and which are seen on the Neural Engine through Core ML. Data.

SUPPORTED: placed there on an M4 with macOS 27.0.1, fp16, static shapes, rank up to 5 (751K, coreml_dispatch.md, section
3.2). LESS_CERTAIN are those that the study covers by a general statement and other sources (ane-guide, ironmill,
ane-probe) name. What the rules of ops-without-a-path refuse is known too.
"""

from __future__ import annotations

UNARY = (
    "relu", "sigmoid", "tanh", "silu", "gelu", "softplus", "erf", "exp", "exp2", "log", "sqrt", "rsqrt", "inverse",
    "sin", "cos", "atan", "floor", "ceil", "round", "sign", "square", "clip", "elu", "prelu", "leaky_relu",
)  # fmt: skip
LESS_CERTAIN = (
    "relu6", "softsign", "abs", "sigmoid_hard", "thresholded_relu", "logical_not", "einsum", "stack", "expand_dims",
    "squeeze", "softplus_parametric", "scaled_tanh", "clamped_relu", "linear_activation",
)  # fmt: skip
BINARY = (
    "add", "sub", "mul", "real_div", "floor_div", "pow", "maximum", "minimum", "equal", "not_equal", "greater",
    "greater_equal", "less", "less_equal", "select",
)  # fmt: skip
LINEAR = ("conv", "conv_transpose", "linear", "matmul", "scaled_dot_product_attention")
POOLS = ("avg_pool", "max_pool", "l2_pool")
NORMS = ("softmax", "layer_norm", "instance_norm", "batch_norm", "l2_norm", "local_response_norm")
REDUCTIONS = (
    "reduce_sum", "reduce_mean", "reduce_max", "reduce_min", "reduce_l1_norm", "reduce_l2_norm", "reduce_log_sum",
    "reduce_log_sum_exp", "reduce_sum_square",
)  # fmt: skip
LAYOUT = (
    "reshape", "transpose", "concat", "split", "reverse", "tile", "pad", "space_to_depth", "depth_to_space",
    "space_to_batch", "batch_to_space", "pixel_shuffle", "pixel_unshuffle", "slice_by_index", "slice_by_size", "cast",
    "gather", "gather_along_axis", "gather_nd", "fill", "fill_like", "identity",
)  # fmt: skip
IMAGES = (
    "upsample_bilinear", "upsample_nearest_neighbor", "resize_bilinear", "resize_nearest_neighbor", "resize",
    "resample", "affine",
)  # fmt: skip
QUANTIZED = ("quantize", "dequantize")
SUPPORTED = frozenset(
    (*UNARY, *LESS_CERTAIN, *BINARY, *LINEAR, *POOLS, *NORMS, *REDUCTIONS, *LAYOUT, *IMAGES, *QUANTIZED)
)

CONTESTED = frozenset((
    "topk", "slice_update", "torch_tensor_assign", "read_state", "write_state", "coreml_update_state", "logical_and",
    "logical_or", "logical_xor", "non_maximum_suppression", "classify",
    "custom_layer",
))  # fmt: skip
"""Seen on either side, or for the app to run; a rule names each and says by whom."""

REFUSED = frozenset((
    "lstm", "gru", "rnn", "band_part", "one_hot", "non_zero", "cumsum", "argsort", "mod", "reduce_prod", "scatter",
    "scatter_along_axis", "scatter_nd", "sliding_windows", "reverse_sequence", "acos", "asin", "atanh", "cosh", "sinh",
    "tan", "random_normal", "random_uniform", "random_bernoulli", "random_categorical", "cond", "while_loop", "shape",
    "reduce_argmax", "reduce_argmin", "crop_resize", "range_1d", "reshape_like", "make_list", "list_length",
    "list_write", "list_read", "list_gather", "list_scatter",
))  # fmt: skip
"""A rule that puts it off the engine names each."""

KNOWN = SUPPORTED | CONTESTED | REFUSED
