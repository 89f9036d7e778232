"""What an op is estimated to take on either backend, from what it counts: one model for the linter and for passes.

The rates are in rates.py, data with their source: they are the segmenter's of an M4. An op that only moves bytes takes
the longer of its bytes and its operations; one with rates of its own takes those alone. What runs on the engine is
not what the segmenter estimates, so choices between forms of a computation are made under several readings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import prod

from mctc.hardware.rates import FREE, MEMORY, PEAK, RATES, RESIDENT, SPREAD, Measure, Rate
from mctc.records import dataclass

ROW = 64
"""Bytes to which the last axis of a tensor is padded on the engine (Apple, neural_engine_rules.md)."""


@dataclass(frozen=True)
class Counted:
    """What is counted of an op of Core ML's type `type`.

    bytes: operands that are no constants and the first result. entries: elements of all operands, results: of the first
    result, table: of the operand x. work: operations as the segmenter counts them. moved, stored, unpacked: bytes of
    all activations, of weights as stored and of weights unpacked. widths: features that a linear layer takes and makes.
    """

    type: str
    bytes: int
    entries: int
    results: int
    work: int
    moved: int
    stored: int = 0
    unpacked: int = 0
    table: int = 0
    widths: tuple[int, int] = (1, 1)

    def of(self, measure: Measure) -> float:
        match measure:
            case Measure.BYTES:
                return self.bytes
            case Measure.ENTRIES:
                return self.entries
            case Measure.RESULTS:
                return self.results
            case Measure.TABLE:
                return self.table
            case Measure.WORK:
                return self.work
        return self.work / max(1, self.moved + self.unpacked)


@dataclass(frozen=True)
class Estimate:
    """Microseconds on the Neural Engine and on the CPU; `spread` is the factor by which the CPU's may be off."""

    ane: float
    cpu: float
    spread: float = 1.0


def estimate(counted: Counted) -> Estimate:
    """As Core ML's segmenter estimates an op on an M4."""
    if counted.type in FREE:
        return Estimate(0.0, 0.0)
    own = OWN.get(counted.type, ())
    rate = next((each for each in own if counted.of(each.by) < each.below), None)
    ane, cpu = _own(counted, rate) if rate else _streamed(counted)
    return Estimate(ane, cpu, _spread(counted, rate))


def _spread(counted: Counted, rate: Rate | None) -> float:
    """How far the CPU's estimate may be off. Of linear layers that are not square the study has one alone."""
    if counted.type == "linear" and rate is not None:
        return rate.spread * max(counted.widths) / min(counted.widths)
    return rate.spread if rate is not None else SPREAD.get(counted.type, 1.0)


def _streamed(counted: Counted) -> tuple[float, float]:
    ane = (counted.bytes + counted.stored) / MEMORY.ane
    cpu = (counted.bytes + counted.unpacked) / MEMORY.cpu
    return max(ane, counted.work / PEAK.ane), max(cpu, counted.work / PEAK.cpu)


def _own(counted: Counted, rate: Rate) -> tuple[float, float]:
    """At the op's own rates; weights of more than RESIDENT bytes are read from memory."""
    ane, cpu = counted.of(rate.of) / rate.ane, counted.of(rate.cpu_of or rate.of) / rate.cpu
    if counted.stored > RESIDENT:
        ane, cpu = max(ane, counted.stored / MEMORY.ane), max(cpu, counted.unpacked / MEMORY.cpu)
    return ane, cpu


OWN: dict[str, tuple[Rate, ...]] = {type_: rates for types, rates in RATES.items() for type_ in types}


@dataclass(frozen=True)
class Reading:
    """One way to read what is published of the engine: how long a chain of ops takes on it.

    padded: rows count as multiples of 64 bytes. near: bytes a microsecond of values that stay near the engine, up to
    the family's working set; None where all are streamed from memory. charge: microseconds of each op.
    """

    name: str
    padded: bool = False
    near: float | None = None
    charge: float = 0.0


