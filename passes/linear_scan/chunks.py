"""The forms over any number of frames: cut into chunks that hand on the state."""

from __future__ import annotations

from collections.abc import Sequence

from mctc.ir.build import Builder
from mctc.ir.ops.shape import Concat, Slice, Split
from mctc.ir.value import Value
from mctc.passes.linear_scan.decays import Decays
from mctc.passes.linear_scan.pairs import Pairs, Written, rows
from mctc.passes.linear_scan.prefix import decayed, largest

LONGEST = 64
"""Frames of a chunk: the weights of one head then take 8 KiB in fp16, as in selective_scan/heads.py."""
BY_FEATURE = 16
"""The same where each feature has a decay of its own, and so a matrix of its own, or where (1 - L) is inverted."""


def in_chunks(b: Builder, count: int, size: int, values: Sequence[Value]) -> list[list[Value]]:
    """Values over `count` frames, cut alike; a list a chunk."""
    sizes = tuple(min(size, count - begin) for begin in range(0, count, size))
    if len(sizes) == 1:
        return [list(values)]
    return [list(chunk) for chunk in zip(*(b.emit(Split, value, sizes=sizes, axis=3) for value in values))]


def joined(b: Builder, parts: Sequence[Value]) -> Value:
    return parts[0] if len(parts) == 1 else b.op(Concat, *parts, axis=3)


def decayed_in_chunks(
    b: Builder, factor: Value | float, drive: Value, start: Value | None, halved: bool = False
) -> Value:
    """What `decayed` gives, of any number of frames."""
    count, parts = drive.type.shape[3], list[Value]()
    for chunk in in_chunks(b, count, LONGEST, [drive] if isinstance(factor, float) else [drive, factor]):
        parts.append(decayed(b, factor if isinstance(factor, float) else chunk[1], chunk[0], start, halved))
        start = b.op(Slice, parts[-1], axis=3, begin=parts[-1].type.shape[3] - 1)
    return joined(b, parts)


def largest_in_chunks(b: Builder, shift: Value, floor: Value, start: Value) -> Value:
    """What `largest` gives, of any number of frames."""
    parts: list[Value] = []
    for one, other in in_chunks(b, floor.type.shape[3], LONGEST, [shift, floor]):
        parts.append(largest(b, one, other, start))
        start = b.op(Slice, parts[-1], axis=3, begin=parts[-1].type.shape[3] - 1)
    return joined(b, parts)


class Chain:
    """`Pairs` of chunk after chunk. What is given has one axis of entries and one of frames. rank_one: into and of."""

    def __init__(
        self,
        b: Builder,
        decay: Value | None,
        kind: type[Decays],
        written: Sequence[tuple[Value, Value]],
        rank_one: tuple[Value, Value] | None,
        h: Value | None,
    ) -> None:
        self.b = b
        streams = [rows(b, each) for pair in written for each in pair]
        streams += [] if rank_one is None else [rows(b, each) for each in rank_one]
        streams += [] if decay is None else [rows(b, decay)]
        self.count = streams[0].type.shape[3]
        short = rank_one is not None or (decay is not None and decay.type.shape[2] > 1)
        self.size = BY_FEATURE if short else LONGEST
        self.parts: list[Pairs] = []
        for chunk in in_chunks(b, self.count, self.size, streams):
            there = iter(chunk)
            pairs = [Written(next(there), next(there)) for _ in written]
            corrections = None if rank_one is None else (next(there), next(there))
            decays = None if decay is None else kind(b, next(there))
            part = Pairs(b, chunk[0].type.shape[3], decays, pairs, h)
            self.parts.append(part if corrections is None else part.corrected(*corrections))
            h = self.parts[-1].end()
        assert h is not None
        self.end = h

    def read(self, query: Value, before: int) -> Value:
        """[1, 1, P, T]: what a query reads of the state behind each frame, or before it."""
        queries = in_chunks(self.b, self.count, self.size, [rows(self.b, query)])
        return joined(self.b, [part.read(each, before) for part, (each,) in zip(self.parts, queries)])

    def written(self) -> list[Written]:
        """Keys and values of all frames, the term of rank one among them."""
        found = zip(*(part.written for part in self.parts))
        return [Written(*(joined(self.b, side) for side in zip(*((w.key, w.value) for w in each)))) for each in found]
