"""What ops say of the sign of their results, held to their references on operands of every sign."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.ir.declared import registry
from mctc.ir.op import Array
from mctc.ir.ops.loop import Looped
from mctc.ir.program import Function
from mctc.ir.sign import Sign, number_sign, sign_of
from mctc.ir.text import parse_program
from mctc.ir.types import DType, TensorType

SIZES = {"B": 2, "T": 8, "U": 3}
DRAWN: dict[Sign, Callable[[Array], Array]] = {
    Sign.ANY: lambda x: x,
    Sign.NOT_BELOW_ZERO: lambda x: np.maximum(x, 0),
    Sign.ABOVE_ZERO: np.exp,
}
UNSAID = {
    *("attention", "conv1d", "conv2d", "embedding", "gru", "linear", "lstm", "matmul", "rms_norm"),
    *("relative_attention", "selective_scan", "ssd"),  # all by weights
    *("dropout", "fake_quantize", "layer_drop", "pad", "positional_embedding"),
}
"""Ops that say nothing on purpose, though of entries above zero they may give such."""


def examples() -> Iterator[Any]:
    """Of every op but loops, which say nothing: its name, inputs and lines."""
    for name, declared in registry().items():
        if issubclass(declared, Looped):
            continue
        inputs, lines = declared.example.of(name)
        for line in lines:
            yield name, inputs, line


def function_of(inputs: dict[str, str], line: str) -> Function:
    line = line if line.startswith("%") else f"%0 = {line}"
    results = line.partition(" = ")[0].split(", ")
    args = ", ".join(f"%{name}: {type_}" for name, type_ in inputs.items())
    returned = ", ".join(f"r{i} = {name}" for i, name in enumerate(results))
    return parse_program(f"function @f({args}) {{ {line} return {returned} }}").functions["f"]


def drawn(type_: TensorType, sign: Sign) -> Array:
    rng = np.random.default_rng(0)
    ids = type_.dtype is DType.I32
    return rng.integers(0, 100, type_.shape) if ids else DRAWN[sign](rng.normal(size=type_.shape))


def seen(results: Iterable[Array]) -> Sign:
    """What all entries have that are numbers."""
    return number_sign(min(float(np.nanmin(each)) for each in results))


def said_and_seen(function: Function, signs: tuple[Sign, ...]) -> tuple[Sign, Sign]:
    of = dict(zip(function.inputs, signs))
    arrays = {value.name: drawn(value.type.substitute(SIZES), sign) for value, sign in of.items()}
    results, _ = evaluate(function, arrays, lambda name: np.linspace(-1, 1, 8))
    (op,) = function.ops
    return op.sign(*(of[value] for value in op.present())), seen(results.values())


@pytest.mark.parametrize(("name", "inputs", "line"), list(examples()))
def test_what_an_op_says_of_its_sign_is_so_and_none_forgets_to(name: str, inputs: dict[str, str], line: str) -> None:
    function = function_of(inputs, line)
    for signs in product(Sign, repeat=len(inputs)):
        said, shown = said_and_seen(function, signs)
        assert said <= shown, signs
        if set(signs) == {Sign.ABOVE_ZERO} and shown and name not in UNSAID:
            assert said, f"{name} says nothing: give it a `sign`, or name it in UNSAID"


@pytest.mark.parametrize(
    ("text", "sign"),
    [
        ("%1 = exp(%x)", Sign.ABOVE_ZERO),
        ("%1 = mul(%x, %x)", Sign.NOT_BELOW_ZERO),
        ("%0 = neg(%x) %1 = mul(%x, %0)", Sign.ANY),
        ("%0 = abs(%x) %1 = scale(%0, offset = 1e-5)", Sign.ABOVE_ZERO),
        ("%0 = abs(%x) %1 = scale(%0, factor = -1.0, offset = 1.0)", Sign.ANY),
        ("%0 = abs(%x) %1 = scale(%0, offset = -1.0)", Sign.ANY),
        ("%1 = scale(%x, offset = 1.0)", Sign.ANY),
        ("%1 = clip(%x, low = 0.1, high = 1.0)", Sign.ABOVE_ZERO),
        ("%1 = clip(%x, low = 0.0, high = 1.0)", Sign.NOT_BELOW_ZERO),
        ("%1 = clip(%x, low = -0.1, high = 1.0)", Sign.ANY),
        ("%0 = exp(%x) %a = abs(%x) %1 = add(%a, %0)", Sign.ABOVE_ZERO),
        ("%0 = exp(%x) %1 = add(%x, %0)", Sign.ANY),
        ("%0 = exp(%x) %1 = maximum(%x, %0)", Sign.ABOVE_ZERO),
        ("%0 = exp(%x) %1 = minimum(%x, %0)", Sign.ANY),
        ("%0 = constant [0.5, 2.0]: f32[channel 2] %1 = mul(%0, %0)", Sign.ABOVE_ZERO),
        ("%1 = constant [0.0, 2.0]: f32[channel 2]", Sign.NOT_BELOW_ZERO),
        ("%1 = constant [-0.5, 2.0]: f32[channel 2]", Sign.ANY),
        (
            "%0 = exp(%x) " + " ".join(f"%{i} = abs(%{i - 1 if i > 2 else 0})" for i in range(2, 10)) + " %1 = abs(%9)",
            Sign.NOT_BELOW_ZERO,
        ),
    ],
)
def test_a_value_has_the_sign_that_the_ops_before_it_give(text: str, sign: Sign) -> None:
    program = parse_program(f"function @f(%x: f32[batch B, time T, channel 2]) {{ {text} return y = %1 }}")
    assert sign_of(program.functions["f"].outputs[0]) is sign
