"""What a runtime is asked, and a thread that asks it while the rest of the proof goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from mctc.ir.op import Array
from mctc.ir.program import Program
from mctc.numerics.battery import Item
from mctc.numerics.limits import Limit
from mctc.proof.subject import Subject
from mctc.records import dataclass

Arrays = Mapping[str, Array]
Run = Callable[[Item], tuple[Arrays, float]]
"""Results over an item, and the seconds that they took."""


@dataclass(frozen=True)
class Asked:
    """What is measured by one check: what `run` makes of `items`, against what `subject` says of `component`.

    deployed: the steps that an artifact was written from, where it holds steps.
    """

    check: str
    component: str
    limit: Limit
    items: Sequence[Item]
    run: Run
    subject: Subject
    deployed: Program | None = None


def timed(run: Callable[[Item], Arrays]) -> Run:
    """The results of `run` and the seconds that it took."""
    return partial(_timed, run)


def _timed(run: Callable[[Item], Arrays], item: Item) -> tuple[Arrays, float]:
    start = perf_counter()
    results = run(item)
    return results, perf_counter() - start


class Ahead:
    """A thread for one runtime that computes in threads of its own, and a folder for what is built for it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "runtime")
        self._open = ExitStack()
        self.folder = Path(self._open.enter_context(TemporaryDirectory()))

    def begin(self, asked: Asked) -> Asked:
        """The same, whose items the thread has begun to compute. Inputs are worked out here: no two threads do."""
        for item in asked.items:
            asked.subject.utterance(asked.component, item)
        begun: dict[str, Future[tuple[Arrays, float]]] = {
            item.name: self._thread.submit(asked.run, item) for item in asked.items
        }
        return replace(asked, run=lambda item: begun[item.name].result())

    def close(self) -> None:
        """Nothing further is begun."""
        self._thread.shutdown(cancel_futures=True)
        self._open.close()
