"""What was heard of one utterance, as it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mctc.records import dataclass


@dataclass(frozen=True)
class Record:
    """Of one utterance by one build, its texts as they are. Times in seconds.

    system: which of the builds, from 0. offset: mel frames that the recording was started later. work_s: of front end,
    model and search. late_s: from the sound of the first label's frame until it was known, were the audio live; None
    where nothing was heard or the search knows no times. delays: of each word that was heard as it was said and whose
    end is known, how much later its last label was emitted.
    """

    system: int
    id: str
    offset: int
    said: str
    heard: str
    audio_s: float
    work_s: float
    late_s: float | None = None
    delays: tuple[float, ...] = ()

    @property
    def key(self) -> tuple[int, str, int]:
        return self.system, self.id, self.offset

    def written(self) -> dict[str, Any]:
        """The record as JSON."""
        return {**asdict(self), "delays": list(self.delays)}


def read_record(content: Mapping[str, Any]) -> Record:
    """A record as `written` gives it, whatever else is there. Raises KeyError, TypeError and ValueError for no such."""
    late = content["late_s"]
    return Record(
        int(content["system"]), _text(content["id"]), int(content["offset"]), _text(content["said"]),
        _text(content["heard"]), float(content["audio_s"]), float(content["work_s"]),
        None if late is None else float(late), tuple(float(each) for each in content["delays"]),
    )  # fmt: skip


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
