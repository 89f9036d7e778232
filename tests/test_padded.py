"""Tensors of a whole module in a checkpoint for a pruned spec: padded but not cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mctc.checkpoint import WeightsError
from mctc.driver.compile import program_at
from mctc.driver.load import load_program
from mctc.driver.options import BuildOptions
from mctc.initializers import initialise
from mctc.padded import is_padded, unpadded
from mctc.weights import Weights

SPEC = """model m {
    dim B: batch
    dim T: time @ 100 Hz
    dim V: vocabulary = 101
    component encoder(x: f32[B, T, 20]) -> log_probs: f32[B, T, V] {
        return log_softmax(linear(gelu(linear(x, 10) as up), V) as out)
    }
    stream { chunk = 80 ms }
    prune { encoder.up.channels: 0.5 }
}
"""


@pytest.mark.parametrize(
    ("held", "source", "used", "is_one"),
    [
        ((512, 40), (501, 40), (512, 20), True),
        ((512, 40, 1, 1), (501, 40), (512, 20, 1, 1), True),
        ((501, 40), (501, 40), (512, 20), False),
        ((501, 20), (501, 40), (512, 20), False),
        ((510, 40), (501, 40), (512, 20), False),
        ((512, 41), (501, 40), (512, 20), False),
        ((512,), (501, 40), (512, 20), False),
    ],
)
def test_a_tensor_may_be_longer_where_its_use_is(
    held: tuple[int, ...], source: tuple[int, ...], used: tuple[int, ...], is_one: bool
) -> None:
    assert is_padded(held, source, used) is is_one


def test_what_is_padded_stands_behind() -> None:
    whole = np.arange(24.0).reshape(6, 4, 1, 1)
    assert np.array_equal(unpadded(whole, (5, 4)), whole[:5, :, 0, 0])
    assert unpadded(whole, (24,)).shape == (24,)


@pytest.mark.parametrize("rows", [101, 128])
def test_a_checkpoint_of_the_whole_module_binds_to_the_pruned_spec(rows: int, tmp_path: Path) -> None:
    (tmp_path / "m.mct").write_text(SPEC)
    program = load_program(tmp_path / "m.mct")
    tensors = {name: initialise(name, type_, rule, 5) for name, (type_, rule) in program.sources.items()}
    own = tensors["encoder.out.weight"]
    tensors["encoder.out.weight"] = np.pad(own, ((0, rows - 101), (0, 0)))[..., None, None].astype(np.float32)
    save_file(tensors, tmp_path / "w.safetensors")
    after = program_at(program, after="pad-vocabulary", options=BuildOptions())
    value = Weights.load(after, tmp_path / "w.safetensors").value(after.parameters["encoder.out.weight"])
    assert np.array_equal(value[:101].reshape(101, -1), own[:, :5])
    assert value.shape[0] == 128


def test_another_length_is_misshapen(tmp_path: Path) -> None:
    (tmp_path / "m.mct").write_text(SPEC)
    program = program_at(load_program(tmp_path / "m.mct"), after="pad-vocabulary", options=BuildOptions())
    tensors = {name: initialise(name, type_, rule, 5) for name, (type_, rule) in program.sources.items()}
    tensors["encoder.out.weight"] = np.zeros((120, 10), np.float32)
    save_file(tensors, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"encoder.out.weight is \[120, 10\]"):
        Weights.load(program, tmp_path / "w.safetensors")
