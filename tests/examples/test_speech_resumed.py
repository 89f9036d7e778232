"""examples/speech goes on behind a kill, in one process or several, to the log of a run that nothing stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from speech.checkpoints import found
from speech.train import Trainer, main
from tests.conftest import ROOT
from tests.examples.conftest import LOG, curve

KILLED_WHILE_SAVING = """
import os, signal, sys
import torch
from speech.train import main
saved = torch.save
def save(content, file):
    if content["step"] == 3:
        file.write(b"half of a checkpoint")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    saved(content, file)
torch.save = save
main(sys.argv[1:])
"""
KILLED_RANK = """
import os, signal, sys
from speech import train
advance = train.Trainer._advance
def killed(self, step, cuts):
    if self.here.rank == 1 and step.number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return advance(self, step, cuts)
train.Trainer._advance = killed
sys.exit(train.main(sys.argv[1:]))
"""


def environment() -> dict[str, str]:
    """A child's, which has as many threads as this process."""
    path = os.pathsep.join([str(ROOT / "examples"), str(ROOT)])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(torch.get_num_threads())}


def child(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, env=environment(), check=False)


def test_a_run_killed_while_it_saves_goes_on_to_the_same_losses(place: Path) -> None:
    run = place / "killed"
    arguments = (str(place / "conf.toml"), f"train.run={run}")
    assert child("-c", KILLED_WHILE_SAVING, *arguments).returncode == -signal.SIGKILL
    assert [path.name for path in found(run)] == ["step-00000001.pt", "step-00000002.pt"]
    assert main(list(arguments)) == 0
    assert curve(run) == curve(place / "whole")
    one, other = (torch.load(found(each)[-1], weights_only=True) for each in (run, place / "whole"))
    assert all(torch.equal(value, other["model"][name]) for name, value in one["model"].items())


@pytest.mark.parametrize("step", [2, 4])
def test_a_run_killed_between_a_checkpoint_and_its_score_scores_when_it_goes_on(
    place: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, score, scored = place / f"unscored-{step}", Trainer.score, []
    arguments = [str(place / "conf.toml"), f"train.run={run}"]

    def killed_once(trainer: Trainer) -> None:
        scored.append((trainer.step, trainer.quantized))
        if scored.count(scored[-1]) == 1 and trainer.step == step:
            raise KeyboardInterrupt
        score(trainer)

    monkeypatch.setattr(Trainer, "score", killed_once)
    with pytest.raises(KeyboardInterrupt):
        main(arguments)
    assert curve(run)[-1]["step"] == step
    assert main(arguments) == 0
    assert scored == [(2, False)] * (1 + (step == 2)) + [(4, True)] * (1 + (step == 4))
    assert curve(run) == curve(place / "whole")


@pytest.mark.slow
def test_a_run_out_of_time_stops_with_a_checkpoint_and_goes_on(place: Path) -> None:
    arguments = [str(place / "conf.toml"), f"train.run={place / 'late'}"]
    assert main([*arguments, "train.minutes=1e-9"]) == 0
    assert [path.name for path in found(place / "late")] == ["step-00000001.pt"]
    assert main(arguments) == 0
    losses = [[line for line in curve(place / name) if "loss" in line] for name in ("late", "whole")]
    assert losses[0] == losses[1]


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_learn_what_one_with_accumulation_does(place: Path, strategy: str) -> None:
    run = place / strategy
    command = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "speech.train", str(place / "conf.toml"))
    result = child(*command, f"train.run={run}", f"train.strategy={strategy}")
    assert result.returncode == 0, result.stderr
    for line, expected in zip(curve(run), curve(place / "whole"), strict=True):
        assert line == pytest.approx(expected, rel=1e-5)
    one, other = (torch.load(found(each)[-1], weights_only=True) for each in (run, place / "whole"))
    for part in ("model", "average"):
        for name, value in one[part].items():
            # Adam divides by the root of small gradients, whose rounding shows in single weights.
            assert (value - other[part][name]).norm() <= 1e-3 * other[part][name].norm()


@pytest.mark.slow
@pytest.mark.parametrize("lines", [1, 2, 3, 5])
def test_a_kill_at_any_moment_changes_nothing(place: Path, lines: int) -> None:
    """The moments are those at which the log has so many lines, whatever the machine takes for them."""
    run = place / f"killed-{lines}"
    arguments = (str(place / "conf.toml"), f"train.run={run}")
    process = subprocess.Popen([sys.executable, "-m", "speech.train", *arguments], env=environment())
    while not (run / LOG).exists() or (run / LOG).read_text().count("\n") < lines:
        assert process.poll() is None
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert main(list(arguments)) == 0
    assert curve(run) == curve(place / "whole")


@pytest.mark.slow
def test_one_of_two_processes_killed_ends_both_and_the_run_goes_on(place: Path) -> None:
    run, script = place / "one-of-two", place / "killed_rank.py"
    script.write_text(KILLED_RANK)
    arguments = (str(place / "conf.toml"), f"train.run={run}")
    assert child("-m", "torch.distributed.run", "--nproc-per-node", "2", str(script), *arguments).returncode
    assert [path.name for path in found(run)] == ["step-00000001.pt", "step-00000002.pt"]
    assert main(list(arguments)) == 0
    for line, expected in zip(curve(run), curve(place / "whole"), strict=True):
        assert line == pytest.approx(expected, rel=1e-5)
