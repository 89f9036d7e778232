"""Choosing boxes and cutting them out of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

Check = Callable[..., None]
# Two that overlap by half, one apart, one inside the first; (x, y, width, height) around the centre.
BOXES = np.array([[[0, 0, 4, 4], [1, 0, 4, 4], [9, 9, 2, 2], [0, 0, 2, 2]]], np.float32)
SCORES = np.array([[[0.9, 0.1], [0.2, 0.8], [0.3, 0.1], [0.7, 0.0]]], np.float32)
IMAGE = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)


def test_a_box_that_overlaps_a_better_one_is_dropped(check: Check) -> None:
    # Boxes 0 and 1 share 12 of 20: 0.6. Box 3 lies in box 0 and covers a quarter of it.
    kept, padding = [0, 3, 2], [[0.0] * 4]
    check(
        "non_maximum_suppression",
        (
            np.concatenate([BOXES[0][kept], padding])[None].astype(np.float32),
            np.concatenate([SCORES[0][kept], [[0.0, 0.0]]])[None].astype(np.float32),
            np.array([[0, 3, 2, -1]], np.int32),
            np.array([3], np.int32),
        ),
        boxes=BOXES, scores=SCORES, iou_threshold=0.5, score_threshold=0.25, max_boxes=4,
    )  # fmt: skip


def test_each_class_is_thinned_for_itself_and_no_more_boxes_come_than_wanted(check: Check) -> None:
    kept = [0, 1]
    check(
        "non_maximum_suppression",
        (BOXES[:, kept], SCORES[:, kept], np.array([kept], np.int32), np.array([2], np.int32)),
        boxes=BOXES, scores=SCORES, iou_threshold=0.2, score_threshold=0.0, max_boxes=2, per_class_suppression=True,
    )  # fmt: skip


def test_where_no_score_suffices_the_best_box_is_taken(check: Check) -> None:
    check(
        "non_maximum_suppression",
        (BOXES[:, :1], SCORES[:, :1], np.array([[0]], np.int32), np.array([1], np.int32)),
        boxes=BOXES, scores=SCORES, iou_threshold=0.5, score_threshold=2.0, max_boxes=1,
    )  # fmt: skip


def test_from_ios_17_on_the_boxes_are_the_last_axis(check: Check) -> None:
    kept = [0, 3, 2]
    check(
        "non_maximum_suppression",
        (
            BOXES[:, kept].swapaxes(1, 2),
            SCORES[:, kept].swapaxes(1, 2),
            np.array([kept], np.int32),
        ),
        boxes=BOXES.swapaxes(1, 2).copy(), scores=SCORES.swapaxes(1, 2).copy(), iou_threshold=0.5, max_boxes=3,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "box"),
    [
        ("CORNERS_HEIGHT_FIRST", [0, 1, 2, 3]),
        ("CORNERS_WIDTH_FIRST", [1, 0, 3, 2]),
        ("CENTER_SIZE_HEIGHT_FIRST", [1, 2, 2, 2]),
        ("CENTER_SIZE_WIDTH_FIRST", [2, 1, 2, 2]),
    ],
)
def test_a_box_is_cut_out_and_resized(check: Check, mode: str, box: list[float]) -> None:
    wanted = np.array([[1, 2, 3], [5, 6, 7], [9, 10, 11]], np.float32)[None, None]
    check(
        "crop_resize", wanted, x=IMAGE, boxes=np.array([box], np.float32), target_height=3, target_width=3,
        box_coordinate_mode=mode, sampling_mode="ALIGN_CORNERS",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "rows"),
    [
        ("STRICT_ALIGN_CORNERS", [1, 2]),
        ("DEFAULT", [1, 2]),  # starts 0 and 1 of an interval of two elements
        ("UNALIGN_CORNERS", [1, 2]),
        ("OFFSET_CORNERS", [1.25, 1.75]),
    ],
)
def test_a_box_is_sampled_as_an_axis_of_its_length_is(check: Check, mode: str, rows: list[float]) -> None:
    wanted = (4 * np.array(rows, np.float32)[:, None] + np.array([0], np.float32))[None, None]
    check(
        "crop_resize", wanted, x=IMAGE, boxes=np.array([[1, 0, 2, 0]], np.float32), target_height=2, target_width=1,
        sampling_mode=mode,
    )  # fmt: skip


def test_boxes_name_their_image_and_what_lies_off_it_is_the_pad_value(check: Check) -> None:
    images = np.concatenate([IMAGE, IMAGE + 100])
    roi = np.array([[1, 0, 0, 1, 1], [0, 0.5, 0, 1.5, 1]], np.float32).reshape(2, 1, 5, 1, 1)
    wanted = np.array([[[100, 103], [112, 115]], [[6, 9], [-1, -1]]], np.float32).reshape(2, 1, 1, 2, 2)
    check(
        "crop_resize", wanted, x=images, roi=roi, target_height=2, target_width=2, normalized_coordinates=True,
        sampling_mode="ALIGN_CORNERS", pad_value=-1.0,
    )  # fmt: skip


def test_without_an_index_every_image_is_cut(check: Check) -> None:
    images: Any = np.concatenate([IMAGE, IMAGE + 100])
    wanted = np.array([5, 105], np.float32).reshape(1, 2, 1, 1, 1)
    roi = np.array([2, 2, 2, 2], np.float32).reshape(1, 1, 4, 1, 1)
    check("crop_resize", wanted, x=images, roi=roi, spatial_scale=0.5, sampling_mode="ALIGN_CORNERS")
