"""Ops that make, order, choose, reduce and multiply, against definitions written out."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mctc.evaluate.coreml.declaration import REGISTRY

RNG = np.random.default_rng(5)
X = RNG.uniform(0.2, 2, (3, 4, 5)).astype(np.float32)

REDUCTIONS: dict[str, Callable[[list[float]], float]] = {
    "reduce_sum": sum,
    "reduce_mean": lambda v: sum(v) / len(v),
    "reduce_max": max,
    "reduce_min": min,
    "reduce_prod": math.prod,
    "reduce_l1_norm": lambda v: sum(map(abs, v)),
    "reduce_l2_norm": lambda v: math.sqrt(sum(n * n for n in v)),
    "reduce_sum_square": lambda v: sum(n * n for n in v),
    "reduce_log_sum": lambda v: math.log(sum(v)),
    "reduce_log_sum_exp": lambda v: math.log(sum(map(math.exp, v))),
}


@pytest.mark.parametrize("op", REDUCTIONS)
def test_reductions_over_some_and_all_axes(check: Any, op: str) -> None:
    define = REDUCTIONS[op]
    expected = np.array([define([float(X[i, j, k]) for i in range(3) for k in range(5)]) for j in range(4)], np.float32)
    check(op, expected, x=X, axes=[0, -1], keep_dims=False)
    check(op, expected.reshape(1, 4, 1), x=X, axes=[0, 2], keep_dims=True)
    check(op, np.float32(define([float(n) for n in X.ravel()])), x=X)


def test_reductions_of_integers_stay_integer(check: Any) -> None:
    x = np.array([[1, 2], [3, -9]], np.int32)
    check("reduce_sum", np.array([4, -7], np.int32), x=x, axes=[0])
    check("reduce_max", np.array([2, 3], np.int32), x=x, axes=[1])


def test_the_place_of_the_extreme(check: Any) -> None:
    x = np.array([[3, 9, 9], [4, 1, 0]], np.float32)
    check("reduce_argmax", np.array([1, 0], np.int32), x=x, axis=1)
    check("reduce_argmin", np.array([[0], [2]], np.int32), x=x, axis=-1, keep_dims=True)
    check("reduce_argmax", np.array([1, 0, 0], np.uint16), x=x, axis=0, output_dtype="uint16")


def test_padding_modes(check: Any) -> None:
    x = np.array([[1, 2, 3]], np.float32)
    check("pad", np.array([[7, 1, 2, 3, 7, 7]], np.float32), x=x, pad=[0, 0, 1, 2], mode="constant", constant_val=7.0)
    check("pad", np.array([[0, 1, 2, 3]], np.float32), x=x, pad=[1, 0])
    check("pad", np.array([[3, 2, 1, 2, 3, 2]], np.float32), x=x, pad=[2, 1], mode="reflect")
    check("pad", np.array([[1, 1, 1, 2, 3, 3]], np.float32), x=x, pad=[2, 1], mode="replicate")


def test_band_part_keeps_diagonals(check: Any) -> None:
    x = np.arange(1, 13, dtype=np.float32).reshape(3, 4)
    expected = [[x[i, j] if i - j <= 1 and j - i <= 0 else 0 for j in range(4)] for i in range(3)]
    check("band_part", np.array(expected, np.float32), x=x, lower=1, upper=0)
    check("band_part", np.triu(x), x=x, lower=0, upper=-1)


CUMSUMS = [(False, False, [1, 3, 6]), (True, False, [0, 1, 3]), (False, True, [6, 5, 3]), (True, True, [5, 3, 0])]


@pytest.mark.parametrize(("exclusive", "reverse", "expected"), CUMSUMS)
def test_cumsum(check: Any, exclusive: bool, reverse: bool, expected: list[int]) -> None:
    x = np.array([[1, 2, 3]], np.float32)
    check("cumsum", np.array([expected], np.float32), x=x, axis=1, exclusive=exclusive, reverse=reverse)


def test_making_tensors(check: Any) -> None:
    check("fill", np.full((2, 3), 4.5, np.float32), shape=np.array([2, 3], np.int32), value=4.5)
    check("fill", np.full((1,), 3, np.int32), shape=[1], value=3)
    check("fill_like", np.full((3, 4, 5), True), ref_tensor=X, value=True)
    check("range_1d", np.array([2, 5, 8], np.int32), start=2, end=10, step=3)
    check("range_1d", np.array([1.0, 0.5, 0.0], np.float32), start=1.0, end=-0.5, step=-0.5)
    check("shape", np.array([3, 4, 5], np.int32), x=X)
    check("non_zero", np.array([[0, 1], [2, 0]], np.int32), x=np.array([[0, 5], [0, 0], [1, 0]], np.float32))


def test_one_hot_ignores_indices_out_of_range(check: Any) -> None:
    indices = np.array([2, 0, 7], np.int32)
    expected = np.array([[0, 0, 1], [1, 0, 0], [0, 0, 0]], np.int32)
    check("one_hot", expected, indices=indices, one_hot_vector_size=3)
    options = {"one_hot_vector_size": 3, "axis": 0, "on_value": 5.0, "off_value": -1.0}
    check("one_hot", np.where(expected.T, 5, -1).astype(np.float32), indices=indices, **options)


def test_select_broadcasts(check: Any) -> None:
    cond = np.array([[True], [False]])
    a, b = np.array([[1, 2]], np.float32), np.array([[-1, -2]], np.float32)
    check("select", np.array([[1, 2], [-1, -2]], np.float32), cond=cond, a=a, b=b)


def test_ordering_takes_the_first_of_equals(check: Any) -> None:
    x = np.array([[3, 1, 3, 2]], np.float32)
    check("argsort", np.array([[0, 2, 3, 1]], np.int32), x=x, axis=1)
    check("argsort", np.array([[1, 3, 0, 2]], np.int32), x=x, axis=-1, ascending=True)
    best = (np.array([[3, 3]], np.float32), np.array([[0, 2]], np.int32))
    check("topk", best, x=x, k=2, axis=1, ascending=False)
    check("topk", np.array([[1, 2]], np.float32), x=x, k=2, axis=1, ascending=True, sort=True, return_indices=False)
    check("topk", (best[0], best[1].astype(np.uint16)), x=x, k=2, output_indices_dtype="uint16")


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rows times columns, in Python's floats."""
    columns = list(zip(*b.tolist(), strict=True))
    return np.array([[math.sumprod(r, c) if hasattr(math, "sumprod") else sum(p * q for p, q in zip(r, c, strict=True))
                      for c in columns] for r in a.tolist()], np.float32)  # fmt: skip


