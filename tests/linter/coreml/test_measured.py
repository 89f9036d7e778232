"""plan.json as strangers may send it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mctc.diagnostics.errors import UsageError
from mctc.linter.coreml.measured import read_plan
from mctc.linter.coreml.plan import Measured

OPERATION = {"outputs": ["y"], "type": "ios18.conv", "preferred": "ane", "supported": ["ane", "cpu"], "cost": 0.5}
PLAN = {
    "kind": "mctc compute plan", "schema": 1, "model": "m.mlpackage", "chip": "Apple M4", "system": "macOS 15.3",
    "units": "cpuAndNeuralEngine", "functions": {"main": [OPERATION]},
}  # fmt: skip


def written(tmp_path: Path, content: Any) -> Path:
    file = tmp_path / "plan.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def operation(**said: Any) -> dict[str, Any]:
    return {**PLAN, "functions": {"main": [{**OPERATION, **said}]}}


def test_a_plan_is_read_without_constants_and_opsets(tmp_path: Path) -> None:
    constants = [{**OPERATION, "type": "const"}, {**OPERATION, "type": "ios16.constexpr_affine_dequantize"}]
    content = {**PLAN, "functions": {"main": [*constants, OPERATION]}, "more": "keys of a later exporter"}
    plan = read_plan(written(tmp_path, content))
    assert plan.functions == {"main": (Measured(("y",), "conv", "ane", frozenset(("ane", "cpu")), 0.5),)}
    assert plan.chip == "Apple M4"


def test_a_device_of_the_future_is_another_one(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, operation(preferred="MLQuantumComputeDevice", supported=["cpu", "x"])))
    (found,) = plan.functions["main"]
    assert (found.preferred, found.supported) == ("other", {"cpu", "other"})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "not even JSON"),
        ("[" * 100_000, "not even JSON"),
        ("9" * 5000, "not even JSON|not a compute plan"),
        ([], "not a compute plan"),
        ({**PLAN, "kind": "mctc lint report"}, "not a compute plan"),
        ({**PLAN, "schema": 2}, "schema 2, this mctc reads 1"),
        ({**PLAN, "schema": ["x" * 1000]}, "schema"),
        ({**PLAN, "chip": None}, "chip is not a text"),
        ({**PLAN, "units": "cpuOnly"}, "measured for cpuOnly, where nothing runs on the Neural Engine"),
        ({**PLAN, "units": "\x1b[2J" * 99}, "measured for"),
        ({**PLAN, "functions": [OPERATION]}, "functions is not an object"),
        ({**PLAN, "functions": {"main": OPERATION}}, "function 'main' is not a list"),
        ({**PLAN, "functions": {"main": [1]}}, "function 'main', operation 0 is not an object"),
        (operation(outputs="y"), "operation 0, outputs is not a list"),
        (operation(outputs=[1]), "operation 0, outputs is not a text"),
        (operation(type=None), "operation 0, type is not a text"),
        (operation(preferred=1), "operation 0, preferred is not a text"),
        (operation(supported=None), "operation 0, supported is not a list"),
        (operation(cost="1"), "operation 0, cost is not a number"),
        (operation(cost=True), "operation 0, cost is not a number"),
        (operation(cost=-1), "operation 0, cost is not a number"),
        (operation(cost=float("nan")), "operation 0, cost is not a number"),
        (operation(cost=10**400), "operation 0, cost is not a number"),
    ],
)
def test_a_file_that_is_no_plan_is_refused_with_its_place(tmp_path: Path, content: Any, said: str) -> None:
    file = written(tmp_path, content)
    with pytest.raises(UsageError, match=said) as caught:
        read_plan(file)
    message = str(caught.value)
    assert str(file) in message
    assert message.isprintable()
    assert len(message) < 400


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="can't be read") as caught:
        read_plan(tmp_path / "plan.json")
    assert "--exporter" in str(caught.value.hint)
