"""Results that are written over operands which nothing else reads: the same bits as fresh memory gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mctc.evaluate.coreml import Evaluator
from mctc.evaluate.coreml.steps import ComputeStep
from mctc.package import TensorType
from tests.evaluate.coreml.conftest import Sketch, constant

BINARY = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "maximum": np.maximum, "minimum": np.minimum}
UNARY = {"tanh": np.tanh, "abs": np.abs, "square": np.square, "relu": lambda x: np.maximum(x, np.float32(0))}
SHAPES = [(2, 3, 700), (1, 3, 700), (2, 3, 1)]
WHOLE = SHAPES[0]


def half(shape: tuple[int, ...]) -> TensorType:
    return TensorType("fp16", shape)


def rounded(values: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return values.astype(np.float16).astype(np.float32)


@st.composite
def chains(draw: st.DrawFn) -> list[tuple[str, list[int]]]:
    """Ops by name with the places of their operands among two inputs, a constant, a state and what was computed."""
    ops = []
    for place in range(4, 4 + draw(st.integers(1, 12))):
        name = draw(st.sampled_from([*BINARY, *UNARY, "reshape"]))
        ops.append((name, draw(st.lists(st.integers(0, place - 1), min_size=2, max_size=2))))
    return ops


@settings(max_examples=60, deadline=None)
@given(chains(), st.integers(0, 99))
def test_random_chains_equal_numpy_bit_by_bit(chain: list[tuple[str, list[int]]], seed: int) -> None:
    generator = np.random.default_rng(seed)
    given_ = [rounded(generator.standard_normal(shape).astype(np.float32)) for shape in SHAPES]
    sketch = Sketch()
    names = [sketch.input(f"x{n}", "fp16", shape) for n, shape in enumerate(SHAPES[:2])]
    stored = constant(given_[2].astype(np.float16))
    names.append(sketch.op("identity", {"c": half(SHAPES[2])}, x=stored))
    sketch.state("memory", WHOLE)
    names.append(sketch.op("read_state", {"m": half(WHOLE)}, input="memory"))
    state_value = rounded(generator.standard_normal(WHOLE).astype(np.float32))
    values = [*given_, state_value]
    for place, (name, operands) in enumerate(chain):
        operands = operands[: 1 + (name in BINARY)]
        if name == "reshape":
            made = values[operands[0]]
        else:
            made = rounded((BINARY | UNARY)[name](*(values[n] for n in operands)))
        values.append(made)
        shape = {"shape": constant(np.array(made.shape))} if name == "reshape" else {}
        named = dict(zip("xy", (names[n] for n in operands), strict=False))
        names.append(sketch.op(name, {f"v{place}": half(made.shape)}, **named, **shape))
    outputs = names[-3:] if len(chain) > 2 else names[4:]
    seen: list[tuple[Any, Any]] = []
    evaluator = Evaluator(
        sketch.package(outputs), observe=lambda _, made: seen.extend((one, one.copy()) for one in made)
    )
    for run in (Evaluator(sketch.package(outputs)).function(), evaluator.function()):
        state = run.make_state()
        state["memory"] = state_value
        passed = {f"x{n}": array.copy() for n, array in enumerate(given_[:2])}
        for _ in range(2):  # constants and states are as before
            found = run(passed, state)
            for name in outputs:
                np.testing.assert_array_equal(found[name].astype(np.float32), values[names.index(name)])
        for n in range(2):
            np.testing.assert_array_equal(passed[f"x{n}"], given_[n])
    assert all(np.array_equal(array, then) for array, then in seen), "an array that somebody holds was written over"


@pytest.mark.parametrize("last", ["add", "mul"])
def test_a_long_chain_takes_no_new_memory(last: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sketch = Sketch()
    name = sketch.input("x", "fp16", WHOLE)
    for place in range(5):
        name = sketch.op(last, {f"v{place}": half(WHOLE)}, x=name, y=constant(np.array([0.5], np.float16)))
    taken: list[bool] = []
    asked = ComputeStep._takes_result
    monkeypatch.setattr(ComputeStep, "_takes_result", lambda step, array: taken.append(asked(step, array)) or taken[-1])
    Evaluator(sketch.package([name])).function()({"x": np.zeros(WHOLE, np.float16)})
    assert taken == [True] * 4, "all but the first, whose operand is the caller's"
