"""Long sums in the middle of the range of the Neural Engine's accumulator."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np

from mctc.hardware.devices import find_device
from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.elementwise import Scale
from mctc.ir.ops.leaf import ParameterOp
from mctc.ir.ops.linear import Linear, MatMul
from mctc.ir.ops.norm import ChannelNorm
from mctc.ir.ops.quantize import FakeQuantize
from mctc.ir.program import Program, Value
from mctc.ir.recipes import MOVING
from mctc.records import dataclass
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.options import option
from mctc.rewrite.pattern import Pattern, Refuse, first_of
from mctc.rewrite.rewriter import Rewriter, rewrite

LONG = 512
"""Products of a sum that is scaled: of initial weights of mct_small sums of fewer lose nothing that scaling regains."""
SMALL = 1 / 16
"""The size of the numbers that decibels are told for."""
LIMIT = 32768
"""A sum that reaches it is infinite."""


@dataclass(frozen=True)
class ScaleSums(Pass):
    """Multiplies what long sums are made of by a power of two, and their results by its inverse.

    The engine adds products in steps of 2^-16, whatever their size, and drops those of exponents of -17 and less
    (docs/engine-arithmetic.md): sums of many small products lose most. `by` is the exponent of the power. It is exact
    but for overflow: a sum that reached 32768 reaches it at 32768 / 2^by, so nothing is scaled unless it is asked for,
    and the reason has the decibels for numbers of 1/16. Numbers behind a norm are of unit size and stay. Only for chips
    whose sums are published (`--device` A17, M4 and later).
    """

    name = "scale-sums"
    promise = Exact()
    stage = "deploy"
    after = ("legalise", "lower-rnn", "fold-batch-norm", "split-kernels")
    before = ("lower-embedding", "fold-deploy-constants", "pack-states")

    by: Literal[2, 4, 6, 8] | None = option(None, "the exponent of the power of two; none scales nothing")

    def run(self, program: Program, context: Context) -> Program:
        if context.stack != "coreml" or context.precision != "fp16":
            return program
        published = _has_sums(context.device)
        if not published and self.by is None:
            return program
        why = "" if published else f"no sums are published for {find_device(context.device).family.name}"

        def scaled(op: Conv2d | Linear | MatMul, to: Rewriter) -> Value | Refuse | None:
            x, products = _sums(op)
            if products < LONG or isinstance(x.owner, FakeQuantize) or _behind_norm(x):
                return None
            if why or self.by is None:
                return Refuse(
                    why or f"{_told(products)}; --pass '{self.name}{{by=4}}' regains {_regained(products, 4)}"
                )
            to.note(f"what the sums are made of is multiplied by 2^{self.by}, the results by 2^-{self.by}")
            limit = LIMIT >> self.by
            to.explain(op, f"{_told(products)}, {_regained(products, self.by)}; infinite from {limit} on")
            return _scaled(op, to, 2.0**self.by)

        rule = first_of(Pattern(Conv2d, scaled), Pattern(Linear, scaled), Pattern(MatMul, scaled))
        return rewrite(program, self.name, rule, context=context)


def _has_sums(device: str | None) -> bool:
    from mctc.evaluate.engine.arithmetic import FAMILIES

    return find_device(device).family.name.lower() in FAMILIES


def _behind_norm(value: Value) -> bool:
    """Whether a norm gives what a value is made of by ops that move numbers."""
    owner = value.owner
    return isinstance(owner, ChannelNorm) or (isinstance(owner, MOVING) and any(map(_behind_norm, owner.present())))


def _sums(op: Conv2d | Linear | MatMul) -> tuple[Value, int]:
    """What is multiplied by weights, and how many products a sum has; none of a product of two values."""
    if not isinstance(op, MatMul):
        return op.x, op.weight.type.size // op.weight.type.shape[0]
    weights = isinstance(op.right.owner, ParameterOp) and op.transpose_right
    return op.left, op.right.type.shape[-1] if weights else 0


def _scaled(op: Conv2d | Linear | MatMul, to: Rewriter, factor: float) -> Value:
    """The weights stay as they are stored: the same power on x does the same."""
    if isinstance(op, MatMul):
        product = to.op(MatMul, to.op(Scale, to[op.left], factor=factor), to[op.right], **op.attributes)
        return to.op(Scale, product, factor=1 / factor)
    bias = None if op.bias is None else to.op(Scale, to[op.bias], factor=factor)
    sums = to.op(type(op), to.op(Scale, to[op.x], factor=factor), to[op.weight], bias, **op.attributes)
    return to.op(Scale, sums, factor=1 / factor)


def _told(products: int) -> str:
    return f"sums of {products} products of numbers of 1/16: {decibels(products):.1f} dB on the engine"


def _regained(products: int, by: int) -> str:
    return f"{decibels(products, by):.1f} dB times 2^{by}"


@cache
def decibels(products: int, by: int = 0) -> float:
    """Of sums of so many products on the engine, of normal numbers of size SMALL times 2^by and weights that are
    uniform within 1 / sqrt(products)."""
    from mctc.evaluate.engine.accumulator import Matrices
    from mctc.evaluate.engine.accumulator import products as computed
    from mctc.numerics.difference import signal_to_noise

    random, bound = np.random.default_rng(0), products**-0.5
    weights = random.uniform(-bound, bound, (1, 16, products)).astype(np.float16).astype(np.float32)
    x = (random.standard_normal((1, products, 64)) * SMALL).astype(np.float16).astype(np.float32)
    sums = computed(Matrices.of(weights), x * np.float32(2.0**by))
    return signal_to_noise(weights.astype(np.float64) @ x.astype(np.float64), sums / np.float32(2.0**by))
