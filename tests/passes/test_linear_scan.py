"""A scan whose body is linear in its states: all frames at once is the same as frame after frame."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array
from mctc.ir.program import Program
from mctc.ir.text import parse_program
from mctc.passes.lower_scan import LowerScan
from mctc.passes.round_numbers import RoundNumbers
from mctc.rewrite.base import Context

HEAD = """function @f(%x: f32[batch 1, channel 4, unit 1, time {t}], %k: f32[batch 1, channel 1, feature 3, time {t}],
  %q: f32[batch 1, channel 1, feature 3, time {t}], %d: f32[batch 1, channel {c}, {n}, time {t}]) {{
  state %s: f32[batch 1, channel 4, {f}, unit 1]
  %a = sigmoid(%d)
  %0 = scan_state(%s, axes = [batch 1, channel 4, {f}, time {t}], state = s)
"""
TAIL = """
  next %s = %e
  return {results}
}}"""

DECAYED = """  %1 = mul(%a, %0)
  %2 = add(%1, %x)
  %y, %e = scan(%0, %2)"""
MATRIX = """  %1 = mul(%a, %0)
  %kv = mul(%k, %x)
  %2 = add(%kv, %1)
  %m, %e = scan(%0, %2)
  %w = mul(%m, %q)
  %y = reduce_sum(%w, axis = feature)"""
DELTA = """  %h = mul(%a, %0)
  %p = mul(%0, %k)
  %r = reduce_sum(%p, axis = feature)
  %v = sub(%x, %r)
  %u = scale(%k, factor = 0.3)
  %kv = mul(%v, %u)
  %2 = add(%h, %kv)
  %m, %e = scan(%0, %2)
  %w = mul(%m, %q)
  %y = reduce_sum(%w, axis = feature)"""
MASKED = DELTA.replace(
    "%m, %e = scan(%0, %2)",
    """%on = greater(%d, %x0)
  %n = sub(%2, %0)
  %g = mul(%n, %on)
  %3 = add(%0, %g)
  %m, %e = scan(%0, %3)""",
).replace("%h =", "%x0 = scale(%d, factor = 0.0)\n  %h =")
LARGEST = """  %1 = add(%0, %a)
  %2 = maximum(%1, %x)
  %y, %e = scan(%0, %2)"""
POWERS = """  %1 = scale(%0, factor = 0.9)
  %2 = add(%x, %1)
  %y, %e = scan(%0, %2)"""


def program(body: str, frames: int, decay: tuple[int, int] = (1, 1), results: str = "y = %y") -> Program:
    keyed = "%m" in body
    axes = "feature 3" if keyed else "unit 1"
    c, n = decay
    decays = f"feature {n}" if n > 1 else "unit 1"
    return parse_program(HEAD.format(t=frames, c=c, n=decays, f=axes) + body + TAIL.format(results=results))


CASES = {
    "decayed": (DECAYED, (4, 1)),
    "decayed, one decay for all": (DECAYED, (1, 1)),
    "powers": (POWERS, (1, 1)),
    "largest": (LARGEST, (4, 1)),
    "matrix": (MATRIX, (1, 1)),
    "matrix, a decay a feature": (MATRIX, (1, 3)),
    "matrix, a decay a channel": (MATRIX, (4, 1)),
    "delta": (DELTA, (1, 1)),
    "delta, behind a mask": (MASKED, (1, 1)),
    "delta, behind a mask for each feature": (MASKED, (1, 3)),
    "delta, a decay a feature": (DELTA, (1, 3)),
}


def calls(frames: int, decay: tuple[int, int], low: float = -3.0) -> Iterator[dict[str, Array]]:
    for call in range(3):
        draw = np.random.default_rng(call)
        shapes = {"x": (4, 1), "k": (1, 3), "q": (1, 3), "d": decay}
        yield {name: draw.normal(size=(1, *shape, frames)) for name, shape in shapes.items()}


def run(made: Program, inputs: Iterator[dict[str, Array]], shape: tuple[int, ...]) -> list[Array]:
    states, found = {"s": np.zeros(shape)}, []
    for given in inputs:
        results, states = evaluate(made.functions["f"], given, {}.__getitem__, states)
        found += [*results.values(), *states.values()]
    return found


@pytest.mark.parametrize("frames", [1, 2, 5, 8, 19])
@pytest.mark.parametrize("name", CASES)
def test_all_at_once_equals_frame_by_frame(name: str, frames: int) -> None:
    body, decay = CASES[name]
    whole = program(body, frames, decay)
    shape = whole.functions["f"].states[0].value.type.shape
    context = Context()
    at_once, in_turn = (LowerScan(form).run(whole, context) for form in ("parallel", "unrolled"))
    expected = run(in_turn, calls(frames, decay), shape)
    for found, right in zip(run(at_once, calls(frames, decay), shape), expected, strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(run(whole, calls(frames, decay), shape)[0], expected[0], rtol=1e-10, atol=1e-12)


def reasons(made: Program, form: str | None = None) -> str:
    context = Context()
    LowerScan(form).run(made, context)
    return " ".join(why for *_, why in context.explanations)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("decayed", "s by doubling"),
        ("largest", "s by doubling"),
        ("matrix", "s by pairs of frames"),
        ("matrix, a decay a channel", "s by doubling"),
        ("delta, behind a mask", "s by pairs of frames, with a term of rank one"),
    ],
)
def test_the_form_of_each_state_is_told(name: str, told: str) -> None:
    body, decay = CASES[name]
    assert told in reasons(program(body, 8, decay), "parallel")


def test_what_is_not_linear_is_told_with_its_op() -> None:
    body = DECAYED.replace("mul(%a, %0)", "tanh(%0)")
    assert "s frame by frame, as `tanh` of it is not linear" in reasons(program(body, 8, (4, 1)))


@pytest.mark.parametrize(
    ("channels", "told"),
    [(4, "s frame by frame, as that takes less, doubtful"), (32, "s by pairs of frames, least under")],
)
def test_cost_decides_and_is_told(channels: int, told: str) -> None:
    text = (HEAD + MATRIX + TAIL).format(t=8, c=1, n="unit 1", f="feature 3", results="y = %y")
    text = text.replace("channel 4", f"channel {channels}").replace("feature 3", f"feature {channels // 4 * 3}")
    found = reasons(parse_program(text))
    assert told in found
    assert "all at once: " in found
    assert "frame by frame: " in found


def test_a_linear_state_is_solved_beside_one_that_is_not() -> None:
    """The second state reads the first, whose body is no linear one."""
    text = """function @f(%x: f32[batch 1, channel 4, unit 1, time 6]) {
  %0 = scan_state(axes = [batch 1, channel 4, unit 1, time 6], state = h)
  %1 = scan_state(axes = [batch 1, channel 4, unit 1, time 6], state = c)
  %2 = add(%0, %x)
  %3 = tanh(%2)
  %4 = scale(%1, factor = 0.5)
  %5 = add(%4, %3)
  %y, %z, %d, %e = scan(%0, %1, %3, %5, states = 2)
  return y = %y, z = %z, d = %d, e = %e
}"""
    whole = parse_program(text)
    at_once = LowerScan("parallel").run(whole, Context())
    assert [op.name for op in at_once.functions["f"].ops].count("tanh") == 6
    given = {"x": np.random.default_rng(0).normal(size=(1, 4, 1, 6))}
    found, right = (evaluate(each.functions["f"], given, {}.__getitem__)[0] for each in (at_once, whole))
    for name in right:
        np.testing.assert_allclose(found[name], right[name], rtol=1e-12)
    assert "h frame by frame, as `tanh` of it is not linear; c by doubling" in reasons(whole, "parallel")


@pytest.mark.parametrize("name", ["decayed", "matrix", "matrix, a decay a feature", "delta"])
def test_slow_decays_keep_their_digits_over_long_chunks(name: str) -> None:
    """Decays of exp(-0.001) in chunks of 130 frames: 390 frames later a state still has all digits."""
    body, decay = CASES[name]
    whole = program(body.replace("%u = scale(%k, factor = 0.3)", "%u = scale(%k, factor = 0.001)"), 130, decay)
    inputs = [{**given, "d": np.full_like(given["d"], 7.0)} for given in calls(130, decay)]
    shape = whole.functions["f"].states[0].value.type.shape
    at_once = run(LowerScan("parallel").run(whole, Context()), iter(inputs), shape)
    for found, right in zip(at_once, run(whole, iter(inputs), shape), strict=True):
        np.testing.assert_allclose(found, right, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("body", [LARGEST, DECAYED])
def test_a_state_with_a_large_start_is_no_less_linear(body: str) -> None:
    """As the language writes one: the start at the first frame alone, from a loop that depends on nothing."""
    begun = """  %b0 = scan_state(%b, axes = [batch 1, channel 1, unit 1, time 8], state = s_begun)
  %one = scale(%b0, factor = 0.0, offset = 1.0)
  %b1, %b2, %be = scan(%b0, %one, %b0)
  %first = scale(%b2, factor = 10000.0, offset = -10000.0)
