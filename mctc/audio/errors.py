"""Errors of recordings and of samples."""

from __future__ import annotations

from pathlib import Path

from mctc.diagnostics.errors import MctcError


class AudioError(MctcError):
    """A recording that can't be read: which file, what is wrong with it, and what to do about it."""

    def __init__(self, path: Path | str, problem: str, fix: str) -> None:
        super().__init__(f"{path}: {problem}; {fix}")
        self.path = path
        self.problem = problem
        self.fix = fix


class SamplesError(MctcError, ValueError):
    """Samples, or a rate, that no sound has; samples behind the end of a stream."""


def corrupt(path: Path | str, problem: str) -> AudioError:
    """The error of a recording that is damaged."""
    return AudioError(path, f"the file is corrupt: {problem}", "record or convert it again")


def too_short(path: Path | str, samples: int, given: int, wanted: int) -> AudioError:
    """The error of sound of which nothing is left at another rate in Hz."""
    told = f"{samples} samples at {given} Hz are less than one at {wanted} Hz"
    return AudioError(path, f"there is no sound in it: {told}", "record it again, or take a longer piece")
