"""The Neural Engine's rules: each finds what breaks it, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mctc.targets.coreai.graphs import Operation, ReadGraph, Tensor, read_graphs
from mctc.targets.coreai.neural_engine.report import page, write_report
from mctc.targets.coreai.neural_engine.rule import Severity
from mctc.targets.coreai.neural_engine.rules import RULES
from mctc.targets.coreai.neural_engine.undecided import UNDECIDED
from tests.targets.ane.hand_made import streaming_program

from .conftest import Make

ROW = Tensor((1, 64, 1, 32), "f16")
WEIGHT = Tensor((64, 64, 1, 1), "f16", "constant")


def graph(*operations: Operation, port: Tensor = ROW) -> ReadGraph:
    return ReadGraph("main", (port,), (port,), operations)


def made(kind: str, *operands: Tensor, result: Tensor = ROW) -> ReadGraph:
    return graph(Operation(kind, operands or (ROW,), (result,)))


def numbers(*values: int) -> Tensor:
    return Tensor((len(values),), "ui32", "constant", values)


def conv(
    stride: tuple[int, int] = (1, 1), dilation: tuple[int, int] = (1, 1), x: Tensor = ROW, weight: Tensor = WEIGHT
) -> ReadGraph:
    return made("conv2d", x, weight, numbers(*stride), numbers(*dilation), numbers(1))


GOOD = (conv(), conv((2, 2)), conv((2, 3)), conv((4, 4)), conv((1, 2)), made("sigmoid"))
BAD = {
    "NE01": made("reshape", result=Tensor((1, 2, 32, 1, 1, 32), "f16")),
    "NE02": graph(port=Tensor((1, 64, 1, 32), "f32")),
    "NE03": graph(port=Tensor((1, 64, 1, None), "f16")),
    "NE05": graph(port=Tensor((1, 64, 1, 8), "f16")),
    "NE06": made("mul", result=Tensor((1, 64, 1, 1), "f16")),
    "NE07": made("mul", result=Tensor((1, 64, 1, 44), "f16")),
    "NE08": graph(port=Tensor((1, 32, 64), "f16")),
    "NE09": made("transpose"),
    "NE11": made("batch_matmul", ROW, WEIGHT),
    "NE13": made("mul", result=Tensor((1, 64, 1, 32), "f32")),
    "NE14": made("softmax", ROW, numbers(3)),
    "NE15": conv((5, 5)),
    "NE16": conv((2, 5)),
    "NE17": conv((3, 3), weight=Tensor((64, 64, 1, 1), "f16", "lut_to_dense")),
    "NE18": conv(weight=Tensor((64, 64, 1, 9), "f16", "constant")),
    "NE19": conv(x=Tensor((1, 64, 1, 32), "f16", "conv2d")),
    "NE20": conv(dilation=(1, 8)),
    "NE23": made("blockwise_shift_scale", WEIGHT, Tensor((64, 2, 1, 1), "f16", "constant")),
    "NE24": made("gather_nd"),
    "NE25": made("reduce_mean", ROW, numbers(3)),
    "NE30": made("read_handle"),
    "NE32": made("silu"),
    "NE33": made("tanh"),
    "NE34": made("constant", result=Tensor((1,), "f32")),
}


def broken(read: ReadGraph) -> set[str]:
    return {rule.code for rule in RULES if list(rule.check(read))}


@pytest.mark.parametrize("code", [rule.code for rule in RULES])
def test_a_rule_finds_what_breaks_it(code: str) -> None:
    assert code in broken(BAD[code])


@pytest.mark.parametrize("read", GOOD)
def test_what_breaks_none_is_let_pass(read: ReadGraph) -> None:
    assert not broken(read)


def test_every_rule_is_decided_or_said_not_to_be() -> None:
    decided = {rule.code for rule in RULES}
    assert not decided & set(UNDECIDED)
    assert decided | set(UNDECIDED) == {f"NE{number:02}" for number in range(1, 41)}


def test_errors_of_an_asset_are_lines_and_findings(make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built = make(streaming_program())
    assert write_report(built.asset, tmp_path) == []
    strict = tuple(replace(rule, severity=Severity.ERROR) if rule.code == "NE05" else rule for rule in RULES)
    monkeypatch.setattr("mctc.targets.coreai.neural_engine.report.RULES", strict)
    lines = write_report(built.asset, tmp_path)
    assert [line[:4] for line in lines] == ["NE05", "NE05"]
    assert "in encoder, first f16[1, 16, 1, 8] has rows of 16 bytes" in lines[0]
    findings = json.loads((tmp_path / "neural_engine.json").read_text())["findings"]
    assert {finding["function"] for finding in findings if finding["severity"] == "error"} == {"encoder", "joiner"}


def test_a_graph_is_read_back_with_types_and_small_numbers(make: Make) -> None:
    encoder = read_graphs(make(streaming_program(), state="separate").asset)["encoder"]
    assert encoder.inputs == (Tensor((1, 16, 1, 8), "f16"),)
    assert len(list(encoder.of_kind("read_handle"))) >= 2
    depthwise = [op for op in encoder.of_kind("conv2d") if op.operands[1].shape == (16, 1, 1, 4)]
    assert len(depthwise) == 2
    assert [operand.numbers for operand in depthwise[0].operands[2:]] == [(1, 1), (1, 1), (16,)]


def test_the_page_shows_the_rules(root: Path) -> None:
    written = (root / "docs" / "coreai.md").read_text(encoding="utf-8")
    assert page() in written, "put there: python -m mctc.targets.coreai.neural_engine.report"
