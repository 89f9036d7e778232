"""The JSON report: what it holds, that its schema describes all of it, and that what was written is read back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from docs.pages.lint_json import page
from mctc.diagnostics.errors import UsageError
from mctc.linter.coreml.formats.json_report import as_data, read_json, render_json
from mctc.linter.coreml.formats.json_schema import schema, schema_text
from tests.linter.coreml.formats.sample import HOSTILE, sample, samples


def closed(part: Any) -> Any:
    """The schema with no key allowed that it does not describe, and none missing."""
    if isinstance(part, list):
        return [closed(each) for each in part]
    if not isinstance(part, dict):
        return part
    strict = {key: closed(value) for key, value in part.items()}
    if "properties" in part:
        strict |= {"additionalProperties": False, "required": list(part["properties"])}
    return strict


def test_the_schema_describes_every_key_and_no_other() -> None:
    Draft202012Validator.check_schema(schema())
    for reports in (samples(), []):
        data = json.loads(render_json(reports))
        Draft202012Validator(schema()).validate(data)
        Draft202012Validator(closed(schema())).validate(data)


def test_the_page_is_what_the_schema_says(root: Path) -> None:
    file = root / "docs/lint-json.md"
    if os.environ.get("MCTC_UPDATE_DOCS"):
        file.write_text(page(), encoding="utf-8")
    assert file.read_text(encoding="utf-8") == page()


def test_the_schema_is_printed_by_the_module(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mctc.linter.coreml.formats.json_schema"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert printed == schema_text()


def test_what_is_written_is_read_back() -> None:
    packages = read_json(render_json(samples()))
    assert packages == json.loads(render_json(samples()))["packages"]
    assert [package["path"] for package in packages] == ["models/a|b`.mlpackage", "clean.mlpackage"]
    assert packages[0]["counts"] == {"error": 2, "warning": 1, "performance": 1, "numerics": 1, "info": 1}
    assert packages[0]["findings"][3]["place"] == {
        "location": "spec/a b.mct:15:32", "file": "spec/a b.mct", "line": 15, "column": 32, "instance": "encoder.conv",
    }  # fmt: skip


def test_names_are_kept_and_the_text_is_ascii_with_a_record_a_line() -> None:
    text = render_json([sample()])
    assert text.isascii()
    assert not any(ord(character) < 32 for character in text if character != "\n")
    (package,) = read_json(text)
    assert package["functions"][0]["ops"][0]["name"] == HOSTILE.replace("\ud800", "\ufffd")
    assert sum('"eligible":' in line for line in text.splitlines()) == 5
    assert max(text.count(f'"op": "{name}"') for name in ("conv_0", "tanh_0")) == 1


def test_a_number_that_is_not_finite_is_null() -> None:
    report = sample()
    (function,) = report.functions
    endless = replace(report, functions=(replace(function, time=float("inf")),))
    (package,) = read_json(render_json([endless]))
    assert package["functions"][0]["time_us"] is None
    assert package["functions"][0]["cpu_time_us"] > 0


def damaged() -> dict[str, str]:
    whole = as_data([sample()])
    finding = whole["packages"][0]["findings"][0]
    return {
        "no JSON": "{",
        "no report": "[]",
        "of another tool": json.dumps({**whole, "kind": "other"}),
        "version 2": json.dumps({**whole, "version": 2}),
        "damaged: no list": json.dumps({**whole, "packages": {}}),
        "damaged: no path": json.dumps({**whole, "packages": [{"findings": []}]}),
        "damaged: severity": json.dumps(
            {**whole, "packages": [{"path": "a", "findings": [{**finding, "severity": ["error"]}]}]}
        ),
        "damaged: fingerprint": json.dumps(
            {**whole, "packages": [{"path": "a", "findings": [{**finding, "fingerprint": None}]}]}
        ),
    }


@pytest.mark.parametrize(("said", "text"), damaged().items(), ids=damaged())
def test_what_is_no_report_is_refused_with_a_way_out(said: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_json(text)
    assert caught.value.hint
    wanted = {"no report": "no report", "of another tool": "no report"}.get(said, said.partition(":")[0])
    assert wanted in str(caught.value)
