"""From the trained module to the package: a checkpoint goes in as it is, the package computes what the module does."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mctc.driver import BuildOptions, build
from mctc.runtime.built import open_built
from mctc.runtime.step import Packages
from mctc.weights import Weights

from .made import Made

SIZES = {"depth": 2, "width": 64, "vocab": 100}


@pytest.fixture(scope="module")
def trained(small: Made) -> Any:
    """A module whose weights no seed would give: a few steps of training away from their start."""
    torch.manual_seed(5)
    model = copy.deepcopy(small.model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * parameter.std() * torch.randn_like(parameter) if parameter.numel() > 1 else 0
        model.joiner.out.weight[101:] = 0
        model.joiner.out.bias[101:] = -10000
    return model.eval()


@pytest.fixture(scope="module")
def built(trained: Any, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    checkpoint = folder / "trained.safetensors"
    save_file({name: value.contiguous() for name, value in trained.state_dict().items()}, checkpoint)
    options = BuildOptions(weights=checkpoint, defines=SIZES)
    return build(root / "spec" / "mct_small.mct", folder / "out", options).folder


def packages(built: Path, precision: Any) -> Packages:
    return Packages(open_built(built), precision)


def quantised(model: Any, made: Made) -> Any:
    """The module computing with its weights as the package holds them: compressed, or rounded to fp16."""
    model = copy.deepcopy(model)
    made.import_module("fake_quantize").set_quantization(model, "on")
    compressed = {name for name, p in made.whole.parameters.items() if p.quantization is not None}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("A_log"):  # the package holds -exp(A_log)
                parameter.copy_(parameter.exp().half().float().log())
            elif name not in compressed:
                parameter.copy_(parameter.half().float())
    return model


def streamed(model: Any, mel: torch.Tensor) -> np.ndarray:
    state, parts = model.encoder.initial_state(1), []
    with torch.no_grad():
        for chunk in mel.split(32, dim=3):
            part, state = model.encoder.step(chunk, state)
            parts.append(part)
    return torch.cat(parts, dim=3).numpy()


def evaluated(built: Path, mel: torch.Tensor, precision: Any) -> np.ndarray:
    step = packages(built, precision).step("encoder")
    parts = [step({"mel": chunk.numpy()})["output"] for chunk in mel.split(32, dim=3)]
    return np.concatenate(parts, axis=3).astype(np.float64)


def test_the_package_in_fp32_is_the_module_with_the_weights_it_stores(trained: Any, built: Path, small: Made) -> None:
    mel = torch.randn(1, 80, 1, 96, generator=torch.Generator().manual_seed(2))
    expected = streamed(quantised(trained, small), mel)
    actual = evaluated(built, mel, "fp32")
    assert np.abs(actual - expected).max() <= 1e-4 * np.abs(expected).max()


def test_the_package_in_fp16_is_the_module_to_40_db(trained: Any, built: Path, small: Made) -> None:
    mel = torch.randn(1, 80, 1, 96, generator=torch.Generator().manual_seed(2))
    expected = streamed(quantised(trained, small), mel).astype(np.float64)
    actual = evaluated(built, mel, "fp16")
    noise = np.square(actual - expected).sum() / np.square(expected).sum()
    assert -10 * np.log10(noise) >= 40


def stored(model: Any, name: str) -> torch.Tensor:
    """A weight as the module computes with it."""
    owner, _, attribute = name.rpartition(".")
    value: torch.Tensor = model.get_submodule(owner).stored(attribute)
    return value


def test_the_package_holds_the_fake_quantised_weights_bit_for_bit(trained: Any, built: Path, small: Made) -> None:
    """By name, as a build stores parameters; the next test reads the file."""
    model = copy.deepcopy(trained)
    small.import_module("fake_quantize").set_quantization(model, "on")
    compressed = {name: p for name, p in small.whole.parameters.items() if p.quantization is not None}
    assert len(compressed) >= 12
    weights = Weights.load(small.whole, built.parent / "trained.safetensors")
    for name, parameter in compressed.items():
        ours = stored(model, name).detach().numpy()
        theirs = weights.stored(parameter).dequantize()
        assert np.array_equal(ours.astype(np.float16).view(np.uint16), theirs.view(np.uint16)), name
        assert np.array_equal(ours, theirs.astype(np.float32)), name


def test_the_constants_in_the_file_are_the_fake_quantised_weights(trained: Any, built: Path, small: Made) -> None:
    """Every compressed constant of the package, decompressed, is found among the module's weights, all of its rows."""
    from mctc.package import read_package

    model = copy.deepcopy(trained)
    small.import_module("fake_quantize").set_quantization(model, "on")
    names = [name for name, p in small.whole.parameters.items() if p.quantization is not None]
    rows = {
        row.tobytes()
        for name in names
        for matrix in sides(stored(model, name).detach().numpy().astype(np.float16))
        for row in matrix
    }
    package = read_package(next(built.glob("*.mlpackage")))
    found = 0
    for function in package.functions.values():
        for values in decompressed(function):
            found += 1
            matrix = values.reshape(values.shape[0], -1)
            assert all(row.tobytes() in rows for row in matrix), values.shape
    assert found >= len(names)


def sides(weight: np.ndarray) -> list[np.ndarray]:
    """A weight as rows of its output channels, and as rows of its columns (an embedding table is stored transposed)."""
    matrix = weight.reshape(weight.shape[0], -1)
    return [matrix, np.ascontiguousarray(matrix.T)]


def decompressed(function: Any) -> list[np.ndarray]:
    """The compressed constants of a function of the package: codes times scales, rounded once."""
    found = []
    for operation in function.operations:
        if operation.type == "constexpr_blockwise_shift_scale":
            codes, scale = (operation.inputs[name][0].value() for name in ("data", "scale"))
            found.append((codes.astype(np.float32) * scale.astype(np.float32)).astype(np.float16))
    return found
