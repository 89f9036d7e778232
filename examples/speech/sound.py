"""All training speech as one row of 16-bit samples, and the labels of its utterances likewise.

The row lies on the training device where it fits, so that a batch is cut from it by index arithmetic and nothing is
read or copied in a step; else in a file that is mapped into memory and shared by the processes of a host.
"""

from __future__ import annotations

import wave
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mctc.atomic import write_text
from mctc.audio import load_audio
from mctc.score.utterance import Utterance

from .batches import MicroBatch, Step
from .manifests import Spoken

Item = TypeVar("Item")
READERS = 8  # threads
AHEAD = 4  # steps that a thread cuts in advance from a file


class Cut(NamedTuple):
    """A batch: samples (B, L) int16, their lengths (B,), labels (B, U), their counts (B,)."""

    samples: Tensor
    lengths: Tensor
    labels: Tensor
    counts: Tensor


class Sound:
    """samples (N,), where each utterance begins and how long it is (utterances,), labels likewise."""

    def __init__(self, spoken: Spoken, device: torch.device, file: Path | None = None, fill: bool = True) -> None:
        """`file`: where the samples lie, on `device` if None. `fill`: whether this process reads the recordings."""
        self._spoken, total = spoken, int(spoken.lengths.samples.sum()) + 1
        self.device = torch.device("cpu") if file else device
        if file is None:
            self.samples = torch.zeros(total, dtype=torch.int16, device=device)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            self.samples = torch.from_file(str(file), shared=True, size=total, dtype=torch.int16)
        self.starts, self.lengths = self._places(spoken.lengths.samples)
        self.label_starts, self.counts = self._places(spoken.lengths.labels)
        self.labels = torch.from_numpy(np.concatenate([*spoken.labels, np.zeros(1, np.int64)])).to(self.device)
        if fill and file is None:
            self._fill()
        elif fill and file is not None:
            said = repr([(each.audio, each.start, each.duration) for each in spoken.utterances])
            done, mark = file.with_suffix(".sha256"), sha256(said.encode()).hexdigest()
            if not done.exists() or done.read_text() != mark:
                self._fill()
                write_text(done, mark)

    def _places(self, lengths: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        each = torch.from_numpy(lengths).to(self.device)
        return each.cumsum(0) - each, each

    def _fill(self) -> None:
        by_file: dict[Path, list[int]] = defaultdict(list)
        for at, each in enumerate(self._spoken.utterances):
            by_file[each.audio].append(at)
        starts, lengths = self.starts.tolist(), self._spoken.lengths

        def copy(path: Path) -> None:
            pieces = _pieces(path, [self._spoken.utterances[at] for at in by_file[path]], lengths.rate)
            for at, piece in zip(by_file[path], pieces):
                piece = piece[: lengths.samples[at]]  # resampling may round up
                self.samples[starts[at] : starts[at] + len(piece)].copy_(torch.from_numpy(piece))

        with ThreadPoolExecutor(READERS) as pool:
            list(pool.map(copy, by_file))

    def cut(self, which: Tensor, samples: int, labels: int) -> Cut:
        """The utterances `which` (B,), zeros behind their ends, as wide as `samples` and `labels`."""
        lengths, counts = self.lengths[which], self.counts[which]
        heard = _rows(self.samples, self.starts[which], lengths, samples)
        return Cut(heard, lengths, _rows(self.labels, self.label_starts[which], counts, labels), counts)

    def batches(self, plan: Iterable[Step], mine: slice, device: torch.device) -> Iterator[tuple[Step, list[Cut]]]:
        """Each step with those of its micro-batches that are `mine`, on a device."""
        pin = device.type == "cuda"

        def cut(batch: MicroBatch) -> Cut:
            which = torch.from_numpy(batch.utterances)
            which = (which.pin_memory() if pin else which).to(self.device, non_blocking=True)
            found = self.cut(which, batch.samples, batch.labels)
            return Cut(*(each.pin_memory() for each in found)) if pin and self.device.type == "cpu" else found

        if self.device == device:
            for step in plan:
                yield step, [cut(each) for each in step.batches[mine]]
            return
        start = partial(torch.cuda.set_device, device) if pin else None
        with ThreadPoolExecutor(1, initializer=start) as pool:
            for step, waiting in _ahead(
                (step, [pool.submit(cut, each) for each in step.batches[mine]]) for step in plan
            ):
                yield step, [Cut(*(each.to(device, non_blocking=True) for each in made.result())) for made in waiting]


def _ahead(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, each asked for some before it is given."""
    waiting: deque[Item] = deque()
    for item in items:
        waiting.append(item)
        if len(waiting) > AHEAD:
            yield waiting.popleft()
    yield from waiting


def _rows(flat: Tensor, starts: Tensor, lengths: Tensor, longest: int) -> Tensor:
    """(B, longest): pieces of a row, zeros behind their ends."""
    place = torch.arange(longest, device=flat.device)
    at = (starts[:, None] + place).clamp(max=len(flat) - 1)
    return torch.where(place < lengths[:, None], flat[at], 0)


def _pieces(path: Path, utterances: Sequence[Utterance], rate: int) -> Iterator[NDArray[np.int16]]:
    """The samples of pieces of a recording: as they are, where it is a WAV of 16 bits, one channel and the rate."""
    try:
        file = wave.open(str(path), "rb")  # noqa: SIM115
    except (wave.Error, EOFError):
        file = None
    if file is None or (file.getsampwidth(), file.getnchannels(), file.getframerate()) != (2, 1, rate):
        for each in utterances:
            loaded = load_audio(path, rate, each.start, each.duration)
            yield np.clip(np.rint(loaded * 32768.0), -32768, 32767).astype(np.int16)
        return
    with file:
        for each in utterances:
            file.setpos(round(each.start * rate))
            count = file.getnframes() if each.duration is None else round(each.duration * rate)
            yield np.frombuffer(bytearray(file.readframes(count)), "<i2")
