"""examples/speech: a configuration is typed, and what is wrong with it is said by name."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from speech.config import ConfigError, changes, read_config
from tests.conftest import ROOT

LEAST = '[model]\ntraining = "t"\n[data]\ntrain = ["a"]\ntokens = "p"\n[train]\nrun = "r"\nsteps = 10\n'


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "conf.toml"
    path.write_text(LEAST)
    return str(path)


def test_the_command_line_replaces_values_of_the_file(file: str) -> None:
    config = read_config(
        [file, "optimizer.peak_rate=2e-3", "train.run=other", 'data.dev=["b", "c"]', "batch.seconds=60"]
    )
    assert config.optimizer.peak_rate == 2e-3
    assert config.train.run == "other"
    assert config.data.dev == ("b", "c")
    assert config.batch.seconds == 60.0


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("optimizer.peek_rate=1", "there is no optimizer.peek_rate; the nearest is optimizer.peak_rate"),
        ("optimiser.clip=1", "there is no optimiser; the nearest is optimizer"),
        ("train.steps=many", "train.steps is 'many', not a int"),
        ("model.checkpointing=1", "model.checkpointing is 1, not a bool"),
        ("augment.snr=[1.0]", "augment.snr is [1.0], not a list of 2"),
        ("steps=3", "'steps=3' is no section.key=value"),
        ("train.save_every=77", "train.save_every must be a multiple of train.log_every"),
        ("quantize.from_step=10", "quantize.from_step must lie before train.steps"),
        ("quantize.engine_from_step=10", "quantize.engine_from_step must lie before train.steps"),
        ("distill.lattice=-1", "distill: no weight is below 0"),
        ("distill.cache=true", "distill.cache is for the lattice alone, and augment.speed=[1.0]"),
        ("train.strategy=none", "train.strategy is one of ddp, fsdp"),
    ],
)
def test_what_is_wrong_is_named(file: str, override: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_config([file, override])
    assert str(error.value) == told


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["distill.lattice=0"], "distill.teacher says nothing: lattice, ctc, encoder and layers are off"),
        (["train.strategy=fsdp"], "distill.teacher is for replicas: train.strategy=ddp"),
        (
            ["train.graphs=true", 'distill.layers=["a = b"]'],
            "distill.layers looks into the encoder: without train.graphs and model.checkpointing",
        ),
    ],
)
def test_what_a_teacher_can_not_do_is_said(file: str, overrides: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_config([file, "distill.teacher=t", "distill.weights=w", *overrides])
    assert str(error.value) == told


def test_a_teacher_without_weights_is_refused(file: str) -> None:
    with pytest.raises(ConfigError, match=r"^distill.teacher knows nothing without distill.weights$"):
        read_config([file, "distill.teacher=t"])


def test_a_value_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "conf.toml"
    path.write_text(LEAST.replace('tokens = "p"\n', ""))
    with pytest.raises(ConfigError, match=r"^data\.tokens is missing$"):
        read_config([str(path)])


def test_what_changed_since_a_checkpoint_is_told(file: str) -> None:
    before, now = read_config([file]), read_config([file, "batch.seconds=60", "train.steps=20"])
    assert changes(asdict(before), before) == []
    assert changes(asdict(before), now) == ["train.steps: 10 before, 20 now", "batch.seconds: 900.0 before, 60.0 now"]


@pytest.mark.parametrize("path", sorted((ROOT / "examples/speech/conf").glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_configurations_are_read(path: Path) -> None:
    config = read_config([str(path), "train.seed=5"])
    assert config.train.seed == 5
    assert config.quantize.from_step > 0
