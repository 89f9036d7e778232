"""Steps of small functions: their text, their states, their latency, and two sequences at once."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.ir.dims import Extent
from mctc.ir.domain import MASK, Interval
from mctc.ir.location import Origin
from mctc.ir.program import Function, Value
from mctc.ir.text import print_function
from mctc.ir.types import Axis, Role
from mctc.ir.verify import verify
from mctc.streaming.derive import derive_program

from .programs import Case, Draft
from .small import Body, conv, small

CAUSAL_AND_AHEAD = """\
function @f(%x0: f32[batch 1, time 4, channel 4]) {
  state %f.layer.context: f32[batch 1, time 2, channel 4]
  state %f.layer.delay: f32[batch 1, time 1, channel 4]
  %0 = parameter @w0: f32[4, 4, 3]
  %1 = concat(%f.layer.context, %x0, axis = 1): f32[batch 1, time 6, channel 4]
  %2 = slice(%1, axis = 1, begin = 4): f32[batch 1, time 2, channel 4]
  %3 = conv1d(%1, %0): f32[batch 1, time 4, channel 4]
  %4 = concat(%f.layer.delay, %x0, axis = 1): f32[batch 1, time 5, channel 4]
  %5 = slice(%4, axis = 1, begin = 4): f32[batch 1, time 1, channel 4]
  %6 = slice(%4, axis = 1, end = 4): f32[batch 1, time 4, channel 4]
  %7 = add(%6, %3): f32[batch 1, time 4, channel 4]
  next %f.layer.context = %2
  next %f.layer.delay = %5
  return y = %7
}
"""


def test_the_step_of_a_branch_that_looks_ahead_and_one_that_does_not() -> None:
    case = small(lambda g, x: g.op("add", x, conv(g, x, 1, 1)))
    assert print_function(case.step(4)[0]) == CAUSAL_AND_AHEAD


def test_a_causal_step_has_no_input_but_its_own_and_no_delay() -> None:
    case = small(lambda g, x: g.op("add", x, conv(g, x, 3, 0)))
    step, info = case.step(8)
    assert [value.name for value in step.inputs] == ["x0"]
    assert [(s.name, str(s.value.type)) for s in step.states] == [
        ("f.layer.context", "f32[batch 1, time 3, channel 4]")
    ]
    assert not info.needs_valid
    assert info.latency_ms("y") == info.chunk_ms == 80.0


# Look-ahead in frames of 10 ms, by hand: each is the sum of (right x jump) of the windows on the longest path.
LATENCY: dict[str, tuple[Body, float]] = {
    "one window": (lambda g, x: conv(g, x, 2, 2), 20.0),
    "two windows": (lambda g, x: conv(g, conv(g, x, 2, 2), 0, 3), 50.0),
    "the longer branch": (lambda g, x: g.op("add", conv(g, x, 0, 4), conv(g, x, 4, 1)), 40.0),
    "a stride that takes its own frames": (lambda g, x: conv(g, x, 1, 1, 2), 0.0),
    "a window after a stride": (lambda g, x: conv(g, conv(g, x, 1, 1, 2), 1, 1), 20.0),
    "attention": (lambda g, x: g.op("attention", x, x, x, None, heads=2, left=8, right=3), 30.0),
}


# Frames of the input before frame 0 and after it that a frame at 0 sees, by hand: the sums of (left x jump) and
# (right x jump) of the windows on the way.
REACH: dict[str, tuple[Body, tuple[int, int]]] = {
    "two windows": (lambda g, x: conv(g, conv(g, x, 2, 2), 1, 3), (3, 5)),
    "a window after a stride": (lambda g, x: conv(g, conv(g, x, 1, 1, 2), 3, 1), (7, 3)),
    "the wider branch": (lambda g, x: g.op("add", conv(g, x, 5, 0), conv(g, x, 1, 4)), (5, 4)),
}


@pytest.mark.parametrize("what", REACH)
def test_the_receptive_field_is_the_sum_of_the_windows(what: str) -> None:
    body, reach = REACH[what]
    timing = small(body).step(12)[1].timings["y"]
    assert (timing.past, timing.ahead) == reach


@pytest.mark.parametrize("what", LATENCY)
def test_latency_is_the_chunk_and_what_the_windows_look_ahead(what: str) -> None:
    body, ahead = LATENCY[what]
    info = small(body).step(12)[1]
    assert info.delay_ms("y") == ahead
    assert info.latency_ms("y") == 120.0 + ahead


def measured_delay(case: Case, chunk: int) -> int:
    """How many frames late a step's first true frame comes, found by sliding the stream over the whole result."""
    from mctc.evaluate.reference import evaluate

    inputs = case.inputs(4 * chunk)
    expected, step = case.whole(inputs)["y"][0], case.step(chunk)[0]
    parts, state = [], None
    for start in range(0, 4 * chunk, chunk):
        given = {"x0": inputs["x0"][:, start : start + chunk], "valid": np.ones(chunk)}
        results, state = evaluate(step, given, case.weights.__getitem__, state)
        parts.append(results["y"][0])
    joined = np.concatenate(parts)
    fits = [d for d in range(len(joined) // 2) if np.allclose(joined[d:], expected[: len(joined) - d])]
    return fits[0]


@pytest.mark.parametrize("what", LATENCY)
def test_the_stated_delay_is_where_the_result_is_found_in_the_stream(what: str) -> None:
    case = small(LATENCY[what][0])
    assert measured_delay(case, 12) == case.step(12)[1].timings["y"].delay


def test_a_mask_of_keys_given_by_the_author_holds_in_the_stream_too() -> None:
    def body(g: Draft, x: Value) -> Value:
        mask = g.input(x.type.with_axes([x.type.axes[1]]))
        late = conv(g, x, 0, 2)
        return g.op("attention", late, x, late, mask, heads=2, left=3, right=1)

    case = small(body)
    inputs = {"x0": mixed((1, 12, 4)), "x1": np.array([1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1, 1.0])}
    whole, free = case.whole(inputs)["y"], case.whole({**inputs, "x1": np.ones(12)})["y"]
    assert np.abs(whole - free).max() > 0.01
    for chunk in (1, 3, 5, 12):
        np.testing.assert_allclose(case.streamed(inputs, [chunk])["y"], whole, rtol=1e-9)


def test_no_state_has_the_name_of_an_input() -> None:
    def bare(g: Draft, x: Value) -> Value:
        g.builder.origin = Origin()  # of no instance: nothing stands before the name
        return g.op("attention", x, x, x, None, heads=2, left=1, right=1)

    step, _ = small(bare).step(4)
    names = [value.name for value in step.inputs] + [state.name for state in step.states]
    assert "valid" in names
    assert len(set(names)) == len(names)


def test_a_step_says_what_its_inputs_may_be() -> None:
    case = small(lambda g, x: conv(g, conv(g, x, 0, 2), 0, 2))
    case.program.functions["f"].domains = {"x0": Interval(-1, 1)}
    assert case.step(4)[0].domains == {"x0": Interval(-1, 1), "valid": MASK}
    causal = small(lambda g, x: conv(g, x, 2, 0))
    assert causal.step(4)[0].domains == {}


def test_a_step_is_a_program_that_verifies() -> None:
    case = small(lambda g, x: g.op("log_softmax", g.op("add", x, conv(g, x, 3, 2))), laid_out=True)
    verify(derive_program(case.program, 4)[0])


def test_a_function_of_time_and_labels_takes_a_chunk_of_frames_and_one_label() -> None:
    """The joiner of a transducer: every frame of the chunk meets one label."""
    g = Draft(lambda strategy: None, Role.TIME, laid_out=False)
    enc = g.input(g.type(4))
    label = Axis(Role.LABEL, Extent.of("U"))
    pred = Value(enc.type.with_axis(1, label), "pred")
    g.inputs.append(pred)
    logits = g.linear(g.op("tanh", g.op("add", enc, pred)), 6)
    g.program.functions["f"] = Function("f", g.inputs, g.builder.ops, [("logits", logits)])
    case = Case(g.program, g.weights, Role.TIME, 1)
    inputs = {"x0": mixed((1, 6, 4)), "pred": mixed((1, 3, 4))}
    whole = case.whole(inputs)["logits"]
    for u in range(3):
        streamed = case.streamed({**inputs, "pred": inputs["pred"][:, u : u + 1]}, [2])["logits"]
        np.testing.assert_allclose(streamed[:, :, 0], whole[:, :, u], rtol=1e-9)


def mixed(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(len(shape) + shape[1]).normal(size=shape)


def test_a_result_without_time_is_that_of_any_call() -> None:
    """A parameter, a constant, and what is computed of them or of an input that has no frames."""
    g = Draft(lambda strategy: None, Role.TIME, laid_out=False)
    x = g.input(g.type(4))
    speaker = g.input(x.type.with_axes([x.type.axes[0], x.type.axes[2]]))
    weight = g.param(4)
    results = [("y", conv(g, x, 1, 2)), ("p", weight), ("e", g.op("exp", weight)), ("s", g.op("tanh", speaker))]
    g.program.functions["f"] = Function("f", g.inputs, g.builder.ops, results)
    case = Case(g.program, g.weights, Role.TIME, 1)
    inputs = {"x0": mixed((1, 7, 4)), "x1": mixed((1, 4))}
    whole = case.whole(inputs)
    assert set(case.step(3)[1].timings) == {"y"}
    for chunk in (1, 3, 7):
        streamed = case.streamed(inputs, [chunk])
        assert streamed.keys() == whole.keys()
        for name, expected in whole.items():
            np.testing.assert_allclose(streamed[name], expected, rtol=1e-9)


def test_a_function_of_no_sequence_takes_one_call() -> None:
    g = Draft(lambda strategy: None, Role.TIME, laid_out=False)
    channels = g.type(4).axes[2]
    x = g.input(g.type(4).with_axes([g.type(4).axes[0], channels]))
    g.program.functions["f"] = Function("f", g.inputs, g.builder.ops, [("y", g.linear(x, 3))])
    case = Case(g.program, g.weights, Role.LABEL, 1)
    inputs = {"x0": mixed((1, 4))}
    np.testing.assert_allclose(case.streamed(inputs, [1])["y"], case.whole(inputs)["y"], rtol=1e-9)
