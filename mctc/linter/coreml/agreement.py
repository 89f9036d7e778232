"""How well a report predicts what a Mac measured: the linter's own score.

Predicted places are held against the preferred device, eligibility against the supported ones, and every rule that puts
ops off the engine, or doubts them, against where those ops were in fact placed. An op on the GPU is off the engine.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from statistics import median

from mctc.linter.coreml.pairing import Pair, Pairs, pair
from mctc.linter.coreml.placement import Eligible, Predicted
from mctc.linter.coreml.plan import Measured, MeasuredPlan
from mctc.linter.coreml.report import OpRow, Report
from mctc.linter.coreml.rule import Effect
from mctc.records import dataclass

ENGINE = "ane"
CLOSE, NEAR = 0.1, 0.3
"""Deviations that an estimate is held to."""


@dataclass(frozen=True)
class AgreementRow:
    """An op that something was measured of. supported: whether the engine could take it."""

    function: str
    index: int
    op: OpRow
    measured: str
    supported: bool
    cost: float | None
    noted: Measured

    @property
    def message(self) -> str:
        """Why the engine doesn't take it, in Core ML's own words; empty where it says nothing."""
        return self.noted.messages.get(ENGINE, "")

    @property
    def agrees(self) -> bool | None:
        """Whether it is where it was predicted; None for a doubtful one."""
        if self.op.predicted is Predicted.DOUBTFUL:
            return None
        return (self.op.predicted is Predicted.ANE) is (self.measured == ENGINE)

    @property
    def eligible(self) -> bool | None:
        """Whether its eligibility is as measured; None for a contested one."""
        if self.op.eligible is Eligible.CONTESTED:
            return None
        return (self.op.eligible is Eligible.YES) is self.supported


@dataclass(frozen=True)
class Score:
    """How a rule did. fired: ops it puts off the engine (or doubts) that were measured; of these, how many the engine
    supports, and how many ran on it in fact."""

    code: str
    name: str
    effect: Effect
    fired: int
    supported: int
    on_engine: int


@dataclass(frozen=True)
class Refusal:
    """What Core ML's compiler says against the engine, in its own words, and the ops that it says so of."""

    message: str
    rows: tuple[AgreementRow, ...]

    def count(self, eligible: Eligible) -> int:
        """Of how many of these ops that is predicted."""
        return sum(row.op.eligible is eligible for row in self.rows)

    @property
    def rules(self) -> tuple[str, ...]:
        """Codes of all rules that spoke of these ops."""
        return tuple(sorted({code for row in self.rows for code in row.op.rules}))


@dataclass(frozen=True)
class Estimates:
    """Estimates of single ops on a device against Core ML's own: how many, and how far they are from it.

    median: of the deviations, as a part of Core ML's figure. close, near: the part of the ops within 10 % and 30 %.
    """

    device: str
    ops: int
    median: float
    close: float
    near: float


