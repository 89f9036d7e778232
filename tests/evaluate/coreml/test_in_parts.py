"""Operations that are called with parts of their operands: the same bits, and only where parts are independent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from mctc.evaluate.coreml import Evaluator
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


def test_as_many_places_as_a_part_may_have_are_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mctc.evaluate.coreml.in_parts.PART", 8)
    called = piece("exp", [(5, 2)], [(5, 2)])
    parts = [place for place, _ in called.in_parts([np.ones((5, 2), np.float32)])]
    assert parts == [(slice(0, 2),), (slice(2, 4),), (slice(4, 5),)]
