"""LSTM and GRU steps become convolutions with the same results, call after call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.ir.build import Builder
from mctc.ir.dims import Extent
from mctc.ir.program import Function, Initializer, Parameter, Program, Quantization, Source, State, Value
from mctc.ir.types import Axis, DType, Role, TensorType, plain
from mctc.passes.lower_rnn import LowerRnn
from mctc.rewrite.base import Context
from mctc.weights import Weights

WIDTH, HIDDEN = 5, 3
GATES = {"lstm": 4, "gru": 3}


def row(role: Role, channels: int, frames: int) -> TensorType:
    roles = (Role.BATCH, Role.CHANNEL, Role.UNIT, role)
    return TensorType(DType.F32, tuple(Axis(r, Extent.of(n)) for r, n in zip(roles, (1, channels, 1, frames))))


def cell_program(cell: str, frames: int, masked: bool = False, carried: bool = True) -> Program:
    program = Program("cells")
    gates = GATES[cell] * HIDDEN
    shapes = {"weight_ih": (gates, WIDTH), "weight_hh": (gates, HIDDEN)}
    shapes |= {"bias": (gates,)} if cell == "lstm" else {"bias_ih": (gates,), "bias_hh": (gates,)}
    for name, shape in shapes.items():
        type_ = plain(DType.F32, *shape)
        program.sources[name] = (type_, Initializer("uniform", (("bound", 0.8),)))
        program.parameters[name] = Parameter(name, type_, Source(name, type_))
    b = Builder(program)
    x = Value(row(Role.LABEL, WIDTH, frames), "x")
    mask = Value(TensorType(DType.F32, (Axis(Role.LABEL, Extent.of(frames)),)), "mask") if masked else None
    hidden = ["h", "c"] if cell == "lstm" else ["h"]
    states = [Value(row(Role.UNIT, HIDDEN, 1), name) for name in hidden] if carried else [None] * len(hidden)
    y, *new = b.emit(cell, x, *(b.parameter(name) for name in shapes), *states, mask)
    pairs = [State(old.name, old, update) for old, update in zip(states, new) if old is not None]
    inputs = [x] if mask is None else [x, mask]
    program.functions["f"] = Function("f", inputs, b.ops, [("y", y)], pairs)
    return program


def calls(program: Program, count: int) -> tuple[np.ndarray, Any]:
    weights, rng, state, ys = Weights(program.sources, 3), np.random.default_rng(0), None, []
    function = program.functions["f"]
    for _ in range(count):
        inputs = {v.name: rng.normal(size=v.type.shape) for v in function.inputs}
        if "mask" in inputs:
            inputs["mask"] = (inputs["mask"] > 0).astype(float)
        result, state = evaluate(function, inputs, lambda name: weights.value(program.parameters[name]), state)
        ys.append(result["y"])
    return np.concatenate(ys, -1), state


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize(
    ("frames", "masked", "carried"), [(1, False, True), (1, True, True), (3, True, True), (2, False, False)]
)
def test_chained_steps_equal_the_cell(cell: str, frames: int, masked: bool, carried: bool) -> None:
    before = cell_program(cell, frames, masked, carried)
    after = LowerRnn().run(before, Context())
    assert not {"lstm", "gru"} & {op.name for op in after.functions["f"].ops}
    expected, states = calls(before, 3)
    actual, new_states = calls(after, 3)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-9)
    for name, array in states.items():
        np.testing.assert_allclose(new_states[name], array, rtol=0, atol=1e-9)


def names(program: Program) -> list[str]:
    return [op.name for op in program.functions["f"].ops if op.name not in ("parameter", "constant", "reshape")]


def test_one_lstm_step_is_one_convolution_and_its_gates() -> None:
    after = LowerRnn().run(cell_program("lstm", 1), Context())
    assert names(after)[:3] == ["concat", "conv2d", "split"]
    assert sorted(names(after)[3:]) == ["add", "mul", "mul", "mul", "sigmoid", "sigmoid", "sigmoid", "tanh", "tanh"]
    assert after.parameters["weight_ih"].type.shape == (4 * HIDDEN, WIDTH + HIDDEN, 1, 1)
    assert set(after.parameters) == {"weight_ih", "bias"}


def test_quantised_weights_keep_their_own_scales() -> None:
    program = cell_program("lstm", 1)
    weight = program.parameters["weight_ih"]
    program.parameters["weight_ih"] = replace(weight, quantization=Quantization("int8", 8))
    after = LowerRnn().run(program, Context())
    assert names(after).count("conv2d") == 2
    assert after.parameters["weight_ih"].quantization == Quantization("int8", 8)
    assert after.parameters["weight_ih"].type.shape == (4 * HIDDEN, WIDTH, 1, 1)


def test_all_frames_share_one_projection_of_the_input() -> None:
    after = LowerRnn().run(cell_program("gru", 4), Context())
    assert names(after).count("conv2d") == 1 + 4


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_projected_frames_are_cut_as_full_rows(cell: str) -> None:
    ops = LowerRnn().run(cell_program(cell, 4), Context()).functions["f"].ops
    cuts = [op for op in ops if op.name == "split" and op.operands[0].owner.name == "matmul"]
    assert [[part.type.shape[:3] for part in op.results] for op in cuts] == [[(1, 1, 1)] * 4]
