"""Scans over a matrix of keys and values that queries alone read become one op (associations_op.py)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial

from mctc.ir.dims import Extent
from mctc.ir.loops import Loop, in_order
from mctc.ir.op import Op
from mctc.ir.ops.loop import Scan
from mctc.ir.ops.reduce import ReduceSum
from mctc.ir.program import Function, Program, State, Value
from mctc.ir.types import Axis, Role, TensorType
from mctc.passes.linear_scan.affine import Affine
from mctc.passes.linear_scan.frames import Frames
from mctc.passes.linear_scan.matrix import Matrix
from mctc.passes.linear_scan.parallel import plan
from mctc.records import dataclass
from mctc.rewrite.rewriter import Rewriter, rewrite_functions
from mctc.targets.torch.associations_op import NAME, Associations

Named = tuple[str, str]
"""The instance that a loop is in, and its first state."""


@dataclass(frozen=True)
class _Found:
    """A loop that is such an op, and the sum that is its query."""

    matrix: Matrix
    query: Value
    read: ReduceSum


def gathered(program: Program, leaving: Collection[Named] = ()) -> Program:
    """The program with an op for every such scan whose decays have known logarithms, but for those of these names."""

    def rebuild(new: Program, function: Function) -> Function:
        if not any(isinstance(op, Scan) for op in function.ops):
            return function
        return _Gathering(function, Rewriter(new, function, NAME), leaving).run()

    return rewrite_functions(program, rebuild)


def gathered_alike(*programs: Program) -> Iterator[Program]:
    """Programs whose functions are methods of the same classes, with an op for what is one in all of them."""
    leaving = set[Named]()
    for program in programs:
        for function in program.functions.values():
            leaving |= _Gathering(function, Rewriter(program, function, NAME)).loops()
    return (gathered(program, leaving) for program in programs)


def _name(loop: Loop) -> Named:
    return loop.close.origin.path, loop.states[0].state


def _beside(type_: TensorType, like: TensorType) -> TensorType:
    """The type of a value with all axes of a state; a laid-out one, or one of a single frame, has them."""
    if like.sequence == 3:
        return type_
    at = [(axis, type_.find(axis.role)) for axis in like.axes]
    held = type_.find(like.axes[like.sequence or 0].role) is None and type_.rank == like.rank - 1
    one = Extent.of(1)
    axes = [Axis(axis.role, one if place is None else type_.extents[place]) for axis, place in at]
    return type_ if held else like.with_axes(axes)


class _Gathering:
    def __init__(self, function: Function, to: Rewriter, leaving: Collection[Named] = ()) -> None:
        self.function, self.to, self.leaving = function, to, leaving
        self.left_out: set[Op] = set()
        self.later: dict[Op, Callable[[], None]] = {}  # where a query comes behind its loop
        self.waiting: list[Op] = []  # ops that read the end of such a loop

    def loops(self) -> set[Named]:
        """The names of loops that stay."""
        loops = [item for item in in_order(self.function.ops) if isinstance(item, Loop)]
        return {_name(loop) for loop in loops if self._found(loop) is None}

    def run(self) -> Function:
        function, to = self.function, self.to
        for value in (*function.inputs, *(state.value for state in function.states)):
            to.bind(value, value)
        for item in in_order(function.ops):
            stays = not isinstance(item, Loop) or _name(item) in self.leaving
            found = self._found(item) if isinstance(item, Loop) and not stays else None
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
                self._visit(op)
        to.origin = function.origin
        return to.rebuilt([State(s.name, to[s.value], to[s.update]) for s in function.states])

    def _visit(self, op: Op) -> None:
        """Takes an op over, at once or, where it reads the end of a loop whose query is still to come, behind that."""
        if op in self.later:
            self.later.pop(op)()
            waiting, self.waiting = self.waiting, []
            for each in waiting:
                self._visit(each)
        elif op not in self.left_out and any(self.to.known(value) is None for value in op.present()):
            self.waiting.append(op)
        elif op not in self.left_out:
            self.to.visit(op, lambda op, to: None)

    def _found(self, loop: Loop) -> _Found | None:
        """A loop as one matrix that one query reads."""
        first = (Role.BATCH, Role.CHANNEL, Role.FEATURE, loop.role)
        last = (Role.BATCH, loop.role, Role.FEATURE, Role.CHANNEL)
        laid_out = loop.states[0].result.type.roles in (first, last)
        if len(loop.states) > 1 or not laid_out or len(loop.close.results) > 2:
            return None
        known = plan(loop, self.to.uses, self.to.kept)
        (group,), queries = known.groups, known.readers.queries
        matrix = group.matrix
        if matrix is None or not isinstance(group.form, Affine) or known.readers.held or len(queries) != 1:
            return None
        ((read, (_, query, before)),) = queries.items()
        end, start = loop.close.results[-1], loop.states[0].start
        ends = end in self.to.uses or any(value is end for _, value in self.function.results)
        if loop.states[0].result.type.roles == last:  # of frames of which none is padding: the last matrix may be read
            ends = start is not None and Role.PLAIN in start.type.roles
        decays = matrix.log if isinstance(matrix.log, Value) else None
        simple = len(matrix.written) == 1 and not before and read not in loop.ops and not ends
        return _Found(matrix, query, read) if simple and (matrix.decay == 1.0 or decays is not None) else None

    def _gather(self, loop: Loop, found: _Found) -> None:
        to, matrix, (state,) = self.to, found.matrix, loop.states
        to.origin, frames = loop.close.origin, Frames(to, loop, to.known)

        like = state.result.type

        def made(value: object) -> Value | None:
            return to.reshaped(frames[value], _beside(frames[value].type, like)) if isinstance(value, Value) else None

        ((key, value),) = matrix.written
        y, last = to.emit(
            Associations, *map(made, (found.query, key, value, matrix.log, matrix.into, matrix.of, state.start))
        )
        to.bind(found.read.result, to.reshaped(y, found.read.result.type))
        to.bind(loop.close.results[-1], last)