def test_matrix_products(check: Any) -> None:
    a, b = X[0], RNG.standard_normal((5, 3)).astype(np.float32)
    expected = product(a, b)
    check("matmul", expected, x=a, y=b)
    check("matmul", expected, x=np.ascontiguousarray(a.T), y=b, transpose_x=True, transpose_y=False)
    check("matmul", np.stack([product(m, b) for m in X]), x=X, y=np.ascontiguousarray(b.T), transpose_y=True)
    bias = RNG.standard_normal(3).astype(np.float32)
    check("linear", expected + bias, x=a, weight=np.ascontiguousarray(b.T), bias=bias)
    check("linear", np.stack([product(m, b) for m in X]), x=X, weight=np.ascontiguousarray(b.T))
    left, right = RNG.standard_normal((2, 3, 1, 4)), RNG.standard_normal((2, 4, 1, 5))
    left, right = left.astype(np.float32), right.astype(np.float32)
    joined = np.stack([product(p[:, 0], q[:, 0])[:, None] for p, q in zip(left, right, strict=True)])
    check("einsum", joined, values=[left, right], equation="nchw,nwhu->nchu")


def test_l2_norm_is_over_the_last_three_axes(check: Any) -> None:
    x = np.stack([X, 2 * X])
    length = math.sqrt(sum(float(n) ** 2 for n in X.ravel()) + 0.1)
    double = math.sqrt(4 * sum(float(n) ** 2 for n in X.ravel()) + 0.1)
    check("l2_norm", np.stack([X / length, 2 * X / double]).astype(np.float32), x=x, epsilon=0.1)


GRIDS = [  # the documentation of resize_bilinear, on the interval [0, 1]
    ("UNALIGN_CORNERS", [0, 0.1, 0.5, 0.9, 1]),
    ("STRICT_ALIGN_CORNERS", [0, 0.25, 0.5, 0.75, 1]),
    ("ALIGN_CORNERS", [0, 0.25, 0.5, 0.75, 1]),
    ("DEFAULT", [0, 0.4, 0.8, 1, 1]),
    ("OFFSET_CORNERS", [0.1, 0.3, 0.5, 0.7, 0.9]),
]


@pytest.mark.parametrize(("mode", "expected"), GRIDS)
def test_sampling_modes(check: Any, mode: str, expected: list[float]) -> None:
    x = np.array([[[0, 1]]], np.float32)
    wanted = np.array([[expected]], np.float32)
    check("resize_bilinear", wanted, x=x, target_size_height=1, target_size_width=5, sampling_mode=mode)
    check("resize", wanted, x=x, shape=[0, 5], resized_dims=2, sampling_mode=mode)