@dataclass(frozen=True)
class Agreement:
    """A report held against a plan. rows: all that was measured. unmeasured: ops that the plan lacks or says nothing
    of. unknown: operations that only the plan has. Both with their functions."""

    path: str
    plan: MeasuredPlan
    rows: tuple[AgreementRow, ...]
    scores: tuple[Score, ...]
    unmeasured: tuple[tuple[str, OpRow], ...]
    unknown: tuple[tuple[str, Measured], ...]

    @property
    def places(self) -> Mapping[tuple[Predicted, str], int]:
        """The confusion matrix: how many ops by predicted and measured place."""
        return Counter((row.op.predicted, row.measured) for row in self.rows)

    @property
    def eligibility(self) -> Mapping[tuple[Eligible, bool], int]:
        """How many ops by predicted eligibility and whether the engine supports them."""
        return Counter((row.op.eligible, row.supported) for row in self.rows)

    @property
    def decided(self) -> int:
        """Ops measured that were not predicted to be doubtful."""
        return sum(row.agrees is not None for row in self.rows)

    @property
    def agreed(self) -> int:
        """Those that are where they were predicted."""
        return sum(row.agrees is True for row in self.rows)

    @property
    def share(self) -> float | None:
        """The part of the decided ops that is where it was predicted; None where nothing was decided."""
        return self.agreed / self.decided if self.decided else None

    @property
    def cost_share(self) -> float | None:
        """The same, with every op weighed by its part of Core ML's own cost; None where Core ML told no cost."""
        decided = sum(row.cost or 0.0 for row in self.rows if row.agrees is not None)
        agreed = sum(row.cost or 0.0 for row in self.rows if row.agrees)
        return agreed / decided if decided else None

    @property
    def misplaced(self) -> tuple[AgreementRow, ...]:
        """Ops that are not where they were predicted, the most costly first."""
        return self._worst(tuple(row for row in self.rows if row.agrees is False))

    @property
    def misjudged(self) -> tuple[AgreementRow, ...]:
        """Ops that were called eligible and are not supported, or the other way round, the most costly first."""
        return self._worst(tuple(row for row in self.rows if row.eligible is False))

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        """Core ML's messages, each with its ops, those of the most ops first."""
        found: dict[str, list[AgreementRow]] = defaultdict(list)
        for row in self.rows:
            if row.message:
                found[row.message].append(row)
        refusals = (Refusal(message, tuple(rows)) for message, rows in found.items())
        return tuple(sorted(refusals, key=lambda each: (-len(each.rows), each.message)))

    @property
    def estimates(self) -> tuple[Estimates, ...]:
        """How far estimates of single ops are from Core ML's, for both sides as far as it told its own."""
        ours = {ENGINE: [row.op.ane for row in self.rows], "cpu": [row.op.cpu for row in self.rows]}
        found = (
            _estimates(device, [(time, row.noted.times.get(device, 0.0)) for time, row in zip(times, self.rows)])
            for device, times in ours.items()
        )
        return tuple(each for each in found if each is not None)

    def _worst(self, rows: tuple[AgreementRow, ...]) -> tuple[AgreementRow, ...]:
        return tuple(sorted(rows, key=lambda row: (-(row.cost or 0.0), row.function, row.index)))


def _estimates(device: str, pairs: Sequence[tuple[float, float]]) -> Estimates | None:
    """Of pairs of an estimate and Core ML's own; None where Core ML told nothing."""
    off = sorted(abs(ours / theirs - 1) for ours, theirs in pairs if theirs > 0)
    if not off:
        return None
    within = [sum(each <= limit for each in off) / len(off) for limit in (CLOSE, NEAR)]
    return Estimates(device, len(off), median(off), *within)


def agreement(report: Report, plan: MeasuredPlan) -> Agreement:
    """Holds a report with the findings of all rules against a plan of the same model."""
    pairs = pair(report, plan)
    placed = [(each, each.measured.preferred) for each in pairs.pairs if each.measured.preferred is not None]
    rows = tuple(
        AgreementRow(
            each.function, each.index, each.op, preferred,
            ENGINE in each.measured.supported or preferred == ENGINE, each.measured.cost, each.measured,
        )
        for each, preferred in placed
    )  # fmt: skip
    return Agreement(
        path=report.path,
        plan=plan,
        rows=rows,
        scores=_scores(report, rows),
        unmeasured=(*pairs.unmeasured, *_silent(pairs)),
        unknown=pairs.unknown,
    )


def _silent(pairs: Pairs) -> list[tuple[str, OpRow]]:
    """Ops that the plan has and says no device of."""
    silent: list[Pair] = [each for each in pairs.pairs if each.measured.preferred is None]
    return [(each.function, each.op) for each in silent]


def _scores(report: Report, rows: tuple[AgreementRow, ...]) -> tuple[Score, ...]:
    """The rules that put ops off the engine or doubt them, the most often wrong first."""
    rules = {each.rule.code: each.rule for each in report.findings if each.rule.effect is not Effect.STAYS}
    whole: dict[str | None, set[str]] = defaultdict(set)  # a finding about no op is about all of its function
    single: dict[tuple[str | None, int | None], set[str]] = defaultdict(set)
    for finding in report.findings:
        if finding.rule.code in rules:
            if finding.index is None:
                whole[finding.function].add(finding.rule.code)
            else:
                single[finding.function, finding.index].add(finding.rule.code)
    fired: dict[str, list[AgreementRow]] = {code: [] for code in rules}
    for row in rows:
        for code in single[row.function, row.index] | whole[row.function] | whole[None]:
            fired[code].append(row)
    scores = (
        Score(
            code, rules[code].name, rules[code].effect, len(of_rule),
            sum(row.supported for row in of_rule), sum(row.measured == ENGINE for row in of_rule),
        )
        for code, of_rule in fired.items()
        if of_rule
    )  # fmt: skip
    return tuple(sorted(scores, key=lambda each: (each.effect is not Effect.OFF, -each.on_engine, each.code)))
