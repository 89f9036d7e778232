"""The prelude's blocks of everyday ops compute what they are named after."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.evaluate.reference import evaluate
from mctc.ir.op import Array
from mctc.streaming.derive import derive_program
from mctc.weights import Weights

from .conftest import Check, Elaborate, component

X = np.random.default_rng(0).normal(size=(2, 6, 8))


def result(elaborate: Elaborate, expression: str) -> Array:
    made = elaborate(component(f"return {expression}"))
    weights = Weights(made.sources)
    return evaluate(made.functions["c"], {"x": X}, lambda key: weights.value(made.parameters[key]))[0]["output"]


def normalised(x: Array, *axes: int) -> Array:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)


def grouped(x: Array, groups: int, *axes: int) -> Array:
    return normalised(x.reshape(*x.shape[:2], groups, -1), *axes).reshape(x.shape)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("elu(x)", lambda x: np.where(x > 0, x, np.expm1(x))),
        ("elu(x, alpha = 0.5)", lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
        ("leaky_relu(x, 0.1)", lambda x: np.where(x > 0, x, 0.1 * x)),
        ("prelu(x)", lambda x: np.where(x > 0, x, 0.25 * x)),
        ("where(clip(1000000 * relu(x), 0, 1), x, x + 2)", lambda x: np.where(x > 0, x, x + 2)),
        ("group_norm(x, 4)", lambda x: grouped(x, 4, 1, 3)),
        ("group_norm(x, 2, over_time = false)", lambda x: grouped(x, 2, 3)),
        ("instance_norm(x)", lambda x: normalised(x, 1)),
        ("time_softmax(x)", lambda x: np.exp(x) / np.exp(x).sum(1, keepdims=True)),
        ("cumulative_sum(x)", lambda x: np.cumsum(x, 1)),
        ("where(x > 0.1, x, x - 1)", lambda x: np.where(x > 0.1, x, x - 1)),
        ("(x < 0) + 2 * (x <= tanh(x)) + 4 * (0.3 >= x)", lambda x: (x < 0) + 2.0 * (x <= np.tanh(x)) + 4 * (x <= 0.3)),
        ("(x == relu(x)) - 3 * (x != 2)", lambda x: (x >= 0) - 3.0 * (x != 2)),
        ('(cast(abs(4 * x), "i32") == 3) + 0 * x', lambda x: (np.trunc(abs(4 * x)) == 3) * 1.0),
        ("maximum(x, 0.25) * minimum(1 / 2, x)", lambda x: np.maximum(x, 0.25) * np.minimum(0.5, x)),
        ("x + argmax(x)", lambda x: x + x.argmax(-1)[..., None]),
        ("one_hot(argmax(-x), 8)", lambda x: np.eye(8)[x.argmin(-1)]),
    ],
)
def test_a_block_computes_what_it_is_named_after(
    expression: str, expected: Callable[[Array], Array], elaborate: Elaborate
) -> None:
    np.testing.assert_allclose(result(elaborate, expression), expected(X), rtol=1e-6, atol=1e-9)


def test_top_k_gives_the_largest_entries_and_their_places(elaborate: Elaborate) -> None:
    order = np.argsort(-X, -1)[..., :3]
    made = elaborate(component("v, p = top_k(x, 3)", "return concat(v, p)", result="f32[B, T, 6]"))
    y = evaluate(made.functions["c"], {"x": X}, lambda key: np.zeros(0))[0]["output"]
    np.testing.assert_allclose(y, np.concatenate([np.take_along_axis(X, order, -1), order], -1))


def test_what_is_chosen_among_the_classes_of_a_vocabulary_is_no_vocabulary(elaborate: Elaborate) -> None:
    lines = ("v, p = top_k(x, 3)", "return concat(v, p, argmax(x), one_hot(argmax(x), 8))")
    text = component(*lines, inputs="x: f32[B, T, V]", result="f32[B, T, 15]")
    made = elaborate(text.replace("dim T:", "dim V: vocabulary = 8\ndim T:"))
    assert "vocabulary" not in str(made.functions["c"].results[0][1].type)
    y = evaluate(made.functions["c"], {"x": X}, lambda key: np.zeros(0))[0]["output"]
    order = np.argsort(-X, -1)[..., :3]
    chosen = [np.take_along_axis(X, order, -1), order, order[..., :1], np.eye(8)[order[..., 0]]]
    np.testing.assert_allclose(y, np.concatenate(chosen, -1))


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("return where(x > 0, x, -3)", "`-3 + 0 * x`"),
        ("return max(x, 0.1)", "`maximum(a, b)`"),
        ("return x + min([1, x])", "`minimum(a, b)`"),
        ("return sum(x)", "`reduce_sum"),
        ("if x > 0 { x = -x }; return x", "`where(mask, a, b)`"),
    ],
)
def test_what_is_meant_for_numbers_tells_what_tensors_have(line: str, hint: str, check: Check) -> None:
    (problem,) = check(component(line))
    assert problem.hint is not None
    assert hint in problem.hint


def test_a_quantiser_takes_the_nearest_row_of_what_is_left(elaborate: Elaborate) -> None:
    """And `dequantise` finds the same rows by their numbers."""
    told = "return dequantise(p, 5, 8) as c"
    made = elaborate(component("y, p = quantise(x, 5, 2) as c", "return concat(y, p)", result="f32[B, T, 10]"))
    back = elaborate(component(told, inputs="p: f32[B, T, 2]"))
    value = Weights(made.sources).value
    tables = [value(made.parameters[f"c.c.layers.{i}.codebook.weight"]) for i in range(2)]
    rest, places = X, []
    for table in tables:
        places.append(np.linalg.norm(rest[..., None, :] - table, axis=-1).argmin(-1))
        rest = rest - table[places[-1]]
    y = evaluate(made.functions["c"], {"x": X}, lambda key: value(made.parameters[key]))[0]["output"]
    np.testing.assert_allclose(y, np.concatenate([X - rest, np.stack(places, -1)], -1), rtol=1e-6, atol=1e-9)
    again = evaluate(back.functions["c"], {"p": y[..., 8:]}, lambda key: value(made.parameters[key]))[0]["output"]
    np.testing.assert_allclose(again, y[..., :8], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("streams", ["cumulative_sum(x)", "group_norm(x, 2, over_time = false)", "prelu(x)"])
def test_what_sees_no_later_frame_streams(streams: str, elaborate: Elaborate) -> None:
    info = derive_program(elaborate(component(f"return {streams}")), 2)[1]["c"]
    assert info.timings["output"].delay == 0


@pytest.mark.parametrize("whole", ["group_norm(x, 2)", "instance_norm(x)", "time_softmax(x)"])
def test_what_reduces_over_time_needs_the_whole_utterance(whole: str, elaborate: Elaborate) -> None:
    with pytest.raises(DiagnosticError, match="needs the whole utterance"):
        derive_program(elaborate(component(f"return {whole}")), 2)


@pytest.mark.parametrize(
    ("call", "at", "told"),
    [
        ("conv1d(x, 6, 3, groups = 3)", "3", "`groups` of `conv1d`: 8 channels do not divide into 3 groups"),
        ("conv1d(x, 6, 3, groups = 4)", "6", "`out` of `conv1d`: 6 channels do not divide into 4 groups"),
        ("conv1d(x, 9 / 2, 3)", "9 / 2", "`out` of `conv1d`: an extent must be a whole number, not the number 9/2"),
        ("quantise(x, 4, 1 - 1)", "1 - 1", "`levels` of `quantise`: a number of levels, at least 1, not 0"),
        ("conv1d(x, 8, 3, look_ahead = 5)", "5", "`look_ahead` of `conv1d`: 3 taps reach no 5 frames ahead"),
        ("conv_transpose1d(x, 7, 2, stride = 0)", "0", "`stride` of `conv_transpose1d`: a number of frames"),
        ("unfold_time(x, 3)", "3", "`factor` of `unfold_time`: 8 channels do not divide into 3 frames"),
        ("upsample(x, 1 - 1)", "1 - 1", "`factor` of `upsample`: a number of frames, at least 1, not 0"),
        ("group_norm(x, groups = 3)", "3", "`groups` of `group_norm`: 8 channels do not divide into 3 groups"),
        ("linear(x, 0)", "0", "`out` of `linear`: an axis of 0 entries"),
        ("conv2d(x, 3)", "x", "`x` of `conv2d`: f32[batch B, time T, channel 8] must have one axis besides"),
        ("fold_time(y, 2)", "y", "`x` of `fold_time`: it folds frames in time, not labels"),
        ("conv_transpose1d(y, 8, 2, stride = 2)", "y", "`x` of `conv_transpose1d`: it makes frames in time, not"),
        ("group_norm(y, 2)", "y", "`x` of `group_norm`: over labels, write `over_time = false`"),
    ],
)
def test_a_wrong_argument_of_the_prelude_is_told_where_it_is_written(
    call: str, at: str, told: str, check: Check
) -> None:
    text = component(f"z = {call}", "return x", inputs="x: f32[B, T, 8], y: f32[B, U, 8]")
    (found,) = check(text.replace("component", "dim U: label\ncomponent"))
    assert found.span is not None
    assert (found.span.text, found.span.source.shipped) == (at, False)
    assert found.message.startswith(told)


def test_an_argument_is_followed_through_the_blocks_between(check: Check) -> None:
    block = "block twice(x: f32[B, T, C], parts) -> f32[B, T, C] { return group_norm(group_norm(x, 4), parts) }\n"
    (found,) = check(block + component("return twice(x, 5)"))
    assert found.message.startswith("`groups` of `group_norm`")
    assert found.span is not None
    assert found.span.text == "parts"


@pytest.mark.parametrize(
    ("call", "instead"),
    [
        ('slice(x, "time", begin = 1)', "`delay(x, n)`, which puts frames later"),
        ('concat(x, x, axis = "time")', "`delay(x, n)`, which makes room in front of a stream"),
        ('pad(x, "time", before = 1)', "`delay(x, n)`, which begins with n frames of zeros"),
    ],
)
def test_what_joins_and_cuts_along_time_names_what_streams(call: str, instead: str, elaborate: Elaborate) -> None:
    program = elaborate(component(f"y = {call}", 'return x + 0 * reduce_sum(y, axis = "time")'))
    with pytest.raises(DiagnosticError) as caught:
        derive_program(program, 2)
    assert instead in (caught.value.hint or "")


def test_frames_are_joined_and_cut_along_time(elaborate: Elaborate) -> None:
    lines = ('first = slice(x, "time", 0, 1)', 'y = concat(2 * first, x, axis = "time")')
    made = elaborate(component(*lines, 'return slice(y, "time", begin = 1) - slice(y, "time", 0, 1)'))
    y = evaluate(made.functions["c"], {"x": X}, lambda key: np.zeros(0))[0]["output"]
    np.testing.assert_allclose(y, X - 2 * X[:, :1])
