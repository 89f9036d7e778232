"""What each form of the scan costs: the ops that it makes, by the cost model of mctc/hardware/cost.py.

A form wins that takes least under every reading of what is published. Where readings disagree the choice is doubtful,
and the default is taken: channels_last, whose rows are full whatever the number of frames.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache

from mctc.hardware.cost import READINGS, Shaped, bytes_of, totals
from mctc.ir.build import Builder
from mctc.ir.dims import Extent
from mctc.ir.op import Op
from mctc.ir.ops.leaf import Constant
from mctc.ir.ops.scan import SelectiveScan
from mctc.ir.ops.shape import Reshape
from mctc.ir.program import Program, Value
from mctc.ir.types import Axis, DType, Role, TensorType
from mctc.passes.selective_scan import channels_last, decay, prefix, unrolled
from mctc.passes.selective_scan.operands import Form, Scan, frames_first
from mctc.records import dataclass

FORMS: dict[str, Form] = {
    "channels_last": channels_last.FORM,
    "decay": decay.FORM,
    "unrolled": unrolled.FORM,
    "prefix": prefix.FORM,
}
DEFAULT = "channels_last"
CHUNKS = (16, 32)
"""Frames that are scanned at once where there are more."""
TYPES = {"conv2d": "conv", "slice": "slice_by_index"}
"""What ops are called in Core ML, where that is another name."""


@dataclass(frozen=True)
class Size:
    """Channels D, states N and frames T of a scan, whether a state comes in, and whether frames lie first."""

    channels: int
    states: int
    frames: int
    carried: bool = True
    first: bool = False

    @staticmethod
    def of(op: SelectiveScan) -> Size:
        x, (channels, states) = op.x.type, op.A.type.shape
        assert x.sequence is not None
        return Size(channels, states, x.shape[x.sequence], op.h is not None, frames_first(x))

    def __str__(self) -> str:
        return f"D={self.channels}, N={self.states}, T={self.frames}"


@dataclass(frozen=True)
class ScanPlan:
    """A form in chunks of so many frames that hand on the state; the last one may be shorter.

    microseconds: under each reading. padded: bytes of all values with their rows padded. saved: microseconds against
    the CPU.
    """

    form: str
    size: Size
    chunk: int
    ops: int
    padded: int
    microseconds: tuple[float, ...]
    saved: float

    def __str__(self) -> str:
        return f"{self.form}{f' in chunks of {self.chunk}' if self.chunk < self.size.frames else ''}"

    def beats(self, other: ScanPlan) -> bool:
        """Whether it takes no longer under any reading, and less under one."""
        pairs = list(zip(self.microseconds, other.microseconds))
        return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)

    @property
    def row(self) -> str:
        times = ", ".join(f"{us:.0f}" for us in self.microseconds)
        return f"{self}: {self.ops} ops, {self.padded / 1e6:.1f} MB padded, {times} us"


@dataclass(frozen=True)
class Choice:
    """The plan that is taken, all forms' plans, and whether the readings agree on it."""

    taken: ScanPlan
    plans: tuple[ScanPlan, ...]
    doubtful: bool

    def why(self) -> str:
        """The table, in a line: how sure the choice is, and what each form costs under each reading."""
        how = "doubtful, so the default" if self.doubtful else "least under every reading"
        names = " / ".join(reading.name for reading in READINGS)
        rows = "; ".join(plan.row for plan in self.plans)
        return f"{self.taken} form for {self.taken.size}, {how} ({names}): {rows}"


def choose(size: Size) -> Choice:
    """The form and the chunk for a scan. One over frames that lie first has one form."""
    plans = tuple(plan(form, size) for form in ((DEFAULT,) if size.first else FORMS))
    best = next((one for one in plans if all(one is each or one.beats(each) for each in plans)), None)
    taken = best or next(each for each in plans if each.form == DEFAULT)
    return Choice(taken, plans, best is None)


@lru_cache(maxsize=256)
def plan(form: str, size: Size) -> ScanPlan:
    """A form in the chunks of which the slowest reading is fastest."""
    chunks = [size.frames] if size.frames <= CHUNKS[-1] else []
    chunks += [chunk for chunk in CHUNKS if chunk < size.frames]
    plans = [_in_chunks(form, size, chunk) for chunk in chunks]
    return min(plans, key=lambda each: (max(each.microseconds), each.ops))


def _in_chunks(form: str, size: Size, chunk: int) -> ScanPlan:
    full, rest = divmod(size.frames, chunk)
    later = _made(form, replace(size, frames=chunk, carried=True))
    ops = [*_made(form, replace(size, frames=chunk)), *later * (full - 1)]
    if rest:
        ops += _made(form, replace(size, frames=rest, carried=True))
    if full + bool(rest) > 1:
        ops += _cuts(size)
    padded = sum(bytes_of(shape, padded=True) for op in ops for shape in op.results)
    times = totals(ops)
    return ScanPlan(form, size, chunk, len(ops), padded, times, sum(op.saved for op in ops))


def _cuts(of: Size) -> list[Shaped]:
    """What cuts delta, drive, B and C into chunks, and joins the outputs."""
    wide, narrow = (1, of.channels, 1, of.frames), (1, of.states, 1, of.frames)
    cut = [Shaped("split", (shape,), (), (shape,)) for shape in (wide, wide, narrow, narrow)]
    return [*cut, Shaped("concat", (wide,), (), (wide,))]


@lru_cache(maxsize=1024)
def _made(form: str, of: Size) -> tuple[Shaped, ...]:
    """The ops that a form makes for one chunk, those over A and constants left out: they are folded."""
    b = Builder(Program("scan"))
    known = set[Value]([a := Value(_type((Role.PLAIN, of.channels), (Role.PLAIN, of.states)), "A")])
    wide, narrow = (
        _type((Role.BATCH, 1), *(axes[::-1] if of.first else axes))
        for axes in (((Role.CHANNEL, n), (Role.UNIT, 1), (Role.TIME, of.frames)) for n in (of.channels, of.states))
    )
    state = _type((Role.BATCH, 1), (Role.CHANNEL, of.channels), (Role.UNIT, 1), (Role.FEATURE, of.states))
    h = FORMS[form].read(Value(state, "h"), b) if of.carried else None
    b.ops.clear()
    x, delta, into, out = (Value(type_) for type_ in (wide, wide, narrow, narrow))
    FORMS[form].lower(Scan(b, x, delta, a, into, out, None, h, None, Role.TIME.value, (), 1 if of.first else 3))
    return shaped(b.ops, known)


def shaped(ops: Iterable[Op], known: set[Value]) -> tuple[Shaped, ...]:
    """Ops by their shapes, those left out that make constants of what is known when the model is compiled."""
    return tuple(_shaped(op, known) for op in ops if not _folds(op, known))


def _folds(op: Op, known: set[Value]) -> bool:
    """Whether an op makes a constant, or is a reshape of roles alone."""
    same = isinstance(op, Reshape) and op.x.type.shape == op.result.type.shape
    if isinstance(op, Constant) or all(value in known for value in op.present()):
        known.update(op.results)
        return True
    return same


def _shaped(op: Op, known: set[Value]) -> Shaped:
    taken, constants = (tuple([v.type.shape for v in op.present() if (v in known) is fixed]) for fixed in (False, True))
    results = tuple([value.type.shape for value in op.results])
    return Shaped(TYPES.get(op.name, op.name), taken, constants, results, 2 * op.macs())


def _type(*axes: tuple[Role, int]) -> TensorType:
    return TensorType(DType.F32, tuple(Axis(role, Extent.of(extent)) for role, extent in axes))
