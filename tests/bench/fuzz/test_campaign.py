"""Failures are shrunk, written as files and counted once; a process that dies costs one program."""

from __future__ import annotations

import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

pytest.importorskip("hypothesis")

from bench.fuzz import batch, campaign
from bench.fuzz.__main__ import fuzz
from bench.fuzz.batch import Batch, run_batch
from bench.fuzz.findings import FindingError, Outcome
from bench.fuzz.regression import OPTIONS, replay, write
from bench.fuzz.report import markdown
from bench.fuzz.tally import Failure, Tally

PROGRAMS = 150  # of which some have a cell, whatever else the tests before registered
SPEC = """
model small {
    dim T: time @ 100 Hz
    component c(x: f32[T, 4]) -> f32[T, 4] { return tanh(x) }
}
"""


def fails_on_a_cell(text: str, options: object, **_: object) -> Outcome:
    if "lstm(" in text:
        raise FindingError("package", "encoder.out_0 differs by 0.25")
    return Outcome(errors={"package": 1e-7}, covered={"op": ["tanh"]})


def test_a_failure_is_shrunk_to_a_small_spec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "run_text", fails_on_a_cell)
    (failure,) = run_batch(Batch(seed=1, count=PROGRAMS)).failures
    assert failure.text.count("lstm(") == 1
    assert failure.text.count("component ") == 1
    assert failure.text.count("\n") <= 20


def test_a_failure_in_a_file_of_a_folder_of_the_day_is_one_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """hypothesis would call it flaky: each time it comes from another place."""
    runs: list[str] = []

    def fails_elsewhere(text: str, options: object, **_: object) -> Outcome:
        if "lstm(" not in text:
            return Outcome()
        runs.append(text)
        try:
            exec(compile("raise TypeError", f"/folder-{len(runs)}/fuzzed.py", "exec"))
        except TypeError as error:
            raise FindingError("torch", "TypeError") from error
        raise AssertionError

    monkeypatch.setattr(batch, "run_text", fails_elsewhere)
    (failure,) = run_batch(Batch(seed=1, count=PROGRAMS)).failures
    assert failure.text.count("lstm(") == 1
    assert len(runs) > 1


def test_a_known_failure_is_counted_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "run_text", fails_on_a_cell)
    known = Failure("package", "encoder.out_1 differs by 0.5", "", "").key
    tally = run_batch(Batch(seed=1, count=PROGRAMS, known=(known,)))
    assert tally.failures == []
    assert tally.again > 0
    assert tally.again + tally.programs == PROGRAMS


def test_a_failure_is_written_and_replayed(tmp_path: Path) -> None:
    failure = Failure("package", "c differs\nby 0.3", SPEC, '{"chunk": 2}', True)
    path = write(failure, tmp_path)
    text = path.read_text()
    assert text.startswith("# package: c differs by 0.3\n# options: {")
    outcome = replay(path, ["package"])
    assert outcome is not None
    assert set(outcome.errors) == {"ir-step", "package"}


def test_a_process_that_dies_names_its_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def dying(pipe: Any) -> None:
        asked = pipe.recv()
        asked.scratch.write_text(f'{OPTIONS}{{"seed": 2}}\n\n{SPEC}')
        os._exit(11)

    monkeypatch.setattr(campaign, "CONTEXT", multiprocessing.get_context("fork"))
    monkeypatch.setattr(campaign, "_work", dying)
    monkeypatch.setattr(campaign, "TIMES", 1)
    tally = campaign.run(campaign.Plan(examples=1))
    (failure,) = tally.failures
    assert (failure.stage, failure.what, failure.options) == ("process", "ended with 11", '{"seed": 2}')
    assert failure.text.strip() == SPEC.strip()


def test_the_command_writes_failures_and_reports(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = Tally(programs=3, failures=[Failure("package", "wrong", SPEC, "{}")])
    found.add(Outcome(errors={"package": 2e-7}, covered={"op": ["tanh"]}, refused=[("onnx", "no form")]))
    monkeypatch.setattr(campaign, "run", lambda plan, seen: (seen(found), seen(found), found)[-1])
    report = tmp_path / "report.json"
    done = CliRunner().invoke(fuzz, ["--regressions", str(tmp_path), "--json", str(report)], standalone_mode=False)
    assert done.return_value == 1
    assert [path.suffix for path in sorted(tmp_path.iterdir())] == [".mct", ".json"]
    told = json.loads(report.read_text())
    assert (told["programs"], told["plan"]["seed"]) == (4, 0)
    assert told["runtimes"] == {"package": {"programs": 1, "worst": 2e-7}}
    assert "| package | 1 | 2.0e-07 |" in markdown(found)
    assert "| onnx | no form | 1 |" in done.output


def test_an_unknown_runtime_is_refused() -> None:
    done = CliRunner().invoke(fuzz, ["--runtime", "coreia"], standalone_mode=False)
    assert "there is no runtime `coreia`" in str(done.exception)


def test_a_failure_is_told_before_it_is_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "run_text", fails_on_a_cell)
    told: list[Tally] = []
    left = run_batch(Batch(seed=1, count=PROGRAMS), told.append)
    (first,) = (failure for tally in told for failure in tally.failures)
    (last,) = left.failures
    assert len(last.text) < len(first.text)
    merged = Tally()
    for tally in [*told, left]:
        merged.merge(tally)
    assert merged.failures == [last]
    assert merged.again == 0


def test_without_shrinking_a_failure_is_the_program_that_was_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "run_text", fails_on_a_cell)
    told: list[Tally] = []
    left = run_batch(Batch(seed=1, count=PROGRAMS, shrink=False), told.append)
    (first,) = (failure for tally in told for failure in tally.failures)
    assert [failure.text for failure in left.failures] == [first.text]


def test_programs_of_a_process_that_dies_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def dying(pipe: Any) -> None:
        asked = pipe.recv()
        asked.scratch.write_text(SPEC)
        pipe.send((Tally(programs=3), False))
        os._exit(11)

    monkeypatch.setattr(campaign, "CONTEXT", multiprocessing.get_context("fork"))
    monkeypatch.setattr(campaign, "_work", dying)
    monkeypatch.setattr(campaign, "TIMES", 1)
    report = tmp_path / "report.json"
    CliRunner().invoke(fuzz, ["--examples", "9", "--json", str(report)], standalone_mode=False)
    assert json.loads(report.read_text())["programs"] == 3
