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


TIED = """
model tied(width = 8, vocab = 20) {
    dim B: batch
    dim U: label
    param table: f32[vocab, width] = normal(std = 0.5)
    component embed(id: i32[B, U] < vocab) -> f32[B, U, width] { return op.embedding(id, table) }
    component head(x: f32[B, U, width]) -> f32[B, U, vocab] { return op.linear(tanh(x), table) }
    quantize { table: int8(per_channel) }
}
"""


def test_a_component_is_given_the_tensors_that_its_parameters_are_computed_from(tmp_path: Path) -> None:
    """A table of rows for one component is the kernel of a convolution in the other."""
    spec = tmp_path / "tied.mct"
    spec.write_text(TIED)
    made = make_spec(spec, tmp_path)
    assert set(made.model.state_dict()) == {"table"}
    for name in ("embed", "head"):
        inputs = made.inputs(name, B=2, U=3)
        (expected,) = made.reference(name, inputs)
        with torch.no_grad():
            actual = getattr(made.model, name)(*tensors(inputs), table=made.model.table)
        assert error(actual, expected) <= 1e-5


WRITES = """
model writes(width = 8, vocab = 255) {
    dim B: batch
    dim T: time @ 100 Hz
    dim U: label
    dim V: vocabulary = vocab + 1
    param table: f32[V, width] = normal(std = 0.5)
    component encoder(mel: f32[B, T, 80]) -> f32[B, T, width] { return linear(mel, width) }
    component decoder(token: i32[B, U] < V, memory: f32[B, T, width]) -> f32[B, U, V] {
        x = op.embedding(token, table)
        return op.linear(x + attention(x, memory, memory, heads = 1), table)
    }
    utterance { length = 1 s; labels = 8 }
    train { objective = cross_entropy(begin = 1, end = 2) }
    quantize { table: int4(per_channel) }
}
"""


def test_a_loss_hands_a_component_the_table_that_it_compresses_twice_itself(tmp_path: Path) -> None:
    spec = tmp_path / "writes.mct"
    spec.write_text(WRITES)
    made = make_spec(spec, tmp_path)
    made.import_module("fake_quantize").set_quantization(made.model, "on")
    mel, targets = torch.randn(2, 6, 80), torch.randint(3, 250, (2, 3))
    loss = made.model(mel, torch.tensor([6, 4]), targets, torch.tensor([3, 2]))
    loss.backward()
    assert made.model.table.grad.abs().sum() > 0
    assert not any("quantizer" in name for name, _ in made.model.named_children())
