"""Utterances that are heard one after another, or by several processes of one machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from multiprocessing import get_context

from mctc.diagnostics.errors import MctcError
from mctc.records import dataclass
from mctc.score.errors import ScoreError
from mctc.score.hear import Ear, System, opened
from mctc.score.record import Record
from mctc.score.utterance import Utterance


@dataclass(frozen=True)
class Task:
    """An utterance for one of the systems, started `offset` mel frames later."""

    system: System
    utterance: Utterance
    offset: int = 0

    @property
    def key(self) -> tuple[int, str, int]:
        """That of its record."""
        return self.system.number, self.utterance.id, self.offset


@dataclass(frozen=True)
class Failure:
    """An error as it comes from another process."""

    message: str
    hint: str | None


def heard(tasks: Sequence[Task], jobs: int) -> Iterator[Record]:
    """Their records, as they come, in no order where there are several processes.

    Raises ScoreError, which names the utterance, for the first that fails.
    """
    if jobs == 1 or len(tasks) < 2:
        ears: dict[System, Ear] = {}
        for task in tasks:
            if task.system not in ears:
                ears[task.system] = opened(task.system)
            yield _taken(_done(task, ears[task.system]))
        return
    with ProcessPoolExecutor(min(jobs, len(tasks)), get_context("spawn")) as pool:
        waiting = [pool.submit(_done_apart, task) for task in tasks]
        try:
            for each in as_completed(waiting):
                yield _taken(each.result())
        except BrokenProcessPool as error:
            told = "a process that scores was ended from outside"
            raise ScoreError(told, hint="fewer --jobs take less memory") from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _done(task: Task, ear: Ear) -> Record | Failure:
    try:
        return ear(task.utterance, task.offset)
    except MctcError as error:
        return Failure(f"{task.utterance.place}: {task.utterance.id}: {error.message}", error.hint)


def _done_apart(task: Task) -> Record | Failure:
    """In a process of its own, which opens each build once."""
    try:
        return _done(task, _ear(task.system))
    except MctcError as error:
        return Failure(error.message, error.hint)


_ear = cache(opened)


def _taken(result: Record | Failure) -> Record:
    if isinstance(result, Failure):
        raise ScoreError(result.message, hint=result.hint)
    return result
