"""Ops that only move elements, against plain indexing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mctc.evaluate.coreml.declaration import REGISTRY

X = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
IMAGE = np.arange(1 * 8 * 4 * 6, dtype=np.float32).reshape(1, 8, 4, 6)


@pytest.mark.parametrize(
    ("shape", "expected"), [([6, 4], (6, 4)), ([-1, 2], (12, 2)), ([0, -1, 4], (2, 3, 4)), ([2, 0, 0], (2, 3, 4))]
)
def test_reshape_knows_minus_one_and_zero(check: Any, shape: list[int], expected: tuple[int, ...]) -> None:
    check("reshape", X.ravel().reshape(expected), x=X, shape=shape)


def test_reshape_takes_extents_from_other_tensors(check: Any) -> None:
    first, second = np.zeros((6, 5), np.float32), np.zeros((9, 2, 2), np.float32)
    check(
        "reshape_like",
        X.reshape(6, 2, 2),
        x=X,
        ref_tensors=[first, second],
        begins=[np.zeros((), np.int32), np.ones((), np.int32)],
        ends=[np.ones((), np.int32), np.ones((), np.int32)],
        end_masks=[np.zeros((), bool), np.ones((), bool)],
    )


AXES = [
    ("transpose", {"perm": [2, 0, 1]}, [[[X[j, k, i] for k in range(3)] for j in range(2)] for i in range(4)]),
    ("expand_dims", {"axes": [0, -1]}, X.reshape(1, 2, 3, 4, 1)),
    ("flatten2d", {"axis": 2}, X.reshape(6, 4)),
    ("flatten2d", {"axis": -1}, X.reshape(6, 4)),
    ("reverse", {"axes": [0, 2]}, X[::-1, :, ::-1]),
    ("reverse", {}, X[::-1, ::-1, ::-1]),
    ("tile", {"reps": [1, 2, 3]}, [[[X[i, j % 3, k % 4] for k in range(12)] for j in range(6)] for i in range(2)]),
    ("slice_by_size", {"begin": [1, 0, 2], "size": [1, -1, 2]}, X[1:2, :, 2:4]),
    ("sliding_windows", {"axis": 2, "size": 2, "stride": 2}, np.stack([X[..., 0:2], X[..., 2:4]], axis=2)),
    ("sliding_windows", {"axis": -2, "size": 3}, X[:, None]),
]


@pytest.mark.parametrize(("op", "parameters", "expected"), AXES)
def test_axes_are_rearranged(check: Any, op: str, parameters: dict[str, Any], expected: Any) -> None:
    check(op, np.array(expected, np.float32), x=X, **parameters)


def test_squeeze(check: Any) -> None:
    x = X.reshape(1, 2, 1, 12)
    check("squeeze", X.reshape(2, 12), x=x)
    check("squeeze", X.reshape(2, 1, 12), x=x, axes=[0])


SLICES = [
    ({"begin": [0, 1, 1], "end": [2, 3, 4]}, X[0:2, 1:3, 1:4]),
    ({"begin": [0, 0, 0], "end": [2, 3, 4], "stride": [1, 2, 3]}, X[::1, ::2, ::3]),
    ({"begin": [-1, 0, -3], "end": [0, 0, -1], "end_mask": [True, True, False]}, X[-1:, :, -3:-1]),
    (
        {"begin": [9, 9, 1], "end": [9, 9, 3], "begin_mask": [True, True, False], "end_mask": [True, True, False]},
        X[:, :, 1:3],
    ),
    ({"begin": [1, 0, -1], "end": [0, 2, 0], "squeeze_mask": [True, False, True]}, X[1, 0:2, -1]),
    ({"begin": [1, 2, 3], "end": [0, 0, 0], "squeeze_mask": [True, True, True]}, X[1, 2, 3]),
    ({"begin": [0, 2, 0], "end": [2, -9, 4], "stride": [1, -1, 1]}, X[:, ::-1]),
]


@pytest.mark.parametrize(("parameters", "expected"), SLICES)
def test_slice_by_index(check: Any, parameters: dict[str, Any], expected: np.ndarray) -> None:
    check("slice_by_index", expected, x=X, **parameters)


def test_slice_update_replaces_what_slice_by_index_takes(check: Any) -> None:
    update = -np.ones((2, 2), np.float32)
    expected = X.copy()
    expected[1, 0:2, 1::2] = update
    place = {"begin": [1, 0, 1], "end": [0, 2, 4], "stride": [1, 1, 2], "squeeze_mask": [True, False, False]}
    check("slice_update", expected, x=X, update=update, **place)


def test_joining_and_splitting(check: Any) -> None:
    other = X + np.float32(100)
    check("concat", np.array([*X, *other]), values=[X, other], axis=0)
    check("concat", np.array([*X, *other]), values=[X, other], axis=-3, interleave=False)
    zipped = np.array([[row for pair in zip(X[i], other[i], strict=True) for row in pair] for i in range(2)])
    check("concat", zipped, values=[X, other], axis=1, interleave=True)
    check("concat", X, values=[X], axis=1)
    check("stack", np.array([[X[i], other[i]] for i in range(2)]), values=[X, other], axis=1)
    check("split", (X[..., :2], X[..., 2:]), x=X, num_splits=2, axis=-1)
    check("split", (X[:, :1], X[:, 1:]), x=X, split_sizes=[1, 2], axis=1)


def test_reverse_sequence_leaves_what_is_beyond_the_length(check: Any) -> None:
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    expected = np.array([[4, 1], [2, 3], [0, 5], [6, 7]], np.float32)
    check("reverse_sequence", expected, x=x, lengths=np.array([3, 1], np.int32), seq_axis=0, batch_axis=1)


def test_blocks_of_pixels_and_channels(check: Any) -> None:
    deep = np.zeros((1, 2, 8, 12), np.float32)
    for c in range(8):  # TensorFlow's depth_to_space: the block's place is in the slower channels
        deep[:, c % 2, c // 4 :: 2, (c // 2) % 2 :: 2] = IMAGE[:, c]
    check("depth_to_space", deep, x=IMAGE, block_size=2)
    check("space_to_depth", IMAGE, x=deep, block_size=2)


def test_blocks_of_pixels_and_batches(check: Any) -> None:
    x = np.arange(3 * 3, dtype=np.float32).reshape(1, 1, 3, 3)
    padded = np.zeros((4, 6), np.float32)
    padded[1:, 2:5] = x[0, 0]
    expected = np.array([[padded[row::2, column::3]] for row in range(2) for column in range(3)])
    check("space_to_batch", expected, x=x, block_shape=[2, 3], paddings=[[1, 0], [2, 1]])
    check("batch_to_space", x, x=expected, block_shape=[2, 3], crops=[[1, 0], [2, 1]])
    check("crop", IMAGE[:, :, 1:2, 2:6], x=IMAGE, crop_height=[1, 2], crop_width=[2, 0])


GATHERS = [
    ("gather", {"axis": 1}, np.array([2, 0, 2], np.int32), X[:, [2, 0, 2]]),
    ("gather", {"axis": -1}, np.array([[1, -1]], np.int32), X[..., [[1, 3]]]),
    ("gather", {"axis": 0}, np.array(1, np.int32), X[1]),
    ("gather", {"axis": 2, "batch_dims": 1}, np.array([[3], [0]], np.int32), np.stack([X[0][:, [3]], X[1][:, [0]]])),
    ("gather_along_axis", {"axis": 2}, np.full((2, 3, 1), 2, np.int32), X[..., 2:3]),
    ("gather_nd", {}, np.array([[1, 2], [0, 0]], np.int32), np.stack([X[1, 2], X[0, 0]])),
    ("gather_nd", {"batch_dims": 1}, np.array([[[2]], [[0]]], np.int32), np.stack([X[0][[2]], X[1][[0]]])),
]


@pytest.mark.parametrize(("op", "parameters", "indices", "expected"), GATHERS)
def test_gathering(check: Any, op: str, parameters: dict[str, Any], indices: np.ndarray, expected: np.ndarray) -> None:
    check(op, expected, x=X, indices=indices, **parameters)


MODES = {
    "update": lambda old, new: new,
    "add": lambda old, new: old + new,
    "sub": lambda old, new: old - new,
    "mul": lambda old, new: old * new,
    "div": lambda old, new: old / new,
    "max": max,
    "min": min,
}


@pytest.mark.parametrize("mode", MODES)
def test_scattering(check: Any, mode: str) -> None:
    data = np.arange(1, 7, dtype=np.float32).reshape(2, 3)
    combine = MODES[mode]
    rows = data.copy()
    updates = np.array([[3.0, 4.0], [5.0, 2.0]], np.float32)
    for place, column in enumerate([2, 0]):
        for row in range(2):
            rows[row, column] = combine(rows[row, column], updates[row, place])
    check("scatter", rows, data=data, indices=np.array([2, 0], np.int32), updates=updates, axis=1, mode=mode)
    along = data.copy()
    indices = np.array([[1, 0, 1]], np.int32)
    for column in range(3):
        along[indices[0, column], column] = combine(along[indices[0, column], column], 2.5)
    given = np.full((1, 3), 2.5, np.float32)
    check("scatter_along_axis", along, data=data, indices=indices, updates=given, axis=0, mode=mode)
    points = data.copy()
    points[1, 2], points[0, 1] = combine(points[1, 2], 9.0), combine(points[0, 1], 0.5)
    where = np.array([[1, 2], [0, 1]], np.int32)
    check("scatter_nd", points, data=data, indices=where, updates=np.array([9.0, 0.5], np.float32), mode=mode)


def test_repeated_indices_add_up(check: Any) -> None:
    data, indices = np.zeros(3, np.float32), np.array([1, 1, 1], np.int32)
    updates = np.array([1.0, 2.0, 3.0], np.float32)
    check("scatter", np.array([0, 6, 0], np.float32), data=data, indices=indices, updates=updates, mode="add")


@pytest.mark.parametrize(
    "op", ["gather", "gather_along_axis", "gather_nd", "scatter", "scatter_along_axis", "scatter_nd"]
)
def test_a_negative_index_is_an_error_where_indices_are_validated(op: str) -> None:
    values = {"x" if op.startswith("gather") else "data": np.array([1, 2, 3], np.float32)}
    if op.startswith("scatter"):
        values |= {"updates": np.array([9], np.float32)}
    indices = np.array([[-1]] if op.endswith("nd") else [-1], np.int32)
    compute = REGISTRY[op].function
    assert (3 in compute(**values, indices=indices)) == op.startswith("gather")
    with pytest.raises(IndexError, match="out of range"):
        compute(**values, indices=indices, validate_indices=True)


def test_a_named_axis_that_is_not_of_one_element_stays(check: Any) -> None:
    x = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    check("squeeze", x[0], x=x, axes=[-1, 0])


def test_the_sample_halfway_between_two_elements_is_the_later_one(check: Any) -> None:
    x, places = np.array([[[[1, 2, 3, 4]]]], np.float32), np.array([[[[0.5, 0], [2.5, 0]]]], np.float32)
    check(
        "resample", np.array([[[[2, 4]]]], np.float32), x=x, coordinates=places, sampling_mode="nearest",
        padding_mode="border", padding_value=0.0, coordinates_mode="unnormalized", align_corners=False,
    )  # fmt: skip