def test_resize_to_the_nearest_element(check: Any) -> None:
    x = np.array([[5, 6, 7]], np.float32)
    wanted = np.array([[5, 5, 6, 6, 7, 7]], np.float32)
    check("resize", wanted, x=x, shape=[1, 6], resized_dims=1, interpolation_mode="NEAREST_NEIGHBOR")
    nearest = {"resized_dims": 1, "interpolation_mode": "NEAREST_NEIGHBOR"}
    check("resize", np.array([[5, 6, 6]], np.float32), x=x[:, :2].copy(), shape=[1, 3], **nearest)
    check("resize", np.array([[5, 7]], np.float32), x=x, shape=[1, 2], sampling_mode="ALIGN_CORNERS", **nearest)


def test_gru_with_the_reset_before_the_product(check: Any) -> None:
    x, h = RNG.standard_normal((2, 1, 3)).astype(np.float32), RNG.standard_normal((1, 2)).astype(np.float32)
    w, u = RNG.standard_normal((6, 3)).astype(np.float32), RNG.standard_normal((6, 2)).astype(np.float32)
    b = RNG.standard_normal(6).astype(np.float32)
    state = h[0].astype(np.float64)
    for frame in x[::-1, 0].astype(np.float64):
        gates = 1 / (1 + np.exp(-(w @ frame + u @ state + b)))
        reset, update = gates[:2], gates[4:]
        candidate = np.tanh(w[2:4] @ frame + u[2:4] @ (reset * state) + b[2:4])
        state = (1 - update) * candidate + update * state
    last = state.astype(np.float32)[None]
    check("gru", (last[None], last), x=x, initial_h=h, weight_ih=w, weight_hh=u, bias=b, direction="reverse")


@pytest.mark.parametrize("op", ["rnn", "gru", "lstm"])
def test_a_reversed_sequence_comes_out_in_the_order_of_computation(op: str) -> None:
    x, zero = RNG.standard_normal((3, 1, 1)).astype(np.float32), np.zeros((1, 1), np.float32)
    gates = {"rnn": 1, "gru": 3, "lstm": 4}[op]
    weights = {"weight_ih": np.ones((gates, 1), np.float32), "weight_hh": np.ones((gates, 1), np.float32)}
    given = {"initial_h": zero, "output_sequence": True, **weights, **({"initial_c": zero} if op == "lstm" else {})}
    compute = REGISTRY[op].function
    backward = compute(x=x, direction="reverse", **given)
    np.testing.assert_array_equal(backward[0], compute(x=x[::-1], direction="forward", **given)[0])
    np.testing.assert_array_equal(backward[0][-1], backward[1])


def test_the_scaled_tanh_of_an_lstm_has_scales_of_one(check: Any) -> None:
    cell = np.array([[0.5]], np.float32)
    w = np.array([[-40.0], [40.0], [40.0], [0.0]], np.float32)  # nothing in, everything kept, everything out
    wanted = np.tanh(cell)
    check(
        "lstm", (wanted[None], wanted, cell), x=np.ones((1, 1, 1), np.float32), initial_h=np.zeros((1, 1), np.float32),
        initial_c=cell, weight_ih=w, weight_hh=np.zeros((4, 1), np.float32), activation="scaled_tanh",
    )  # fmt: skip


def test_an_lstm_with_peepholes_and_a_clip(check: Any) -> None:
    x, h, c = (RNG.standard_normal(shape).astype(np.float32) for shape in ((3, 1, 2), (1, 2), (1, 2)))
    w, u = RNG.standard_normal((8, 2)).astype(np.float32), RNG.standard_normal((8, 2)).astype(np.float32)
    peep = RNG.standard_normal(6).astype(np.float32)
    state, cell = h[0].astype(np.float64), c[0].astype(np.float64)
    for frame in x[:, 0].astype(np.float64):
        i, f, o, z = np.split(w @ frame + u @ state, 4)
        i, f = 1 / (1 + np.exp(-(i + peep[:2] * cell))), 1 / (1 + np.exp(-(f + peep[2:4] * cell)))
        cell = np.clip(f * cell + i * np.tanh(z), -0.3, 0.3)
        state = np.tanh(cell) / (1 + np.exp(-(o + peep[4:] * cell)))
    wanted = tuple(v.astype(np.float32) for v in (state[None, None], state[None], cell[None]))
    check("lstm", wanted, x=x, initial_h=h, initial_c=c, weight_ih=w, weight_hh=u, peephole=peep, clip=0.3)


def test_quantising_activations(check: Any) -> None:
    x = np.array([[-1.0, 0.26], [0.9, 100.0]], np.float32)
    check(
        "quantize",
        np.array([[-9, 4], [10, 127]], np.int8),
        input=x,
        scale=0.1,
        zero_point=np.int8(1),
        output_dtype="int8",
    )
    stored = np.array([[10, 20], [30, 40]], np.uint8)
    scale, zero = np.array([0.5, 2.0], np.float32), np.array([10, 20], np.uint8)
    expected = np.array([[0, 0], [10, 40]], np.float32)
    check("dequantize", expected, input=stored, scale=scale, zero_point=zero, axis=1)
