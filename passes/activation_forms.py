"""Activations in the form that the Neural Engine's tables compute best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from mctc.hardware.devices import find_device
from mctc.ir.op import Array
from mctc.ir.ops.elementwise import Add, Erf, Gelu, Mul, Scale, Sigmoid, Silu, Tanh, gelu, sigmoid
from mctc.ir.program import Program, Value
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.pattern import Pattern, first_of
from mctc.rewrite.rewriter import Rewriter, rewrite

ROOT = 0.5**0.5
SPAN = 10.0
"""Inputs of up to this magnitude are tried: beyond it every form has its limit."""


@dataclass(frozen=True)
class Form:
    """A way to write an activation. emit: its ops; computed: what the engine makes of fp16 numbers by these ops."""

    name: str
    emit: Callable[[Rewriter, Value], Value | None]
    computed: Callable[[Array], Array]


class ActivationForms(Pass):
    """Writes silu, sigmoid and gelu in that of their equal forms which is least off as the Neural Engine computes it.

    The engine takes activations from tables of 33 values (docs/engine-arithmetic.md). By tanh, whose table covers half
    the range of sigmoid's in steps of a quarter, silu and sigmoid are several times nearer to the function than by
    tables of their own, and so is gelu by erf; each takes three to four ops for one. Only for chips whose tables are
    published (`--device` M6 or A19), with the forms' largest errors over all fp16 inputs up to 10 as the reason.
    """

    name = "activation-forms"
    promise = Exact()
    stage = "deploy"
    after = ("lower-rnn", "lower-attention", "lower-selective-scan", "legalise")
    before = ("fold-deploy-constants", "pack-states")

    def run(self, program: Program, context: Context) -> Program:
        if context.stack != "coreml" or context.precision != "fp16":
            return program
        if not _has_tables(context.device):
            self._refuse(program, context)
            return program
        found = {op.name for _, op in program.ops()} & FORMS.keys()
        chosen = {name: best(name) for name in sorted(found)}
        for name, form in chosen.items():
            told = ", ".join(f"{each.name} {largest_error(name, each.name):.1e}" for each in FORMS[name])
            context.explain(self.name, name, f"{form.name}: the largest errors on the engine are {told}")

        def written(op: Silu | Sigmoid | Gelu, to: Rewriter) -> Value | None:
            made = chosen[op.name].emit(to, to[op.x])
            if made is not None:
                to.note(f"{op.name} {chosen[op.name].name}")
            return made

        rule = first_of(Pattern(Silu, written), Pattern(Sigmoid, written), Pattern(Gelu, written))
        return rewrite(program, self.name, rule) if found else program

    def _refuse(self, program: Program, context: Context) -> None:
        why = f"no tables of activations are published for {find_device(context.device).family.name}"
        for function, op in program.ops():
            if op.name in FORMS:
                context.refuse(self.name, function.name, op, why)


def _has_tables(device: str | None) -> bool:
    from mctc.evaluate.engine.arithmetic import FAMILIES

    family = FAMILIES.get(find_device(device).family.name.lower())
    return family is not None and family.tables


def best(name: str) -> Form:
    """The form of an activation that is least off; the first of equals, and what it is written as already."""
    return min(FORMS[name], key=lambda form: largest_error(name, form.name))


@cache
def largest_error(name: str, form: str) -> float:
    """Of a form of an activation, over all fp16 numbers up to SPAN."""
    from mctc.evaluate.engine.activations import HALVES

    x = HALVES[np.abs(HALVES) <= SPAN].astype(np.float32)
    (computed,) = (each.computed for each in FORMS[name] if each.name == form)
    return float(np.abs(computed(x) - EXACT[name](x.astype(np.float64))).max())


def _table(name: str) -> Callable[[Array], Array]:
    def computed(x: Array) -> Array:
        from mctc.evaluate.engine.activations import activate

        return activate(name, x)

    return computed


def _half(x: Array) -> Array:
    from mctc.evaluate.engine.number import half_away

    return half_away(x)


def _sigmoid_by_tanh(rewriter: Rewriter, x: Value) -> Value:
    return rewriter.op(Scale, rewriter.op(Tanh, rewriter.op(Scale, x, factor=0.5)), factor=0.5, offset=0.5)


def _silu_by_tanh(rewriter: Rewriter, x: Value) -> Value:
    half = rewriter.op(Scale, x, factor=0.5)
    return rewriter.op(Add, half, rewriter.op(Mul, half, rewriter.op(Tanh, half)))


def _silu_by_sigmoid(rewriter: Rewriter, x: Value) -> Value:
    return rewriter.op(Mul, x, rewriter.op(Sigmoid, x))


def _gelu_by_erf(rewriter: Rewriter, x: Value) -> Value:
    share = rewriter.op(Erf, rewriter.op(Scale, x, factor=ROOT))
    return rewriter.op(Mul, x, rewriter.op(Scale, share, factor=0.5, offset=0.5))


def _gelu_erf_computed(x: Array) -> Array:
    share = _table("erf")(_half(x * np.float32(np.float16(ROOT))))
    return _half(x * _half(_half(share / 2) + np.float32(0.5)))


def _silu_tanh_computed(x: Array) -> Array:
    half = _half(x / 2)
    return _half(half + _half(half * _table("tanh")(half)))


FORMS = {
    Sigmoid.name: (
        Form("by its table", lambda _, __: None, _table("sigmoid")),
        Form("by tanh", _sigmoid_by_tanh, lambda x: _half(_half(_table("tanh")(_half(x / 2)) / 2) + np.float32(0.5))),
    ),
    Silu.name: (
        Form("by its table", lambda _, __: None, _table("silu")),
        Form("by sigmoid", _silu_by_sigmoid, lambda x: _half(x * _table("sigmoid")(x))),
        Form("by tanh", _silu_by_tanh, _silu_tanh_computed),
    ),
    Gelu.name: (
        Form("by its table", lambda _, __: None, _table("gelu")),
        Form("by erf", _gelu_by_erf, _gelu_erf_computed),
    ),
}
"""Equal forms of an activation. silu's and gelu's own tables are taken with what isn't published in the middle."""
EXACT: dict[str, Callable[[Array], Array]] = {
    Sigmoid.name: sigmoid,
    Silu.name: lambda x: np.asarray(x * sigmoid(x)),
    Gelu.name: gelu,
}
