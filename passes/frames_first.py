"""Layers around a selective scan have frames first where that takes less."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from mctc.hardware.cost import PLACED, READINGS, totals
from mctc.ir.ops.convolution import Conv2d
from mctc.ir.ops.elementwise import Binary
from mctc.ir.ops.scan import SelectiveScan
from mctc.ir.ops.shape import Concat, Slice, Split, Transpose
from mctc.ir.program import Function, Op, Program, Value
from mctc.passes.frame_rows import groups
from mctc.passes.frame_rows.convolutions import along_frames, is_pointwise, pointwise, with_ones
from mctc.passes.frame_rows.groups import Group
from mctc.passes.frame_rows.layout import ORDER, turned_in, turned_out
from mctc.passes.selective_scan.cost import Size, choose, shaped
from mctc.records import dataclass
from mctc.rewrite.base import Context, Exact, Pass
from mctc.rewrite.fold import fold_parameters
from mctc.rewrite.options import option
from mctc.rewrite.rewriter import Rewriter, rewrite_functions

SURE = 2
"""How many times what a placement on the engine costs has to be saved there: readings differ about it."""


@dataclass(frozen=True)
class FramesFirst(Pass):
    """A few frames, [1, C, 1, T], become [1, T, 1, C] in the layers around a selective scan.

    The engine pads each row to 64 bytes, so eight frames take four times their size (ANE-LY-002). Projections become
    products with constant matrices, a kernel along frames a product and a sum, and the scan turns nothing. At the edges
    frames and channels change places in a product with a unit matrix. Done where it takes less under every reading of
    the cost model, and where Core ML still places the function on the engine for sure: products are cheaper on a CPU.
    """

    name = "frames-first"
    promise = Exact()
    stage = "deploy"
    after = ("drop-unread-frames?", "fold-batch-norm?", "number-inputs?", "lower-attention?", "lower-rnn?")
    before = ("lower-selective-scan", "legalise?", "pack-states?")

    frames: Literal["first", "last"] | None = option(None, "where frames lie; none lets cost decide")

    def run(self, program: Program, context: Context) -> Program:
        if context.stack != "coreml" or self.frames == "last":
            return program
        asked = self.frames is not None
        each = ((name, _tried(program, f, self.name, context, asked)) for name, f in program.functions.items())
        tried = {name: found for name, found in each if found}
        taken = {name: found.function for name, found in tried.items() if found.decided(program, tried)}
        made = rewrite_functions(program, lambda _, function: taken.get(function.name, function))
        return fold_parameters(made, self.name)


@dataclass(frozen=True)
class _Tried:
    """A function turned, what it and the old one take under each reading, what the new one saves against the CPU, and
    whether it is asked for whatever it takes."""

    turner: _Turner
    group: Group
    function: Function
    before: list[float]
    after: list[float]
    saved: float
    asked: bool

    def decided(self, program: Program, tried: Mapping[str, _Tried]) -> bool:
        """Whether the function is turned, which is told."""
        pairs = "; ".join(f"{r.name} {a:.4g} -> {b:.4g} us" for r, a, b in zip(READINGS, self.before, self.after))
        if not self.taken and not self._faster:
            told = f"frames first would not take less under every reading: {pairs}"
        elif not self.taken:
            told = (
                f"with frames first the engine would save {self.saved:.0f} us: too little to be placed there for sure"
            )
            told += f"; {pairs}"
        elif other := self._against(program, tried):
            told = f"`{other}` goes on with the same states, and leaves its frames last: {pairs}"
        else:
            why = "as asked for" if self.asked else "less under every reading"
            self._tell(self.turner.explain, f"{len(self.group.ops)} ops with frames first, {why}: {pairs}")
            return True
        self._tell(self.turner.refuse, told)
        return False

    def _tell(self, about: Callable[[Op, str], None], told: str) -> None:
        """Of each scan."""
        for op in self.turner.function.ops:
            if isinstance(op, SelectiveScan) and op in self.group.ops:
                about(op, told)

    @property
    def taken(self) -> bool:
        """Whether it takes less on the engine, and is left there: a CPU does products faster than convolutions."""
        return self.asked or (self._faster and self.saved >= SURE * PLACED)

    @property
    def _faster(self) -> bool:
        return all(after < before for before, after in zip(self.before, self.after))

    def _against(self, program: Program, tried: Mapping[str, _Tried]) -> str | None:
        """A function that goes on with states of this one, at another chunk, and would keep them in another layout."""
        mine, own = self.kept, {state.name for state in self.turner.function.states}
        for name, other in program.functions.items():
            theirs = tried[name].kept if name in tried and tried[name].taken else set()
            if {state.name for state in other.states} & own & (mine ^ theirs):
                return name
        return None

    @property
    def kept(self) -> set[str]:
        """The states that have frames first."""
        return {state.name for state in self.group.states}


def _tried(program: Program, function: Function, by: str, context: Context, asked: bool) -> _Tried | None:
    """A function with the layers around its scans turned; None where there are none."""
    turner = _Turner(program, function, by, context)
    group = groups.find(function, turner.uses)
    if group is None:
        return None
    turned = turner.turned(group)
    before, _ = times(function.ops)
    after, saved = times(op for op in turned.ops if op not in turner.folded)
    return _Tried(turner, group, turned, before, after, saved, asked)


def times(ops: Iterable[Op]) -> tuple[list[float], float]:
    """Microseconds of a function under each reading, and what it saves against the CPU; scans in the forms that they
    will be taken in."""
    rest, scans = list[Op](), list[SelectiveScan]()
    for op in ops:
        if isinstance(op, SelectiveScan):
            scans.append(op)
        else:
            rest.append(op)
    made = shaped(rest, set())
    sums = [*totals(made)]
    plans = [choose(Size.of(op)).taken for op in scans]
    for plan in plans:
        sums = [a + b for a, b in zip(sums, plan.microseconds)]
    return sums, sum(op.saved for op in made) + sum(plan.saved for plan in plans)


class _Turner(Rewriter):
    """Rebuilds a function with a group's ops turned. `folded`: transposes that fold-state-reshapes takes away."""

    def turned(self, group: Group) -> Function:
        self._group, self.folded = group, set[Op]()
        self._rows: dict[Value, Value] = {}
        self._longer: dict[Value, Value] = {}  # frames with one of ones behind them
        self._updates = {state.update for state in group.states}
        self._states = {state.value for state in group.states}
        return self.rebuild(lambda op, to: self._turned(op) if op in group.ops else None)

    def _turned(self, op: Op) -> Sequence[Value]:
        made = self._made(op)
        self.note(f"{op.name} with frames first")
        return [self._placed(old, new) for old, new in zip(op.results, made)]

    def _placed(self, old: Value, new: Value) -> Value:
        """What stands for an old result: the new one, turned where columns are asked for."""
        if old not in self._group.made:
            return new
        self._rows[old] = new
        if old in self._updates:
            return self._folded(new)
        return turned_out(self._row(old), self) if old in self._group.given else new

    def _made(self, op: Op) -> Sequence[Value]:
        match op:
            case Conv2d():
                return [self._convolved(op)]
            case Concat() if op.position == 3 and self._wants_ones(op.result):
                self._longer[op.result] = with_ones(self, [self._row(each) for each in op.xs])
                return [self._longer[op.result]]
            case Slice() if op.x in self._longer and op.position == 3:
                attributes = {**op.attributes, "axis": 1, "end": op.end or op.x.type.shape[3]}
                return self.emit(Slice, self._longer[op.x], **attributes)
            case Concat() | Slice() | Split():
                attributes = {**op.attributes, "axis": 4 - op.position}
                return self.emit(type(op), *(self._row(value) for value in op.present()), **attributes)
            case SelectiveScan():
                rows = (self._row(value) for value in (op.x, op.delta))
                into, out = self._row(op.B), self._row(op.C)
                return self.emit(
                    SelectiveScan, *rows, self[op.A], into, out, self.maybe(op.D), self.maybe(op.h), self.maybe(op.mask)
                )
            case Binary():
                return self.emit(type(op), self._row(op.left), self._row(op.right))
        first, *others = op.operands
        assert first is not None
        return self.emit(type(op), self._row(first), *(self.maybe(other) for other in others), **op.attributes)

    def _convolved(self, op: Conv2d) -> Value:
        weight, bias = self[op.weight], self.maybe(op.bias)
        if is_pointwise(op):
            return pointwise(self, self._row(op.x), weight, bias)
        x = self._longer.get(op.x) if bias is not None else None
        if x is None:
            x = self._row(op.x) if bias is None else with_ones(self, [self._row(op.x)])
        return along_frames(self, op, x, weight, bias)

    def _wants_ones(self, old: Value) -> bool:
        """Whether a kernel with a bias runs along the frames of an old value."""
        users = (user for user in self.uses.get(old, ()) if user in self._group.ops and isinstance(user, Conv2d))
        return any(not is_pointwise(user) and user.bias is not None for user in users)

    def _row(self, old: Value) -> Value:
        """An old value with frames first; numbers as they are."""
        if not old.type.rank:
            return self[old]
        if old in self._longer and self._rows.get(old) is self._longer[old]:
            self._rows[old] = self.op(Slice, self._longer[old], axis=1, begin=0, end=old.type.shape[3])
        if old not in self._rows:
            inside = old in self._states
            self._rows[old] = (
                self._folded(self[old]) if inside else turned_in(self[old], self, known=old in self._group.known)
            )
        return self._rows[old]

    def _folded(self, value: Value) -> Value:
        made = self.op(Transpose, value, order=ORDER)
        self.folded.add(self.ops[-1])
        return made