CHARGE = (0.013, 0.58)
"""Microseconds that an op takes whatever it moves. 751K/Apple-Neural-Engine-Microarchitecture-Study-M6, commit 22fc11c,
notes/scheduling.md: 0.013 from the slope of 128 to 384 layers that compute next to nothing (D6b; 44 cycles on an M1),
and 0.58 from 64 steps y * u + u on 131 kB each in 74 us, all of it laid to the ops (D3)."""
NEAR = 680e3
"""Bytes a microsecond near the engine: the same 64 steps, all of it laid to the bytes that they move."""
WORKING_SET = 2 << 20
"""Bytes of a value that stays near the engine (the same study, notes/memory.md, C1b and C1d: blocks of under 2 MiB)."""

PLACED = 250.0
"""Microseconds that a function has to save on the engine to be placed there: 0.125 ms to enter it and as long for the
results (the same study, notes/coreml_dispatch.md)."""

READINGS = (
    Reading("published"),
    Reading("padded", padded=True),
    Reading("charged", padded=True, charge=CHARGE[1]),
    Reading("near", padded=True, near=NEAR, charge=CHARGE[0]),
)
"""The segmenter's estimates; the same with every row padded; with the largest charge for each op; and with values near
the engine, where ops are limited by charges."""


@dataclass(frozen=True)
class Shaped:
    """An op by its shapes: computed operands, constants, results. work: two for a multiply-accumulate, else 0."""

    type: str
    operands: tuple[tuple[int, ...], ...]
    constants: tuple[tuple[int, ...], ...]
    results: tuple[tuple[int, ...], ...]
    work: int = 0

    def microseconds(self, reading: Reading) -> float:
        """On the engine under a reading, in fp16."""
        counted = self.counted(reading.padded)
        if reading.near is None:
            return estimate(counted).ane + reading.charge
        moved = sum(
            bytes_of(v, reading.padded) / (reading.near if bytes_of(v, True) < WORKING_SET else MEMORY.ane)
            for v in (*self.operands, *self.results)
        )
        return max(moved, counted.work / PEAK.ane) + counted.stored / MEMORY.ane + reading.charge

    @property
    def saved(self) -> float:
        """Microseconds that it takes less on the engine than on the CPU, as the segmenter estimates both."""
        return _saved(self)

    def counted(self, padded: bool) -> Counted:
        """What is counted of it in fp16, its rows padded or not."""
        stored = sum(bytes_of(shape, False) for shape in self.constants)
        taken, made = (sum(bytes_of(shape, padded) for shape in shapes) for shapes in (self.operands, self.results))
        first = bytes_of(self.results[0], padded)
        entries = (taken + stored) // 2
        return Counted(
            self.type, taken + first, entries, first // 2, self.work or first // 2, taken + made, stored, stored,
            bytes_of(self.operands[0], padded) // 2 if self.operands else 0,
        )  # fmt: skip


HELD = 1 << 12
"""Ops whose times are known: those of a program are alike from layer to layer, and asked for again and again."""


@lru_cache(maxsize=HELD)
def _times(op: Shaped) -> tuple[float, ...]:
    return tuple([op.microseconds(reading) for reading in READINGS])


@lru_cache(maxsize=HELD)
def _saved(op: Shaped) -> float:
    found = estimate(op.counted(padded=False))
    return found.cpu - found.ane


def bytes_of(shape: Sequence[int], padded: bool) -> int:
    """Bytes of an fp16 tensor, its rows padded or not."""
    row = 2 * (shape[-1] if shape else 1)
    return prod(shape[:-1]) * (-(-row // ROW) * ROW if padded else row)


def totals(ops: Iterable[Shaped]) -> tuple[float, ...]:
    """Microseconds of ops one after another, under each of READINGS."""
    times = [_times(op) for op in ops]
    return tuple(map(sum, zip(*times))) if times else (0.0,) * len(READINGS)
