"""What a build computes in the Neural Engine's arithmetic: how far that is off, and where it comes from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from time import perf_counter

from mctc.evaluate.coreml import Evaluator
from mctc.evaluate.engine.accumulator import LIMIT
from mctc.evaluate.engine.arithmetic import UNKNOWNS, Arithmetic
from mctc.evaluate.engine.engine import Basis, basis
from mctc.evaluate.engine.tally import Tally
from mctc.numerics.battery import NOISE
from mctc.numerics.difference import Scale, difference
from mctc.package.model import Operation
from mctc.proof.check import Check
from mctc.proof.op_loss import LOST, Compared
from mctc.proof.subject import Subject
from mctc.records import dataclass
from mctc.runtime.step import Packages
from mctc.streaming.run import Call

REPORTED = "reported"


@dataclass(frozen=True)
class Engined:
    """A build whose packages the evaluator executes, over the battery's noise (or the recording in its place).

    limit: decibels that every component must reach; None for none.
    """

    packages: Packages
    subject: Subject
    limit: float | None = None

    def checks(self, name: str, arithmetic: Arithmetic) -> Iterator[Check]:
        """A component as it is asked for and, where that takes the middle of what isn't known of silu's or gelu's
        table, at both ends."""
        check, ran = self._measured(name, arithmetic)
        yield check
        if arithmetic.unknown == "mid" and any(basis(op.type, arithmetic) is Basis.PARTLY for op in ran):
            for end in (each for each in UNKNOWNS if each != "mid"):
                yield replace(self._measured(name, Arithmetic("engine", arithmetic.family, end))[0], facts=())

    def _measured(self, name: str, arithmetic: Arithmetic) -> tuple[Check, list[Operation]]:
        """The check, and which operations ran on the engine."""
        built, start = self.packages.built, perf_counter()
        function, compared = built.function(name), Compared()
        exact, other = (Packages(built, each, self.packages.load) for each in ("fp32", str(arithmetic)))
        evaluators = [each.engine(function.package) for each in (exact, other)]
        assert isinstance(evaluators[0], Evaluator)
        assert isinstance(evaluators[1], Evaluator)
        tallies = evaluators[1].count()
        for evaluator, observe in zip(evaluators, (compared.exact, compared.other), strict=True):
            evaluator.function(function.stored_as).observe = observe  # type: ignore[attr-defined]
        results = self.subject.over_chunks(name, lambda: _in_step(exact, other, name), NOISE)
        wanted = self.subject.results(name, NOISE)
        bad = min((difference(array, results[key], Scale.of(array)) for key, array in wanted.items()),
                  key=lambda each: each.decibels)  # fmt: skip
        ran = [op for op in compared.operations.values() if evaluators[1].on_engine(function.stored_as, op)]
        facts = _facts(arithmetic, compared, ran, tallies) if ran else ()
        check = Check(
            f"{built.target.runtime}, {arithmetic}", name, f"{bad.decibels:.1f} dB" if ran else "all on the CPU",
            REPORTED if self.limit is None else f"{self.limit:g} dB",
            self.limit is None or not ran or bad.decibels >= self.limit, bad.error, perf_counter() - start, NOISE.name,
            facts=tuple(f"{name}: {fact}" for fact in facts),
        )  # fmt: skip
        return check, ran


def _in_step(exact: Packages, other: Packages, name: str) -> Call:
    """A stream whose calls both make; the results are the other's."""
    first, second = exact.step(name), other.step(name)

    def call(_: object, inputs: Mapping[str, object], __: object) -> tuple[dict[str, object], dict[str, object]]:
        first(inputs)  # type: ignore[arg-type]
        return second(inputs), {}  # type: ignore[arg-type,return-value]

    return call  # type: ignore[return-value]


def _facts(
    arithmetic: Arithmetic, compared: Compared, ran: Sequence[Operation], tallies: Mapping[tuple[str, int], Tally]
) -> Iterator[str]:
    yield f"{len(ran)} of {len(compared.operations)} operations on the engine"
    losses = compared.losses()
    if losses:
        worst = max(losses, key=lambda each: each.before - each.after)
        most = f"; most: {worst}" if worst is not losses[0] else ""
        yield f"first to lose more than {LOST:g} dB: {losses[0]}{most}"
    named = {operation.index: operation.name for operation in ran}
    sums = {named[index]: tally for (_, index), tally in tallies.items() if index in named}
    if sums:
        yield from _of_sums(sums)
    for kind in (Basis.PARTLY, Basis.ASSUMED):
        counts = Counter(each.type for each in ran if basis(each.type, arithmetic) is kind)
        if counts:
            yield f"ops {kind.value}: {', '.join(f'{count} {type_}' for type_, count in counts.most_common())}"


def _of_sums(sums: Mapping[str, Tally]) -> Iterator[str]:
    largest = max(sums, key=lambda each: sums[each].largest)
    told = f"largest sum {sums[largest].largest:.4g} of {LIMIT:g} ({largest})"
    infinite, ordered = (sum(getattr(each, key) for each in sums.values()) for key in ("infinite", "ordered"))
    yield told + (f"; {infinite} overflowed, {ordered} may depend on the order" if infinite or ordered else "")
    products, dropped = (sum(getattr(each, key) for each in sums.values()) for key in ("products", "dropped"))
    most = max(sums, key=lambda each: sums[each].share)
    if dropped:
        yield f"{dropped / products:.2%} of products dropped, most in {most}: {sums[most].share:.2%}"
