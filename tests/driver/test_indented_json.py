"""JSON with an entry a line is what the library writes."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from mctc.driver.indented_json import indented


@pytest.mark.parametrize(
    "content",
    [
        {}, [], None, 1.5, "a, b: {c}", [[]], {"a": {}}, [[], {}, ()], [1, "x, y", None, True], {"a": 1, "b": [1, 2]},
        {"a": {"b": {"c": [{"d": 1}, {"e": [1.0, [2]]}, []]}}, "ü\n\"'": "ü\n\"'"}, (1, (2, 3)),
        {1: {"a": 2}, None: [1], False: 3, 1.5: {"b": [4]}}, [float("inf"), -0.0, 1e300, 10**30],
    ],
)  # fmt: skip
def test_it_is_what_the_library_writes(content: object) -> None:
    assert indented(content) == json.dumps(content, indent=2)


def test_an_object_is_what_it_is_said_to_be() -> None:
    content = {"rate": Fraction(1, 2), "of": [{"each": Fraction(3)}]}
    assert indented(content, float) == json.dumps(content, indent=2, default=float)


def test_an_object_that_is_nothing_in_json_is_refused() -> None:
    with pytest.raises(TypeError):
        indented({"a": [object()]})
