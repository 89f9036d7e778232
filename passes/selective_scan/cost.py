"""What each form of the scan costs, over all frames at once or chunk by chunk: a time estimate from its ops and from
the fp16 bytes that they move.

The numbers are a model, not a measurement, and only the ranking matters. The engine stores rows of the last axis
padded to 64 bytes, 32 values in fp16, so a state of one frame takes as much room as one of 32. A value larger than
the engine's working set (2 MiB on M1 to M4) goes to memory and back, which is counted as four times the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2

ROW = 32  # fp16 values in 64 bytes
WORKING_SET = 2 * 2**20  # bytes
PER_OP = 4.0  # microseconds
PER_BYTE = 1 / 60e3  # microseconds at 60 GB/s
SPILLED = 4.0
CHUNKS = (ROW, 2 * ROW)  # frames; shorter ones would fill rows with padding, longer ones are spilled at any useful size
CUT = 5  # splits of delta, drive, B and C, and the concat of the outputs


@dataclass(frozen=True)
class Cost:
    """Ops of one scan, bytes of its largest value, bytes of all its values with a state axis."""

    ops: int
    largest: int
    moved: int

    @property
    def microseconds(self) -> float:
        spill = SPILLED if self.largest > WORKING_SET else 1.0
        return self.ops * PER_OP + self.moved * PER_BYTE * spill

    def __str__(self) -> str:
        return f"{self.ops} ops, largest value {self.largest / 2**20:.2f} MiB"


def costs(channels: int, states: int, frames: int) -> dict[str, Cost]:
    """The cost of each form for [D, N] states and T frames, from the products with B and A to the output and state."""

    def size(width: int) -> int:
        return 2 * channels * states * ROW * ceil(width / ROW)

    one, chunk = size(1), size(frames)
    pairs = size(frames * (frames + 1) // 2 + frames)
    stages = ceil(log2(frames)) if frames > 1 else 0
    cut = 3 if frames > 1 else 0  # two splits and a concat
    return {
        "unrolled": Cost(5 + cut + 2 * frames, chunk, chunk * (4 + cut) + one * 4 * frames),
        "prefix": Cost(9 + max(0, 5 * stages - 2), chunk, chunk * (8 + 5 * stages)),
        "decay": Cost(11, pairs, pairs * 4 + chunk * 4),
    }


@dataclass(frozen=True)
class ScanPlan:
    """A form over so many frames, in chunks that hand on the state; the last one may be shorter."""

    form: str
    frames: int
    chunk: int
    cost: Cost

    def __str__(self) -> str:
        return f"{self.form} form{f' in chunks of {self.chunk}' if self.chunk < self.frames else ''}"


def plan(channels: int, states: int, frames: int, form: str | None = None) -> ScanPlan:
    """How to compute the scan, or how to with this form. Ties go to fewer ops, then to the form named first."""
    lengths = [frames, *(chunk for chunk in CHUNKS if chunk < frames)]
    forms = list(costs(channels, states, 1)) if form is None else [form]
    plans = [
        ScanPlan(each, frames, chunk, _chunked(channels, states, frames, each, chunk))
        for each in forms
        for chunk in lengths
    ]
    return min(plans, key=lambda each: (each.cost.microseconds, each.cost.ops))


def _chunked(channels: int, states: int, frames: int, form: str, chunk: int) -> Cost:
    """All chunks, cutting their operands and joining their outputs."""
    full, rest = divmod(frames, chunk)
    parts = [costs(channels, states, chunk)[form]] * full
    parts += [costs(channels, states, rest)[form]] if rest else []
    if len(parts) == 1:
        return parts[0]
    cut = 2 * (3 * channels + 2 * states) * frames
    moved = sum(part.moved for part in parts) + cut
    return Cost(sum(part.ops for part in parts) + CUT, max(part.largest for part in parts), moved)
