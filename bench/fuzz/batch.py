"""A batch of random programs in this process; the first failure is shrunk."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from bench.fuzz.body import Draw
from bench.fuzz.broken import broken, check_broken, check_damaged, damaged
from bench.fuzz.builds import as_text, builds
from bench.fuzz.findings import FindingError
from bench.fuzz.pipeline import run_text
from bench.fuzz.specs import Spec, specs
from bench.fuzz.tally import Failure, Tally
from mctc.driver.options import BuildOptions
from mctc.numerics.battery import BATTERY, NOISE
from mctc.proof.subject import BATCHED

Keys = Collection[tuple[str, str]]


@dataclass(frozen=True)
class Batch:
    """What to run. kind: 'valid', 'broken' or 'damaged'. runtimes: names, or None for all. scratch: a file that holds
    the program that is being run, for whoever finds this process dead. known: failures that are not reported again.
    shrink: whether a failure is made small, which takes minutes of a machine that may be there for few."""

    seed: int
    count: int
    kind: str = "valid"
    runtimes: tuple[str, ...] | None = None
    scratch: Path | None = None
    known: Keys = ()
    shrink: bool = True


ITEMS = (*(item.name for item in BATTERY if item is not NOISE), BATCHED)


@st.composite
def cases(draw: Draw) -> tuple[Spec, BuildOptions, frozenset[str]]:
    """A spec, how it is built, and what it is fed: noise, and two or three items more of the battery."""
    spec = draw(specs())
    options = draw(builds(spec.multiple, chunked=spec.chunked))
    items = draw(st.lists(st.sampled_from(ITEMS), min_size=2, max_size=3, unique=True))
    return spec, options, frozenset([NOISE.name, *items])


def run_batch(batch: Batch, beat: Callable[[Tally], None] | None = None) -> Tally:
    """Runs it; what is known at its end. `beat` is handed after every program, also while one is shrunk, what is new
    since: then all that is left to give back is the failure, shrunk."""
    return _Run(batch, beat).run()


class _Run:
    def __init__(self, batch: Batch, beat: Callable[[Tally], None] | None) -> None:
        self.batch, self.beat, self.tally = batch, beat, Tally()
        self.last: Failure | None = None

    def run(self) -> Tally:
        strategy: st.SearchStrategy[Any] = {"valid": cases(), "broken": broken(), "damaged": damaged()}[self.batch.kind]
        one = getattr(self, self.batch.kind)
        test = given(strategy)(lambda case: one(case))
        test = settings(
            max_examples=self.batch.count,
            deadline=None,
            database=None,
            phases=(Phase.generate, Phase.shrink) if self.batch.shrink else (Phase.generate,),
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            print_blob=False,
        )(test)
        try:
            seed(self.batch.seed)(test)()
        except FindingError:
            assert self.last is not None
            self.tally.failures = [self.last]
        return self.tally

    def _tell(self) -> None:
        """Hands over what is new. A failure is told as it is found, before it is shrunk: this process may be ended."""
        if self.beat is not None:
            told, self.tally = self.tally, Tally()
            self.beat(told)

    def valid(self, case: tuple[Spec, BuildOptions, frozenset[str]]) -> None:
        spec, options, items = case
        told = as_text(options)

        def run() -> None:
            outcome = run_text(spec.text, options, streams=spec.streams, runtimes=self.batch.runtimes, items=items)
            if self.last is None:
                self.tally.add(outcome)

        self._guard(Failure("process", "it dies", spec.text, told, spec.streams), run)

    def broken(self, case: Any) -> None:
        self._guard(Failure("process", "it dies", case.text, ""), lambda: check_broken(case))
        if self.last is None:
            self.tally.broken += 1
            self.tally.faults[case.fault] += 1

    def damaged(self, text: str) -> None:
        self._guard(Failure("process", "it dies", text, ""), lambda: check_damaged(text))
        self.tally.damaged += self.last is None

    def _guard(self, program: Failure, run: Callable[[], None]) -> None:
        """Lets only failures through that are new, and while shrinking only those of the stage that is shrunk."""
        if self.batch.scratch is not None:
            from bench.fuzz.regression import as_text

            self.batch.scratch.write_text(as_text(program), encoding="utf-8")
        failure = None
        try:
            run()
        except FindingError as error:
            failure = Failure(error.stage, error.what, program.text, program.options, program.streams)
        new = self._is_new(failure)
        if new and self.last is None and failure is not None:
            self.tally.failures.append(failure)
        self._tell()
        if not new or failure is None:
            return
        self.last = replace(failure, shrunk=True)
        # Anew and out of the handler: hypothesis takes what an exception came from for a part of it, and a file in a
        # folder of the day would make one failure two.
        raise FindingError(failure.stage, failure.what)

    def _is_new(self, failure: Failure | None) -> bool:
        if failure is None or (self.last is not None and failure.stage != self.last.stage):
            return False
        if failure.key in self.batch.known:
            self.tally.again += self.last is None
            return False
        return True
