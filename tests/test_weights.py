"""Values of parameters: drawn the same however large, and once for all parts of a tensor."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from mctc import initializers, weights
from mctc.checkpoint import WeightsError
from mctc.ir.text import parse_program
from mctc.weights import Weights

PARTS = """program @p {
    source @table: f32[6, 4] = normal(std = 0.5)
    param @low = slice(@table, axis = 0, end = 3): f32[3, 4]
    param @high = slice(@table, axis = 0, begin = 3): f32[3, 4]
}"""


def test_a_tensor_that_is_drawn_in_parts_is_the_one_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    source = parse_program(PARTS).sources["table"]
    whole = initializers.initialise("table", *source, seed=0)
    monkeypatch.setattr(initializers, "PART", 5)
    np.testing.assert_array_equal(initializers.initialise("table", *source, seed=0), whole)
    assert whole.std() == pytest.approx(0.5, rel=0.3)


@pytest.mark.parametrize("rule", ["normal(std = 0.5)", "uniform(bound = 0.1)", "ones()", "kaiming_uniform()"])
def test_a_tensor_that_is_drawn_in_fp16_is_the_rounded_one(rule: str) -> None:
    text = f"program @p {{ source @table: f32[300, 250] = {rule.replace('()', '(fan_in = 7)')} param @table }}"
    source = parse_program(text).sources["table"]
    whole = initializers.initialise("table", *source, 3)
    half = initializers.initialise("table", *source, 3, np.float16)
    np.testing.assert_array_equal(half.view(np.uint16), whole.astype(np.float16).view(np.uint16))


@pytest.mark.parametrize("size", [1, 7, 300, 70_001])
@pytest.mark.parametrize("bound", [0.1, 1e-30, 3.0])
def test_uniform_numbers_are_those_of_numpy(size: int, bound: float) -> None:
    text = f"program @p {{ source @table: f32[{size}] = uniform(bound = {bound}) param @table }}"
    source = parse_program(text).sources["table"]
    digest = hashlib.sha256(b"5:table").digest()
    rng = np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
    expected = rng.random(size, np.float32) * np.float32(2 * bound) - np.float32(bound)
    np.testing.assert_array_equal(initializers.initialise("table", *source, 5), expected)


MOVED = """program @p {
    source @table: f32[6, 4] = normal(std = 0.5)
    param @moved = pad(transpose(slice(@table, axis = 0, begin = 1), order = [1, 0]), axis = 1, after = 3): f32[4, 8]
    param @squares = square(@table): f32[6, 4]
    param @whole = reshape(@table, axes = [["plain", 24]]): f32[24]
}"""


def test_what_is_rounded_before_it_is_moved_is_stored_as_what_is_rounded_after() -> None:
    program = parse_program(MOVED)
    large, small = Weights(program.sources), Weights(program.sources, cache=True)
    for parameter in program.parameters.values():
        found, expected = large.stored(parameter), large.value(parameter).astype(np.float16)
        assert isinstance(found, np.ndarray)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(found, small.stored(parameter))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tensors that are drawn, each time that one is begun."""
    drawn: list[str] = []
    original = initializers._drawn
    monkeypatch.setattr(initializers, "_drawn", lambda name, *rest: drawn.append(name) or original(name, *rest))
    return drawn


@pytest.mark.parametrize("form", ["value", "stored"])
def test_rows_of_a_tensor_are_drawn_as_they_are_asked_for(drawn: list[str], form: str) -> None:
    program = parse_program(PARTS)
    values = Weights(program.sources)
    low, high = (getattr(values, form)(program.parameters[name]) for name in ("low", "high"))
    assert drawn == ["table"]
    whole = initializers.initialise("table", *program.sources["table"], 0).astype(low.dtype)
    np.testing.assert_array_equal(np.concatenate([low, high]), whole)
    values.release()
    np.testing.assert_array_equal(getattr(values, form)(program.parameters["low"]), low)
    assert drawn == ["table"] * 3


@pytest.mark.parametrize("order", [("high", "low", "high"), ("low", "high", "high"), ("low", "low", "high")])
def test_rows_that_are_asked_for_out_of_order_are_those_of_the_whole(order: tuple[str, ...]) -> None:
    program = parse_program(PARTS)
    values = Weights(program.sources)
    found = [(name, values.value(program.parameters[name])) for name in order]
    low, high = (next(rows for name, rows in found if name == wanted) for wanted in ("low", "high"))
    for name, rows in found:
        np.testing.assert_array_equal(rows, {"low": low, "high": high}[name])
    np.testing.assert_array_equal(
        np.concatenate([low, high]), initializers.initialise("table", *program.sources["table"], 0)
    )


def test_weights_that_are_kept_draw_a_tensor_once_for_every_program(monkeypatch: pytest.MonkeyPatch) -> None:
    program = parse_program(PARTS)
    drawn = []
    original = weights.initialise
    monkeypatch.setattr(weights, "initialise", lambda name, *rest: drawn.append(name) or original(name, *rest))
    values = Weights(program.sources, cache=True)
    for each in (values, values.of_another_program()):
        each.value(program.parameters["low"])
        each.release()
        each.value(program.parameters["high"])
    assert drawn == ["table"]


VANISHING = """program @m {{ source @enc.gate.weight: f32[16, 8] = normal(std = 1e-9)
    param @enc.gate.weight {how} function @f() {{ %w = parameter @enc.gate.weight return y = %w }} }}"""


@pytest.mark.parametrize("how", ["", "as int8(bits = 8)", "as palette(bits = 4)"])
def test_a_tensor_that_vanishes_in_fp16_is_named(how: str) -> None:
    program = parse_program(VANISHING.format(how=how))
    with pytest.raises(WeightsError, match=r"parameter enc\.gate\.weight vanishes in fp16") as caught:
        Weights(program.sources).stored(program.parameters["enc.gate.weight"])
    assert caught.value.hint


def test_a_tensor_of_zeros_is_stored_as_one() -> None:
    program = parse_program(VANISHING.format(how="").replace("normal(std = 1e-9)", "zeros()"))
    assert not Weights(program.sources).deployed(program.parameters["enc.gate.weight"]).any()
