"""Selective scans to ops that the Neural Engine has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from mctc.ir.ops.elementwise import Add, Mul
from mctc.ir.ops.scan import SelectiveScan
from mctc.ir.ops.shape import Concat, Reshape
from mctc.ir.ops.ssd import Ssd
from mctc.ir.program import Program, Value
from mctc.passes.selective_scan import decay, heads, prefix, unrolled
from mctc.passes.selective_scan.cost import ScanPlan, plan
from mctc.passes.selective_scan.operands import Scan, gather, reason_against
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.options import option
from mctc.rewrite.pattern import Outcome, Pattern, Refuse, first_of
from mctc.rewrite.rewriter import Rewriter, rewrite

FORMS: dict[str, Callable[[Scan], tuple[Value, Value]]] = {
    "unrolled": unrolled.lower,
    "prefix": prefix.lower,
    "decay": decay.lower,
}


@dataclass(frozen=True)
class LowerSelectiveScan(Pass):
    """Selective scans become static ops in the form (unrolled, prefix, decay) that costs least, or that `form` says.

    Many frames are cut into chunks that hand on the state, where that is cheaper. A scan with one decay a head, ssd,
    has the decay form alone: its matrices are a head's, not a channel's.
    """

    name = "lower-selective-scan"
    promise = Exact()
    stage = "deploy"
    before = ("pack-states", "fold-state-reshapes")

    form: Literal["unrolled", "prefix", "decay"] | None = option(None, "the form of every scan; none lets cost decide")

    def run(self, program: Program, context: Context) -> Program:
        rule = first_of(Pattern(SelectiveScan, self._scan), Pattern(Ssd, _heads))
        return rewrite(program, self.name, rule, context=context)

    def _scan(self, op: SelectiveScan, to: Rewriter) -> Outcome:
        if against := reason_against(op.x.type):
            return Refuse(against)
        scan = gather(op, to)
        size = (scan.channels, scan.states, scan.frames)
        chosen = plan(*size, self.form)
        others = "; ".join(f"{form}: {plan(*size, form).cost}" for form in FORMS if form != chosen.form)
        how = f"{chosen}{' as asked' if self.form else ''} for D={size[0]}, N={size[1]}, T={size[2]}"
        to.explain(op, f"{how}: {chosen.cost} ({others})")
        to.note(f"selective_scan became its {chosen.form} form")
        return _results(op, scan, _in_chunks(scan, chosen))


def _heads(op: Ssd, to: Rewriter) -> Outcome:
    against = reason_against(op.x.type)
    return Refuse(against) if against else heads.lower(op, to)


def _in_chunks(scan: Scan, chosen: ScanPlan) -> tuple[Value, Value]:
    """Output [1, D, 1, T] and last state [1, D, N, 1]: chunk after chunk, each from the state of the one before."""
    first, *rest = scan.cut(chosen.chunk)
    y, state = FORMS[chosen.form](first)
    outputs = [y]
    for piece in rest:
        y, state = FORMS[chosen.form](replace(piece, h=state))
        outputs.append(y)
    return (scan.rewriter.op(Concat, *outputs, axis=3) if rest else y), state


def _results(op: SelectiveScan, scan: Scan, lowered: tuple[Value, Value]) -> tuple[Value, Value]:
    """The output with the skip term D * x, and the state in the shape that the op declared."""
    (y, state), to = lowered, scan.rewriter
    if op.D is not None:
        factor = to.op(Reshape, to[op.D], axes=(("unit", 1), ("channel", scan.channels), ("unit", 1), ("unit", 1)))
        y = to.op(Add, y, to.op(Mul, to[op.x], factor))
    return y, to.reshaped(state, op.results[1].type)
