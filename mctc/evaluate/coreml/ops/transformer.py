"""Attention."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

import numpy as np

from mctc.evaluate.coreml.declaration import op
from mctc.evaluate.coreml.ops.activation import softmax
from mctc.evaluate.coreml.precision import Array


@op("scaled_dot_product_attention", since="iOS18", result="query", same=("query", "key", "value"))
def scaled_dot_product_attention(query: Array, key: Array, value: Array, attn_mask: Array | None = None) -> Array:
    """softmax(query key.T / sqrt(width) + mask) value; a boolean mask keeps where it is true."""
    scores = np.matmul(query, np.swapaxes(key, -1, -2)) * np.float32(1 / np.sqrt(query.shape[-1]))
    if attn_mask is not None:
        kept = attn_mask.dtype == np.bool_
        scores = np.where(attn_mask, scores, np.float32(-np.inf)) if kept else scores + attn_mask
    return np.matmul(softmax(scores, -1), value)
