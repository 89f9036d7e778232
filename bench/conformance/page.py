"""docs/evaluator-coverage.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from textwrap import fill

from bench.conformance.case import Case
from bench.conformance.coverage import OPSETS, Ops, Tally, open_in, registered, shares, tally
from bench.conformance.known import LEFT_OUT, why

HEAD = """# What coremltools' own tests say about the evaluator

Written by `python bench/conformance/run.py --sample {sample} --out docs/evaluator-coverage.md`, not by hand.

coremltools {coremltools} ships the tests of its MIL ops. They build a program of an op, convert it, predict with
Core ML and compare with values that are written out or come from numpy, scipy or torch. Here they run where they are
installed, as they are, with one thing replaced: mctc's evaluator predicts, from the package that was written, in fp32.
Their comparison and tolerances stay (1e-4 absolute and 1e-5 relative, unless a test says otherwise), but where a
program holds fp16 values, of which 2e-3 of the largest is allowed. A test that is marked as failing in Core ML is run
all the same. {sampling}

{cases:,} cases: {passed:,} passed, {failed:,} failed, {skipped:,} were skipped by the tests themselves. {evaluated:,}
of those that passed evaluated a program; the others are about the builder. An op counts as evaluated correctly in an
op set when cases with its definition there passed and none failed, but for those listed below with their reason. Few
op sets bring definitions of their own: most take over the older one.

Of some ops or definitions no test evaluates a program. Theirs are in `bench/conformance/untested_ops.py`, with expected
values of numpy, torch and onnxruntime."""


def page(cases: Sequence[Case], sample: int) -> str:
    """The page as Markdown. sample: how often a test was run at most, 0 for always."""
    ops, tallies = registered(), tally(cases)
    tables = _summary(tallies, ops), _rest(tallies, ops), _explanations(cases), _table(tallies, ops)
    return "\n\n".join([_head(cases, sample), *filter(None, tables)]) + "\n"


def _head(cases: Sequence[Case], sample: int) -> str:
    outcomes = Counter(case.outcome for case in cases)
    head = HEAD.format(
        sample=sample, coremltools=version("coremltools"), cases=len(cases),
        sampling=f"Of each test, at most {sample} sets of parameters are run for each op and op set." if sample else "",
        evaluated=sum(case.outcome == "passed" and bool(case.programs) for case in cases),
        **{outcome: outcomes[outcome] for outcome in ("passed", "failed", "skipped")},
    )  # fmt: skip
    return "\n\n".join(fill(part, 120) for part in head.split("\n\n"))


def _summary(tallies: Mapping[str, Tally], ops: Ops) -> str:
    rows = [
        f"| {OPSETS.get(opset, 'all four')} | {total} | {good} | {good / total:.1%} |"
        for opset, (good, total) in sorted(shares(tallies, ops).items(), reverse=True)
    ]
    return "\n".join(["| op set | ops | evaluated correctly | |", "|---|---|---|---|", *reversed(rows)])


def _rest(tallies: Mapping[str, Tally], ops: Ops) -> str:
    rows = []
    for name, sets in ops.items():
        each = tallies.get(name, Tally())
        systems = [OPSETS[opset] for opset in open_in(each, sets)]
        if systems:
            failed = each.failed.total()
            reason = LEFT_OUT.get(name, f"{failed} cases fail" if failed else "no test of coremltools reaches it there")
            rows.append(f"| `{name}` | {', '.join(systems)} | {reason} |")
    return "\n".join(["## The rest", "", "| op | in | why |", "|---|---|---|", *rows]) if rows else ""


def _explanations(cases: Sequence[Case]) -> str:
    counts = Counter(reason for case in cases if case.outcome == "failed" and (reason := why(case)))
    if not counts:
        return ""
    rows = [f"| {count} | {reason} |" for reason, count in counts.most_common()]
    return "\n".join(["## Failures that say nothing about an op", "", "| cases | why |", "|---|---|", *rows])


def _table(tallies: Mapping[str, Tally], ops: Ops) -> str:
    rows = ["| op | since | other definitions | passed | failed | explained |", "|---|---|---|---|---|---|"]
    for name, sets in ops.items():
        each = tallies.get(name, Tally())
        latest_first = {definition: OPSETS[opset] for opset, definition in reversed(list(sets.items()))}
        first, *others = reversed(latest_first.values())
        numbers = (str(number or "") for number in (each.passed.total(), each.failed.total(), each.explained))
        rows.append("| " + " | ".join([f"`{name}`", first, ", ".join(others), *numbers]) + " |")
    return "\n".join(["## By op", "", *rows])
