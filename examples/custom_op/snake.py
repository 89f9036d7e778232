"""An op of one's own with its form in every target: snake, x + sin(x)^2 (Ziyin, Hartwig and Ueda, 2020, equation 3).

A form is written with what the target's own rules are written with, imported where it is needed: whoever builds for the
Neural Engine needs no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mctc.ir.fields import operand
from mctc.ir.op import Array, Op
from mctc.ir.types import TensorType


def torch_form(use: Any) -> Any:
    """`x + torch.sin(x) ** 2`, as an expression of the emitted module."""
    from mctc.targets.torch.expressions.text import Binds, binary, call, named

    square = call(named("torch.square"), call(named("torch.sin"), use["x"]))
    return binary(use["x"], "+", square, Binds.SUM)


def onnx_form(op: Snake, graph: Any) -> str:
    """Nodes of the graph; the name of the last one's result."""
    x = graph.ref(op.x)
    sine = graph.node("Sin", x)
    return str(graph.node("Add", x, graph.node("Mul", sine, sine)))


def ane_form(op: Snake, function: Any) -> None:
    """Operations of the ML program; the last one defines the op's result."""
    x = function.ref(op.x)
    shape = op.result.type.shape
    sine = function.step(op, "sin", {"x": x}, shape)
    function.emit(op, "add", {"x": x, "y": function.step(op, "square", {"x": sine}, shape)})


def coreai_form(op: Snake, function: Any) -> Any:
    """Ops of the graph; the last one's value."""
    from coreai import authoring as ca

    x = function.ref(op.x)
    sine = ca.sin(x)
    return ca.add(x, ca.mul(sine, sine))


class Snake(Op):
    """x + sin(x)^2, entry by entry: it keeps periods beyond what was trained on."""

    name = "snake"
    x = operand()
    forms = {"torch": torch_form, "onnx": onnx_form, "ane": ane_form, "coreai": coreai_form}

    def infer(self) -> Sequence[TensorType]:
        return (self.x.type,)

    def reference(self, x: Array) -> Sequence[Array]:
        return (x + np.square(np.sin(x)),)


MCTC_PLUGINS = {"ops": [Snake]}
