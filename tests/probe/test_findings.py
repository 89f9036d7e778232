"""What answers settle: end to end with the evaluator in the Mac's place, and with Macs that differ."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from mctc.evaluate.engine.fitted import fitted_table
from mctc.probe import numbers
from mctc.probe.answers import Answers, AnswersError, answered_here, read_answers, write_answers
from mctc.probe.findings import Findings, findings
from mctc.probe.kit import probes
from mctc.probe.report import report


@cache
def files(arithmetic: str, device: str) -> dict[str, bytes]:
    return answered_here(arithmetic, device)


@pytest.fixture
def low(tmp_path: Path) -> Answers:
    write_answers(tmp_path / "low.zip", files("engine:h18g:low", "M1"))
    return read_answers(tmp_path / "low.zip")


def of(found: Findings, subject: str) -> str:
    return next(verdict.says for verdict in found.verdicts if verdict.subject == subject)


def test_the_evaluator_in_the_mac_s_place_agrees_with_itself(tmp_path: Path) -> None:
    write_answers(tmp_path / "a.zip", files("engine:h18g", "M6"))
    found = findings(read_answers(tmp_path / "a.zip"))
    assert len(found.verdicts) == len(probes())
    assert [each.subject for each in found.differing if not each.subject.startswith("ANE-")] == []
    assert of(found, "sums").startswith("24 of 24 rows as M4 and M6")
    assert "100.0% as mctc's table" in of(found, "table_silu")
    text = report(found)
    assert max(map(len, text.splitlines())) <= 80


def test_other_tables_are_read_out_at_their_knots(low: Answers) -> None:
    found = findings(low)
    values = found.constants["silu"]["values"]
    np.testing.assert_array_equal(values, fitted_table("silu", "low").values)
    assert {"table_silu", "table_gelu"} <= {each.subject for each in found.differing}
    assert of(found, "table_silu").startswith("straight between 33 knots; ")
    assert found.constants["sigmoid"]["off_the_lines_ulp"] < 2


def test_a_place_settles_a_contested_rule(low: Answers) -> None:
    found = findings(low)
    assert of(found, "ANE-OP-020") == "topk: leaves the engine (y on the cpu)"
    assert of(found, "ANE-SM-002") == "softmax-extent: stays on the engine (y on the ane)"


def test_a_mac_that_rounds_ties_to_even_is_told_apart(low: Answers) -> None:
    probe = probes()["sums"]
    result = np.zeros((1, numbers.ROWS, 1, numbers.ROWS), np.float32)
    for place, row in enumerate(numbers.SUMS):
        result[0, place, 0, place] = numbers.HYPOTHESES["float32 sums, ties to even (IEEE)"](row.factors, row.bias)
    answers = {**low.answers, probe.name: replace(low.answers[probe.name], engine=result)}
    found = findings(replace(low, answers=answers))
    assert of(found, "sums").startswith("24 of 24 rows float32 sums, ties to even (IEEE)")
    verdict = next(each for each in found.verdicts if each.subject == "sums")
    assert verdict.differs
    assert any(line.startswith("ties: 2048 + 1: 2048 (as M4 and M6 (751K) 2050") for line in verdict.detail)


def test_an_exact_activation_is_no_table(low: Answers) -> None:
    exact = {**low.answers, "table_silu": replace(low.answers["table_silu"], engine=low.answers["table_silu"].cpu)}
    found = findings(replace(low, answers=exact))
    assert of(found, "table_silu").startswith("not straight between the published knots")
    assert "100.0% of all numbers as computed exactly" in of(found, "table_silu")


def test_what_did_not_run_on_the_engine_settles_nothing(low: Answers) -> None:
    on_cpu = {**low.answers, "sums": replace(low.answers["sums"], places={"y": "cpu"})}
    failed = replace(low.answers["additions"], engine=None, errors={"engine": "RuntimeError: -14"})
    answers = {**on_cpu, "additions": failed}
    del answers["table_erf"]
    found = findings(replace(low, answers=answers))
    assert of(found, "sums") == "its op ran on the CPU, so nothing is known of the engine"
    assert of(found, "additions") == "no answer of the engine (RuntimeError: -14)"
    assert of(found, "table_erf") == "not answered"


def test_a_plan_of_another_form_tells_no_place(tmp_path: Path) -> None:
    good = files("engine:h18g", "M6")
    plan = {"main": [{"outputs": 3, "preferred": "ane"}, {"preferred": "ane"}, 3]}
    record = {**json.loads(good["answers.json"]), "probes": {"sums": {"plan": plan}}}
    write_answers(tmp_path / "a.zip", {**good, "answers.json": json.dumps(record).encode()})
    assert read_answers(tmp_path / "a.zip").answers["sums"].places == {}


def test_damaged_answers_are_refused(tmp_path: Path) -> None:
    good = files("engine:h18g", "M6")
    cases = {
        "absent": (None, "can't be read"),
        "no record": ({}, "there is no answers.json in it"),
        "not JSON": ({"answers.json": b"{"}, "is not JSON"),
        "of something else": ({"answers.json": b"{}"}, "is not what run_probe.py writes"),
        "of other probes": ({"answers.json": good["answers.json"].replace(b'"kit": "', b'"kit": "0')}, "other probes"),
        "no array": ({**good, "sums.engine.npy": b"nothing"}, "sums.engine.npy is no array"),
        "of another shape": ({**good, "sums.engine.npy": good["table_silu.engine.npy"]}, "the result of sums is"),
    }
    for errors in ("all", 3, ["-14"]):
        record = {**json.loads(good["answers.json"]), "probes": {"sums": {"errors": errors}}}
        cases[f"errors {errors}"] = ({**good, "answers.json": json.dumps(record).encode()}, "sums is no record")
    for name, (content, message) in cases.items():
        path = tmp_path / f"{name}.zip"
        if content is not None:
            write_answers(path, content)
        with pytest.raises(AnswersError, match=message):
            read_answers(path)
    write_answers(tmp_path / "encrypted.zip", {"answers.json": b"{}"})
    encrypted = bytearray((tmp_path / "encrypted.zip").read_bytes())
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        encrypted[encrypted.index(header) + flags] |= 1
    (tmp_path / "encrypted.zip").write_bytes(encrypted)
    with pytest.raises(AnswersError, match="can't be read"):
        read_answers(tmp_path / "encrypted.zip")
    (tmp_path / "text.zip").write_text("no archive")
    with pytest.raises(AnswersError, match="can't be read"):
        read_answers(tmp_path / "text.zip")


@pytest.mark.parametrize("nothing", [np.nan, np.inf])
def test_results_without_a_number_settle_nothing(low: Answers, nothing: float) -> None:
    answers = {
        name: answer if answer.engine is None else replace(answer, engine=np.full_like(answer.engine, nothing))
        for name, answer in low.answers.items()
    }
    found = findings(replace(low, answers=answers))
    assert found.constants == {}
    assert [each.subject for each in found.differing if not each.subject.startswith("ANE-")] == []
    assert of(found, "table_silu") == of(found, "sums")
    assert "finite number" in of(found, "sums")
