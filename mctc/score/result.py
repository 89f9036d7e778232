"""The result as JSON: what was scored, what it came to, and every record; and several shards' results as one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mctc.driver.manifest import NAME, sha256
from mctc.records import dataclass
from mctc.runtime.built import Built
from mctc.runtime.decoding import search_of
from mctc.runtime.encoder_decoder import decoder_of
from mctc.score.alignment import Counts
from mctc.score.bootstrap import Interval
from mctc.score.errors import ScoreError
from mctc.score.hear import System, readable
from mctc.score.normalise import normaliser
from mctc.score.paired import Paired
from mctc.score.record import Record, read_record
from mctc.score.shard import Shard
from mctc.score.summary import Scored, Summary, Times, scored, summarise
from mctc.score.utterance import Utterance


@dataclass(frozen=True)
class Result:
    """about: what identifies the run, equal for all of its shards. shard: which share these records are."""

    about: Mapping[str, Any]
    normaliser: str
    shard: Shard
    records: Sequence[Scored]

    @property
    def systems(self) -> list[Summary]:
        return summarise(self.records)

    @property
    def paired(self) -> Paired | None:
        """Of two systems."""
        systems = self.systems
        return Paired(*systems) if len(systems) == 2 else None

    @property
    def builds(self) -> list[Mapping[str, Any]]:
        """What each system is, for people."""
        return list(self.about["systems"])


def identity(systems: Sequence[System], utterances: Sequence[Utterance], offsets: int) -> dict[str, Any]:
    """What has to be equal for records to go together: builds, how they are run, and all that is to be heard."""
    hashed = hashlib.sha256()
    for each in utterances:
        hashed.update(json.dumps([each.id, each.text, each.start, each.duration]).encode() + b"\n")
    data = {"utterances": len(utterances), "sha256": hashed.hexdigest()}
    return {"systems": [_system(each) for each in systems], "data": data, "offsets": offsets}


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """In what two runs differ. Where a build lies on a machine is no difference."""

    def said(about: Mapping[str, Any]) -> dict[str, Any]:
        systems = [{key: value for key, value in each.items() if key != "build"} for each in about["systems"]]
        return {**about, "systems": systems}

    first, second = said(one), said(other)
    return sorted(key for key in {*first, *second} if first.get(key) != second.get(key))


def _decoding(built: Built, system: System) -> dict[str, Any] | None:
    """Between which labels an attention decoder writes."""
    if decoder_of(built) is None:
        return None
    search = asdict(search_of(built, system.decoding))
    return {name: list(value) if isinstance(value, tuple) else value for name, value in search.items()}


def _system(system: System) -> dict[str, Any]:
    built, fused = readable(system), system.fused
    files = [*([] if fused.hotwords is None else [(fused.hotwords, fused.boost)]), *fused.ngrams]
    return {
        "build": str(system.folder), "manifest": sha256(system.folder / NAME), "model": built.model,
        "precision": system.precision or built.precision, "runtime": built.target.runtime,
        "search": {**asdict(system.settings), "durations": list(system.settings.durations)},
        "fused": [[path.name, sha256(path), weight] for path, weight in files],
        "decoding": _decoding(built, system), "whole": system.whole,
    }  # fmt: skip


def result_of(about: Mapping[str, Any], name: str, shard: Shard, records: Iterable[Record]) -> Result:
    """Counts of records, in their order. Raises ScoreError where a library is missing."""
    normalise = normaliser(name)
    return Result(about, name, shard, [scored(each, normalise) for each in records])


def as_json(result: Result) -> dict[str, Any]:
    """For tools. Rates are errors for each word or character that was said; times are in seconds."""
    paired = result.paired
    return {
        "mctc score": dict(result.about),
        "normaliser": result.normaliser,
        "shard": {"number": result.shard.number, "count": result.shard.count},
        "systems": [_summary(each) for each in result.systems],
        "paired": None if paired is None else _paired(paired),
        "utterances": [
            {**each.record.written(), "words": _counts(each.words), "characters": _counts(each.characters)}
            for each in result.records
        ],
    }


def merged(paths: Sequence[Path]) -> Result:
    """The results of all shards as that of one process: the same records in the same order.

    Raises ScoreError for a file that is no result, for results of different runs, and where a shard is missing or
    there twice.
    """
    parts = [(path, _read(path)) for path in paths]
    first_path, first = parts[0]
    for path, part in parts[1:]:
        if differing(part.about, first.about) or (part.normaliser, part.shard.count) != (
            first.normaliser,
            first.shard.count,
        ):
            raise ScoreError(f"{path} is not of the same run as {first_path}", hint="shards of one command go together")
    by_number: dict[int, tuple[Path, Result]] = {}
    for path, part in parts:
        number = part.shard.number
        if number in by_number:
            raise ScoreError(f"{path} and {by_number[number][0]} are both shard {number} of {first.shard.count}")
        by_number[number] = path, part
    missing = [str(number) for number in range(1, first.shard.count + 1) if number not in by_number]
    if missing:
        raise ScoreError(f"of {first.shard.count} shards these are missing: {', '.join(missing)}")
    return Result(first.about, first.normaliser, Shard(), _in_order([by_number[n][1] for n in sorted(by_number)]))


def _in_order(parts: Sequence[Result]) -> list[Scored]:
    """Records as one process has them: those of the n-th utterance of every shard, then of the next."""
    keyed = []
    for number, part in enumerate(parts):
        counts: dict[tuple[int, int], int] = {}
        for each in part.records:
            run = each.record.system, each.record.offset
            counts[run] = counts.get(run, -1) + 1
            keyed.append(((counts[run], number, *run), each))
    return [each for _, each in sorted(keyed, key=lambda pair: pair[0])]


def _read(path: Path) -> Result:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        shard = Shard(int(content["shard"]["number"]), int(content["shard"]["count"]))
        records = [read_record(each) for each in content["utterances"]]
        return result_of(content["mctc score"], str(content["normaliser"]), shard, records)
    except (ValueError, KeyError, TypeError) as error:
        raise ScoreError(f"{path} is no result of mctc score", hint="mctc score --output FILE writes one") from error


def _summary(summary: Summary) -> dict[str, Any]:
    return {
        "utterances": len(summary.utterances),
        "utterances_right": summary.right,
        "words": {**_counts(summary.words), **_interval(summary.words_interval)},
        "characters": {**_counts(summary.characters), **_interval(summary.characters_interval)},
        "audio_s": summary.audio_s,
        "work_s": summary.work_s,
        "real_time_factor": summary.real_time_factor,
        "first_word_late_s": _times(summary.first_word),
        "word_delay_s": _times(summary.delay),
        "offsets": {str(at): _counts(counts) for at, counts in summary.offsets.items()},
        "spread": summary.spread,
    }


def _paired(paired: Paired) -> dict[str, Any]:
    return {
        "difference": paired.difference,
        **_interval(paired.interval),
        "second_better": paired.better,
        "flipped": [
            {"id": one.record.id, "said": one.said, "heard": [one.heard, other.heard],
             "errors": [one.words.errors, other.words.errors]}
            for one, other in paired.flipped
        ],
    }  # fmt: skip


def _counts(counts: Counts) -> dict[str, Any]:
    return {**asdict(counts), "errors": counts.errors, "rate": counts.rate}


def _interval(interval: Interval | None) -> dict[str, Any]:
    return {"low": None, "high": None} if interval is None else asdict(interval)


def _times(times: Times | None) -> dict[str, Any] | None:
    return None if times is None else asdict(times)
