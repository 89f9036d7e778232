"""`classify`: the label, and the probabilities as a tensor in the order of the labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.evaluate.coreml import EvaluationError, Evaluator

PROGRAM = """program(1.0)
{{
    func main<ios16>(tensor<fp32, [1, 3]> x) {{
        tensor<fp32, [1, 3]> p = softmax(x = x, axis = tensor<int32, []>(-1))[name = tensor<string, []>("p")];
        list<{kind}, {count}> names = const()[name = tensor<string, []>("n"), val = list<{kind}, {count}>(({labels}))];
        {kind} label, dict<{kind}, fp64> scores = classify(classes = names, probabilities = p)[
            name = tensor<string, []>("classify")];
    }} -> (label, scores);
}}
"""
TEXT, WHOLE = "tensor<string, []>", "tensor<int64, []>"


def evaluator(folder: Path, kind: str, labels: list[str]) -> Evaluator:
    folder = folder / "m.mlmodelc"
    folder.mkdir()
    listed = ", ".join(labels)
    (folder / "model.mil").write_text(PROGRAM.format(kind=kind, count=len(labels), labels=listed))
    return Evaluator(folder)


@pytest.mark.parametrize(
    ("kind", "labels", "label"), [(TEXT, ['"cat"', '"dog"', '"owl"'], "dog"), (WHOLE, ["7", "-2", "40"], -2)]
)
def test_the_likeliest_label_and_every_probability_come_out(
    tmp_path: Path, kind: str, labels: list[str], label: object
) -> None:
    run = evaluator(tmp_path, kind, labels).function()
    found = run({"x": np.array([[1.0, 3.0, 2.0]], np.float32)})
    assert found["label"].item() == label
    np.testing.assert_allclose(found["scores"], np.exp([1.0, 3.0, 2.0]) / np.exp([1.0, 3.0, 2.0]).sum(), rtol=1e-6)
    assert run.labels == {"scores": tuple(each.strip('"') for each in labels)}


def test_of_equals_the_first_label_is_taken(tmp_path: Path) -> None:
    run = evaluator(tmp_path, TEXT, ['"cat"', '"dog"', '"owl"']).function()
    assert run({"x": np.zeros((1, 3), np.float32)})["label"].item() == "cat"


def test_labels_that_are_not_as_many_as_probabilities_are_an_error(tmp_path: Path) -> None:
    run = evaluator(tmp_path, TEXT, ['"cat"', '"dog"']).function()
    with pytest.raises(EvaluationError, match="classify 'classify': 2 classes for 3 probabilities"):
        run({"x": np.zeros((1, 3), np.float32)})


def test_the_command_prints_the_likeliest_labels(mctc: Callable[..., Any], tmp_path: Path) -> None:
    evaluator(tmp_path, TEXT, ['"cat"', '"dog"', '"owl"'])
    np.save(tmp_path / "x.npy", np.array([[1.0, 3.0, 2.0]], np.float32))
    lines = mctc("run", tmp_path / "m.mlmodelc", "--input", tmp_path / "x.npy").stdout.splitlines()
    assert lines[0] == "label: dog"
    assert [line.split()[1] for line in lines[2:]] == ["dog", "owl", "cat"]
