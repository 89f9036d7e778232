"""Parameters in models are, bit for bit, what a package holds; large ones lie in a file beside the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from mctc.driver.options import BuildOptions
from mctc.ir.program import Initializer, Program, Quantization
from mctc.targets.onnx import write
from mctc.targets.onnx.errors import OnnxError
from mctc.targets.onnx.readback import check_file
from mctc.targets.onnx.session import OnnxModel
from mctc.targets.onnx.target import OnnxTarget
from mctc.weights import Weights

from .executed import model_of, program_of
from .test_model_files import compiled_as_it_is

ASKED = BuildOptions(target="onnx")

TENSOR = onnx.TensorProto
SCHEMES: dict[str, tuple[Quantization | None, dict[str, int]]] = {
    "fp16": (None, {"m.w": TENSOR.FLOAT16}),
    "int8": (Quantization("int8", 8), {"m.w": TENSOR.INT8, "m.w.scale": TENSOR.FLOAT16}),
    "int4": (Quantization("int4", 4), {"m.w": TENSOR.INT4, "m.w.scale": TENSOR.FLOAT16}),
    "int8 along axis 1": (Quantization("int8", 8, axis=1), {"m.w": TENSOR.INT8}),
    "int4 along axis 1": (Quantization("int4", 4, axis=1), {"m.w": TENSOR.INT4}),
    "palette of 2 bits": (Quantization("palette", 2), {"m.w": TENSOR.UINT4, "m.w.table": TENSOR.FLOAT16}),
    "palette of 4 bits": (Quantization("palette", 4), {"m.w": TENSOR.UINT4, "m.w.table": TENSOR.FLOAT16}),
    "palette of 6 bits": (Quantization("palette", 6), {"m.w": TENSOR.UINT8, "m.w.table": TENSOR.FLOAT16}),
    "palette of 8 bits": (Quantization("palette", 8), {"m.w": TENSOR.UINT8, "m.w.table": TENSOR.FLOAT16}),
    "palettes of 3 channels": (Quantization("palette", 4, group=3), {"m.w.starts": TENSOR.INT32}),
    "palettes along axis 1": (Quantization("palette", 2, group=5, axis=1), {"m.w.starts": TENSOR.INT32}),
}


def with_parameter(shape: str, quantization: Quantization | None, std: float = 0.5) -> Program:
    """A function that returns its one parameter, m.w."""
    program = program_of(f"function @f() {{ %0 = parameter @m.w: f32[{shape}] return y = %0 }}", quantization)
    for name, (type_, _) in program.sources.items():
        program.sources[name] = (type_, Initializer("normal", (("std", std),)))
    return program


@pytest.mark.parametrize("shape", ["6, 15", "6, 10, 1, 3"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_parameter_is_stored_as_in_a_package_and_has_its_bits(scheme: str, shape: str, tmp_path: Path) -> None:
    quantization, stored = SCHEMES[scheme]
    program = with_parameter(shape, quantization)
    path = model_of(program, program.functions["f"], tmp_path)
    check_file(path)
    kinds = {tensor.name: tensor.data_type for tensor in onnx.load(str(path)).graph.initializer}
    assert stored.items() <= kinds.items()
    value = OnnxModel(path).function()({})["y"]
    expected = Weights(program.sources).deployed(program.parameters["m.w"])
    assert value.dtype == np.float32
    assert np.array_equal(value.view(np.int32), expected.view(np.int32))


def test_one_scale_for_a_vector(tmp_path: Path) -> None:
    program = with_parameter("7", Quantization("int4", 4))
    value = OnnxModel(model_of(program, program.functions["f"], tmp_path)).function()({})["y"]
    assert np.array_equal(value, Weights(program.sources).deployed(program.parameters["m.w"]))


def test_a_value_that_fp16_cannot_hold_is_refused(tmp_path: Path) -> None:
    for quantization in (None, Quantization("int8", 8)):
        program = with_parameter("4, 4", quantization, std=1e6)
        with pytest.raises(OnnxError, match=r"m\.w .*fp16"):
            model_of(program, program.functions["f"], tmp_path)


def both(program: Program, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """The program's step model with its weights inside, and with them beside it."""
    paths = []
    for name, limit in (("inside", 1 << 30), ("beside", 0)):
        monkeypatch.setattr(write, "EXTERNAL", limit)
        (folder / name).mkdir()
        weights = Weights(program.sources)
        written = OnnxTarget().write(compiled_as_it_is(program), weights, folder / name, ASKED, {})
        paths.append(folder / name / written.interfaces["f"].artifact)
    return paths[0], paths[1]


def test_weights_beside_the_model_are_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = program_of(
        "function @f(%x: f32[batch 1, channel 64]) { %0 = parameter @a: f32[64, 64] %1 = parameter @b: f32[64, 64] "
        "%2 = parameter @c: f32[64] %3 = linear(%x, %0, %2) %4 = linear(%3, %1) return y = %4 }",
        Quantization("int8", 8),
    )
    inside, beside = both(program, tmp_path, monkeypatch)
    check_file(beside)
    data = beside.with_name(beside.name + ".data")
    assert data.exists()
    assert not inside.with_name(inside.name + ".data").exists()
    places = {
        tensor.name: {entry.key: entry.value for entry in tensor.external_data}
        for tensor in onnx.load(str(beside), load_external_data=False).graph.initializer
        if tensor.data_location == TENSOR.EXTERNAL
    }
    assert places.keys() == {"a", "b"}  # scales and biases are too small
    assert {place["location"] for place in places.values()} == {data.name}
    assert all(int(place["offset"]) % 4096 == 0 for place in places.values())
    given = {"x": np.linspace(-1, 1, 64)[None]}
    assert np.array_equal(OnnxModel(beside).function()(given)["y"], OnnxModel(inside).function()(given)["y"])


class Counted(Weights):
    """Weights that know how many stored tensors are alive."""

    alive: int = 0
    most: int = 0

    def stored(self, parameter: Any) -> Any:
        import weakref

        array = super().stored(parameter)
        type(self).alive += 1
        type(self).most = max(type(self).most, type(self).alive)
        weakref.finalize(array, self._gone)
        return array

    def _gone(self) -> None:
        type(self).alive -= 1


def test_one_tensor_at_a_time_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ops = " ".join(f"%{i} = parameter @w{i}: f32[64, 64]" for i in range(6))
    program = program_of(f"function @f() {{ {ops} return y = %0 }}")
    monkeypatch.setattr(write, "EXTERNAL", 0)
    OnnxTarget().write(compiled_as_it_is(program), Counted(program.sources), tmp_path, ASKED, {})
    assert Counted.most <= 2  # the one that is written, and the next as it is made
