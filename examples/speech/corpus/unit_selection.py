"""Any text in a person's voice: halves of phones of her recordings, chosen and joined.

Source of the method: Hunt and Black 1996, "Unit selection in a concatenative speech synthesis system using a large
speech database".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from corpus.phones import BANDS, HOP, PAUSE, Frames, FrontEnd, Phone, aligned, frames
from corpus.sound import RATE, Said, Samples, joined
from corpus.voice import Manner

CANDIDATES = 32  # of a unit, of those that fit best
# Costs: another phone where the half ends, another one behind that, others on its far side, another place in its word.
CONTEXT = np.array([5.0, 1.0, 1.0, 0.5, 0.8])
JITTER = 0.5  # mean of a random cost, which makes a text sound different each time
JOIN, JOINED = 1.0, 0.6  # of a difference of spectra, by its root mean square; of any joint at all
FADE, SEARCH = 128, 64  # samples
PAUSED_S = (0.05, 0.35)
VOICE = "allison"
LEAST_S, MOST_S = 0.015, 0.4  # of a phone: others were not found


@dataclass(frozen=True)
class Unit:
    """Half of a phone in a recording: samples [begin, end)."""

    recording: int
    begin: int
    end: int
    key: tuple[str, ...] = field(repr=False)

    def goes_on(self, other: Unit) -> bool:
        """Whether another one follows it in the recording."""
        return self.recording == other.recording and self.end == other.begin


def _key(phones: Sequence[Phone], at: int, second: bool) -> tuple[str, ...]:
    """What is around a half: the phone it touches, the next one, those on its other side, its place in the word."""
    names = [phones[each].name if 0 <= each < len(phones) else PAUSE for each in range(at - 2, at + 3)]
    word = phones[at].word
    first = at == 0 or phones[at - 1].word != word
    last = at + 1 == len(phones) or phones[at + 1].word != word
    order = (3, 4, 1, 0) if second else (1, 0, 3, 4)
    return (*(names[each] for each in order), f"{int(first)}{int(last)}")


class UnitSelection:
    """A person's recordings as an engine of one voice. It talks at her speed and pitch."""

    name = "selection"
    voices: tuple[str, ...] = (VOICE,)
    warps = True

    def __init__(self, phones: FrontEnd, recordings: Sequence[tuple[str, Said]]) -> None:
        """recordings: words, and samples at 16 kHz with the ends of all words."""
        self._phones = phones
        self._samples: list[Samples] = []
        self._frames: list[Frames] = []
        self.units: dict[tuple[str, bool], list[Unit]] = defaultdict(list)
        for text, said in recordings:
            self._add(text, said)
        self._keys = {name: np.array([unit.key for unit in units]) for name, units in self.units.items()}

    def _add(self, text: str, said: Said) -> None:
        theirs, other = self._phones.of(text)
        ends = [end for end in said.ends if end is not None]
        found = aligned(said.samples, ends, theirs, other) if len(ends) == len(text.split()) else []
        number = len(self._samples)
        self._samples.append((said.samples / np.sqrt(np.mean(said.samples**2))).astype(np.float32))
        self._frames.append(frames(self._samples[-1]))
        begin = 0.0
        for at, phone in enumerate(found):
            if phone.name != PAUSE and LEAST_S <= phone.end - begin <= MOST_S:
                edges = [round(each * RATE) for each in (begin, (begin + phone.end) / 2, phone.end)]
                for second in (False, True):
                    unit = Unit(number, edges[second], edges[second + 1], _key(found, at, second))
                    self.units[phone.name, second].append(unit)
            begin = phone.end

    def speak(self, asked: Sequence[tuple[str, Manner]]) -> Iterator[Said | None]:
        for text, manner in asked:
            seed = [crc32(text.encode()), *np.array([manner.speed, manner.pitch]).view(np.uint64).tolist()]
            yield self._said(text, np.random.default_rng(seed))

    def _said(self, text: str, rng: np.random.Generator) -> Said | None:
        """A text, or None where a phone of it was never said."""
        phones, _ = self._phones.of(text)
        halves = [(at, second) for at, phone in enumerate(phones) if phone.name != PAUSE for second in (False, True)]
        if not halves or any((phones[at].name, second) not in self.units for at, second in halves):
            return None
        parts: list[list[Unit]] = [[]]
        for (at, second), unit in zip(halves, self._chosen(phones, halves, rng), strict=True):
            if not second and at and phones[at - 1].name == PAUSE and parts[-1]:
                parts.append([])
            parts[-1].append(unit)
        pauses = [float(rng.uniform(*PAUSED_S)) for _ in parts[1:]]
        return joined([Said(self._joined(part), RATE) for part in parts], [0.0, *pauses, 0.0])

    def _chosen(
        self, phones: Sequence[Phone], halves: Sequence[tuple[int, bool]], rng: np.random.Generator
    ) -> list[Unit]:
        """The cheapest sequence of units."""
        columns, came = list[list[Unit]](), list[NDArray[np.int64]]()
        total, ends = np.zeros(1), np.zeros((1, BANDS))
        for at, second in halves:
            name = (phones[at].name, second)
            fit = (self._keys[name] != np.array(_key(phones, at, second))) @ CONTEXT
            fit += JITTER * rng.standard_exponential(len(fit))
            best = np.argsort(fit)[:CANDIDATES]
            units = [self.units[name][each] for each in best]
            begins = np.array([self._edge(unit, unit.begin) for unit in units])
            step = np.sqrt(((begins[:, None] - ends[None]) ** 2).mean(2)) * JOIN + JOINED
            if columns:
                step[np.array([[each.goes_on(unit) for each in columns[-1]] for unit in units])] = 0.0
            ways = step + total[None]
            came.append(ways.argmin(1))
            total = ways.min(1) + fit[best]
            columns.append(units)
            ends = np.array([self._edge(unit, unit.end) for unit in units])
        path = [int(total.argmin())]
        for back in came[:0:-1]:
            path.append(int(back[path[-1]]))
        return [column[each] for column, each in zip(columns, reversed(path), strict=True)]

    def _edge(self, unit: Unit, sample: int) -> Frames:
        known = self._frames[unit.recording]
        found: Frames = known[min(sample // HOP, len(known) - 1)]
        return found

    def _joined(self, units: Sequence[Unit]) -> Samples:
        """Units one after another. Those that were apart fade over, where their waves are most alike."""
        breaks = [at for at in range(1, len(units)) if not units[at - 1].goes_on(units[at])]
        sound = np.zeros(0, np.float32)
        for first, stop in pairwise([0, *breaks, len(units)]):
            begin, end = units[first].begin - FADE // 2 - SEARCH, units[stop - 1].end + FADE // 2
            sound = faded(sound, self._piece(units[first].recording, begin, end))
        return sound

    def _piece(self, recording: int, begin: int, end: int) -> Samples:
        samples = self._samples[recording]
        return np.pad(samples[max(0, begin) : end], (max(0, -begin), max(0, end - samples.size)))


def faded(sound: Samples, more: Samples) -> Samples:
    """A sound that goes over into another one, at one of its first 2 * SEARCH samples."""
    size = min(FADE, sound.size, more.size - 2 * SEARCH)
    if size <= 0:
        return np.concatenate([sound, more[SEARCH:]])
    tail, ramp = sound[-size:], np.linspace(0.0, 1.0, size, dtype=np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(more[: size + 2 * SEARCH], size)
    start = int(np.argmax(windows @ tail / np.sqrt((windows**2).sum(1) + 1e-12)))
    over = tail * (1 - ramp) + more[start : start + size] * ramp
    return np.concatenate([sound[:-size], over, more[start + size :]])