"""
    step, *rest = body.splitlines(keepends=True)
    body = "  %h = add(%0, %first)\n" + step.replace("%0", "%h") + "".join(rest)
    head = HEAD.format(t=8, c=4, n="unit 1", f="unit 1").replace("  %a =", begun + "  %a =")
    head = head.replace("  state %s", "  state %b: f32[batch 1, channel 1, unit 1, unit 1]\n  state %s")
    made = parse_program(head + body + TAIL.format(results="y = %y").replace("next %s", "next %b = %be\n  next %s"))
    told = reasons(made, "parallel")
    assert "s by doubling" in told
    assert "s_begun as it is written" in told


@pytest.mark.parametrize("driven", ["by frames", "by a number"])
def test_powers_of_a_number_keep_their_digits_where_numbers_are_rounded_to_fp16(driven: str) -> None:
    """Frame by frame the factor alone is a number; of its powers the chunk holds no fewer digits."""
    body = POWERS.replace("0.9)", "0.990234375)")  # fp16's own, as the author's numbers are by then
    if driven == "by a number":
        body = body.replace("%2 = add(%x, %1)", "%2 = scale(%0, factor = 0.990234375, offset = 0.25)")
    text = (HEAD + body + TAIL).format(t=16, c=1, n="unit 1", f="unit 1", results="y = %y")
    whole = parse_program(text)
    lowered = RoundNumbers().run(LowerScan("parallel").run(whole, Context()), Context())
    given = list(calls(16, (1, 1)))
    shape = whole.functions["f"].states[0].value.type.shape
    for found, right in zip(run(lowered, iter(given), shape), run(whole, iter(given), shape), strict=True):
        np.testing.assert_allclose(found, right, rtol=0, atol=1e-6 * np.abs(right).max())
    single = LowerScan("parallel").run(whole, Context(precision="fp32"))
    assert sum(op.name == "matmul" for op in single.functions["f"].ops) == (2 if driven == "by frames" else 1)
