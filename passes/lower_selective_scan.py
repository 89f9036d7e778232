"""Selective scans to ops that the Neural Engine has."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from mctc.ir.ops.scan import SelectiveScan
from mctc.ir.ops.shape import Concat
from mctc.ir.ops.ssd import Ssd
from mctc.ir.program import Program, Value
from mctc.passes.frame_rows.layout import turned_in, turned_out
from mctc.passes.selective_scan.cost import DEFAULT, FORMS, ScanPlan, Size, choose, plan
from mctc.passes.selective_scan.operands import Form, gather, reason_against
from mctc.records import dataclass
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.options import option
from mctc.rewrite.pattern import Outcome, Pattern, Refuse, first_of
from mctc.rewrite.rewriter import Rewriter, rewrite


@dataclass(frozen=True)
class LowerSelectiveScan(Pass):
    """Selective scans become static ops in the form that costs least under every reading, or that `form` says.

    A form: channels_last, decay, unrolled or prefix. Where readings of the cost model disagree the choice is doubtful,
    and channels_last is taken. Many frames are cut into chunks that hand on the state. A scan with one decay a head,
    ssd, has the decay form alone: its matrices are a head's, not a channel's.
    """

    name = "lower-selective-scan"
    promise = Exact()
    stage = "deploy"
    before = ("pack-states", "fold-state-reshapes")

    form: Literal["channels_last", "decay", "unrolled", "prefix"] | None = option(
        None, "the form of every scan; none lets cost decide"
    )

    def run(self, program: Program, context: Context) -> Program:
        rule = first_of(Pattern(SelectiveScan, self._scan), Pattern(Ssd, _heads))
        return rewrite(program, self.name, rule, context=context)

    def _scan(self, op: SelectiveScan, to: Rewriter) -> Outcome:
        if against := reason_against(op.x.type):
            return Refuse(against)
        size = Size.of(op)
        if self.form is None:
            choice = choose(size)
            chosen, why = choice.taken, choice.why()
        else:
            chosen = plan(self.form, replace(size, first=size.first and self.form == DEFAULT))
            why = f"{chosen} form as asked for {size}"
        to.explain(op, why)
        to.note(f"selective_scan became its {chosen.form} form")
        return _lowered(op, to, FORMS[chosen.form], chosen)


def _heads(op: Ssd, to: Rewriter) -> Outcome:
    from mctc.passes.selective_scan import heads  # which most programs have no need of

    against = reason_against(op.x.type)
    return Refuse(against) if against else heads.lower(op, to)


def _lowered(op: SelectiveScan, to: Rewriter, form: Form, plan: ScanPlan) -> tuple[Value, Value]:
    """Output as x lies and the state in the shape that the op declares: chunk after chunk, each from the state of the
    one before. What has frames first for a form that takes them last is turned."""
    scan = gather(op, to, None if op.h is None else form.read(to[op.h], to))
    turned = scan.axis == 1 and not plan.size.first
    if turned:
        x, delta, into, out = (turned_out(value, to) for value in (scan.x, scan.delta, scan.B, scan.C))
        scan = replace(scan, x=x, delta=delta, B=into, C=out, axis=3)
    first, *rest = scan.cut(plan.chunk)
    y, state = form.lower(first)
    outputs = [y]
    for piece in rest:
        y, state = form.lower(replace(piece, h=state))
        outputs.append(y)
    y = to.op(Concat, *outputs, axis=first.axis) if rest else y
    return turned_in(y, to, known=False) if turned else y, form.written(state, to, op.results[1].type)
