"""What the packages of a build are predicted to cost on a device, for the budgets that it was given."""

from __future__ import annotations

from collections.abc import Sequence

from mctc.driver.budget import Predicted
from mctc.linter.coreml.compile_cost import CompileCost
from mctc.linter.coreml.report import Report

Costs = Sequence[tuple[str, CompileCost]]


def predicted_cost(reports: Sequence[Report]) -> dict[str, Predicted]:
    """By what can be budgeted. Functions are loaded one after another and called one by one: seconds of a load add up,
    of all else the largest counts. A function that runs on the CPU is not compiled, but called."""
    functions = [function for report in reports for function in report.functions]
    costs = [(function.name, function.compile) for function in functions if function.compile is not None]
    calls = [(function.name, function.time / 1e6) for function in functions]
    awake = [(name, each.first_call[1] / 1000) for name, each in costs]
    return {
        "compile": _load(costs),
        "disk": _largest([(name, each.disk) for name, each in costs]),
        "memory": _largest([(name, each.memory) for name, each in costs]),
        "first-call": _largest([*calls, *awake]),
        "call": _largest(calls),
    }


def _load(costs: Costs) -> Predicted:
    failing = [f"{name}: {each.fails}" for name, each in costs if each.fails is not None]
    if failing:
        return Predicted(None, failing[0])
    if not costs:
        return Predicted(0.0, "nothing is on the engine")
    name, longest = max(costs, key=lambda each: each[1].load)
    return Predicted(sum(each.load for _, each in costs), f"{name} takes most of it, for its {longest.most}")


def _largest(values: Sequence[tuple[str, float]]) -> Predicted:
    name, value = max(values, key=lambda each: each[1], default=("nothing", 0.0))
    return Predicted(value, f"{name} takes it")
