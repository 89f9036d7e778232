"""How much of each sequence one call of a derived function takes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Lengths:
    """chunk: frames of the time dimension a call. utterance: frames of a whole utterance, where the spec says so.

    streams: whether components over time are called chunk by chunk; else with the whole utterance at once.
    """

    chunk: int
    utterance: int | None = None
    streams: bool = True
