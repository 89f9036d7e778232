"""Scans over a matrix of keys and values that queries alone read, as one op: a module computes them without a loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from mctc.ir.dims import Extent
from mctc.ir.fields import operand, optional_operand
from mctc.ir.loops import Loop, in_order
from mctc.ir.op import FLOATS, Op
from mctc.ir.ops.loop import Scan, held_type
from mctc.ir.ops.reduce import ReduceSum
from mctc.ir.program import Function, Program, State, Value
from mctc.ir.time import Recurrent, TimeBehaviour
from mctc.ir.types import Role, TensorType
from mctc.passes.linear_scan.affine import Affine
from mctc.passes.linear_scan.frames import Frames
from mctc.passes.linear_scan.matrix import CHANNEL, FEATURE, Matrix
from mctc.passes.linear_scan.parallel import plan
from mctc.records import dataclass
from mctc.rewrite.rewriter import Rewriter, rewrite_functions

NAME = "associations"


class Associations(Op):
    """S(t) = exp(log_decay(t)) * S(t-1) + key(t) value(t) + into(t) (the sum over features of of(t) * S(t-1)); y(t) is
    the sum over features of query(t) * S(t). Keys, queries and decays [batch, channel 1, feature N, T], values [batch,
    channel P, feature 1, T]; results y, as values, and S behind the last frame. Of modules alone: no program has it."""

    name = NAME
    query = operand()
    key = operand()
    value = operand()
    log_decay = optional_operand()
    into = optional_operand()
    of = optional_operand()
    h = optional_operand()
    takes = FLOATS

    def infer(self) -> Sequence[TensorType]:
        width = self.value.type.extents[CHANNEL]
        y = self.query.type.with_extent(CHANNEL, width).with_extent(FEATURE, Extent.of(1))
        return y, held_type(self.query.type.with_extent(CHANNEL, width))

    def behaviour(self) -> TimeBehaviour:
        return Recurrent((("h", 1),), "")

    def padded(self, read: object = None, *, whole: bool = True) -> Value | None:
        """Frames of padding change none before them, and the last matrix is not read in a padded batch."""
        return None


@dataclass(frozen=True)
class _Found:
    """A loop that is such an op, and the sum that is its query."""

    matrix: Matrix
    query: Value
    read: ReduceSum


def gathered(program: Program) -> Program:
    """The program with an op for every such scan whose decays have known logarithms."""

    def rebuild(new: Program, function: Function) -> Function:
        if not any(isinstance(op, Scan) for op in function.ops):
            return function
        return _Gathering(function, Rewriter(new, function, NAME)).run()

    return rewrite_functions(program, rebuild)


class _Gathering:
    def __init__(self, function: Function, to: Rewriter) -> None:
        self.function, self.to = function, to
        self.left_out: set[Op] = set()
        self.later: dict[Op, Callable[[], None]] = {}  # where a query comes behind its loop

    def run(self) -> Function:
        function, to = self.function, self.to
        for value in (*function.inputs, *(state.value for state in function.states)):
            to.bind(value, value)
        for item in in_order(function.ops):
            found = self._found(item) if isinstance(item, Loop) else None
            if isinstance(item, Loop) and found is not None:
                product = found.read.x.owner
                assert product is not None
                self.left_out |= {found.read, product}
                gather = partial(self._gather, item, found)
                if to.known(found.query) is None:
                    self.later[found.read] = gather
                else:
                    gather()
                continue
            for op in (*item.states, *item.ops, item.close) if isinstance(item, Loop) else (item,):
                if op in self.later:
                    self.later[op]()
                elif op not in self.left_out:
                    to.visit(op, lambda op, to: None)
        to.origin = function.origin
        return to.rebuilt([State(s.name, to[s.value], to[s.update]) for s in function.states])

    def _found(self, loop: Loop) -> _Found | None:
        """A loop as one matrix that one query reads."""
        type_ = loop.states[0].result.type
        roles = (Role.BATCH, Role.CHANNEL, Role.FEATURE, loop.role)
        if len(loop.states) > 1 or type_.roles != roles or len(loop.close.results) > 2:
            return None
        known = plan(loop, self.to.uses, self.to.kept)
        (group,), queries = known.groups, known.readers.queries
        matrix = group.matrix
        if matrix is None or not isinstance(group.form, Affine) or known.readers.held or len(queries) != 1:
            return None
        ((read, (_, query, before)),) = queries.items()
        last = loop.close.results[-1]
        ends = last in self.to.uses or any(value is last for _, value in self.function.results)
        decays = matrix.log if isinstance(matrix.log, Value) else None
        simple = len(matrix.written) == 1 and not before and read not in loop.ops and not ends
        return _Found(matrix, query, read) if simple and (matrix.decay == 1.0 or decays is not None) else None

    def _gather(self, loop: Loop, found: _Found) -> None:
        to, matrix, (state,) = self.to, found.matrix, loop.states
        to.origin, frames = loop.close.origin, Frames(to, loop, to.known)

        def made(value: object) -> Value | None:
            return frames[value] if isinstance(value, Value) else None

        ((key, value),) = matrix.written
        y, last = to.emit(
            Associations, frames[found.query], frames[key], frames[value],
            made(matrix.log), made(matrix.into), made(matrix.of), made(state.start),
        )  # fmt: skip
        to.bind(found.read.result, to.reshaped(y, found.read.result.type))
        to.bind(loop.close.results[-1], last)
