"""Two packages compared: what is gone, what is new, and what the numbers did."""

from __future__ import annotations

import json
import re

from mctc.linter.coreml.diff import Difference, Verdict, compare
from mctc.linter.coreml.formats.difference import diff_json, render_diff
from mctc.linter.coreml.formats.plain import columns
from mctc.linter.coreml.memory import Memory
from mctc.linter.coreml.placement import Predicted
from mctc.linter.coreml.rule import Severity
from tests.linter.coreml.made import ERROR, SLOW, WARNING, finding, function, op, report

CPU = Predicted.CPU
OPS = [op("a"), op("b", where=CPU), op("c")]


def verdicts(difference: Difference) -> dict[str, str]:
    (change,) = difference.functions
    return {measure.name: measure.verdict.value for measure in change.measures}


def test_the_same_report_has_no_difference() -> None:
    same = report([finding(ERROR, "b"), finding(WARNING)], [function(ops=OPS)])
    found = compare(same, same)
    assert (found.gone, found.new, found.kept) == ((), (), 2)
    assert set(verdicts(found).values()) == {"same"}
    assert found.worst is None
    assert not found.fails(Severity.INFO)


def test_findings_are_matched_by_what_they_are_about() -> None:
    old = report([finding(ERROR, "a"), finding(WARNING, "b"), finding(WARNING, "b")])
    new = report([finding(WARNING, "b"), finding(SLOW, "a")])
    found = compare(old, new)
    assert [each.op for each in found.gone] == ["a", "b"]
    assert found.new == (finding(SLOW, "a"),)
    assert found.kept == 1


def test_ops_named_anew_are_matched_by_rule_function_and_type() -> None:
    old = report([finding(WARNING, f"conv_{number}") for number in range(3)])
    new = report([finding(WARNING, f"x_{number}") for number in range(2)] + [finding(WARNING, "m", "matmul")])
    found = compare(old, new)
    assert [each.op for each in found.new] == ["m"]
    assert (len(found.gone), found.kept) == (1, 2)


def test_what_has_a_name_of_its_own_is_matched_first() -> None:
    old = report([finding(WARNING, "a"), finding(WARNING, "b")])
    found = compare(old, report([finding(WARNING, "b")]))
    assert [each.op for each in found.gone] == ["a"]


def test_a_function_of_another_name_is_the_same_where_it_is_the_only_one() -> None:
    old = report([finding(ERROR, "a", function="main")], [function("main", OPS)])
    new = report([finding(ERROR, "a", function="predict")], [function("predict", OPS)])
    found = compare(old, new)
    assert (found.kept, found.added, found.removed) == (1, (), ())
    assert "predict (was main)" in render_diff(found)
    several = compare(report([], [function("main"), function("old")]), report([], [function("main"), function("new")]))
    assert (several.added, several.removed) == (("new",), ("old",))


def test_numbers_say_what_got_better_and_what_worse() -> None:
    old = function(ops=OPS, time=500.0, states=("s",))
    better = function(ops=[op("a"), op("c")], time=300.0, memory=Memory(1000, 1000, 1500, "a", (), ()))
    found = compare(report([], [old]), report([], [better], weight_bytes=5000))
    assert verdicts(found) == {
        "estimated time": "better", "on the Neural Engine": "better", "doubtful": "same", "on the CPU": "better",
        "segments": "changed", "switches": "better", "tensors, padded": "better", "most at once": "same",
        "ops": "changed", "states": "changed",
    }  # fmt: skip
    (weights,) = found.package
    assert weights.verdict is Verdict.BETTER
    back = compare(report([], [better], weight_bytes=5000), report([], [old]))
    assert verdicts(back)["estimated time"] == verdicts(back)["switches"] == "worse"


def test_a_change_of_less_than_a_hundredth_is_none() -> None:
    found = compare(report([], [function(time=500.0)]), report([], [function(time=504.0)]))
    assert verdicts(found)["estimated time"] == "same"


def test_it_fails_on_what_got_as_bad_as_asked_for() -> None:
    slower = compare(report([], [function(time=500.0)]), report([], [function(time=600.0)]))
    assert [slower.fails(each) for each in (Severity.ERROR, Severity.WARNING, Severity.PERFORMANCE, None)] == [
        False, False, True, False,
    ]  # fmt: skip
    off = compare(report([], [function(ops=[op("a")])]), report([], [function(ops=[op("a", where=CPU)])]))
    assert off.worst is Severity.WARNING
    new = compare(report(), report([finding(ERROR, "a")]))
    assert new.fails(Severity.ERROR)
    assert not compare(report([finding(ERROR, "a")]), report()).fails(Severity.INFO)


def test_a_terminal_of_80_columns_shows_it() -> None:
    old = report(
        [finding(ERROR, "a"), *(finding(SLOW, f"gone_{n}") for n in range(9))], [function(ops=OPS)], "old.mlpackage"
    )
    new = report(
        [finding(WARNING, "b")], [function(ops=OPS[:1], time=250.0)], "new.mlpackage", target="M1 (H13), iOS 18"
    )
    text = render_diff(compare(old, new))
    lines = text.splitlines()
    assert max(map(columns, lines)) <= 80
    assert "  estimated time                 0.50 ms     0.25 ms       -50 %  better" in lines
    assert "  on the CPU                        33 %         0 %  -33 points  better" in lines
    assert "  performance ANE-XX-003  what ANE-XX-003 finds (x9)" in lines
    assert "      main: gone_0, main: gone_1, main: gone_2, main: gone_3 and 5 more" in lines
    assert "Better: 10 findings gone; main: estimated time, on the Neural Engine, on the" in lines
    assert "Worse: 1 finding new." in lines
    assert "not the same" in text
    assert "MLComputePlan" in text
    colored = render_diff(compare(old, new), color=True)
    assert re.sub(r"\x1b\[\d+m", "", colored) == text


def test_names_of_strangers_reach_no_terminal_and_stay_in_their_columns() -> None:
    name = "\x1b[2J\u202e" + "函" * 60
    hostile = report([finding(ERROR, name, function=name)], [function(name)], path=f"{name}.mlpackage")
    text = render_diff(compare(report([], [function("a"), function("b")]), hostile))
    assert "\x1b" not in text
    assert "\u202e" not in text
    same = render_diff(compare(hostile, hostile))
    assert max(columns(line) for line in same.splitlines() if "before" in line) <= 80


def test_json_holds_all_of_it() -> None:
    old = report([finding(ERROR, "a")], [function(time=float("inf"))])
    data = json.loads(diff_json([compare(old, report([finding(WARNING, "b")], [function()], weight_bytes=0))]))
    assert (data["kind"], data["version"], data["worst"]) == ("mctc lint difference", 1, "warning")
    assert [each["code"] for each in data["findings"]["gone"]] == ["ANE-XX-001"]
    assert [each["fingerprint"] for each in data["findings"]["new"]] == ["ANE-XX-002|main|conv|b"]
    (changed,) = data["functions"]
    assert changed["measures"][0] == {
        "name": "estimated time", "unit": "us", "before": None, "after": 500.0, "verdict": "better",
        "severity": "performance",
    }  # fmt: skip
    assert data["package"][0]["after"] == 0
