"""Activations in the form that the Neural Engine's tables compute best."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from mctc.hardware.devices import find_device
from mctc.ir.op import Array
from mctc.ir.ops.elementwise import (
    Abs,
    Add,
    Erf,
    Exp,
    Gelu,
    Mul,
    Reciprocal,
    Relu,
    Scale,
    Sigmoid,
    Silu,
    Sub,
    Tanh,
    gelu,
    sigmoid,
)
from mctc.ir.program import Program, Value
from mctc.records import dataclass
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.options import option
from mctc.rewrite.pattern import Pattern, first_of
from mctc.rewrite.rewriter import Rewriter, rewrite

ROOT = 0.5**0.5
SPAN = 10.0
"""Inputs of up to this magnitude are tried for the largest error: beyond it every form has its limit."""
SIZES = (0.5, 1.0, 2.0, 4.0)
"""Standard deviations of the normal signals that forms are compared on."""


@dataclass(frozen=True)
class Form:
    """A way to write an activation. emit: its ops; computed: what the engine makes of fp16 numbers by these ops; ops:
    how many there are."""

    name: str
    ops: int
    emit: Callable[[Rewriter, Value], Value | None]
    computed: Callable[[Array], Array]


@dataclass(frozen=True)
class ActivationForms(Pass):
    """Writes silu, sigmoid and gelu in that of their equal forms which is least off as the Neural Engine computes it.

    The engine takes activations from tables of 33 values (docs/engine-arithmetic.md). Those of exp and of the
    reciprocal are relative to the octave, so silu and sigmoid by them are nearly what fp16 holds; by tanh they are
    nearer than by tables of their own, and so is gelu by erf. Each takes more ops for one: `most` limits them. Only for
    chips whose tables are published (`--device` M6 or A19), with each form's decibels as the reason: over normal
    signals of standard deviations from 1/2 to 4 the worst.
    """

    name = "activation-forms"
    promise = Exact()
    stage = "deploy"
    after = ("lower-rnn", "lower-attention", "lower-selective-scan", "legalise")
    before = ("fold-deploy-constants", "pack-states")

    most: int | None = option(None, "no form of more ops than so many; none for any", least=1)

    def run(self, program: Program, context: Context) -> Program:
        if context.stack != "coreml" or context.precision != "fp16":
            return program
        if not _has_tables(context.device):
            self._refuse(program, context)
            return program
        found = {op.name for _, op in program.ops()} & FORMS.keys()
        chosen = {name: best(name, self.most) for name in found}
        explained: set[tuple[str, str]] = set()

        def written(op: Silu | Sigmoid | Gelu, to: Rewriter) -> Value | None:
            form, place = chosen[op.name], (op.origin.path or to.function.name, op.name)
            if place not in explained:
                explained.add(place)
                to.explain(op, self._reason(op.name, form))
            made = form.emit(to, to[op.x])
            if made is not None:
                to.note(f"{op.name} {form.name}")
            return made

        rule = first_of(Pattern(Silu, written), Pattern(Sigmoid, written), Pattern(Gelu, written))
        return rewrite(program, self.name, rule, context=context) if found else program

    def _reason(self, name: str, form: Form) -> str:
        told = ", ".join(f"{each.name} {decibels(name, each.name):.1f} dB" for each in FORMS[name])
        asked = f" of {self.most} or fewer" if self.most is not None else ""
        error = largest_error(name, form.name)
        return f"{name} {form.name}, {form.ops} ops{asked}: on the engine {told}; largest error {error:.1e}"

    def _refuse(self, program: Program, context: Context) -> None:
        why = f"no tables of activations are published for {find_device(context.device).family.name}"
        for function, op in program.ops():
            if op.name in FORMS:
                context.refuse(self.name, function.name, op, why)


def _has_tables(device: str | None) -> bool:
    from mctc.evaluate.engine.arithmetic import FAMILIES

    family = FAMILIES.get(find_device(device).family.name.lower())
    return family is not None and family.tables


def best(name: str, most: int | None = None) -> Form:
    """The form of an activation, of so many ops at most, that is least off; the first of equals, and what it is written
    as already."""
    allowed = [form for form in FORMS[name] if most is None or form.ops <= most]
    return max(allowed, key=lambda form: decibels(name, form.name))


@cache
def decibels(name: str, form: str) -> float:
    """Of a form of an activation on the engine, over normal signals: of SIZES the one that it is worst for."""
    from mctc.numerics.difference import signal_to_noise

    signals = [signal.astype(np.float16).astype(np.float32) for signal in (_normal() * size for size in SIZES)]
    return min(signal_to_noise(EXACT[name](x.astype(np.float64)), _computed(name, form)(x)) for x in signals)


def _normal() -> Array:
    """The quantiles of the normal distribution, in equal steps of probability."""
    from scipy.special import ndtri

    return np.asarray(ndtri((np.arange(4096) + 0.5) / 4096))


@cache
def largest_error(name: str, form: str) -> float:
    """Of a form of an activation, over all fp16 numbers up to SPAN."""
    from mctc.evaluate.engine.activations import HALVES

    x = HALVES[np.abs(HALVES) <= SPAN].astype(np.float32)
    return float(np.abs(_computed(name, form)(x) - EXACT[name](x.astype(np.float64))).max())


def _computed(name: str, form: str) -> Callable[[Array], Array]:
    (computed,) = (each.computed for each in FORMS[name] if each.name == form)
    return computed


def _table(name: str) -> Callable[[Array], Array]:
    def computed(x: Array) -> Array:
        from mctc.evaluate.engine.activations import activate

        return activate(name, x)

    return computed


def _half(x: Array) -> Array:
    from mctc.evaluate.engine.number import half_away

    return half_away(x)


def _half_plus(rewriter: Rewriter, x: Value) -> Value:
    """x / 2 + 1/2."""
    return rewriter.op(Scale, x, factor=0.5, offset=0.5)


def _sigmoid_by_tanh(rewriter: Rewriter, x: Value) -> Value:
    return _half_plus(rewriter, rewriter.op(Tanh, rewriter.op(Scale, x, factor=0.5)))


def _falling(rewriter: Rewriter, x: Value) -> tuple[Value, Value, Value]:
    """-|x|, e = exp(-|x|), and 1 / (1 + e): nothing here can leave fp16's range."""
    below = rewriter.op(Scale, rewriter.op(Abs, x), factor=-1.0)
    exponential = rewriter.op(Exp, below)
    return below, exponential, rewriter.op(Reciprocal, rewriter.op(Scale, exponential, offset=1.0))


