"""Operations that are called with parts of their operands: the same bits, and only where parts are independent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mctc.evaluate.coreml import EvaluationError, Evaluator
from mctc.evaluate.parts import Piece
from mctc.package import TensorType
from tests.evaluate.coreml.conftest import Sketch, constant

SHAPE = (2, 3, 4, 6)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mctc.evaluate.coreml.in_parts.LARGE", 1)
    monkeypatch.setattr("mctc.evaluate.coreml.in_parts.PART", 1)


def piece(kind: str, shapes: Sequence[tuple[int, ...]], results: Sequence[tuple[int, ...]], **settings: Any) -> Piece:
    sketch = Sketch()
    names = [sketch.input(f"x{n}", "fp32", shape) for n, shape in enumerate(shapes)]
    operands: dict[str, Any] = {"values": names} if kind == "concat" else dict(zip("xy", names))
    given = {key: constant(value, "bool" if isinstance(value, bool) else None) for key, value in settings.items()}
    named = {f"y{n}": TensorType("fp32", shape) for n, shape in enumerate(results)}
    sketch.op(kind, named, **operands, **given)
    package = sketch.package(list(named))
    found = Evaluator(package, "fp32").pieces(package.default_function).between(names, list(named))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("kind", "shapes", "results", "settings", "parts"),
    [
        ("gelu", [SHAPE], [SHAPE], {"mode": "EXACT"}, 2),
        ("exp", [(1, 1, 1, 6)], [(1, 1, 1, 6)], {}, 6),
        ("mul", [SHAPE, SHAPE], [SHAPE], {}, 2),
        ("mul", [SHAPE, (1, 3, 1, 1)], [SHAPE], {}, 3),
        ("sub", [SHAPE], [SHAPE], {"y": 0.5}, 2),
        ("softmax", [(1, 3, 4, 6)], [(1, 3, 4, 6)], {"axis": -1}, 3),
        ("softmax", [(1, 3, 4, 6)], [(1, 3, 4, 6)], {"axis": 1}, 4),
        ("matmul", [SHAPE, (2, 3, 6, 5)], [(2, 3, 4, 5)], {}, 2),
        ("matmul", [(1, 3, 4, 6), (1, 3, 4, 5)], [(1, 3, 6, 5)], {"transpose_x": True}, 3),
        ("concat", [SHAPE, (2, 5, 4, 6)], [(2, 8, 4, 6)], {"axis": 1, "interleave": False}, 2),
        ("concat", [(1, 3, 1, 6), (1, 5, 1, 6)], [(1, 8, 1, 6)], {"axis": -3, "interleave": False}, 6),
        ("split", [(1, 8, 4, 6)], [(1, 3, 4, 6), (1, 5, 4, 6)], {"axis": 1, "split_sizes": [3, 5]}, 4),
        ("mul", [SHAPE, (6,)], [SHAPE], {}, 1),
        ("mul", [SHAPE], [SHAPE], {"y": np.ones(SHAPE, np.float32)}, 1),
        ("prelu", [SHAPE], [SHAPE], {"alpha": np.ones(3, np.float32)}, 1),
        ("softmax", [(1, 1, 1, 6)], [(1, 1, 1, 6)], {"axis": -1}, 1),
        ("matmul", [(4, 6), (6, 5)], [(4, 5)], {}, 1),
        ("matmul", [SHAPE, (2, 1, 6, 5)], [(2, 3, 4, 5)], {}, 2),
        ("matmul", [SHAPE, (1, 1, 6, 5)], [(2, 3, 4, 5)], {}, 1),
        ("transpose", [(2, 2)], [(2, 2)], {"perm": [1, 0]}, 1),
        ("reduce_sum", [(2, 3, 4)], [(2, 3, 1)], {"axes": [-1], "keep_dims": True}, 1),
    ],
)  # fmt: skip
def test_parts_are_those_of_the_whole(
    kind: str,
    shapes: list[tuple[int, ...]],
    results: list[tuple[int, ...]],
    settings: dict[str, Any],
    parts: int,
) -> None:
    generator = np.random.default_rng(0)
    arrays = [generator.standard_normal(shape).astype(np.float32) for shape in shapes]
    called = piece(kind, shapes, results, **settings)
    whole, count = called(arrays), 0
    made = [np.full_like(each, np.nan) for each in whole]
    for place, given in called.in_parts(arrays):
        count += 1
        for each, part in zip(made, given, strict=True):
            each[place] = part
    assert count == parts
    for each, wanted in zip(made, whole, strict=True):
        np.testing.assert_array_equal(each, wanted)


WEIGHT, X = (40, 3, 1, 2), (1, 3, 4, 6)


def _convolution(shape: tuple[int, ...] = WEIGHT, **settings: Any) -> Piece:
    sketch = Sketch()
    names = [sketch.input(name, "fp32", each) for name, each in (("a", X), ("w", shape), ("b", (shape[0],)))]
    given = {key: constant(value) for key, value in settings.items()}
    taken = {"x": "a", "weight": "w", "bias": "b"} | given
    sketch.op("conv", {"y": TensorType("fp32", (1, shape[0], 4, 5))}, **taken)
    package = sketch.package(["y"])
    names = [name for name in names if name in taken.values()]
    found = Evaluator(package, "fp32").pieces(package.default_function).between(names, ["y"])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("weight", "settings", "parts"),
    [
        (WEIGHT, {}, [slice(0, 2), slice(38, 40)]),
        (WEIGHT, {"groups": 1}, [slice(0, 2), slice(38, 40)]),
        ((33, 3, 1, 2), {}, [slice(0, 2), slice(31, 33)]),
        ((2, 3, 1, 2), {}, [slice(0, 1), slice(1, 2)]),
        ((39, 1, 1, 2), {"groups": 3}, None),
        (WEIGHT, {"bias": np.ones(40, np.float32)}, None),
        (WEIGHT, {"weight": np.ones(WEIGHT, np.float32)}, None),
    ],
)
def test_of_a_convolution_the_ends_of_its_channels_are_made(
    monkeypatch: pytest.MonkeyPatch, weight: tuple[int, ...], settings: dict[str, Any], parts: list[slice] | None
) -> None:
    monkeypatch.setattr("mctc.evaluate.coreml.in_parts.PRODUCTS", 1)
    called = _convolution(weight, **settings)
    generator = np.random.default_rng(0)
    shapes = {"a": X, "w": weight, "b": (weight[0],)}
    arrays = [generator.standard_normal(shapes[item.name]).astype(np.float32) for item in called.function.inputs]  # type: ignore[attr-defined]
    (whole,) = called(arrays)
    found = list(called.in_parts(arrays, ends=True))
    assert [place for place, _ in found] == ([(slice(None), each) for each in parts] if parts else [()])
    assert called.cut_along == (1 if parts else None)
    assert called.shapes == [whole.shape]
    for place, (part,) in found:
        np.testing.assert_allclose(part, whole[place], rtol=1e-6, atol=1e-6)
    assert len(list(called.in_parts(arrays))) == 1


def test_a_small_convolution_is_called_as_a_whole() -> None:
    assert _convolution().cut_along is None


def test_the_ends_of_a_product_are_its_first_and_its_last_matrix() -> None:
    called = piece("matmul", [(1, 5, 4, 6), (1, 5, 6, 5)], [(1, 5, 4, 5)])
    arrays = [np.ones(shape, np.float32) for shape in ((1, 5, 4, 6), (1, 5, 6, 5))]
    found = [place for place, _ in called.in_parts(arrays, ends=True)]
    assert found == [(slice(None), slice(0, 1)), (slice(None), slice(4, 5))]
    assert called.cut_along == 1


def test_what_is_given_in_another_shape_is_refused_in_parts_too() -> None:
    called = piece("exp", [(5, 2)], [(5, 2)])
    with pytest.raises(EvaluationError, match="an array of shape"):
        list(called.in_parts([np.ones((6, 2), np.float32)]))


def test_as_many_places_as_a_part_may_have_are_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mctc.evaluate.coreml.in_parts.PART", 8)
    called = piece("exp", [(5, 2)], [(5, 2)])
    parts = [place for place, _ in called.in_parts([np.ones((5, 2), np.float32)])]
    assert parts == [(slice(0, 2),), (slice(2, 4),), (slice(4, 5),)]
