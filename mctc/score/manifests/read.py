"""Reads manifests of every kind, and refuses what can't be scored before anything is heard."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from mctc.audio import AudioInfo, probe_audio
from mctc.audio.errors import AudioError
from mctc.audio.sound import cut_short
from mctc.score.errors import ManifestError, refuse
from mctc.score.manifests import kaldi, lhotse, nemo, texts
from mctc.score.manifests.ctm import with_ends
from mctc.score.manifests.json_lines import entries
from mctc.score.utterance import Utterance

KINDS = (
    "a NeMo manifest (.json, .jsonl), a Kaldi folder with wav.scp and text, lhotse cuts (.jsonl, .jsonl.gz), a folder "
    "of sound files with a .txt beside each, or a list of recording <tab> text (.tsv, .txt)"
)
SLACK_S = 0.1  # manifests round

Reader = Callable[[Path], Iterator[Utterance]]


def read_data(paths: Sequence[Path], ctm: Path | None = None) -> list[Utterance]:
    """The utterances of all manifests. Raises ManifestError and ScoreError, which name the places."""
    found: list[Utterance] = [each for path in paths for each in reader_of(path)(path)]
    if not found:
        raise ManifestError(", ".join(map(str, paths)), "it holds no utterances")
    if ctm is not None:
        found = list(with_ends(found, ctm))
    refuse(list(problems(found)))
    return found


def reader_of(path: Path) -> Reader:
    """What reads a manifest. Raises ManifestError for what is none."""
    if path.is_dir():
        return kaldi.read_kaldi if (path / kaldi.AUDIO).exists() else texts.read_folder
    if not path.exists():
        raise ManifestError(path, "there is no such file or folder")
    name = path.name.lower()
    if name.endswith((".json", ".jsonl", ".json.gz", ".jsonl.gz")):
        first = next(entries(path), None)
        if first is None:
            raise ManifestError(path, "it holds no utterances")
        if nemo.KEY in first.content:
            return nemo.read_nemo
        if any(key in first.content for key in lhotse.KEYS):
            return lhotse.read_lhotse
        keys = ", ".join(json.dumps(key) for key in list(first.content)[:6])
        told = f"its objects have neither `{nemo.KEY}` nor `recording`, but {keys or 'nothing'}"
        raise ManifestError(first.place, told, hint=f"DATA is {KINDS}")
    if name.endswith((".tsv", ".txt", ".lst")):
        return texts.read_list
    raise ManifestError(path, "this is no manifest of a known kind", hint=f"DATA is {KINDS}")


def problems(utterances: Iterable[Utterance]) -> Iterator[str]:
    """What is wrong with utterances: texts, ids, recordings, and what is said of these."""
    places: dict[str, str] = {}
    infos: dict[Path, AudioInfo | str] = {}
    for each in utterances:
        if each.id in places:
            yield f"{each.place}: the id {each.id} is there twice, first at {places[each.id]}"
        places.setdefault(each.id, each.place)
        if not each.text.strip():
            yield f"{each.place}: the text of {each.id} is empty"
        if each.audio not in infos:
            try:
                infos[each.audio] = _whole(each.audio)
            except AudioError as error:
                infos[each.audio] = error.message
        info = infos[each.audio]
        problem = info if isinstance(info, str) else misfit(each, info)
        if problem is not None:
            yield f"{each.place}: {problem}"


def _whole(path: Path) -> AudioInfo:
    """What a recording says of itself. Raises AudioError, also for one that is cut short."""
    info = probe_audio(path)
    if told := cut_short(path):
        raise AudioError(path, f"it is cut short: {told}", "record or download it again")
    return info


def misfit(utterance: Utterance, info: AudioInfo) -> str | None:
    """How a recording is not what the manifest says; None where it is."""
    if utterance.rate is not None and utterance.rate != info.sample_rate:
        return f"{utterance.audio} has {info.sample_rate} Hz, the manifest says {utterance.rate}"
    if utterance.channel is not None and info.channels > 1:
        told = f"{utterance.audio} has {info.channels} channels, which are averaged"
        return f"{told}; write channel {utterance.channel} alone to a file"
    end = utterance.start + (utterance.duration or 0.0)
    if utterance.start >= info.seconds or end > info.seconds + SLACK_S:
        return f"{utterance.audio} has {info.seconds:.2f} s, the utterance is {utterance.start:g} to {end:g} s of it"
    if utterance.duration is not None and utterance.duration <= 0:
        return f"the duration of {utterance.id} is {utterance.duration:g} s"
    return None
