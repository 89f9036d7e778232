"""The engine's tables and rounding as fake operations of an emitted module."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mctc.driver import BuildOptions, build
from mctc.evaluate.coreml import Evaluator
from mctc.evaluate.engine.activations import HALVES, activate
from mctc.evaluate.engine.fitted import fitted_table
from mctc.evaluate.engine.number import half_away
from mctc.passes.activation_forms import best
from mctc.runtime.built import open_built
from mctc.targets.torch.engine import TorchEngine
from mctc.targets.torch.runtime import engine_arithmetic as fake
from mctc.targets.torch.runtime.convolution_op import pointwise
from mctc.targets.torch.runtime.engine_arithmetic import EngineArithmetic, set_engine_arithmetic
from mctc.targets.torch.runtime.recompute import recomputed

FINITE = HALVES[np.isfinite(HALVES)].astype(np.float32)
SPEC = """\
import "lib/mamba.mct"

model quick(width = 32, depth = 2) {
    dim B: batch
    dim T: time @ 100 Hz
    component encoder(mel: f32[B, T, 16]) -> f32[B, T, width] {
        x = linear(mel, width) as front
        repeat depth { x = x + mamba(layer_norm(x), state = 4) }
        return layer_norm(x) as norm
    }
    stream { chunk = 80 ms }
}
"""


def test_numbers_are_rounded_as_the_evaluator_rounds_them() -> None:
    draw = np.random.default_rng(0)
    wide = draw.standard_normal(20_000) * 10 ** draw.uniform(-9, 5, 20_000)
    x = np.array([*wide, 0, 65519.9, 65520, -7e4, 2049, -2049, 1 + 2**-11, 2**-25], np.float32)
    np.testing.assert_array_equal(fake.half_away(torch.from_numpy(x)).numpy(), half_away(x))


@pytest.mark.parametrize(("name", "off"), [("sigmoid", 0.0), ("tanh", 0.0), ("silu", 1e-6), ("gelu", 1e-6)])
def test_tables_are_those_of_the_evaluator(name: str, off: float) -> None:
    """Near 0 values of silu's and gelu's tables have more places than fp32 keeps of a sum: a last place there."""
    wanted, found = activate(name, FINITE), fake.OWN[name](torch.from_numpy(FINITE)).numpy()
    assert np.abs(wanted - found).max() <= off


@pytest.mark.parametrize("name", ["silu", "sigmoid", "gelu"])
def test_forms_are_those_that_a_build_chooses(name: str) -> None:
    form = best(name)
    np.testing.assert_array_equal(fake.FORMS[name](torch.from_numpy(FINITE)).numpy(), form.computed(FINITE))


def test_values_that_are_written_down_are_the_fitted_ones() -> None:
    for name, values in (("silu", fake.SILU), ("gelu", fake.GELU)):
        np.testing.assert_array_equal(values, fitted_table(name, "mid").values)


def test_gradients_are_those_of_the_exact_function() -> None:
    x = torch.linspace(-3, 3, 64, requires_grad=True)
    weight = torch.eye(64).requires_grad_()
    for function in (F.silu, torch.tanh, torch.sigmoid, F.gelu, lambda x: F.linear(x, weight), lambda x: x * x + x):
        (wanted,) = torch.autograd.grad(function(x).sum(), x)
        with EngineArithmetic():
            (found,) = torch.autograd.grad(function(x).sum(), x)
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)


def test_it_is_switched_component_by_component() -> None:
    model = nn.Module()
    model.encoder = nn.Sequential(nn.Linear(8, 8), nn.SiLU())
    x = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
    plain = model.encoder(x)
    set_engine_arithmetic(model, "on")
    set_engine_arithmetic(model, "on")  # once is enough
    faked = model.encoder(x)
    assert not torch.equal(faked, plain)
    assert torch.equal(faked, fake.half_away(faked))
    assert torch.equal(F.silu(x), F.silu(x.clone()))  # outside nothing changes
    with pytest.raises(RuntimeError):
        model.encoder(torch.randn(4, 9))
    assert torch.equal(model.encoder(x), faked)
    set_engine_arithmetic(model, "off")
    assert torch.equal(model.encoder(x), plain)
    with pytest.raises(ValueError, match="there is no mode 'maybe'"):
        set_engine_arithmetic(model, "maybe")


def test_it_is_switched_for_some_components() -> None:
    model = nn.Module()
    model.encoder, model.joiner = (nn.Sequential(nn.Linear(8, 8), nn.SiLU()) for _ in range(2))
    x = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))
    plain = [each(x) for each in (model.encoder, model.joiner)]
    set_engine_arithmetic(model, "on")
    set_engine_arithmetic(model, "on", components=["joiner"])  # and the others off
    assert torch.equal(model.encoder(x), plain[0])
    assert not torch.equal(model.joiner(x), plain[1])
    with pytest.raises(ValueError, match="there is no component front; there are encoder, joiner"):
        set_engine_arithmetic(model, "on", components=["front"])


def test_layers_that_are_computed_again_compute_what_they_did() -> None:
    """Gradient checkpointing calls a layer alone, in the backward pass."""
    layer = nn.Sequential(nn.Linear(8, 8), nn.SiLU(), nn.Linear(8, 8))
    model = nn.Module()
    model.encoder = nn.Module()
    model.encoder.layers = nn.ModuleList([layer])
    seen: list[torch.Tensor] = []
    layer[1].register_forward_hook(lambda _, __, y: seen.append(y.detach()))
    model.encoder.forward = lambda x: recomputed(layer, x)
    set_engine_arithmetic(model, "on")
    model.encoder(torch.randn(4, 8, requires_grad=True, generator=torch.Generator().manual_seed(1))).sum().backward()
    first, again = seen
    assert torch.equal(first, again)
    assert torch.equal(first, fake.half_away(first))


def test_products_of_a_pointwise_convolution_on_a_gpu_are_rounded() -> None:
    x, weight = torch.randn(2, 8, 1, 5), torch.randn(4, 8, 1, 1)
    for bias in (None, torch.randn(4)):
        with EngineArithmetic():
            made = pointwise(x, weight, bias)
        assert torch.equal(made, fake.half_away(made))


@pytest.mark.parametrize("forms", [True, False], ids=["by exp", "own tables"])
def test_a_module_computes_what_its_package_computes_on_the_engine(tmp_path: Path, forms: bool) -> None:
    (tmp_path / "quick.mct").write_text(SPEC)
    options = BuildOptions(device="M6", without=() if forms else ("activation-forms",))
    built = open_built(build(tmp_path / "quick.mct", tmp_path / "quick", options).folder)
    assert (built.folder / "training" / "engine_arithmetic.py").is_file()
    mel = np.random.default_rng(2).standard_normal((1, 16, 1, 32)).astype(np.float16).astype(np.float32)
    (path,) = built.folder.glob("*.mlpackage")

    def package(arithmetic: str) -> np.ndarray:
        """All ops on the engine, where so small a function would not be placed."""
        function = Evaluator(path, arithmetic).function()
        state, (name,) = function.make_state(), (item.name for item in function.inputs)
        calls = [function({name: mel[..., at : at + 8]}, state) for at in range(0, 32, 8)]
        return np.concatenate([next(iter(results.values())) for results in calls], axis=-1).astype(np.float32)

    exact, engine = package("fp32"), package("engine:h18g")
    module = TorchEngine(built.folder / "training" / "quick.py", built.values).model.encoder
    with torch.no_grad():
        plain = module(torch.from_numpy(mel)).numpy()
        with EngineArithmetic(forms=forms):
            faked = module(torch.from_numpy(mel)).numpy()
    assert decibels(plain, exact) > 70
    assert decibels(faked, engine) > decibels(plain, engine) + (1 if forms else 6)
    assert abs(decibels(faked, exact) - decibels(engine, exact)) < 3


def decibels(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(10 * np.log10((wanted**2).sum() / ((found - wanted) ** 2).sum()))
