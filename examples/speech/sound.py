"""All training speech as one row of 16-bit samples, and the labels of its utterances likewise.

The row lies on the training device where it fits, so that a batch is cut from it by index arithmetic and nothing is
read or copied in a step; else in a file that is mapped into memory and shared by the processes of a host.
"""

from __future__ import annotations

import wave
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mctc.audio import AudioError, AudioInfo, load_audio, probe_audio
from mctc.score.manifests.read import misfit, reader_of
from mctc.score.utterance import Utterance
from mctc.tokens import Tokens, TokensError, fitted, read_tokens

READERS = 8  # threads
SHOWN = 8  # problems in a message


class DataError(ValueError):
    """Manifests, texts or recordings that can't be used; the message names their places."""


@dataclass(frozen=True)
class Spoken:
    """Utterances with their labels (class 0 is the blank) and numbers of samples."""

    utterances: list[Utterance]
    labels: list[list[int]]
    samples: NDArray[np.int64]
    rate: int


class Cut(NamedTuple):
    """A batch: samples (B, L) int16, their lengths (B,), labels (B, U), their counts (B,)."""

    samples: Tensor
    lengths: Tensor
    labels: Tensor
    counts: Tensor


def tokens_of(path: str) -> Tokens:
    """The tokens of a file with the blank in front, as `mctc build --tokens` puts them over a transducer's classes."""
    tokens = read_tokens(Path(path))
    return fitted(tokens, tokens.size + 1, blank=0)


def read_spoken(manifests: Sequence[str], tokens: Tokens, rate: int) -> Spoken:
    """The utterances of manifests. Raises DataError for recordings that are missing or shorter than said, and for
    texts that the tokens don't spell; ManifestError for what is no manifest."""
    utterances = [each for path in manifests for each in reader_of(Path(path))(Path(path))]
    infos = {path: _probed(path) for path in {each.audio for each in utterances}}
    problems: list[str] = []
    labels: list[list[int]] = []
    samples = np.zeros(len(utterances), np.int64)
    for at, each in enumerate(utterances):
        info = infos[each.audio]
        problem = info if isinstance(info, str) else misfit(each, info)
        try:
            labels.append(_spelled(each.text, tokens))
        except TokensError as error:
            problem = error.message
        if problem is not None:
            problems.append(f"{each.place}: {problem}")
        elif isinstance(info, AudioInfo):
            samples[at] = round((each.duration or info.seconds - each.start) * rate)
    if problems:
        more = f"\n... and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
        raise DataError("\n".join(problems[:SHOWN]) + more)
    return Spoken(utterances, labels, samples, rate)


def _spelled(text: str, tokens: Tokens) -> list[int]:
    """Raises TokensError for a character that no piece has."""
    ids = list(tokens.encode(text))
    for token in ids:
        if token in tokens.special:
            raise TokensError(f"no token spells all of {text!r}: it has {tokens.special[token]}")
    return ids


def _probed(path: Path) -> AudioInfo | str:
    try:
        with wave.open(str(path), "rb") as file:
            return AudioInfo(file.getframerate(), file.getnchannels(), file.getnframes())
    except (wave.Error, EOFError, OSError):
        pass
    try:
        return probe_audio(path)
    except AudioError as error:
        return error.message


class Sound:
    """samples (N,), where each utterance begins and how long it is (utterances,), labels likewise."""

    def __init__(self, spoken: Spoken, device: torch.device, file: Path | None, fill: bool = True) -> None:
        """`file`: where the samples lie, on `device` if None. `fill`: whether this process writes it."""
        lengths = torch.from_numpy(spoken.samples)
        total = int(lengths.sum()) + 1
        kept = torch.device("cpu") if file else device
        if file is None:
            self.samples = torch.zeros(total, dtype=torch.int16, device=device)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            self.samples = torch.from_file(str(file), shared=True, size=total, dtype=torch.int16)
        self.starts, self.lengths = (lengths.cumsum(0) - lengths).to(kept), lengths.to(kept)
        counts = torch.tensor([len(each) for each in spoken.labels])
        self.labels = torch.tensor([label for each in spoken.labels for label in each] or [0]).to(kept)
        self.label_starts, self.counts = (counts.cumsum(0) - counts).to(kept), counts.to(kept)
        if fill:
            self._fill(spoken)

    def _fill(self, spoken: Spoken) -> None:
        by_file: dict[Path, list[int]] = defaultdict(list)
        for at, each in enumerate(spoken.utterances):
            by_file[each.audio].append(at)
        starts = self.starts.tolist()

        def copy(path: Path) -> None:
            chosen = sorted(by_file[path], key=lambda at: spoken.utterances[at].start)
            for at, piece in zip(chosen, _pieces(path, [spoken.utterances[at] for at in chosen], spoken.rate)):
                piece = piece[: spoken.samples[at]]  # resampling may round up
                self.samples[starts[at] : starts[at] + len(piece)].copy_(torch.from_numpy(piece))

        with ThreadPoolExecutor(READERS) as pool:
            list(pool.map(copy, by_file))

    def cut(self, which: Tensor, samples: int, labels: int) -> Cut:
        """The utterances `which` (B,), zeros behind the ends; at most `samples` samples and `labels` labels of each."""
        lengths, counts = self.lengths[which], self.counts[which]
        cut = _rows(self.samples, self.starts[which], lengths, samples)
        return Cut(cut, lengths, _rows(self.labels, self.label_starts[which], counts, labels), counts)


def _rows(flat: Tensor, starts: Tensor, lengths: Tensor, longest: int) -> Tensor:
    """(B, longest): pieces of a row, zeros behind their ends."""
    place = torch.arange(longest, device=flat.device)
    at = (starts[:, None] + place).clamp(max=len(flat) - 1)
    return torch.where(place < lengths[:, None], flat[at], 0)


def _pieces(path: Path, utterances: Sequence[Utterance], rate: int) -> Iterator[NDArray[np.int16]]:
    """The samples of pieces of a recording: read as they are where the file has 16 bits, one channel and the rate."""
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
