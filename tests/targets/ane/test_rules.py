"""Every IR op with a Core ML form: the package agrees with the IR's reference, coremltools infers the same types."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from docs.pages.ops import own
from mctc.ir.build import Builder
from mctc.ir.dims import Extent
from mctc.ir.op import REQUIRED
from mctc.ir.ops.elementwise import Binary
from mctc.ir.program import Program, Value
from mctc.ir.types import Axis, DType, Role, TensorType
from mctc.targets.ane.rules import RULES

from .conftest import Make
from .hand_made import add_parameter, laid_out, single

Case = Callable[[Builder, Value], Value | tuple[Value, ...]]

BINARY = [op.name for op in own() if issubclass(op, Binary)]
CASES: dict[str, Case] = {
    "neg": lambda b, x: b.op("neg", x),
    "scale by and plus": lambda b, x: b.op("scale", x, factor=0.5, offset=2.0),
    "scale by": lambda b, x: b.op("scale", x, factor=-0.25),
    "scale plus": lambda b, x: b.op("scale", x, offset=-1.5),
    "scale by nothing": lambda b, x: b.op("scale", x),
    "clip": lambda b, x: b.op("clip", x, low=-0.5, high=0.75),
    "cast": lambda b, x: b.op("cast", x, dtype="f16"),
    "softmax": lambda b, x: b.op("softmax", x),
    "layer_norm": lambda b, x: b.op("layer_norm", x, b.parameter("gamma"), b.parameter("beta"), epsilon=0.125),
    "layer_norm alone": lambda b, x: b.op("layer_norm", x),
    "split": lambda b, x: b.emit("split", x, parts=4),
    "split by sizes": lambda b, x: b.emit("split", x, sizes=(5, 11)),
    "concat": lambda b, x: b.op("concat", x, b.op("relu", x), x),
    "concat in time": lambda b, x: b.op("concat", x, b.op("relu", x), axis="time"),
    "slice": lambda b, x: b.op("slice", x, axis="time", begin=2, end=7),
    "slice with a stride": lambda b, x: b.op("slice", x, axis="channel", begin=1, stride=3),
    "pad": lambda b, x: b.op("pad", x, axis="time", before=3, after=1),
    "pad with a value": lambda b, x: b.op("pad", x, axis="channel", before=0, after=4, value=-2.0),
    "reshape": lambda b, x: b.op("reshape", x, axes=(("batch", 1), ("channel", 4), ("feature", 4), ("time", 8))),
    "transpose": lambda b, x: b.op("transpose", x, order=(0, 3, 2, 1)),
    "reverse": lambda b, x: b.op("reverse", x),
    "split_channels": lambda b, x: b.op("split_channels", x, groups=4),
    "merge_channels": lambda b, x: b.op("merge_channels", b.op("split_channels", x, groups=2)),
    "conv2d pointwise": lambda b, x: b.op("conv2d", x, b.parameter("w1"), b.parameter("beta")),
    "conv2d depthwise": lambda b, x: b.op("conv2d", x, b.parameter("wd"), groups=16, pad=(3, 0)),
    "conv2d strided": lambda b, x: b.op("conv2d", x, b.parameter("w3"), stride=(1, 2), pad=(1, 0)),
    "conv2d dilated": lambda b, x: b.op("conv2d", x, b.parameter("w3"), dilation=(1, 2)),
    "conv2d over feature": lambda b, x: b.op(
        "conv2d", b.op("split_channels", x, groups=2), b.parameter("w33"), stride=(2, 1), pad=(1, 1), pad_feature=(1, 1)
    ),
    "matmul with a constant": lambda b, x: b.op("matmul", x, b.constant(np.tril(np.ones((8, 8))))),
    "matmul from the left turned": lambda b, x: b.op("matmul", x, b.op("square", x), transpose_left=True),
    "matmul with the right turned": lambda b, x: b.op("matmul", x, b.op("square", x), transpose_right=True),
    "matmul of two": lambda b, x: b.op("matmul", b.op("transpose", x, order=(0, 2, 3, 1)), b.op("square", x1(b, x))),
    "embedding": lambda b, x: b.op("embedding", tokens(b), b.parameter("table")),
    "fake_quantize": lambda b, x: b.op("fake_quantize", x, b.constant(0.0625)),
    "a constant": lambda b, x: b.op("add", x, b.constant(np.arange(8.0))),
    "a vector by channel": lambda b, x: b.op("mul", x, b.op("reshape", b.parameter("beta"), axes=COLUMN)),
    "broadcast by role": lambda b, x: b.op("add", x, b.constant(np.arange(16.0).reshape(1, 16), ("batch", "channel"))),
    "a constant of one number": lambda b, x: b.op("mul", x, b.constant(0.125)),
}
CASES |= {
    f"reduce_{kind}": lambda b, x, k=kind: b.op(f"reduce_{k}", x, axis="channel")
    for kind in ("sum", "mean", "max", "min")
}
CASES |= {
    name: lambda b, x, n=name: b.op(n, b.op("scale", b.op("square", x), offset=0.5))
    for name in ("log", "sqrt", "rsqrt", "reciprocal")
}
CASES |= {name: lambda b, x, n=name: b.op(n, x, b.op("scale", b.op("square", x), offset=0.5)) for name in BINARY}

TRIED = {name.split()[0] for name in CASES}
for _op in own():  # an op of one operand that needs no attribute is tried as it is
    if _op.name in RULES and _op.name not in TRIED and REQUIRED not in _op.defaults.values():
        CASES[_op.name] = lambda b, x, n=_op.name: b.op(n, x)

COLUMN = (("unit", 1), ("channel", 16), ("unit", 1), ("unit", 1))
SHAPES = {
    "gamma": (16,),
    "beta": (16,),
    "w1": (16, 16, 1, 1),
    "wd": (16, 1, 1, 4),
    "w3": (4, 16, 1, 2),
    "w33": (6, 2, 3, 3),
    "table": (9, 16),
}


def x1(b: Builder, x: Value) -> Value:
    """x with the batch and unit axes that a matmul's right side needs."""
    return b.op("transpose", x, order=(0, 2, 1, 3))


def tokens(b: Builder) -> Value:
    roles = (Role.BATCH, Role.UNIT, Role.UNIT, Role.LABEL)
    axes = tuple(Axis(role, Extent.of(3 if role is Role.LABEL else 1)) for role in roles)
    return Value(TensorType(DType.I32, axes, Extent.of(9)), "token")


def program_of(case: Case) -> Program:
    program = Program("one")
    for name, shape in SHAPES.items():
        add_parameter(program, name, *shape)
    b = Builder(program)
    x = Value(laid_out(16, 8), "x")
    results = case(b, x)
    given = {value for op in b.ops for value in op.operands if value is not None and value.owner is None}
    inputs = sorted(given | {x}, key=lambda value: value.name)
    return single(program, b, inputs, *(results if isinstance(results, tuple) else (results,)))


@pytest.mark.parametrize("name", CASES)
def test_the_package_computes_what_the_op_means(make: Make, name: str) -> None:
    made = make(program_of(CASES[name]))
    ops = made.program.functions["encoder"].ops
    numbers = any(type(value) is float for op in ops for value in op.attributes.values())
    # Numbers of the program are fp16 in the package; where there are none, both compute the same in fp32.
    assert max(agreement.error for agreement in made.check()) < (2e-3 if numbers else 1e-5)
    assert made.retyped() >= 1


def test_every_rule_has_a_case() -> None:
    covered = {op.name for case in CASES.values() for op in program_of(case).functions["encoder"].ops}
    assert set(RULES) <= covered
