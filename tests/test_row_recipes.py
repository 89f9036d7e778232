"""Rows of a tensor by a recipe: what the whole recipe gives there, and nothing of recipes that need more."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.ir.program import Source
from mctc.ir.text import parse_program
from mctc.recipe_values import recomputed
from mctc.row_recipes import taken_rows

TABLE = np.arange(24, dtype=np.float32).reshape(6, 4)


def _read(source: Source, begin: int, end: int) -> np.ndarray:
    assert 0 <= begin < end <= 6
    return TABLE[begin:end]


@pytest.mark.parametrize(
    ("recipe", "rows"),
    [
        ("slice(@t, axis = 0, begin = 2, end = 5): f32[3, 4]", True),
        ("slice(slice(@t, axis = 0, begin = 1): f32[5, 4], axis = 0, begin = 1, end = 3): f32[2, 4]", True),
        ('reshape(slice(@t, axis = 0, end = 2): f32[2, 4], axes = [["plain", 2], ["plain", 4]]): f32[2, 4]', True),
        ("slice(pad(@t, axis = 0, before = 1, after = 3): f32[10, 4], axis = 0, begin = 4, end = 9): f32[5, 4]", True),
        ("slice(pad(@t, axis = 0, before = 1, value = 7.0): f32[7, 4], axis = 0, end = 3): f32[3, 4]", True),
        ("pad(slice(@t, axis = 0, begin = 3): f32[3, 4], axis = 0, after = 2): f32[5, 4]", True),
        ("slice(@t, axis = 0): f32[6, 4]", False),
        ("slice(@t, axis = 0, begin = 1, stride = 2): f32[3, 4]", False),
        ("slice(@t, axis = 1, end = 2): f32[6, 2]", False),
        ("slice(pad(@t, axis = 0, after = 3): f32[9, 4], axis = 0, begin = 6): f32[3, 4]", False),
        ("slice(transpose(@t, order = [1, 0]): f32[4, 6], axis = 0, end = 2): f32[2, 6]", False),
        ('slice(reshape(@t, axes = [["plain", 24]]): f32[24], axis = 0, end = 5): f32[5]', False),
        ("pad(@t, axis = 0, after = 2): f32[8, 4]", False),
        ("@t", False),
    ],
)  # fmt: skip
def test_rows_are_those_of_the_whole(recipe: str, rows: bool) -> None:
    program = parse_program(f"program @m {{ source @t: f32[6, 4] = zeros() param @p = {recipe} }}")
    parameter = program.parameters["p"]
    found = taken_rows(parameter.recipe, _read)
    assert (found is not None) is rows
    if found is not None:
        np.testing.assert_array_equal(found, recomputed(parameter.recipe, TABLE))


def test_what_is_not_read_by_rows_is_read_as_a_whole() -> None:
    program = parse_program(
        "program @m { source @t: f32[6, 4] = zeros() param @p = slice(@t, axis = 0, end = 2): f32[2, 4] }"
    )
    assert taken_rows(program.parameters["p"].recipe, lambda *_: None) is None
