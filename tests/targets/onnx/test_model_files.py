"""The files of a build: what is in them, that they are the same every time, and that they run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from mctc.driver.compiled import Compiled
from mctc.driver.make import BuildResult, build
from mctc.driver.options import BuildOptions
from mctc.driver.sources import digest
from mctc.ir.program import Program
from mctc.streaming.lengths import Lengths
from mctc.targets.onnx.errors import OnnxError
from mctc.targets.onnx.model import IR_VERSION, OPSET
from mctc.targets.onnx.readback import check_file
from mctc.targets.onnx.session import OnnxModel
from mctc.targets.onnx.target import OnnxTarget
from mctc.weights import Weights

from .executed import model_of, program_of

SMALL = {"depth": 1, "width": 64}
FUNCTIONS = ("encoder", "predictor", "joiner")


def compiled_as_it_is(program: Program) -> Compiled:
    """A program as if it had been compiled."""
    return Compiled(*[program] * 6, Lengths(1), {}, {}, ())


@pytest.fixture(scope="session")
def spec(root: Path) -> Path:
    return root / "spec" / "mct_small.mct"


@pytest.fixture(scope="session")
def built(spec: Path, tmp_path_factory: pytest.TempPathFactory) -> BuildResult:
    """mct_small with one block of 64 channels."""
    return build(spec, tmp_path_factory.mktemp("onnx") / "small", BuildOptions(target="onnx", defines=SMALL))


@pytest.fixture(scope="session")
def encoder(built: BuildResult) -> onnx.ModelProto:
    return onnx.load(str(built.folder / "mct_small_encoder.onnx"))


def metadata(model: onnx.ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in model.metadata_props}


def test_there_is_a_step_and_a_whole_model_of_each_function_and_they_agree(built: BuildResult) -> None:
    files = {path.name for path in built.folder.glob("*.onnx")}
    assert files == {f"mct_small_{name}{suffix}.onnx" for name in FUNCTIONS for suffix in ("", "_whole")}
    checked = built.manifest["verification"]
    assert {entry["function"] for entry in checked} == set(FUNCTIONS)
    assert len(checked) == 3 + 6 + 3  # results of steps, their states, results of whole functions
    assert max(entry["error"] for entry in checked) < 1e-5


def test_onnx_infers_the_types_that_are_declared(built: BuildResult) -> None:
    for path in built.folder.glob("*.onnx"):
        model = onnx.load(str(path))
        assert check_file(path) == len({v.name for v in (*model.graph.value_info, *model.graph.output)}), path.name


def test_a_declared_type_that_onnx_does_not_infer_is_an_error(tmp_path: Path) -> None:
    program = program_of("function @f(%x: f32[batch 1, channel 8]) { %0 = exp(%x) return y = %0 }")
    path = model_of(program, program.functions["f"], tmp_path)
    model = onnx.load(str(path))
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 9
    onnx.save(model, str(path))
    with pytest.raises(OnnxError, match=r"onnx (rejects|infers)"):
        check_file(path)


def test_a_model_that_computes_something_else_is_an_error(tmp_path: Path) -> None:
    program = program_of("function @f(%x: f32[batch 1, channel 8]) { %0 = exp(%x) return y = %0 }")
    compiled, weights, target, options = compiled_as_it_is(program), Weights({}), OnnxTarget(), BuildOptions()
    written = target.write(compiled, weights, tmp_path, options, {})
    assert len(target.check(compiled, weights, tmp_path, options, written)) == 2
    path = tmp_path / written.interfaces["f"].artifact
    model = onnx.load(str(path))
    model.graph.node[0].op_type = "Tanh"
    onnx.save(model, str(path))
    with pytest.raises(OnnxError, match="y of f, on noise, differs from the program"):
        target.check(compiled, weights, tmp_path, options, written)


def test_names_are_those_of_the_spec(encoder: onnx.ModelProto) -> None:
    graph = encoder.graph
    assert graph.input[0].name == "mel"
    assert graph.output[0].name == "output"
    assert {p.name + "_out" for p in graph.input[1:]} == {p.name for p in graph.output[1:]}
    tensors = {tensor.name for tensor in graph.initializer}
    assert {"encoder.layers.0.mamba.in_proj.weight", "encoder.layers.0.mamba.D", "encoder.norm.bias"} <= tensors
    nodes = {node.name: node for node in graph.node}
    assert len(nodes) == len(graph.node)
    assert nodes["encoder.layers.0.norm.layer_norm_1"].op_type == "LayerNormalization"
    assert any(node.op_type == "Scan" for node in graph.node)


def test_a_scan_holds_its_state_with_the_channels_last(encoder: onnx.ModelProto) -> None:
    body = next(node for node in encoder.graph.node if node.op_type == "Scan").attribute[0].g
    states, channels = (each.dim_value for each in body.input[0].type.tensor_type.shape.dim[1:])
    assert channels > states
    assert [each.dim_value for each in body.output[1].type.tensor_type.shape.dim] == [1, channels]


def test_every_node_tells_its_place_in_the_spec(built: BuildResult, encoder: onnx.ModelProto) -> None:
    places = json.loads((built.folder / "origins.json").read_text())["encoder"]
    for node in encoder.graph.node:
        if node.name in places and places[node.name]["place"]:
            assert node.doc_string == places[node.name]["place"]
            assert ".mct:" in node.doc_string
    assert len([node for node in encoder.graph.node if node.doc_string]) > len(encoder.graph.node) / 2


def test_metadata_hold_the_spec_and_how_the_step_is_called(encoder: onnx.ModelProto, spec: Path) -> None:
    assert (encoder.ir_version, encoder.opset_import[0].version) == (IR_VERSION, OPSET)
    assert encoder.producer_name == "mctc"
    told = metadata(encoder)
    texts = {key.partition("/")[2]: text for key, text in told.items() if key.startswith("mctc.source/")}
    assert spec.read_text(encoding="utf-8") in texts.values()
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    assert told["mctc.source_sha256"] == digest(hashes.items())
    assert (told["mctc.model"], told["mctc.component"]) == ("mct_small", "encoder")
    assert (told["mctc.chunk_frames"], told["mctc.frame_rate_hz"]) == ("32", "100")
    assert json.loads(told["mctc.delay_frames"]) == {"output": 0}
    assert json.loads(told["mctc.states"]) == [port.name for port in encoder.graph.input[1:]]


def test_whole_models_take_any_batch_and_any_time(built: BuildResult) -> None:
    entry = built.manifest["whole"]["encoder"]
    assert entry["inputs"][0]["shape"] == ["B", 80, 1, "T"]
    assert entry["outputs"][0]["shape"] == ["B", 64, 1, "T/4"]
    whole = OnnxModel(built.folder / entry["package"]).function(entry["name"])
    mel = np.random.default_rng(0).normal(size=(3, 80, 1, 48))
    together = whole({"mel": mel})["output"]
    assert together.shape == (3, 64, 1, 12)
    alone = whole({"mel": mel[:1, ..., :24]})["output"]  # the encoder is causal
    np.testing.assert_allclose(together[:1, ..., :6], alone, atol=1e-5)


def test_the_loop_of_the_documentation_streams(
    built: BuildResult, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (root / "docs" / "onnx.md").read_text(encoding="utf-8").partition("```python\n")[2].partition("```")[0]
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "mct_small").symlink_to(built.folder)
    monkeypatch.chdir(tmp_path)
    mel = np.random.default_rng(0).normal(size=(1, 80, 1, 64)).astype(np.float32)
    seen: dict[str, object] = {"chunks": np.split(mel, 2, axis=-1)}
    exec(compile(text, "onnx.md", "exec"), seen)
    whole = OnnxModel(built.folder / "mct_small_encoder_whole.onnx").function()({"mel": mel})["output"]
    np.testing.assert_allclose(seen["encoded"], whole[..., 8:], atol=1e-4)


def test_two_builds_are_byte_identical(built: BuildResult, spec: Path, tmp_path: Path) -> None:
    again = build(spec, tmp_path / "again", BuildOptions(target="onnx", defines=SMALL))
    assert again.manifest["files"] == built.manifest["files"]


def test_a_recording_gives_the_tokens_of_the_package(
    built: BuildResult, spec: Path, tmp_path: Path, mctc: Callable[..., object]
) -> None:
    """The step models in onnxruntime and the Core ML package in mctc's evaluator, in fp32."""
    import soundfile

    from mctc.audio import bundled_recording, load_audio
    from mctc.runtime.built import open_built
    from mctc.runtime.speech import transcribe

    package = build(spec, tmp_path / "ane", BuildOptions(defines=SMALL))
    recording = tmp_path / "four seconds.wav"
    soundfile.write(recording, load_audio(bundled_recording())[: 4 * 16_000], 16_000)
    expected = transcribe(open_built(package.folder), recording, "fp32")
    found = transcribe(open_built(built.folder), recording)
    assert expected.emissions
    assert found.emissions == expected.emissions
