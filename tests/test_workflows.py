"""Workflows run what the project says they run, with few rights, on pinned actions and without secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

FILES = sorted((Path(__file__).resolve().parent.parent / ".github/workflows").glob("*.yml"))
CONTEXTS = {"env", "github", "inputs", "job", "matrix", "needs", "runner", "steps", "strategy", "vars"}
"""What an expression may name. There are no secrets among them."""


def read(name: str) -> dict[str, Any]:
    """A workflow. YAML takes the key `on` for true."""
    (file,) = (each for each in FILES if each.stem == name)
    data = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {("on" if key is True else key): value for key, value in data.items()}


def steps(workflow: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for job in workflow["jobs"].values():
        yield from job["steps"]


@pytest.mark.parametrize("name", [each.stem for each in FILES])
def test_a_workflow_has_the_form_that_the_runner_reads(name: str) -> None:
    workflow = read(name)
    assert set(workflow) <= {"name", "on", "permissions", "concurrency", "jobs"}
    assert workflow["name"] == name
    assert set(workflow["on"]) <= {"pull_request", "push", "schedule", "workflow_dispatch"}
    assert workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert set(job) <= {"runs-on", "timeout-minutes", "strategy", "env", "steps"}
        assert job["timeout-minutes"] <= 360
    for step in steps(workflow):
        assert set(step) <= {"name", "uses", "with", "run"}
        assert ("uses" in step) is not ("run" in step)


@pytest.mark.parametrize("name", [each.stem for each in FILES])
def test_actions_are_pinned_by_their_major_version_and_nothing_is_secret(name: str) -> None:
    uses = [step["uses"] for step in steps(read(name)) if "uses" in step]
    assert [each for each in uses if not re.fullmatch(r"actions/[a-z-]+@v\d+", each)] == []
    (text,) = (each.read_text(encoding="utf-8") for each in FILES if each.stem == name)
    named = {found for inside in re.findall(r"\$\{\{(.*?)\}\}", text) for found in re.findall(r"\b([a-z]+)\.", inside)}
    assert named <= CONTEXTS


def test_every_python_of_the_package_is_tested(root: Path) -> None:
    listed = re.findall(r"Python :: (3\.\d+)\"", (root / "pyproject.toml").read_text(encoding="utf-8"))
    (job,) = read("ci")["jobs"].values()
    assert job["strategy"]["matrix"]["python"] == listed


def test_files_that_a_step_runs_exist(root: Path) -> None:
    commands = [step["run"] for file in FILES for step in steps(read(file.stem)) if "run" in step]
    named = {word for command in commands for word in command.split() if re.match(r"\.ci/|tests/", word)}
    assert named == {".ci/run", ".ci/swift", "tests/mac"}
    assert all((root / name).exists() for name in named)
    assert ".ci/run --all" in commands
    assert "python -m docs.site" in commands
    assert (root / "docs/site/__main__.py").is_file()


def test_what_a_step_installs_is_an_extra(root: Path) -> None:
    text = (root / "pyproject.toml").read_text(encoding="utf-8")
    commands = [step["run"] for file in FILES for step in steps(read(file.stem)) if "run" in step]
    commands.append((root / ".ci/run").read_text(encoding="utf-8"))
    wanted = {extra for command in commands for found in re.findall(r"'\.\[([\w,]+)\]'|extras=([\w,]+)", command)
              for extra in "".join(found).split(",")}  # fmt: skip
    assert wanted == {"dev", "docs", "test", "train"}
    assert [extra for extra in wanted if not re.search(rf"^{extra} = \[", text, re.MULTILINE)] == []
