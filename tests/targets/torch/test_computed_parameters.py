"""Parameters that are computed from tensors of the checkpoint: tied, split, joined, shared between components."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from .made import Made, error, listed, make_spec, tensors


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_spec(Path(__file__).with_name("probe.mct"), tmp_path_factory.mktemp("probe"))


def arguments(made: Made, name: str) -> dict[str, torch.Tensor]:
    """What the model gives a component of its own parameters."""
    return {"shared": made.model.stored("shared")} if name in ("wide", "narrow") else {}


@pytest.mark.parametrize("name", ["wide", "narrow", "joined", "output"])
def test_they_compute_what_the_program_says(probe: Made, name: str) -> None:
    inputs = probe.inputs(name, B=2, T=8, U=3)
    (expected,) = probe.reference(name, inputs)
    with torch.no_grad():
        (actual,) = listed(getattr(probe.model, name)(*tensors(inputs), **arguments(probe, name)))
    assert error(actual, expected) <= 1e-5


def test_the_state_dict_holds_each_tensor_once(probe: Made) -> None:
    assert set(probe.model.state_dict()) == set(probe.whole.sources)


@pytest.mark.parametrize("name", ["wide", "narrow", "joined", "output"])
def test_quantised_they_are_what_the_package_stores(probe: Made, name: str) -> None:
    program = probe.whole
    inputs = probe.inputs(name, B=1, T=8, U=3)
    stored = {
        n: probe.weights.deployed(p) if p.quantization is not None else probe.weights.exact(p)
        for n, p in program.parameters.items()
    }
    assert sum(p.quantization is not None for p in program.parameters.values()) == 8
    from mctc.evaluate.reference import evaluate

    expected, _ = evaluate(program.functions[name], inputs, stored.__getitem__)
    quantize = probe.import_module("fake_quantize").set_quantization
    quantize(probe.model, "on")
    try:
        with torch.no_grad():
            (actual,) = listed(getattr(probe.model, name)(*tensors(inputs), **arguments(probe, name)))
            plain = np.array(probe.reference(name, inputs)[0])
    finally:
        quantize(probe.model, "off")
    assert error(actual, expected["output"]) <= 1e-5
    assert error(actual, plain) > 1e-3