def _sigmoid_by_exp(rewriter: Rewriter, x: Value) -> Value:
    """exp(min(x, 0)) / (1 + exp(-|x|))."""
    _, _, share = _falling(rewriter, x)
    return rewriter.op(Mul, rewriter.op(Exp, rewriter.op(Sub, x, rewriter.op(Relu, x))), share)


def _silu_by_tanh(rewriter: Rewriter, x: Value) -> Value:
    half = rewriter.op(Scale, x, factor=0.5)
    return rewriter.op(Add, half, rewriter.op(Mul, half, rewriter.op(Tanh, half)))


def _silu_by_sigmoid(rewriter: Rewriter, x: Value) -> Value:
    return rewriter.op(Mul, x, rewriter.op(Sigmoid, x))


def _silu_by_exp(rewriter: Rewriter, x: Value) -> Value:
    """relu(x) - |x| e / (1 + e) with e = exp(-|x|): what is taken off is small, 0.28 at most, and so is its error."""
    below, exponential, share = _falling(rewriter, x)
    return rewriter.op(Add, rewriter.op(Relu, x), rewriter.op(Mul, rewriter.op(Mul, below, exponential), share))


def _gelu_by_erf(rewriter: Rewriter, x: Value) -> Value:
    share = rewriter.op(Erf, rewriter.op(Scale, x, factor=ROOT))
    return rewriter.op(Mul, x, _half_plus(rewriter, share))


def _gelu_erf_computed(x: Array) -> Array:
    share = _table("erf")(_half(x * np.float32(np.float16(ROOT))))
    return _half(x * _half(_half(share / 2) + np.float32(0.5)))


def _sigmoid_tanh_computed(x: Array) -> Array:
    return _half(_half(_table("tanh")(_half(x / 2)) / 2) + np.float32(0.5))


def _silu_tanh_computed(x: Array) -> Array:
    half = _half(x / 2)
    return _half(half + _half(half * _table("tanh")(half)))


def _falling_computed(x: Array) -> tuple[Array, Array, Array]:
    """The reciprocal is that of epsilon 0 that targets write."""
    from mctc.evaluate.engine.activations import activate

    below = -np.abs(x)
    exponential = _table("exp")(below)
    return below, exponential, activate("inverse", _half(exponential + np.float32(1)), epsilon=0.0)


def _sigmoid_exp_computed(x: Array) -> Array:
    return _half(_table("exp")(np.minimum(x, 0)) * _falling_computed(x)[2])


def _silu_exp_computed(x: Array) -> Array:
    below, exponential, share = _falling_computed(x)
    return _half(np.maximum(x, 0) + _half(_half(below * exponential) * share))


FORMS = {
    Sigmoid.name: (
        Form("by its table", 1, lambda _, __: None, _table("sigmoid")),
        Form("by tanh", 4, _sigmoid_by_tanh, _sigmoid_tanh_computed),
        Form("by exp", 9, _sigmoid_by_exp, _sigmoid_exp_computed),
    ),
    Silu.name: (
        Form("by its table", 1, lambda _, __: None, _table("silu")),
        Form("by sigmoid", 2, _silu_by_sigmoid, lambda x: _half(x * _table("sigmoid")(x))),
        Form("by tanh", 4, _silu_by_tanh, _silu_tanh_computed),
        Form("by exp", 9, _silu_by_exp, _silu_exp_computed),
    ),
    Gelu.name: (
        Form("by its table", 1, lambda _, __: None, _table("gelu")),
        Form("by erf", 5, _gelu_by_erf, _gelu_erf_computed),
    ),
}
"""Equal forms of an activation. silu's and gelu's own tables are taken with what isn't published in the middle."""
EXACT: dict[str, Callable[[Array], Array]] = {
    Sigmoid.name: sigmoid,
    Silu.name: lambda x: np.asarray(x * sigmoid(x)),
    Gelu.name: gelu,
}
