"""Selective scans to ops that the Neural Engine has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mctc.diagnostics.errors import MctcError
from mctc.ir.ops.ssd import Ssd
from mctc.ir.program import Op, Program, Value
from mctc.passes.selective_scan import decay, heads, prefix, unrolled
from mctc.passes.selective_scan.cost import Plan, plan
from mctc.passes.selective_scan.operands import Scan, gather, lowerable
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.rewriter import Replacement, Rewriter, rewrite

FORMS: dict[str, Callable[[Scan], tuple[Value, Value]]] = {
    "unrolled": unrolled.lower,
    "prefix": prefix.lower,
    "decay": decay.lower,
}


class LowerSelectiveScan(Pass):
    """Selective scans become static ops in the form (unrolled, prefix, decay) that costs least; --scan forces one.

    Many frames are cut into chunks that hand on the state, where that is cheaper. A scan with one decay a head, ssd,
    has the decay form alone: its matrices are a head's, not a channel's.
    """

    name = "lower-selective-scan"
    promise = Exact()
    stage = "deploy"
    before = ("pack-states", "fold-state-reshapes")

    def run(self, program: Program, context: Context) -> Program:
        forced = context.options.get("scan")
        if forced is not None and forced not in FORMS:
            raise MctcError(f"there is no form of the scan called {forced!r}", hint=f"the forms are {', '.join(FORMS)}")

        def rule(op: Op, rewriter: Rewriter) -> Replacement:
            if op.name not in ("selective_scan", "ssd") or not lowerable(op):
                return None
            if isinstance(op, Ssd):
                return heads.lower(op, rewriter)
            scan = gather(op, rewriter)
            size = (scan.channels, scan.states, scan.frames)
            chosen = plan(*size, forced)
            others = "; ".join(f"{form}: {plan(*size, form).cost}" for form in FORMS if form != chosen.form)
            how = f"{chosen}{' as asked' if forced else ''} for D={size[0]}, N={size[1]}, T={size[2]}"
            context.explain(self.name, op.origin.path or rewriter.function.name, f"{how}: {chosen.cost} ({others})")
            rewriter.note(f"selective_scan became its {chosen.form} form")
            return _results(op, scan, _in_chunks(scan, chosen), rewriter)

        return rewrite(program, self.name, rule)


def _in_chunks(scan: Scan, chosen: Plan) -> tuple[Value, Value]:
    """Output [1, D, 1, T] and last state [1, D, N, 1]: chunk after chunk, each from the state of the one before."""
    outputs, state = [], scan.h
    for piece in scan.cut(chosen.chunk):
        y, state = FORMS[chosen.form](replace(piece, h=state))
        outputs.append(y)
    assert state is not None
    return (scan.builder.op("concat", *outputs, axis=3) if len(outputs) > 1 else outputs[0]), state


def _results(op: Op, scan: Scan, lowered: tuple[Value, Value], rewriter: Rewriter) -> Replacement:
    """The output with the skip term D * x, and the state in the shape that the op declared."""
    y, state = lowered
    skip, x = rewriter.named(op, "D"), rewriter.named(op, "x")
    if skip is not None and x is not None:
        factor = rewriter.op("reshape", skip, axes=(("unit", 1), ("channel", scan.channels), ("unit", 1), ("unit", 1)))
        y = rewriter.op("add", y, rewriter.op("mul", x, factor))
    return y, rewriter.reshaped(state, op.results[1].type)
