"""Values of a single frame lie along rows where that takes less than the reshapes around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeGuard

from mctc.hardware.cost import Shaped, totals
from mctc.ir.ops.elementwise import Binary, Clip, Scale, Unary
from mctc.ir.ops.leaf import Leaf
from mctc.ir.ops.norm import LayerNorm, RmsNorm
from mctc.ir.ops.shape import Concat, Reshape, Slice, Split
from mctc.ir.program import Function, Op, Program, Value
from mctc.ir.types import Role, TensorType
from mctc.passes.layout import UNIT
from mctc.records import dataclass
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.rewriter import Rewriter, rewrite_functions

ALONG = (Concat, Slice, Split)
ENTRYWISE = (Binary, Clip, Scale, Unary)
NORMS = (LayerNorm, RmsNorm)


class FillRows(Pass):
    """Gates, sums and norms of one frame, [1, C, 1, 1], become [1, 1, 1, C] between the convolutions around them.

    The engine pads each row to 64 bytes, so a column of single entries takes 32 times its size (ANE-LY-002): the gates
    of an LSTM cell, a decoder that takes one label. Ops that hand on such values are turned as one group where that
    takes less under the slowest reading of the cost model, the reshapes in and out counted.
    """

    name = "fill-rows"
    promise = Exact()
    stage = "deploy"
    after = ("lower-rnn?", "lower-selective-scan?", "lower-embedding?", "legalise?", "activation-forms?")
    before = ("fold-state-reshapes?", "pack-states?")

    def run(self, program: Program, context: Context) -> Program:
        def rebuild(new: Program, function: Function) -> Function:
            return _Turner(new, function, self.name, context).turned()

        return fold_parameters(rewrite_functions(program, rebuild), self.name)


@dataclass(frozen=True)
class _Group:
    """Ops that hand on columns to each other, the columns that they take from elsewhere, and those read elsewhere."""

    ops: tuple[Op, ...]
    taken: tuple[Value, ...]
    given: tuple[Value, ...]

    def slowest(self, *, turned: bool) -> float:
        """Microseconds under the slowest reading, as they lie or with all columns turned into rows."""
        ops = [_shaped(op, turned) for op in self.ops]
        if turned:
            ops += [Shaped("reshape", (value.type.shape,), (), (_row(value.type.shape),)) for value in self.taken]
            ops += [Shaped("reshape", (_row(value.type.shape),), (), (value.type.shape,)) for value in self.given]
        return max(totals(ops))


class _Turner(Rewriter):
    """Rebuilds a function with the groups turned for which it is worthwhile."""

    def turned(self) -> Function:
        self._rows: dict[Value, Value] = {}
        chosen = set[Op]()
        for group in _groups(self.function, self.uses):
            before, after = (group.slowest(turned=turned) for turned in (False, True))
            reshapes = len(group.taken) + len(group.given)
            told = f"{len(group.ops)} ops on single frames: {before:.1f} us as columns, {after:.1f} us as rows"
            self.explain(group.ops[0], f"{told} with {reshapes} reshapes, under the slowest reading")
            if after < before:
                chosen.update(group.ops)
            else:
                for op in group.ops:
                    self.refuse(op, "rows would take no less than the reshapes around them")
        return self.rebuild(lambda op, to: self._in_rows(op) if op in chosen else self._read(op))

    def _read(self, op: Op) -> Sequence[Value] | None:
        """What turns a column into a row reads the row that there is."""
        return [self.reshaped(self._rows[op.x], op.result.type)] if _to_row(op) and op.x in self._rows else None

    def _in_rows(self, op: Op) -> Sequence[Value]:
        attributes = {**op.attributes, "axis": 3} if isinstance(op, ALONG) else op.attributes
        operands = [None if value is None else self._operand(value) for value in op.operands]
        made = self.emit(type(op), *operands, **attributes)
        self.note(f"{op.name} of one frame along a row")
        self._rows.update(zip(op.results, made))
        return [self.reshaped(new, old.type) for old, new in zip(op.results, made)]

    def _operand(self, old: Value) -> Value:
        """A column as a row, a single entry without a role; vectors and numbers as they are."""
        type_ = old.type
        if type_.rank != 4:
            return self[old]
        if type_.size == 1:
            return self.reshaped(self[old], type_.with_axes([UNIT] * 4))
        if old not in self._rows:
            row = type_.with_axes([type_.axes[0], UNIT, UNIT, type_.axes[1]])
            self._rows[old] = self.reshaped(self[_source(old)], row)
        return self._rows[old]


def _groups(function: Function, uses: dict[Value, list[Op]]) -> Iterator[_Group]:
    """The ops that can be turned, in the largest groups that columns connect."""
    known, kept = set[Value](), set(function.outputs)
    of: dict[Op, list[Op]] = {}
    for op in function.ops:
        if isinstance(op, Leaf) or all(value in known for value in op.present()):
            known.update(op.results)
        elif _turns(op):
            members = [op]
            for group in {id(of[v.owner]): of[v.owner] for v in op.present() if v.owner in of}.values():
                members = group + members
            of.update(dict.fromkeys(members, members))
    for members in {id(members): members for members in of.values()}.values():
        own = set(members)
        operands = dict.fromkeys(value for op in members for value in op.present() if _column(value.type))
        taken = tuple(v for v in operands if v not in known and v.owner not in own and _source(v) is v)
        results = [value for op in members for value in op.results]
        given = tuple(v for v in results if v in kept or any(not (u in own or _to_row(u)) for u in uses.get(v, ())))
        yield _Group(tuple(members), taken, given)


def _turns(op: Op) -> bool:
    """Whether an op does the same along a row: all that it reads and makes are columns, single entries, or vectors
    that a norm has for its channels."""
    if not all(_column(value.type) for value in op.results):
        return False
    match op:
        case LayerNorm(x=x) | RmsNorm(x=x):
            return x.type.roles[1] is Role.CHANNEL
        case Concat() | Slice() | Split():
            return op.position == 1 and all(_column(value.type) for value in op.present())
    return isinstance(op, ENTRYWISE) and all(_column(v.type) or _single(v.type) for v in op.present())


def _column(type_: TensorType) -> bool:
    """Whether it is [1, C, 1, 1]."""
    return type_.rank == 4 and type_.is_static and type_.shape[1] > 1 and type_.size == type_.shape[1]


def _to_row(op: Op | None) -> TypeGuard[Reshape]:
    """Whether it only turns a column into a row."""
    return isinstance(op, Reshape) and _column(op.x.type) and op.result.type.shape == _row(op.x.type.shape)


def _source(column: Value) -> Value:
    """The row that a column was before, else the column."""
    op = column.owner
    return op.x if isinstance(op, Reshape) and op.x.type.shape == _row(column.type.shape) else column


def _single(type_: TensorType) -> bool:
    return type_.rank in (0, 4) and type_.is_static and type_.size == 1


def _shaped(op: Op, turned: bool) -> Shaped:
    taken, made = (tuple([value.type.shape for value in values]) for values in (op.present(), op.results))
    if turned:
        taken, made = (tuple([_row(shape) for shape in shapes]) for shapes in (taken, made))
    return Shaped(op.name, taken, (), made)


def _row(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (1, 1, 1, shape[1]) if len(shape) == 4 else shape
