"""The module of a spec whose components share a pruned width: it binds a whole checkpoint and a cut one, with heads
that only train, has the loss of the whole module with zeros, and trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from mctc.compress.opened import learner_of
from mctc.compress.sorting import kept_tensors
from mctc.driver import BuildOptions, build
from mctc.ir.op import Array
from mctc.ir.program import Program
from mctc.language import elaborate_file
from mctc.rewrite.axis_groups import Groups
from mctc.rewrite.removed_groups import removed
from mctc.runtime.built import open_built
from mctc.targets.torch.learner import bound_values
from mctc.weights import Weights

from .made import Made, make

SPEC = """
model NAME(width = 16) {
    dim B: batch
    dim T: time @ 100 Hz
    dim U: label
    dim V: vocabulary = 9
    component encoder(mel: f32[B, T, 8]) -> f32[B, T/2, width] {
        x = conv1d(mel, width, 3, stride = 2, look_ahead = 1) as front
        repeat 2 { x = x + gelu(linear(x, width) as up) }
        return x
    }
    component predictor(token: i32[B, U] < V) -> f32[B, U, 12] { return lstm(embedding(token, V, 6), 12) as cell }
    component joiner(e: f32[B, T/2, width], p: f32[B, U, 12]) -> f32[B, T/2, U, V] {
        return linear(tanh(linear(e, 8) as frames + linear(p, 8) as labels), V) as out
    }
    train {
        objective = rnnt(blank = 0)
        auxiliary = [ctc(of = encoder, weight = 0.3), ctc(of = "encoder.layers.0.up", weight = 0.2)]
    }
    stream { chunk = 40 ms }
    PRUNE
}
"""
RULES = "prune { encoder.front.channels: 0.25; predictor.cell.cells: 0.5 }"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Program, Made, Made]:
    """The spec with its `prune` section, the whole model, the pruned one."""
    folder = tmp_path_factory.mktemp("pruned")
    programs = []
    for name, rules in (("whole", ""), ("pruned", RULES)):
        (folder / name).mkdir()
        (folder / f"{name}.mct").write_text(SPEC.replace("NAME", name).replace("PRUNE", rules))
        programs.append(elaborate_file(folder / f"{name}.mct"))
    return programs[1], make(programs[0], folder / "whole"), make(programs[1], folder / "pruned")


def drawn(program: Program, model: Any) -> dict[str, Array]:
    """A checkpoint of noise, with the heads that a module has in training."""
    noise = np.random.default_rng(0)
    shapes = {name: type_.shape for name, (type_, _) in program.sources.items()}
    shapes |= {name: tuple(each.shape) for name, each in model.state_dict().items() if name.startswith("auxiliary")}
    return {name: noise.normal(0, 0.3, shape).astype(np.float32) for name, shape in shapes.items()}


def kept(program: Program, tensors: dict[str, Array]) -> dict[str, Array]:
    groups = Groups(program)
    return dict(kept_tensors(program, groups, removed(program, groups), tensors))


def loss(made: Made, tensors: dict[str, Array], path: Path) -> float:
    """Of a module with the weights of a checkpoint."""
    save_file({name: np.ascontiguousarray(each) for name, each in tensors.items()}, path)
    values = dict(bound_values(made.whole, Weights.load(made.whole, path), made.model))
    made.model.load_state_dict(values)
    with torch.no_grad():
        return float(made.model.eval()(*batch()))


def batch() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    mel, targets = torch.randn(3, 24, 8, generator=generator), torch.randint(1, 9, (3, 4), generator=generator)
    return mel, torch.tensor([24, 20, 14]), targets, torch.tensor([4, 2, 3])


def test_a_whole_checkpoint_and_a_cut_one_give_the_loss_of_the_masked_module(
    both: tuple[Program, Made, Made], tmp_path: Path
) -> None:
    program, whole, small = both
    tensors = drawn(program, whole.model)
    cut = kept(program, tensors)
    assert cut["auxiliary_ctc_1.weight"].shape[1] == 12
    places = {name: np.arange(each.size).reshape(each.shape) for name, each in tensors.items()}
    masked = {}
    for name, left in kept(program, places).items():
        mask = np.zeros(tensors[name].size, np.float32)
        mask[left.reshape(-1)] = 1
        masked[name] = tensors[name] * mask.reshape(tensors[name].shape)
    wanted = loss(whole, masked, tmp_path / "masked")
    assert loss(small, cut, tmp_path / "cut") == pytest.approx(wanted, rel=1e-5)
    assert loss(small, tensors, tmp_path / "whole") == pytest.approx(wanted, rel=1e-5)
    assert loss(whole, tensors, tmp_path / "whole") != pytest.approx(wanted, rel=1e-3)


def test_the_pruned_module_trains(both: tuple[Program, Made, Made], tmp_path: Path) -> None:
    program, whole, small = both
    before = loss(small, drawn(program, whole.model), tmp_path / "whole")
    optimizer = torch.optim.Adam(small.model.parameters(), lr=1e-2)
    for _ in range(5):
        optimizer.zero_grad()
        value = small.model.train()(*batch())
        value.backward()
        assert all(each.grad is not None and each.grad.isfinite().all() for each in small.model.parameters())
        optimizer.step()
    assert value.item() < before


def test_weights_that_lie_in_a_whole_checkpoints_file_are_those_that_are_left(
    both: tuple[Program, Made, Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mctc.targets.torch.mapped.SMALL", 0)
    monkeypatch.setattr("mctc.targets.torch.mapped.MappedParameters.give_back", lambda self, parameter: None)  # no page
    program, whole, _ = both
    tensors = drawn(program, whole.model)
    (tmp_path / "m.mct").write_text(SPEC.replace("NAME", "m").replace("PRUNE", RULES))
    built = open_built(build(tmp_path / "m.mct", tmp_path / "built", BuildOptions(target="torch")).folder)
    mel, labels = batch()[0][0].numpy(), np.array([3, 5])
    losses = []
    for name, each in (("whole", tensors), ("cut", kept(program, tensors))):
        save_file({key: np.ascontiguousarray(value) for key, value in each.items()}, tmp_path / name)
        losses.append(learner_of(built, tmp_path / name).loss(mel, labels))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
