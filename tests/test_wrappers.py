"""Checkpoints of a wrapped model: names that are the program's but for what a wrapper added."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mctc.checkpoint import WeightsError
from mctc.ir.text import parse_program
from mctc.weights import Weights
from mctc.wrappers import unwrapped

NAMES = {"encoder.layers.0.norm.weight", "encoder.layers.1.norm.weight", "tokens"}
PROGRAM = """program @p {
    source @encoder.norm.weight: f32[2] = normal(std = 1)
    source @encoder.norm.bias: f32[2] = normal(std = 1)
    param @encoder.norm.weight
    param @encoder.norm.bias
}"""


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "state_dict.model.", "a.b."]
)
def test_a_common_prefix_is_left_out_and_said(prefix: str) -> None:
    found = unwrapped(NAMES, {prefix + name for name in NAMES})
    assert found.names == {name: prefix + name for name in NAMES}
    assert found.left_out
    assert all(part in prefix for part in found.left_out)


def test_wrappers_inside_of_a_name_are_left_out() -> None:
    inside = {
        name.replace("layers.", "_orig_mod.layers.").replace("norm", "_checkpoint_wrapped_module.norm")
        for name in NAMES
    }
    found = unwrapped(NAMES, inside)
    assert found.names.keys() == NAMES
    assert found.left_out == ("_checkpoint_wrapped_module.", "_orig_mod.")


def test_what_stands_beside_the_model_keeps_its_name() -> None:
    found = unwrapped(NAMES, {"ema.decay", *(f"model.{name}" for name in NAMES)})
    assert found.names["ema.decay"] == "ema.decay"
    assert found.names.keys() == {*NAMES, "ema.decay"}


def test_names_that_fit_stay_as_they_are() -> None:
    names = {f"module.{name}" for name in NAMES}
    assert unwrapped(names, names).left_out == ()


@pytest.mark.parametrize("found", [{"other.a", "other.b"}, set(), {"encoder.layers.0.norm.weight", "tokens"}])
def test_names_that_fit_nowhere_stay_as_they_are(found: set[str]) -> None:
    assert unwrapped(NAMES, found).names == {name: name for name in found}


def test_a_missing_name_behind_a_prefix_is_named_as_the_spec_has_it() -> None:
    found = unwrapped(NAMES, {f"module.{name}" for name in NAMES - {"tokens"}})
    assert found.names.keys() == NAMES - {"tokens"}


def test_a_file_with_two_models_is_refused() -> None:
    twice = {f"{which}.{name}" for which in ("model", "ema") for name in NAMES}
    with pytest.raises(WeightsError, match=r"w holds the model more than once, behind `ema\.` and `model\.`"):
        unwrapped(NAMES, twice, "w")


def test_a_wrapped_checkpoint_binds(tmp_path: Path) -> None:
    program = parse_program(PROGRAM)
    path = tmp_path / "w.safetensors"
    save_file({f"module.{name}": np.full(2, 3, np.float32) for name in program.sources}, path)
    weights = Weights.load(program, path)
    assert weights.left_out == ("module.",)
    np.testing.assert_array_equal(weights.value(program.parameters["encoder.norm.bias"]), [3, 3])


@pytest.mark.parametrize("name", ["model.pt", "last.ckpt", "pytorch_model.bin", "weights.safetensors"])
def test_a_file_of_torch_save_is_named_as_one_with_the_way_out(name: str, tmp_path: Path) -> None:
    zipped = b"PK\x03\x04\x00\x00\x08\x08" + bytes(100)
    (tmp_path / name).write_bytes(zipped)
    with pytest.raises(WeightsError, match=f"{name} is a pickle") as caught:
        Weights.load(parse_program(PROGRAM), tmp_path / name)
    assert "save_file" in str(caught.value.hint)
