"""What the parts of a model that its spec keeps in fp32 lose where they are computed in fp16 with all others."""

from __future__ import annotations

from mctc.ir.islands import held_wide
from mctc.ir.ops.leaf import ParameterOp
from mctc.ir.program import Op
from mctc.numerics.difference import difference, within
from mctc.numerics.limits import FP16
from mctc.numerics.undefined import first_undefined
from mctc.proof.beyond import is_beyond
from mctc.proof.subject import HALF, Subject


def lost_in_half(subject: Subject, name: str) -> Op | None:
    """The first op of such a part in function `name` that fp16 doesn't hold: a parameter, or what makes a result of an
    item of the battery something else. None where there is none.

    An op of another part is none: what it loses is lost in every build.
    """
    function = subject.whole.functions[subject.component(name)]
    wide, value = held_wide(subject.whole, function), subject.parameter(subject.whole)
    for op in wide and function.ops:
        if op in wide and isinstance(op, ParameterOp) and is_beyond(value(op.parameter)):
            return op
    for item in subject.items(name) if wide else ():
        results, rounded = subject.results(name, item), subject.rounded(name, item, HALF)
        if not all(within(difference(array, rounded[key]), FP16) for key, array in results.items()):
            inputs = subject.utterance(name, item).inputs
            first = first_undefined(function, inputs, value, rounding=HALF)
            if first in wide:
                return first
    return None
