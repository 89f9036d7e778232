"""Dropout, stochastic depth and layer drop in an emitted module: under `train`, and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mctc.language import elaborate_file
from mctc.targets.torch.runtime.dropping import dropout, layer_drop

from .made import Made, make, state_dict

SPEC = """
import "lib/mamba.mct"
model dropped(rate = 0.5) {
    dim B: batch
    dim T: time @ 100 Hz
    dim V: vocabulary = 12
    component encoder(mel: f32[B, T, 8]) -> f32[B, T, V] {
        x = dropout(linear(mel, 16, bias = false) as proj, rate, "time")
        repeat i < 3 {
            y = x + dropout(mamba(layer_norm(x) as norm, state = 4) as mixer, rate, "utterance")
            x = layer_drop(dropout(y, rate, "channel"), x, rate / 2)
        }
        return linear(dropout(x, rate), V) as head
    }
    train { objective = ctc(blank = 0) }
    stream { chunk = 40 ms }
}
"""


def made_at(folder: Path, rate: float) -> Made:
    folder.mkdir()
    spec = folder / "dropped.mct"
    spec.write_text(SPEC)
    return make(elaborate_file(spec, defines={"rate": rate}), folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dropped")


@pytest.fixture(scope="module")
def dropped(folder: Path) -> Made:
    return made_at(folder / "half", 0.5)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(4, 8, 1, 12, generator=torch.Generator().manual_seed(0))


def seeded(call: Any, *arguments: Any, **more: Any) -> torch.Tensor:
    torch.manual_seed(7)
    result: torch.Tensor = call(*arguments, **more)
    return result


def test_a_module_in_evaluation_is_that_of_the_spec_without_them(dropped: Made, folder: Path, x: torch.Tensor) -> None:
    plain = made_at(folder / "none", 0)
    plain.model.load_state_dict(dropped.model.state_dict())
    lengths = torch.tensor([12, 5, 9, 1])
    assert torch.equal(dropped.model.eval().encoder(x, lengths), plain.model.encoder(x, lengths))
    expected = dropped.reference("encoder", {"mel": x.double().numpy()})
    np.testing.assert_allclose(dropped.model.encoder(x).detach().numpy(), expected[0], rtol=1e-4, atol=1e-4)


def test_a_step_drops_nothing_in_training_either(dropped: Made, x: torch.Tensor) -> None:
    encoder = dropped.model.encoder
    stepped = []
    for module in (encoder.eval(), encoder.train()):
        result, _ = module.step(x[..., :4], module.initial_state(4))
        stepped.append(result)
    encoder.eval()
    assert torch.equal(*stepped)
    assert torch.allclose(stepped[0], encoder(x[..., :4]), atol=1e-5)


def test_training_draws_anew_in_every_call(dropped: Made, x: torch.Tensor) -> None:
    encoder = dropped.model.encoder.train()
    first, second, again = seeded(encoder, x), encoder(x), seeded(encoder, x)
    encoder.eval()
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_recomputed_layers_draw_what_they_drew(dropped: Made, x: torch.Tensor) -> None:
    model, found = dropped.model.train(), []
    for on in (False, True):
        model.set_gradient_checkpointing(on)
        model.zero_grad(set_to_none=True)
        seeded(model.encoder, x)[:, :12].square().sum().backward()
        found.append([parameter.grad.clone() for parameter in model.encoder.parameters()])
    model.set_gradient_checkpointing(False)
    model.eval()
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_a_loss_in_training_has_gradients_for_every_parameter(dropped: Made, x: torch.Tensor) -> None:
    model = dropped.model.train()
    model.zero_grad(set_to_none=True)
    batch = x[:, :, 0].transpose(1, 2), torch.tensor([12, 5, 9, 8]), torch.ones(4, 2).long(), torch.tensor([2, 1, 2, 1])
    seeded(model, *batch).backward()
    model.eval()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_deployed_program_has_none_of_them(dropped: Made) -> None:
    compiled = dropped.compiled
    for program in (compiled.whole, compiled.derived, compiled.reference, compiled.lowered, compiled.deployed):
        assert not {"dropout", "layer_drop"} & {op.name for _, op in program.ops()}
    assert {"dropout", "layer_drop"} <= {op.name for _, op in compiled.training.ops()}
    assert state_dict(compiled.whole, dropped.weights, dropped.model).keys() == dropped.model.state_dict().keys()


def test_two_draws_are_never_one(tmp_path: Path) -> None:
    text = (
        SPEC[: SPEC.index("        x = dropout")]
        + "        return linear(dropout(mel, rate) - dropout(mel, rate), V)\n    }\n"
    )
    (tmp_path / "twice.mct").write_text(text + "    stream { chunk = 40 ms }\n}\n")
    made = make(elaborate_file(tmp_path / "twice.mct"), tmp_path)
    x = torch.ones(2, 8, 1, 4)
    first, second = made.model.train().encoder(x), made.model.eval().encoder(x)
    assert not torch.allclose(first, second)


GROWING = """
model grows(depth = 3, from_zero = 1) {
    dim B: batch
    dim T: time @ 100 Hz
    component encoder(x: f32[B, T, 8]) -> f32[B, T, 8] {
        repeat i < depth {
            y = x + dropout(inner(x, 0.3 * (i + from_zero) / depth) as inner, 0.1)
            x = layer_drop(y, x, 0.6 * (i + 1) / depth)
        }
        return x
    }
    stream { chunk = 40 ms }
}
block inner(x: f32[..., C], rate) -> f32[..., C] { return dropout(linear(x, C) as mix, rate, "utterance") }
"""


@pytest.mark.parametrize("from_zero", [1, 0])
def test_rounds_whose_rates_grow_with_depth_share_a_class(tmp_path: Path, from_zero: int) -> None:
    (tmp_path / "grows.mct").write_text(GROWING)
    made = make(elaborate_file(tmp_path / "grows.mct", defines={"from_zero": from_zero}), tmp_path)
    layers = made.model.encoder.layers
    assert [layer.drop_rate_1 for layer in layers] == pytest.approx([0.2, 0.4, 0.6])
    if from_zero:
        assert [layer.inner.drop_rate for layer in layers] == pytest.approx([0.1, 0.2, 0.3])
        assert len({type(layer) for layer in layers}) == 1
        assert (made.folder / "grows.py").read_text().count("for layer in self.layers:") == 2
    x = torch.randn(2, 8, 1, 4, generator=torch.Generator().manual_seed(0))
    np.testing.assert_allclose(
        made.model.encoder(x).detach().numpy(), made.reference("encoder", {"x": x.numpy()})[0], atol=1e-5
    )
    assert not torch.equal(seeded(made.model.train().encoder, x), made.model.eval().encoder(x))


SHAPE = (64, 32, 1, 50)


@pytest.mark.parametrize("shared", [(), (2, 3), (1, 2), (1, 2, 3)], ids=["element", "channel", "time", "utterance"])
def test_so_many_fall_together_and_the_mean_stays(shared: tuple[int, ...]) -> None:
    x = 1 + torch.rand(SHAPE, generator=torch.Generator().manual_seed(1))
    y = seeded(dropout, x, 0.25, True, shared=shared)
    kept = y != 0
    torch.testing.assert_close(y[kept], x[kept] / 0.75)
    others = [axis for axis in range(4) if axis not in shared]
    drawn = kept.movedim(others, list(range(len(others)))).flatten(len(others)) if shared else kept[..., None]
    assert (drawn == drawn[..., :1]).all()  # all of one draw, and draws differ
    draws = drawn[..., 0].double()
    assert draws.mean() == pytest.approx(0.75, abs=4 * (0.25 * 0.75 / draws.numel()) ** 0.5)
    for axis in range(draws.ndim):
        assert draws.shape[axis] == 1 or draws.std(axis).max() > 0


def test_zeros_stay_zeros_and_evaluation_is_the_same_tensor() -> None:
    x = torch.randn(SHAPE)
    x[..., 30:] = 0
    for shared in ((), (2, 3), (1, 2), (1, 2, 3)):
        assert not dropout(x, 0.3, True, shared=shared)[..., 30:].any()
        assert dropout(x, 0.3, False, shared=shared) is x
    assert layer_drop(x, -x, 0.3, False) is x


def test_a_layer_is_dropped_for_the_whole_batch_as_often_as_said() -> None:
    torch.manual_seed(3)
    before, after = torch.zeros(3, 2, 1, 4), torch.ones(3, 2, 1, 4)
    drawn = torch.stack([layer_drop(after, before, 0.2, True) for _ in range(2000)]).flatten(1)
    assert (drawn == drawn[:, :1]).all()
    assert drawn.mean().item() == pytest.approx(0.8, abs=0.036)  # four standard deviations
