"""Numbers beyond fp16's range are followed as far as they change anything: lost is what the rounded program loses, and
altered what depends on how far beyond they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array
from mctc.ir.program import Op, Program, Value
from mctc.ir.text import parse_program
from mctc.numerics.difference import difference
from mctc.numerics.limits import limit_of
from mctc.proof.beyond import Beyond, Infinite, is_beyond

X = np.linspace(-2, 2, 24, dtype=np.float32).reshape(1, 4, 6)
MASKED = "%t = reduce_max(%x, axis = channel) %d = sub(%x, %t) %m = scale(%d, factor = 5e5)"
BODIES = {
    "a mask behind a softmax": (f"{MASKED} %y = softmax(%m, axis = channel)", False),
    "a square of large numbers": (
        "%m = scale(%x, factor = 1000) %s = square(%m) %y = scale(%s, factor = 0.000001)",
        True,
    ),
    "what a limit cuts": ("%m = scale(%x, factor = 100000) %y = clip(%m, low = -3, high = 3)", False),
    "no term of a sum": ("%m = scale(%x, factor = 100000) %y = sub(%m, %m)", True),
    "a quotient of it": (
        "%m = scale(%x, factor = 1e5, offset = 3e5) %r = reciprocal(%m) %y = scale(%r, offset = 1)",
        False,
    ),
    "a logarithm of the quotient": (
        "%m = scale(%x, factor = 100000) %a = scale(%m, offset = 300000) %r = reciprocal(%a) %y = log(%r)",
        True,
    ),
    "moved first": ("%m = scale(%x, factor = 100000) %t = reverse(%m, axis = 2) %y = tanh(%t)", False),
    "nothing beyond": ("%m = scale(%x, factor = 30000) %y = sub(%m, %x)", False),
}
FINITE = {
    "tanh of it, scaled down": ("%m = scale(%x, factor = 1e7) %s = scale(%m, factor = 1e-5) %y = tanh(%s)", True),
    "a step": ("%m = scale(%x, factor = 1e7) %y = sigmoid(%m)", False),
    "a quotient alone": ("%m = scale(%x, factor = 1e5, offset = 5e5) %y = reciprocal(%m)", True),
}


class Follows:
    """Goes along; some ops are given what another one gave."""

    def __init__(self, same: Mapping[Op, Op]) -> None:
        self.same, self.beyond = same, Beyond()

    def instead(self, op: Op, results: Sequence[Array]) -> Sequence[Array]:
        return [np.roll(array, 1) for array in results]

    def saw(self, op: Op, values: Mapping[Value, Array]) -> None:
        self.beyond.saw(op, values, self)


def program(body: str, result: str = "y") -> Program:
    text = f"program @p {{ function @f(%x: f32[batch 1, time 4, channel 6]) {{ {body} return y = %{result} }} }}"
    return parse_program(text)


def altered(parsed: Program, same: Mapping[Op, Op]) -> bool:
    function, watch = parsed.functions["f"], Follows(same)
    results, _ = evaluate(function, {"x": X}, lambda _: np.zeros(0), None, np.float32, watch=watch)
    return watch.beyond.alters(dict(function.results)["y"], results["y"])


@pytest.mark.parametrize("name", BODIES)
def test_lost_is_what_the_rounded_program_loses(name: str) -> None:
    body, expected = BODIES[name]
    parsed = program(body)
    exact, rounded = (
        evaluate(parsed.functions["f"], {"x": X}, lambda _: np.zeros(0), None, np.float32, rounding=rounding)[0]["y"]
        for rounding in (None, limit_of("fp16").roundings[0])
    )
    assert (difference(exact, rounded).lost > 0) is expected
    assert altered(parsed, {}) is expected


@pytest.mark.parametrize("name", FINITE)
def test_altered_is_what_depends_on_how_far_beyond_a_number_is(name: str) -> None:
    body, expected = FINITE[name]
    parsed = program(body)
    rounded, _ = evaluate(
        parsed.functions["f"], {"x": X}, lambda _: np.zeros(0), None, np.float32, rounding=Infinite(None)
    )
    assert np.isfinite(rounded["y"]).all()
    assert altered(parsed, {}) is expected


@pytest.mark.parametrize(("end", "expected"), [("scale(%q, offset = 1)", False), ("log(%q)", True)])
def test_what_stands_for_an_op_that_is_not_computed_is_what_became_of_the_other(end: str, expected: bool) -> None:
    parsed = program(f"%a = scale(%x, factor = 1e5, offset = 3e5) %r = reciprocal(%a) %q = reciprocal(%x) %y = {end}")
    _, first, second, _ = parsed.functions["f"].ops
    assert altered(parsed, {second: first}) is expected


def test_another_evaluation_begins_anew() -> None:
    parsed = program("%y = scale(%x, factor = 80000)")
    function, watch = parsed.functions["f"], Follows({})
    for factor, expected in ((1.0, True), (0.01, False)):
        watch.beyond.begin()
        inputs = {"x": X * np.float32(factor)}
        results, _ = evaluate(function, inputs, lambda _: np.zeros(0), None, np.float32, watch=watch)
        assert watch.beyond.alters(dict(function.results)["y"], results["y"]) is expected


@pytest.mark.parametrize("value", [65503.9, 65504.1, -70000.0, 3e38, np.inf, -np.inf])
@pytest.mark.parametrize("among", [[0.0], [np.nan, 1.0], [300.0] * 50_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numbers_beyond_fp16_are_noticed(value: float, among: list[float], dtype: type) -> None:
    array = np.array([*among, value], dtype)
    assert is_beyond(array) == (abs(value) > 65504)
    assert is_beyond(np.stack([array, array])[:, ::-1]) == (abs(value) > 65504)
    assert not is_beyond(np.array(among, dtype))
    assert not is_beyond(np.zeros((0, 3), dtype))


@pytest.mark.parametrize(("value", "expected"), [(65504.0, False), (np.nan, False), (np.inf, True), (-np.inf, True)])
def test_of_what_is_in_fp16_only_infinity_is_beyond(value: float, expected: bool) -> None:
    assert is_beyond(np.array([1.0, value], np.float16)) is expected
