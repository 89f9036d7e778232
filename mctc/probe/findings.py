"""What answers settle: verdicts on contested facts, constants of tables, and what rules would have to say otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

import numpy as np

from mctc.evaluate.coreml.precision import Array
from mctc.evaluate.engine.fitted import FITTED
from mctc.linter.coreml.check import check_package
from mctc.linter.coreml.table import table
from mctc.probe import numbers, tables
from mctc.probe.answers import Answer, Answers, evaluated
from mctc.probe.kit import probes
from mctc.probe.probe import BALLAST, Kind, Probe
from mctc.records import dataclass

ENGINE = "ane"
MEASURED = "engine:h18g"
"""What the numbers of M4 and M6 are executed by."""


@dataclass(frozen=True)
class Verdict:
    """subject: a probe's name, or a rule's code. says: what its answer settles, in a line. detail: the rows behind it.
    differs: whether mctc would have to change for this chip."""

    subject: str
    says: str
    detail: tuple[str, ...] = ()
    differs: bool = False


@dataclass(frozen=True)
class Findings:
    """verdicts: in the order of the probes. constants: tables that were read, as JSON data."""

    answers: Answers
    verdicts: tuple[Verdict, ...]
    constants: Mapping[str, Any] = field(default_factory=dict)

    @property
    def differing(self) -> tuple[Verdict, ...]:
        return tuple(verdict for verdict in self.verdicts if verdict.differs)


def findings(answers: Answers) -> Findings:
    """What follows from answers."""
    verdicts: list[Verdict] = []
    constants: dict[str, Any] = {}
    for name, probe in probes().items():
        answer = answers.answers.get(name)
        if answer is None:
            verdicts.append(Verdict(name, "not answered"))
        elif probe.kind is Kind.PLACEMENT:
            verdicts.append(_placed(probe, answer))
        elif answer.engine is None:
            why = "; ".join(answer.errors.values()) or "no result"
            verdicts.append(Verdict(name, f"no answer of the engine ({why})"))
        elif not _on_engine(probe, answer):
            verdicts.append(Verdict(name, "its op ran on the CPU, so nothing is known of the engine"))
        elif not _tells(probe, answer.engine):
            verdicts.append(Verdict(name, "none of its results is a finite number, so nothing is known of the engine"))
        elif probe.kind is Kind.NUMBERS:
            verdicts.append(_numbers(probe, answer.engine))
        else:
            verdict, found = _table(probe, answer.engine)
            verdicts.append(verdict)
            constants[probe.op] = found
    return Findings(answers, tuple(verdicts), constants)


def _on_engine(probe: Probe, answer: Answer) -> bool:
    """Whether the plan has the probed op on the engine; without a plan that is taken for granted."""
    return answer.places.get(probe.output, ENGINE) == ENGINE


def _tells(probe: Probe, result: Array) -> bool:
    """Whether any number came back: NaN everywhere is a failure of the run and no arithmetic."""
    read = numbers.read_rows(probe.name, result) if probe.kind is Kind.NUMBERS else result
    return bool(np.isfinite(read).any())


def _numbers(probe: Probe, result: Array) -> Verdict:
    rows = numbers.read_rows(probe.name, result)
    engine = evaluated(probe, MEASURED)[probe.output]
    candidates = numbers.predictions(probe.name, numbers.read_rows(probe.name, engine))
    agreeing = {name: int(_equal(rows, wanted).sum()) for name, wanted in candidates.items()}
    best = max(agreeing, key=lambda name: agreeing[name])
    mine = next(iter(candidates))
    detail = [
        f"{name}: {rows[place]:g} ({', '.join(f'{c} {w[place]:g}' for c, w in candidates.items())})"
        for place, name in enumerate(numbers.names_of(probe.name))
        if not _equal(rows, candidates[mine])[place]
    ]
    counts = ", ".join(f"{name} {count}" for name, count in agreeing.items())
    says = f"{agreeing[best]} of {len(rows)} rows {best}"
    return Verdict(probe.name, f"{says} (agreeing: {counts})", tuple(detail), agreeing[mine] < len(rows))


def _equal(one: Array, other: Array) -> Array:
    return np.asarray((one == other) | (np.isnan(one) & np.isnan(other)))


def _table(probe: Probe, result: Array) -> tuple[Verdict, dict[str, Any]]:
    """The knots of a table, how straight it is between them, and how it ends."""
    name, exact = probe.op, _exact(probe)
    finite = np.isfinite(tables.NUMBERS.astype(np.float32))
    same = _equal(result.reshape(-1), exact.reshape(-1))[finite].mean()
    found: dict[str, Any] = {"equal_to_exact": round(float(same), 6), "results_sha256": _digest(result)}
    mine = evaluated(probe, MEASURED)[probe.output]
    agrees = float(_equal(result.reshape(-1), mine.reshape(-1))[finite].mean())
    says = f"{same:.1%} of all numbers as computed exactly, {agrees:.1%} as mctc's table"
    if name not in tables.GRIDS:
        return Verdict(probe.name, says, differs=agrees < 1), found
    values, off = tables.knots(name, result), tables.off_line(name, result)
    grid = tables.GRIDS[name]
    found |= {"first": grid.first, "step": grid.step, "values": [float(value) for value in values],
              "off_the_lines_ulp": round(off, 3)}  # fmt: skip
    straight = "straight between 33 knots" if off <= 2 else f"not straight between the published knots ({off:.0f} ulp)"
    detail = list(_against_bounds(name, values))
    return Verdict(probe.name, f"{straight}; {says}", tuple(detail), bool(agrees < 1)), found


def _against_bounds(name: str, values: Array) -> Iterator[str]:
    """Where silu's or gelu's values leave what was published of them."""
    if name not in FITTED:
        return
    low, high = (each.astype(np.float16).astype(np.float64) for each in FITTED[name].bounds())
    for place, (value, least, most) in enumerate(zip(values, low, high, strict=True)):
        slack = float(np.spacing(np.float16(abs(value) or 2.0**-14)))
        if not least - slack <= value <= most + slack:
            yield f"knot {tables.GRIDS[name].knots[place]:g}: {value:.6g}, published between {least:.6g} and {most:.6g}"


def _exact(probe: Probe) -> Array:
    """The function in fp32, rounded to fp16."""
    return np.asarray(evaluated(probe, "fp16")[probe.output], np.float32)


def _digest(result: Array) -> str:
    import hashlib

    return hashlib.sha256(result.astype(np.float16).tobytes()).hexdigest()[:16]


def _placed(probe: Probe, answer: Answer) -> Verdict:
    rule = table().rules[probe.rule]
    if answer.errors.get("engine"):
        return Verdict(rule.code, f"{rule.name}: it does not run ({answer.errors['engine']})", differs=True)
    if not answer.places:
        return Verdict(rule.code, f"{rule.name}: no plan was written ({answer.errors.get('plan', 'no reason told')})")
    (function,) = check_package(probe.package, [rule]).functions
    about = [op for op in function.ops if rule.code in op.rules and op.outputs] or [
        op for op in function.ops if not op.name.startswith(BALLAST) and op.outputs
    ]
    where = {op.outputs[0]: answer.places.get(op.outputs[0], "not told") for op in about}
    stays = all(place == ENGINE for place in where.values())
    listed = ", ".join(f"{name} on the {place}" for name, place in where.items())
    side = "stays on the engine" if stays else "leaves the engine"
    return Verdict(rule.code, f"{rule.name}: {side} ({listed})", _sides(probe), differs=rule.contested)


def _sides(probe: Probe) -> tuple[str, ...]:
    sides = table().rules[probe.rule].sides
    return () if sides is None else (f"said to stay: {sides.stays}", f"said to leave: {sides.leaves}")
