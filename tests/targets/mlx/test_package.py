"""A build for MLX: its folder, its weights, its module, and what it computes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from mctc.driver.make import BuildResult, build
from mctc.driver.options import BuildOptions
from mctc.ir.text import parse_program
from mctc.quantize import Scaled
from mctc.targets.mlx.engine import module_of
from mctc.targets.mlx.errors import MlxError
from mctc.targets.mlx.target import MlxTarget, package_name
from mctc.weights import Weights

mx = pytest.importorskip("mlx.core", reason="mlx is not installed: pip install 'mctc[mlx]'")
SMALL = {"width": 64, "depth": 1, "vocab": 20}
RULES = "E,F,I,PIE,RET,UP,W"
GOLDEN = Path(__file__).with_name("golden")


@pytest.fixture(scope="module")
def built(root: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildResult:
    """mct_small with one block of 64 channels."""
    folder = tmp_path_factory.mktemp("mlx") / "small"
    return build(root / "spec/mct_small.mct", folder, BuildOptions(target="mlx", defines=SMALL))


def test_the_folder_is_what_loaders_of_mlx_models_expect(built: BuildResult) -> None:
    config = json.loads((built.folder / "config.json").read_text(encoding="utf-8"))
    assert config["model_file"] == "mct_small/model.py"
    assert config["quantization"] == config["quantization_config"]
    assert config["quantization"]["encoder.layers.0.mamba.in_proj"] == {"group_size": 64, "bits": 4, "mode": "affine"}
    card = (built.folder / "README.md").read_text(encoding="utf-8")
    assert "library_name: mlx" in card
    assert "from mct_small import load" in card
    assert max(each["error"] for each in built.manifest["verification"]) <= 1e-5


def test_the_module_reads_as_it_was_reviewed(built: BuildResult) -> None:
    text = (built.folder / "mct_small/model.py").read_text(encoding="utf-8")
    golden = GOLDEN / "mct_small.py"
    if os.environ.get("MCTC_UPDATE_GOLDEN"):
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--line-length=120", f"--select={RULES}", golden],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_codes_are_those_of_every_other_target(built: BuildResult) -> None:
    """u = c + 2^(b-1) and s u - 2^(b-1) s: unpacked from the file they are the quantiser's codes, bit for bit."""
    held = load_file(built.folder / "model.safetensors")
    program = parse_program((built.folder / "whole.mir").read_text(encoding="utf-8"))
    weights = Weights(program.sources)
    coded = [p for p in program.parameters.values() if p.quantization is not None and p.quantization.wide]
    assert {p.quantization.bits for p in coded if p.quantization} == {4, 8}
    for parameter in coded:
        stored = weights.stored(parameter)
        assert isinstance(stored, Scaled)
        layer, bits = parameter.name.removesuffix(".weight"), stored.bits
        words = held[parameter.name].astype("<u4").view(np.uint8)
        codes = np.unpackbits(words, axis=1, bitorder="little").reshape(*stored.codes.shape, bits)
        unsigned = codes @ (1 << np.arange(bits))
        np.testing.assert_array_equal(unsigned - (1 << (bits - 1)), stored.codes)
        scales, biases = held[f"{layer}.scales"], held[f"{layer}.biases"]
        np.testing.assert_array_equal(scales, np.broadcast_to(stored.scale.reshape(-1, 1), scales.shape))
        given = (mx.array(a) for a in (held[parameter.name], scales.astype(np.float32), biases.astype(np.float32)))
        expanded = mx.dequantize(*given, group_size=stored.codes.shape[1] // scales.shape[1], bits=bits)
        np.testing.assert_array_equal(np.array(expanded), stored.codes * stored.scale.astype(np.float32))


STEPS = """
model ordered(width = 6) {
    dim T: time @ 100 Hz
    param recurrent: f32[8, 2] = normal(std = 0.5)
    param first: f32[2] = normal(std = 0.5)
    component encoder(mel: f32[T, 2]) -> f32[T, 2] {
        param into: f32[8, 2] = normal(std = 0.5)
        param h: f32[2] = normal(std = 0.5)
        start = reshape(h, [["channel", 2]])
        return op.lstm(tanh(mel), into, recurrent, h = start, c = reshape(first, [["channel", 2]]))
    }
    stream { chunk = 1 frames }
}
"""


def test_a_step_takes_tensors_of_the_model_in_an_order_of_its_own(tmp_path: Path) -> None:
    """The state starts from a tensor of the model: a step needs it before the matrix, the call behind it."""
    (tmp_path / "ordered.mct").write_text(STEPS, encoding="utf-8")
    made = build(tmp_path / "ordered.mct", tmp_path / "ordered", BuildOptions(target="mlx"))
    assert max(each["error"] for each in made.manifest["verification"]) <= 1e-5


SCALED = """
model scaled(width = 8) {
    dim B: batch
    dim T: time @ 100 Hz
    dim V: vocabulary = 30
    param table: f32[V, width] = normal(std = 0.5)
    component encoder(mel: f32[B, T, width]) -> f32[B, T, V] { return op.linear(tanh(mel), table) }
    stream { chunk = 2 frames }
    quantize { table: int8(per_channel, activations = 8) }
}
"""


def test_a_scale_beside_a_tensor_of_the_model_is_a_tensor_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "scaled.mct").write_text(SCALED, encoding="utf-8")
    made = build(tmp_path / "scaled.mct", tmp_path / "scaled", BuildOptions(target="mlx"))
    assert max(each["error"] for each in made.manifest["verification"]) <= 1e-5


