"""Numbers are rounded once, in the program, so that an artifact and what it is compared with hold the same ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mctc.diagnostics.diagnostic import LocatedError
from mctc.ir.islands import computes_wide
from mctc.ir.ops.leaf import Constant
from mctc.ir.program import Function, Op, Program, Value
from mctc.passes.numbers.half import LARGEST, SMALLEST_NORMAL, half, halves
from mctc.passes.numbers.substitutes import substitute, substituted
from mctc.passes.numbers.surroundings import Surroundings
from mctc.rewrite.base import Context, Pass, Rounds
from mctc.rewrite.rewriter import Rewriter, rewrite_functions

NO_NUMBER = "MCT0208"
TELLING = 2.0**-7  # a change of a number that a build's manifest mentions; rounding to 11 bits is 2^-11


class RoundNumbers(Pass):
    """Rounds the numbers of the program (factors, epsilons, limits, constants) to fp16, where artifacts store that.

    A number that fp16 has no place for becomes one that says the same where the ops around it have a form for it: a
    mask as large as can be, an epsilon or a factor as a product (factor-numbers). Else it is an error.
    Arithmetic on weights is done in single precision, and rounded as the weight that comes of it. Run again on the
    steps, it rounds what deploy passes brought in: sinusoids of distances, say.
    """

    name = "round-numbers"
    promise = Rounds()
    stage = "number"

    def run(self, program: Program, context: Context) -> Program:
        if context.precision != "fp16" or all(_exact(op) for _, op in program.ops()):
            return program
        return rewrite_functions(program, lambda new, function: _Rounding(new, function, self.name, context).rounded())


def _exact(op: Op) -> bool:
    """Whether the numbers that an op is given, or the entries of a constant, are fp16's own."""
    if isinstance(op, Constant) and op.result.type.dtype.is_float:
        array = np.asarray(op.value, np.float64)
        return np.array_equal(halves(array), array)
    numbers = (op.number(name) for name in op.numbers)
    return all(half(number) == number for number in numbers)


class _Rounding(Rewriter):
    def __init__(self, program: Program, function: Function, by: str, context: Context) -> None:
        super().__init__(program, function, by, context)
        self.around = Surroundings(function)

    def rounded(self) -> Function:
        return self.rebuild(lambda op, _: self._op(op))

    def _op(self, op: Op) -> Sequence[Value] | None:
        if all(result in self.around.early and not self._read_late(result) for result in op.results):
            return None
        users = self.around.users(op.result) if isinstance(op, Constant) else [op]
        if users and all(computes_wide(self.program, user) for user in users):
            return None  # stored in fp32
        if isinstance(op, Constant):
            return self._constant(op)
        changed = {name: number for name in op.numbers if (number := self._number(op, name)) is not None}
        return self.emit(type(op), *self.operands(op), **{**op.attributes, **changed}) if changed else None

    def _read_late(self, value: Value) -> bool:
        """Whether a constant is read by an op that runs on the device: there it is stored."""
        if not isinstance(value.owner, Constant):
            return False
        late = [user for user in self.around.users(value) if not self.around.early.issuperset(user.results)]
        return bool(late) or self.around.leaves(value)

    def _number(self, op: Op, name: str) -> float | None:
        """What the attribute becomes; None where it stays."""
        value = op.number(name)
        held = substitute(op, name, value, self.around)
        if held is None:
            raise self._refused(op, name, value)
        if held == value:
            return None
        self._explain(op, f"{name} {value:.6g} is {held:.6g}", value, held)
        return held

    def _constant(self, op: Constant) -> Sequence[Value] | None:
        array = np.asarray(op.value)
        if not op.result.type.dtype.is_float:
            return None
        wide = array.astype(np.float64)
        held = substituted(op, wide, self.around)
        if held is None:
            raise self._refused(op, "a constant", float(wide.flat[np.abs(wide).argmax()]))
        if np.array_equal(held, wide):
            return None
        worst = int(np.abs(held - wide).argmax())
        self._explain(op, f"{wide.flat[worst]:.6g} is {held.flat[worst]:.6g}", wide.flat[worst], held.flat[worst])
        kept = held.astype(array.dtype if array.dtype.kind == "f" else np.float32)
        return self.emit(Constant, **{**op.attributes, "value": kept})

    def _explain(self, op: Op, told: str, value: float, held: float) -> None:
        """Says which numbers are changed by more than rounding, and which whole ones are others now."""
        if abs(held - value) > abs(value) * TELLING or float(value).is_integer():
            self.explain(op, f"{op.name}: {told} in fp16")
        self.note(f"{told} in fp16")

    def _refused(self, op: Op, name: str, value: float) -> LocatedError:
        if abs(half(value)) > LARGEST or abs(value) > 1:
            told = f"fp16's largest number is {LARGEST:g}"
            hint = (
                "a mask before a softmax is added to its operand, `x + (keep - 1) * 1e9`; elsewhere write at most 6e4"
            )
        else:
            told = "fp16's smallest number is 6e-8"
            hint = (
                f"write {SMALLEST_NORMAL:.0e} or more; a smaller number is held beside what log, sqrt, rsqrt or a "
                "division by it reads, and in the epsilon of a norm"
            )
        text = f"{value:g} of `{op.name}` ({name}) has no place in fp16: {told}"
        return LocatedError(NO_NUMBER, text, op.origin.location, hint=hint)
