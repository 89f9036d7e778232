"""Choosing among boxes, for detectors."""

# numpy types the arithmetic of arrays of any element type as Any.
# mypy: disable-error-code=no-any-return

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mctc.evaluate.coreml.declaration import op
from mctc.evaluate.coreml.ops.arguments import flag, integer, number
from mctc.evaluate.coreml.precision import Array


def _types(dtypes: Mapping[str, str], _constants: Mapping[str, Any]) -> tuple[str, ...]:
    return (dtypes.get("boxes", ""), dtypes.get("scores", ""), "int32", "int32")


@op(
    "non_maximum_suppression",
    result=_types,
    exact=True,
    note="both layouts; where no box passes the score threshold, the best one is taken; indices are padded with -1",
)
def non_maximum_suppression(
    boxes: Array,
    scores: Array,
    iou_threshold: Any,
    max_boxes: Any,
    score_threshold: Any = None,
    per_class_suppression: Any = False,
) -> tuple[Array, ...]:
    """The best boxes of each batch, their scores and places, without those that overlap a better one.

    boxes hold (x, y, width, height) with (x, y) the centre. Until iOS 16 (with score_threshold) the boxes are the
    axis before the last, and their number is a fourth result; from iOS 17 on they are the last axis.
    """
    old = score_threshold is not None
    boxes, scores = (boxes, scores) if old else (boxes.swapaxes(1, 2), scores.swapaxes(1, 2))
    least = number(score_threshold) if old else np.float32(-np.inf)
    count, per_class = integer(max_boxes), flag(per_class_suppression)
    kept_boxes = np.zeros((len(boxes), count, 4), boxes.dtype)
    kept_scores = np.zeros((len(boxes), count, scores.shape[-1]), scores.dtype)
    places = np.full((len(boxes), count), -1, np.int32)
    numbers = np.zeros(len(boxes), np.int32)
    for batch, (box, score) in enumerate(zip(boxes, scores, strict=True)):
        chosen = _survivors(box, score, number(iou_threshold), least, per_class)[:count]
        size = numbers[batch] = len(chosen)
        places[batch, :size] = chosen
        kept_boxes[batch, :size], kept_scores[batch, :size] = box[chosen], score[chosen]
    if old:
        return kept_boxes, kept_scores, places, numbers
    return kept_boxes.swapaxes(1, 2), kept_scores.swapaxes(1, 2), places


def _survivors(boxes: Array, scores: Array, overlap: np.float32, least: np.float32, per_class: bool) -> list[int]:
    best, classes = scores.max(-1), scores.argmax(-1)
    chosen: list[int] = []
    order = np.argsort(-best, kind="stable")
    for place in order:
        if best[place] < least:
            break
        rivals = [one for one in chosen if not per_class or classes[one] == classes[place]]
        if not rivals or _intersection_over_union(boxes[rivals], boxes[place]).max() <= overlap:
            chosen.append(int(place))
    return chosen or [int(place) for place in order[:1]]


def _intersection_over_union(boxes: Array, box: Array) -> Array:
    low = np.maximum(boxes[:, :2] - boxes[:, 2:] / 2, box[:2] - box[2:] / 2)
    high = np.minimum(boxes[:, :2] + boxes[:, 2:] / 2, box[:2] + box[2:] / 2)
    common = np.maximum(high - low, 0).prod(-1)
    union = boxes[:, 2:].prod(-1) + box[2:].prod() - common
    return np.divide(common, union, out=np.zeros_like(union), where=union > 0)
