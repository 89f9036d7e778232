"""The bias of attention by distance, against its definition pair by pair."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.evaluate.reference import evaluate
from mctc.ir.op import InferenceError
from mctc.ir.program import Program
from mctc.ir.text import parse_program
from mctc.language import elaborate_file

T, HEADS = 7, 2


def program(attributes: str, distances: int | str, heads: int = HEADS) -> Program:
    kind = f"f32[time {T}, channel 4]"
    return parse_program(f"""program @p {{ source @b: f32[{heads}, {distances}] = zeros() param @b
        function @f(%q: {kind}, %k: {kind}, %v: {kind}) {{ %b = parameter @b
        %y = attention(%q, %k, %v, none, %b, heads = {HEADS}{attributes}) return out = %y }} }}""")


@pytest.mark.parametrize(
    ("attributes", "distances", "place"),
    [
        (", left = 2, right = 1", 4, lambda d: d + 2),
        (", left = 2, right = 0", 3, lambda d: d + 2),
        (", right = 0", 4, lambda d: max(d + 3, 0)),
        (", right = 1", 3, lambda d: max(d + 1, 0)),
        (", left = 3", 5, lambda d: min(d + 3, 4)),
        ("", 5, lambda d: min(max(d + 2, 0), 4)),
        (", within = 3", 5, lambda d: d + 2),
        (", within = 3, before = 2", 7, lambda d: d + 4),
    ],
)
def test_each_pair_has_the_bias_of_its_distance(attributes: str, distances: int, place: Any) -> None:
    random = np.random.default_rng(2)
    given = {name: random.normal(size=(T, 4)) for name in "qkv"}
    bias = random.normal(size=(HEADS, distances))
    found = evaluate(program(attributes, distances).functions["f"], given, lambda name: bias)[0]["out"]
    told = {name: int(value) for name, value in re.findall(r"(\w+) = (\d+)", attributes)}
    for head in range(HEADS):
        q, k, v = (given[name][:, 2 * head : 2 * head + 2] for name in "qkv")
        for t in range(T):
            block = t // told["within"] * told["within"] if "within" in told else None
            seen = [
                s
                for s in range(T)
                if -told.get("left", T) <= s - t <= told.get("right", T)
                and (block is None or block - told.get("before", 0) <= s < block + told["within"])
            ]
            scores = np.array([q[t] @ k[s] / np.sqrt(2) + bias[head, place(s - t)] for s in seen])
            weights = np.exp(scores) / np.exp(scores).sum()
            expected = sum(w * v[s] for w, s in zip(weights, seen))
            np.testing.assert_allclose(found[t, 2 * head : 2 * head + 2], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("heads", [1, HEADS])
def test_a_bias_by_places_repeats_with_the_blocks(heads: int) -> None:
    random = np.random.default_rng(2)
    given = {name: random.normal(size=(T, 4)) for name in "qkv"}
    bias = random.normal(size=(heads, 3, 5))
    function = program(", within = 3, before = 2", "3, 5", heads).functions["f"]
    found = evaluate(function, given, lambda name: bias)[0]["out"]
    for head in range(HEADS):
        q, k, v = (given[name][:, 2 * head : 2 * head + 2] for name in "qkv")
        for t in range(T):
            begin = t // 3 * 3 - 2
            seen = range(max(begin, 0), min(begin + 5, T))
            scores = np.array([q[t] @ k[s] / np.sqrt(2) + bias[head % heads, t % 3, s - begin] for s in seen])
            weights = np.exp(scores) / np.exp(scores).sum()
            expected = sum(w * v[s] for w, s in zip(weights, seen))
            np.testing.assert_allclose(found[t, 2 * head : 2 * head + 2], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("attributes", "distances", "heads", "words"),
    [
        (", left = 2, right = 1", 3, 2, "a band of 4 frames has 4 distances, not 3"),
        (", within = 3, before = 1", 5, 2, "a band of 6 frames"),
        ("", 4, 2, "4 distances have no middle"),
        (", within = 3, before = 1", "3, 5", 2, r"places are \[3, 4\]"),
        (", left = 3, right = 0", "3, 4", 2, "no blocks, so no places"),
        (", right = 0", 4, 3, r"bias is \[heads, distances\], \[2, ...\]"),
    ],
)
def test_a_bias_that_does_not_fit_is_told(attributes: str, distances: int, heads: int, words: str) -> None:
    with pytest.raises(Exception, match=words) as caught:
        program(attributes, distances, heads)
    assert isinstance(caught.value, InferenceError) or words.split()[0].strip("r") in str(caught.value)


MODEL = """
import "lib/distance.mct"
model m(width = 4) {
    dim B: batch
    dim T: time @ 100 Hz
    component c(x: f32[B, T, width]) -> f32[B, T, width] {
        return attention(x, x, x, heads = 4, left = LEFT, right = RIGHT, bias = BIAS)
    }
    stream { chunk = 40 ms }
}
"""


def bias_of(tmp_path: Any, text: str, left: int, right: int, value: Any) -> Any:
    """The value of the bias that a block gives."""
    spec = tmp_path / "m.mct"
    spec.write_text(MODEL.replace("LEFT", str(left)).replace("RIGHT", str(right)).replace("BIAS", text))
    function = elaborate_file(spec).functions["c"]
    (op,) = [op for op in function.ops if op.name == "attention"]
    held: dict[Any, Any] = {}
    evaluate(function, {"x": np.zeros((1, 3, 4))}, lambda name: value, observe=lambda o, given: held.update(
        zip(o.results, given)
    ))  # fmt: skip
    return held.get(op.bias, value)


def test_slopes_are_those_of_alibi(tmp_path: Any) -> None:
    found = bias_of(tmp_path, "slopes(4, 5)", 5, 0, None)
    np.testing.assert_allclose(found, [[-abs(d) * 2.0 ** (-2 * (h + 1)) for d in range(-5, 1)] for h in range(4)])


@pytest.mark.parametrize(("left", "right", "buckets", "longest"), [(40, 40, 32, 24), (100, 0, 16, 64), (9, 3, 8, 20)])
def test_buckets_are_those_of_t5(tmp_path: Any, left: int, right: int, buckets: int, longest: int) -> None:
    """The bucket of a distance as Raffel et al. define it: exact up to a half of them, then by its logarithm."""
    table = np.random.default_rng(5).normal(size=(4, buckets))
    text = f"bucketed_distances(4, {left}, {right}, buckets = {buckets}, longest = {longest})"
    found = bias_of(tmp_path, text, left, right, table)
    each = buckets // 2 if right else buckets
    for j, d in enumerate(range(-left, right + 1)):
        n, exact = abs(d), each // 2
        place = n if n < exact else min(
            each - 1, exact + int(np.log(n / exact) / np.log(longest / exact) * (each - exact) + 1e-9)
        )  # fmt: skip
        np.testing.assert_array_equal(found[:, j], table[:, place + (each if d > 0 else 0)])


@pytest.mark.parametrize("bias", ["slopes(0, 3)", "bucketed_distances(2, 3, buckets = 1)"])
def test_a_bias_of_distances_tells_what_it_takes(tmp_path: Path, bias: str) -> None:
    spec = tmp_path / "m.mct"
    spec.write_text(
        'import "lib/distance.mct"\nmodel m {\ndim B: batch\ndim T: time @ 25 Hz\n'
        "component c(x: f32[B, T, 4]) -> f32[B, T, 4] {\n"
        f"return attention(x, x, x, heads = 2, left = 3, right = 0, bias = {bias}) }}\n}}\n"
    )
    with pytest.raises(DiagnosticError) as caught:
        elaborate_file(spec)
    assert [found.code for found in caught.value.diagnostics] == ["MCT0073"]
