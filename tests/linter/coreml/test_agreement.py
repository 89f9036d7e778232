"""Predicted against measured: which op is which, and who was right."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import pytest

from mctc.linter.coreml.agreement import Agreement, Score, agreement
from mctc.linter.coreml.formats.agreement import agreement_json, render_agreement
from mctc.linter.coreml.formats.plain import columns
from mctc.linter.coreml.pairing import pair
from mctc.linter.coreml.placement import Eligible, Predicted
from mctc.linter.coreml.plan import Measured, MeasuredPlan
from mctc.linter.coreml.report import OpRow
from mctc.linter.coreml.rule import Effect, Severity
from tests.linter.coreml.made import ERROR, SLOW, finding, function, op, report, rule

CPU, DOUBTFUL = Predicted.CPU, Predicted.DOUBTFUL
DOUBT = rule("ANE-XX-004", Severity.WARNING, Effect.DOUBT)
WHOLE = rule("ANE-XX-005", Severity.ERROR, Effect.OFF)


def ran(
    name: str, preferred: str | None = "ane", type_: str = "conv", supported: str = "ane cpu", cost: float = 0.1
) -> Measured:
    return Measured((name,), type_, preferred, frozenset(supported.split()), cost)


def plan(*operations: Measured, units: str = "cpuAndNeuralEngine", **functions: Sequence[Measured]) -> MeasuredPlan:
    return MeasuredPlan("plan.json", "m.mlpackage", "Apple M4", "macOS 15.3", units, {"main": operations, **functions})  # type: ignore[dict-item]


def paired(ops: Sequence[OpRow], *operations: Measured) -> dict[str, str]:
    found = pair(report([], [function(ops=ops)]), plan(*operations))
    return {each.op.name: each.measured.outputs[0] for each in found.pairs}


def test_ops_are_paired_by_the_names_of_their_outputs() -> None:
    assert paired([op("a"), op("b")], ran("b"), ran("a"), ran("c")) == {"a": "a", "b": "b"}


def test_a_name_of_another_type_is_another_op() -> None:
    assert paired([op("a"), op("b")], ran("a", type_="matmul"), ran("b")) == {"b": "b"}


def test_what_has_another_name_is_paired_by_type_and_place() -> None:
    ops = [op("a"), op("split", "split"), op("b"), op("other", "split"), op("c"), op("last", "relu")]
    measured = [
        ran("a"),
        ran("s_0", type_="split"),
        ran("b"),
        ran("t_0", type_="split"),
        ran("c"),
        ran("y", type_="relu"),
    ]
    assert paired(ops, *measured) == {"a": "a", "split": "s_0", "b": "b", "other": "t_0", "c": "c", "last": "y"}


def test_where_nothing_has_its_name_the_order_within_a_type_counts() -> None:
    ops = [op("a"), op("b", "relu"), op("c")]
    assert paired(ops, ran("x"), ran("y", type_="relu"), ran("z")) == {"a": "x", "b": "y", "c": "z"}
    assert paired(ops, ran("x"), ran("y", type_="relu")) == {"b": "y"}


def test_no_operation_stands_for_two_ops() -> None:
    both = Measured(("a", "b"), "conv", "ane", frozenset(), None)
    assert paired([op("a"), op("b")], both) == {"a": "a"}
    assert paired([op("a"), op("a")], ran("a")) == {"a": "a"}


def test_only_functions_of_one_name_are_paired_unless_each_side_has_one() -> None:
    one = report([], [function("predict", [op("a")])])
    assert [each.function for each in pair(one, plan(ran("a"))).pairs] == ["predict"]
    found = pair(one, plan(ran("a"), encoder=[ran("b"), ran("c", preferred=None)]))
    assert [each.name for _, each in found.unmeasured] == ["a"]
    assert [(name, each.outputs[0]) for name, each in found.unknown] == [("main", "a"), ("encoder", "b")]


@pytest.fixture
def scored() -> Agreement:
    """Ops right and wrong in every way."""
    ops = [
        op("right"),
        op("fell", rules=("ANE-XX-003",)),
        op("went", where=CPU, eligible=Eligible.NO, rules=("ANE-XX-001",)),
        op("stayed", where=CPU, eligible=Eligible.NO, rules=("ANE-XX-001",)),
        op("cheap", where=CPU),
        op("unsure", where=DOUBTFUL, eligible=Eligible.CONTESTED),
        op("silent"),
        op("lost", "tile"),
    ]
    findings = [finding(ERROR, "went", index=2), finding(ERROR, "stayed", index=3), finding(DOUBT, "unsure", index=5)]
    findings += [finding(SLOW, "fell", index=1)]
    operations = [
        ran("right", cost=0.4),
        ran("fell", "cpu", supported="cpu", cost=0.2),
        ran("went", cost=0.1),
        ran("stayed", "cpu", supported="cpu", cost=0.1),
        ran("cheap", "gpu", supported="cpu ane gpu", cost=0.1),
        ran("unsure", "cpu", cost=0.1),
        ran("silent", None, supported=""),
        ran("more", type_="cast"),
    ]
    return agreement(report(findings, [function(ops=ops)]), plan(*operations, units="all"))


def test_the_matrix_counts_predicted_against_measured_and_doubt_apart(scored: Agreement) -> None:
    assert scored.places == {
        (Predicted.ANE, "ane"): 1, (Predicted.ANE, "cpu"): 1, (CPU, "ane"): 1, (CPU, "cpu"): 1, (CPU, "gpu"): 1,
        (DOUBTFUL, "cpu"): 1,
    }  # fmt: skip
    assert (scored.agreed, scored.decided, scored.share) == (3, 5, 0.6)
    assert scored.cost_share == pytest.approx(0.6 / 0.9)


def test_eligibility_is_held_against_what_the_engine_supports(scored: Agreement) -> None:
    assert scored.eligibility == {
        (Eligible.YES, True): 2, (Eligible.YES, False): 1, (Eligible.NO, True): 1, (Eligible.NO, False): 1,
        (Eligible.CONTESTED, True): 1,
    }  # fmt: skip
    assert [row.op.name for row in scored.misjudged] == ["fell", "went"]


def test_what_is_wrong_is_listed_the_most_costly_first(scored: Agreement) -> None:
    assert [row.op.name for row in scored.misplaced] == ["fell", "went"]
    assert [op.name for _, op in scored.unmeasured] == ["lost", "silent"]
    assert [each.outputs for _, each in scored.unknown] == [("more",)]


def test_every_rule_that_puts_ops_off_the_engine_has_a_score(scored: Agreement) -> None:
    assert scored.scores == (
        Score("ANE-XX-001", "made-up", Effect.OFF, 2, 1, 1),
        Score("ANE-XX-004", "made-up", Effect.DOUBT, 1, 1, 0),
    )


def test_a_finding_about_a_function_counts_for_all_of_its_ops() -> None:
    found = agreement(
        report([finding(WHOLE)], [function(ops=[op("a"), op("b")]), function("other", [op("a")])]),
        plan(ran("a"), ran("b", "cpu"), other=[ran("a")]),
    )
    assert [(each.fired, each.on_engine) for each in found.scores] == [(2, 1)]
    found = agreement(report([finding(WHOLE, function=None)], [function(ops=[op("a")])]), plan(ran("a")))
    assert [(each.fired, each.on_engine) for each in found.scores] == [(1, 1)]


def test_a_terminal_of_80_columns_shows_it(scored: Agreement) -> None:
    text = render_agreement(scored)
    lines = text.splitlines()
    assert max(map(columns, lines)) <= 80
    assert "3 of 5 ops, 60 %, are where predicted (67 % of what Core ML says they cost); 1" in lines
    assert "predicted           Neural Engine            CPU            GPU" in lines
    assert "  CPU                           1              1              1" in lines
    assert "  no                            1              1" in lines
    assert "  ANE-XX-001 made-up, off                        2          1              1" in lines
    assert "Not where predicted: 2 ops" in lines
    assert "Nothing was measured of 2 ops: main: lost (tile); main: silent (conv)" in lines
    assert "Predictions are for cpuAndNeuralEngine" in text
    assert re.sub(r"\x1b\[\d+m", "", render_agreement(scored, color=True)) == text


def test_the_plan_of_another_model_is_suspected() -> None:
    text = render_agreement(agreement(report([], [function(ops=[op("a")])]), plan(ran("x", type_="relu"))))
    assert "is this the plan of the same model?" in " ".join(text.split())


def test_names_of_strangers_reach_no_terminal_and_long_lists_are_cut() -> None:
    name = "\x1b[2J\u202e" + "n" * 200
    ops = [op(f"{name}{number}", where=CPU) for number in range(30)]
    found = agreement(report([], [function(name, ops)], path=name), plan(*(ran(each.name) for each in ops)))
    text = render_agreement(found)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "  and 20 more" in text
    assert "more" not in render_agreement(found, everything=True)
    json.loads(agreement_json(found))


def test_json_holds_all_of_it(scored: Agreement) -> None:
    data = json.loads(agreement_json(scored))
    assert (data["kind"], data["version"]) == ("mctc lint agreement", 1)
    assert data["placement"]["cpu"] == {"ane": 1, "cpu": 1, "gpu": 1, "other": 0}
    assert data["eligibility"]["yes"] == {"supported": 2, "not_supported": 1}
    assert (data["ops"], data["decided"], data["agreed"], data["share"]) == (6, 5, 3, 0.6)
    assert data["rules"][0] == {"code": "ANE-XX-001", "effect": "off", "fired": 2, "supported": 1, "on_engine": 1}
    assert [each["op"] for each in data["misplaced"]] == ["fell", "went"]
    assert data["misplaced"][0]["rules"] == ["ANE-XX-003"]
    assert data["unknown"] == [{"function": "main", "outputs": ["more"], "type": "cast"}]
