"""The hook of pre-commit and the GitHub Action: what they call is what the command line takes."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest

from mctc.cli.lint import lint
from mctc.linter.config import FORMATS, KEYS, NEVER
from mctc.linter.coreml.packages import packages_of
from mctc.linter.selection import SEVERITIES

yaml = pytest.importorskip("yaml")
FAKE = """#!/usr/bin/env bash
printf '%s\\n' "$@" --- >> "$RUNNER_TEMP/calls"
for each in "$@"; do if [ "$each" = "${FAILS_ON:-}" ]; then exit 1; fi; done
"""


def parsed(arguments: list[str]) -> dict[str, Any]:
    """What the command line understands; it raises for an option that doesn't exist."""
    return lint.make_context("lint", arguments).params


@pytest.fixture(scope="module")
def hooks(root: Path) -> dict[str, Any]:
    return {hook["id"]: hook for hook in yaml.safe_load((root / ".pre-commit-hooks.yaml").read_text())}


@pytest.fixture(scope="module")
def action(root: Path) -> Any:
    return yaml.safe_load((root / "action.yml").read_text())


def test_every_hook_calls_what_there_is(hooks: dict[str, Any]) -> None:
    for hook in hooks.values():
        command = shlex.split(hook["entry"])
        assert command[:2] == ["mctc", "lint"]
        assert parsed([*command[2:], "a.mlpackage"])["mps"] is (hook["id"] == "mctc-lint-mps")
        assert hook["language"] == "python"
        assert hook["name"]


def test_files_in_packages_are_handed_over_and_found_to_be_in_one(
    hooks: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    inside = ("m.mlpackage/Manifest.json", "m.mlpackage/Data/com.apple.CoreML/weights/weight.bin")
    others = ("app/n.mlmodelc/model.mil", "old.mlmodel")
    for name in (*inside, *others, "train.py", "m.mlpackage.txt", "docs/mlpackage/a.md"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()
    names = sorted(each.relative_to(tmp_path).as_posix() for each in tmp_path.rglob("*") if each.is_file())
    handed = [name for name in names if re.search(hooks["mctc-lint"]["files"], name)]
    assert set(handed) == {*inside, *others}
    assert packages_of(map(Path, handed)) == [Path("app/n.mlmodelc"), Path("m.mlpackage"), Path("old.mlmodel")]


def run(action: Any, folder: Path, fails_on: str = "", **inputs: str) -> tuple[int, list[list[str]], str]:
    """The exit code of the action's script, the calls of mctc that it makes, and its outputs."""
    fake = folder / "mctc" / "bin" / "mctc"
    fake.parent.mkdir(parents=True)
    fake.write_text(FAKE)
    fake.chmod(0o755)
    step = action["runs"]["steps"][-1]
    given = {name: each.get("default", "") for name, each in action["inputs"].items()} | inputs
    env = {name: given[re.sub(r"\$\{\{ inputs\.(\w+) }}", r"\1", text)] for name, text in step["env"].items()}
    env |= {"RUNNER_TEMP": str(folder), "GITHUB_OUTPUT": str(folder / "output"), "FAILS_ON": fails_on}
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        env={"PATH": os.environ["PATH"], **env}, cwd=folder, check=False,
    )  # fmt: skip
    calls = [each.splitlines() for each in (folder / "calls").read_text().split("---\n")[:-1]]
    output = folder / "output"
    return done.returncode, calls, output.read_text() if output.exists() else ""


@pytest.mark.skipif(shutil.which("bash") is None, reason="the action's scripts are for bash")
class TestTheAction:
    def test_it_lints_the_repository_with_annotations(self, action: Any, tmp_path: Path) -> None:
        code, calls, output = run(action, tmp_path)
        assert (code, output) == (0, "")
        assert calls == [["lint", "--format=github", "--", "."]]

    def test_inputs_become_arguments_of_the_command(self, action: Any, tmp_path: Path) -> None:
        paths = "models/a b.mlpackage\n\nmodels/c.mlpackage\n"
        _, (found,), _ = run(action, tmp_path, paths=paths, args="--device a15\n  --select=ANE-CV\n", format="text")
        said = parsed(found[1:])
        assert said["paths"] == (Path("models/a b.mlpackage"), Path("models/c.mlpackage"))
        assert (said["device"], said["select"], said["form"]) == ("a15", ("ANE-CV",), "text")

    def test_with_sarif_it_writes_a_log_first_and_fails_by_what_was_found(self, action: Any, tmp_path: Path) -> None:
        code, calls, output = run(action, tmp_path, sarif="lint.sarif", fails_on="--format=github")
        assert (code, output) == (1, "sarif=lint.sarif\n")
        first, second = (parsed(call[1:]) for call in calls)
        assert (first["form"], first["output"], first["fail_on"]) == ("sarif", Path("lint.sarif"), "never")
        assert (second["form"], second["fail_on"]) == ("github", None)

    def test_an_input_holds_no_commands(self, action: Any, tmp_path: Path) -> None:
        hostile = "a\"; touch pwned; $(touch pwned) `touch pwned` '*"
        _, calls, _ = run(action, tmp_path, paths=hostile, args=hostile, format=hostile, sarif=hostile)
        assert calls[0][-1] == hostile
        assert sorted(each.name for each in tmp_path.iterdir()) == ["calls", "mctc", "output"]
        scripts = [step["run"] for step in action["runs"]["steps"]]
        assert not [script for script in scripts if "${{" in script]

    def test_outputs_and_inputs_are_described(self, action: Any) -> None:
        assert all(each["description"] for each in (*action["inputs"].values(), *action["outputs"].values()))
        assert action["inputs"]["format"]["default"] in FORMATS


def test_the_command_line_and_the_file_of_settings_take_the_same() -> None:
    options = {option.lstrip("-"): each for each in lint.params for option in each.opts}
    assert set(KEYS) - {"per-package", "exclude"} <= set(options)
    choices = {name: list(each.type.choices) for name, each in options.items() if isinstance(each.type, click.Choice)}
    assert choices == {"format": list(FORMATS), "fail-on": [*SEVERITIES, NEVER]}
