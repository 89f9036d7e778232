"""docs/training.md: every command of the page can be given, and what it says of the recipe's settings is so."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.conftest import ROOT

SHORT = ["train.steps=3", "train.log_every=1", "train.save_every=1", "train.dev_every=3", "quantize.from_step=2"]


def commands() -> list[list[str]]:
    """Those that are run in turn, from the page's blocks."""
    text = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    lines = [line for block in re.findall(r"```console\n(.*?)```", text, re.S) for line in block.splitlines()]
    told = [shlex.split(line.removeprefix("$ ")) for line in lines if line.startswith("$ ")]
    return [each for each in told if each[0] in ("mctc", "python")]


@pytest.mark.parametrize("arguments", [each[1:] for each in commands() if each[0] == "mctc"], ids=lambda a: a[0])
def test_each_mctc_command_has_these_options(arguments: list[str]) -> None:
    from mctc.cli.commands import group

    every = group()
    command = every.get_command(click.Context(every), arguments[0])
    assert command is not None
    command.make_context(arguments[0], list(arguments[1:]))


def test_the_settings_are_as_told() -> None:
    pytest.importorskip("torch")
    from speech.config import read_config

    (given,) = ([*each[3:]] for each in commands() if each[1:3] == ["-m", "speech.train"])
    config = read_config([str(ROOT / given[0]), *given[1:]])
    assert (config.model.training, config.train.run) == ("learner/training", "run")
    assert (config.data.train, config.data.dev) == (("corpus/train.jsonl",), ("corpus/dev.jsonl",))
    assert all((ROOT / path).is_file() for path in (config.model.start, config.data.tokens))
    assert config.quantize.from_step == config.train.steps * 3 // 4


@pytest.mark.slow  # the whole page, with three steps of training
def test_the_commands_lead_from_the_spec_to_a_score(tmp_path: Path) -> None:
    for needed in ("torch", "espeakng_loader", "sentencepiece", "jiwer"):
        pytest.importorskip(needed)
    for name in ("spec", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    path = os.pathsep.join(map(str, (ROOT / "examples", ROOT / "examples/speech", ROOT)))
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    for program, *arguments in commands():
        if "corpus" in arguments:
            arguments[arguments.index("--hours") + 1] = "0.02"
        more = SHORT if "speech.train" in arguments else []
        module = ["-m", "mctc"] if program == "mctc" else []
        command = [sys.executable, *module, *arguments, *more]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
    assert "words wrong" in done.stdout