def test_damaged_files_are_named(built: BuildResult, tmp_path: Path) -> None:
    loading = module_of(built.folder / "mct_small/model.py", "loading")
    told = (built.folder / "config.json").read_text(encoding="utf-8")
    (tmp_path / "config.json").write_text(told, encoding="utf-8")
    with pytest.raises(ValueError, match=r"model\.safetensors can't be loaded"):
        loading.load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes((built.folder / "model.safetensors").read_bytes()[:10_000])
    with pytest.raises(ValueError, match=r"model\.safetensors can't be loaded"):
        loading.load(tmp_path)
    (tmp_path / "config.json").write_text(told[:100], encoding="utf-8")
    with pytest.raises(ValueError, match=r"config\.json is damaged"):
        loading.load(tmp_path)


def test_nothing_of_mctc_is_imported(built: BuildResult) -> None:
    script = (
        "import sys; sys.modules['mctc'] = None\n"
        "from mct_small import load\n"
        "import mlx.core as mx\n"
        "model = load()\n"
        "step = mx.compile(model.encoder.step)\n"
        "y, state = model.encoder.step(mx.ones((1, 32, 80)), model.encoder.initial_state())\n"
        "whole = model.encoder(mx.ones((1, 32, 80)))\n"
        "assert float(mx.abs(y - whole).max()) < 1e-5, 'a first chunk is the utterance'\n"
    )
    environment = {**os.environ, "PYTHONPATH": "", "MLX_DISABLE_COMPILE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=built.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_call_that_does_not_fit_names_the_input(built: BuildResult) -> None:
    function = MlxTarget().engine(built.folder / "mct_small/model.py", "fp32").function("predictor")
    with pytest.raises(MlxError, match="needs input `token`"):
        function({})
    states = {port.name: np.zeros(port.shape) for port in function.inputs if port.name != "token"}
    with pytest.raises(MlxError, match=r"input `token` of 'predictor' is \[1, 1\], not \[1, 2\]"):
        function({"token": np.zeros((1, 2)), **states})
    with pytest.raises(MlxError, match="there is no function `nobody`"):
        MlxTarget().engine(built.folder / "mct_small/model.py", "fp32").function("nobody")


@pytest.mark.parametrize(("model", "name"), [("asr", "asr"), ("class", "class_model"), ("json", "json_model")])
def test_a_package_shadows_no_module(model: str, name: str) -> None:
    assert package_name(model) == name
