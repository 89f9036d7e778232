"""Batches in processes of their own: an engine that takes its process with it costs one program, not the run."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.fuzz.batch import Batch, run_batch
from bench.fuzz.regression import OPTIONS
from bench.fuzz.tally import Failure, Tally

SIZE = 20  # programs in a batch
PATIENCE_S = 300.0  # for one program
TIMES = 20  # that a process may die before the run gives up
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
CONTEXT = multiprocessing.get_context("spawn")  # engines have threads, which a fork would cut off


@dataclass(frozen=True)
class Plan:
    """A run: so many valid programs and as many broken and damaged ones, in `jobs` processes, for `minutes` at most."""

    examples: int = 200
    seed: int = 0
    minutes: float | None = None
    jobs: int = 1
    runtimes: tuple[str, ...] | None = None
    broken: bool = True
    shrink: bool = True

    def batches(self) -> Iterator[Batch]:
        """Batches for ever; the campaign stops when it has seen enough."""
        kinds = ("valid", "broken", "damaged") if self.broken else ("valid",)
        number = 0
        while True:
            for kind in kinds:
                yield Batch(self.seed * 1_000_003 + number, SIZE, kind, self.runtimes, shrink=self.shrink)
            number += 1


@dataclass
class Worker:
    """A process that runs batches, and the end of the pipe that its tallies come from."""

    process: BaseProcess
    pipe: Connection
    scratch: Path
    heard: float = field(default_factory=time.monotonic)
    batch: Batch | None = None


def run(plan: Plan, seen: Callable[[Tally], None] = lambda _: None) -> Tally:
    """The whole run. `seen` is called with the tally whenever it has grown.

    A worker is one thread: programs are small, and threads of several workers would wait for one another.
    """
    for name in THREADS:
        os.environ.setdefault(name, "1")
    with TemporaryDirectory(prefix="mctc-fuzz-scratch-") as folder:
        return _Campaign(plan, Path(folder), seen).run()


class _Campaign:
    def __init__(self, plan: Plan, folder: Path, seen: Callable[[Tally], None]) -> None:
        self.plan, self.folder, self.seen = plan, folder, seen
        self.tally, self.batches, self.died = Tally(), plan.batches(), 0
        self.end = None if plan.minutes is None else time.monotonic() + 60 * plan.minutes

    def run(self) -> Tally:
        workers = [self._start(number) for number in range(self.plan.jobs)]
        try:
            while workers:
                ready = wait([worker.pipe for worker in workers], timeout=1.0)
                for worker in list(workers):
                    lives = worker.pipe not in ready or self._receive(worker)
                    hangs = time.monotonic() - worker.heard > PATIENCE_S
                    if hangs or not lives:
                        self._dead(worker, hangs)
                        workers.remove(worker)
                        if self.died < TIMES:
                            workers.append(self._start(int(worker.scratch.stem)))
                    elif worker.batch is None:
                        workers.remove(worker)
                        worker.process.join()
        finally:
            for worker in workers:
                worker.process.kill()
        return self.tally

    def _start(self, number: int) -> Worker:
        ours, theirs = CONTEXT.Pipe()
        process = CONTEXT.Process(target=_work, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        worker = Worker(process, ours, self.folder / f"{number}.mct")
        self._next(worker)
        return worker

    def _next(self, worker: Worker) -> None:
        """Sends another batch, or word that there is none."""
        over = self.tally.programs >= self.plan.examples or (self.end is not None and time.monotonic() > self.end)
        worker.batch = None
        if not over:
            batch, known = next(self.batches), tuple(failure.key for failure in self.tally.failures)
            worker.batch = replace(batch, scratch=worker.scratch, known=known)
        worker.pipe.send(worker.batch)

    def _receive(self, worker: Worker) -> bool:
        """What is new, after a program or at the end of a batch. False where the other end is gone."""
        try:
            tally, ends = worker.pipe.recv()
        except (EOFError, ConnectionError):
            return False
        worker.heard = time.monotonic()
        self.tally.merge(tally)
        self.seen(self.tally)
        if ends:
            self._next(worker)
        return True

    def _dead(self, worker: Worker, hangs: bool) -> None:
        """A worker that ended or hangs: the program in its scratch file is a failure."""
        self.died += 1
        worker.process.kill()
        worker.process.join()
        text = worker.scratch.read_text(encoding="utf-8") if worker.scratch.exists() else ""
        what = f"nothing for {PATIENCE_S:.0f} s" if hangs else f"ended with {worker.process.exitcode}"
        options = next((line.removeprefix(OPTIONS) for line in text.splitlines() if line.startswith(OPTIONS)), "")
        died = Tally(failures=[Failure("process", what, text.split("\n\n", 1)[-1], options)])
        self.tally.merge(died)
        self.seen(self.tally)


def _work(pipe: Connection) -> None:
    """Runs batches until there are no more. What engines print goes nowhere."""
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    while True:
        batch = pipe.recv()
        if batch is None:
            return
        pipe.send((run_batch(batch, lambda tally: pipe.send((tally, False))), True))
