"""Ops, or definitions of ops, that no test of coremltools evaluates: programs of them, in the way of its own tests.

The expected values are numpy's, torch's and onnxruntime's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from coremltools import target
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813  (its name in every program of theirs)
from coremltools.converters.mil.mil import types
from coremltools.converters.mil.mil.ops.tests.testing_utils import run_compare_builder
from coremltools.converters.mil.testing_reqs import backends_internal

from bench.conformance.boxes import stand_in
from mctc.evaluate.coreml.precision import Array

LOGICAL: dict[str, Callable[..., Array]] = {
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
}
SINCE_17 = [backend for backend in backends_internal if backend.opset_version >= target.iOS17]
ONLY_15 = [backend for backend in backends_internal if backend.opset_version == target.iOS15]


def check(backend: Any, build: Callable[..., Any], expected: list[Array], **inputs: Array) -> None:
    """Builds, evaluates and compares; all inputs and results are fp32 but results that are expected in int32."""
    run_compare_builder(
        build,
        {name: mb.placeholder(shape=value.shape) for name, value in inputs.items()},
        inputs,
        [(*each.shape, types.int32 if each.dtype == np.int32 else types.fp32) for each in expected],
        expected,
        backend=backend,
    )


def bits(x: Any) -> Any:
    """Inputs of a Core ML program can't be bool."""
    return mb.cast(x=x, dtype="bool")


def numbers(x: Any) -> Any:
    """Nor can its results."""
    return mb.cast(x=x, dtype="fp32")


@pytest.mark.parametrize("backend", backends_internal)
@pytest.mark.parametrize("op_name", LOGICAL)
def test_logic_of_two(backend: Any, op_name: str) -> None:
    x, y = np.array([0, 0, 1, 1], np.float32), np.array([0, 1, 0, 1], np.float32)
    expected = LOGICAL[op_name](x, y).astype(np.float32)
    check(backend, lambda x, y: numbers(getattr(mb, op_name)(x=bits(x), y=bits(y))), [expected], x=x, y=y)


@pytest.mark.parametrize("backend", backends_internal)
def test_logical_not(backend: Any) -> None:
    x = np.array([0, 1], np.float32)
    check(backend, lambda x: numbers(mb.logical_not(x=bits(x))), [1 - x], x=x)


@pytest.mark.parametrize("backend", backends_internal)
def test_ceil(backend: Any) -> None:
    x = np.array([-1.5, -0.2, 0, 0.2, 2, 2.7], np.float32)
    check(backend, lambda x: mb.ceil(x=x), [np.ceil(x)], x=x)


@pytest.mark.parametrize("backend", ONLY_15)
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize(("theirs", "padding"), [("zeros", "constant"), ("border", "border"), ("reflection",) * 2])
def test_resample(backend: Any, mode: str, theirs: str, padding: str) -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(3)
    x, places = random.random((2, 3, 5, 6), np.float32), random.uniform(-1.4, 1.4, (2, 4, 3, 2)).astype(np.float32)
    sample = torch.nn.functional.grid_sample
    expected = sample(torch.tensor(x), torch.tensor(places), mode=mode, padding_mode=theirs, align_corners=True).numpy()

    def build(x: Any, places: Any) -> Any:
        return mb.resample(
            x=x, coordinates=places, sampling_mode=mode, padding_mode=padding, padding_value=0.0,
            coordinates_mode="normalized_minus_one_to_one", align_corners=True,
        )  # fmt: skip

    check(backend, build, [expected], x=x, places=places)


@pytest.mark.parametrize("backend", SINCE_17)
@pytest.mark.parametrize("threshold", [0.1, 0.5])
def test_non_maximum_suppression(backend: Any, threshold: float) -> None:
    choose = stand_in().image.non_max_suppression
    random = np.random.default_rng(3)
    boxes, scores = random.uniform(1, 9, (12, 4)).astype(np.float32), random.random((12, 1), np.float32)
    corners = np.concatenate([boxes[:, 1::-1] - boxes[:, :1:-1] / 2, boxes[:, 1::-1] + boxes[:, :1:-1] / 2], 1)
    chosen = choose(corners, scores[:, 0], 3, threshold, -1e9).numpy()
    assert len(chosen) == 3  # so that nothing is padded

    def build(boxes: Any, scores: Any) -> Any:
        return mb.non_maximum_suppression(boxes=boxes, scores=scores, iou_threshold=threshold, max_boxes=3)

    expected = [boxes[chosen].T[None], scores[chosen].T[None], chosen[None].astype(np.int32)]
    check(backend, build, expected, boxes=boxes.T[None], scores=scores.T[None])
