"""What a written package holds: functions, states, names, shared weights, and the same bytes every time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mctc.driver.options import BuildError
from mctc.ir.build import Builder
from mctc.ir.dims import Extent
from mctc.ir.program import Program, Quantization, Value
from mctc.ir.types import Axis, DType, Role, TensorType
from mctc.package import Constant, Operation, Package
from mctc.targets.ane.errors import EmitError

from .conftest import Make
from .hand_made import add_parameter, laid_out, single, streaming_program

COMPRESSED = {
    "out.weight": Quantization("int4", 4),
    "encoder.layers.0.proj.weight": Quantization("palette", 4, 8),
    "encoder.layers.1.proj.weight": Quantization("int8", 8),
}


def operations(package: Package, function: str) -> list[Operation]:
    return [op for op in package.functions[function].operations if op.type != "const" and "constexpr" not in op.type]


def test_components_are_functions_of_one_package(make: Make) -> None:
    (package,) = make(streaming_program()).packages
    assert list(package.functions) == ["encoder", "joiner"]
    assert package.default_function == "encoder"
    assert package.spec_version == 9
    assert package.metadata.user == {"mctc.model": "tiny"}
    encoder = package.functions["encoder"]
    assert [str(item) for item in encoder.inputs] == ["mel: fp16[1, 16, 1, 8]"]
    assert [str(item) for item in encoder.outputs] == ["encoded: fp16[1, 16, 1, 8]"]
    described = package.descriptions["encoder"]
    assert [(f.name, str(f.type)) for f in described.states] == [
        ("layers_0_window", "fp16[1, 16, 1, 3]"),
        ("layers_1_window", "fp16[1, 16, 1, 3]"),
    ]
    assert [(f.name, str(f.type)) for f in described.inputs] == [("mel", "fp16[1, 16, 1, 8]")]


def test_nothing_is_computed_in_fp32_and_nothing_is_transposed(make: Make) -> None:
    (package,) = make(streaming_program()).packages
    for function in package.functions:
        for op in operations(package, function):
            assert op.type != "transpose"
            assert all("fp16" in str(item.type) for item in op.outputs)


def test_operations_are_named_after_their_instances(make: Make) -> None:
    made = make(streaming_program())
    (package,) = made.packages
    names = [op.name for op in operations(package, "encoder")]
    assert "encoder_layers_1_layer_norm" in names
    assert "encoded" in names
    ops, origins = made.program.functions["encoder"].ops, made.written.origins["encoder"]
    assert {op.name for op in operations(package, "encoder") if op.type != "read_state"} == set(origins)
    assert ops[origins["encoder_layers_1_layer_norm"]].origin.path == "encoder.layers.1"
    assert ops[origins["encoded"]].origin.path == "encoder.out"
    constants = {op.name for op in package.functions["encoder"].operations if op.type == "const"}
    assert "encoder_layers_0_norm_weight" in constants


def test_functions_share_their_weights(make: Make) -> None:
    made = make(streaming_program(quantizations=COMPRESSED))
    (package,) = made.packages
    both = []
    for function in package.functions.values():
        (weight,) = (op for op in function.operations if op.name == "out_weight")
        (data,) = weight.inputs["data"]
        assert isinstance(data, Constant)
        both.append(data.loader)
    assert both[0].start == both[1].start  # type: ignore[attr-defined]


@pytest.mark.parametrize("state", ["packed", "io"])
@pytest.mark.parametrize("layout", ["single", "separate"])
def test_a_package_agrees_with_its_program_and_with_coremltools(make: Make, state: str, layout: str) -> None:
    made = make(streaming_program(quantizations=COMPRESSED), state=state, layout=layout)
    assert max(agreement.error for agreement in made.check()) < 1e-5
    assert made.retyped() > 15


def test_a_table_that_is_looked_up_has_its_palettes_along_its_columns(make: Make) -> None:
    program = Program("table")
    add_parameter(program, "table", 40, 16, quantization=Quantization("palette", 2, 8, axis=1))
    b = Builder(program)
    roles = (Role.BATCH, Role.UNIT, Role.UNIT, Role.LABEL)
    axes = tuple(Axis(role, Extent.of(3 if role is Role.LABEL else 1)) for role in roles)
    token = Value(TensorType(DType.I32, axes, Extent.of(40)), "token")
    made = make(single(program, b, [token], b.op("embedding", token, b.parameter("table"))))
    assert max(agreement.error for agreement in made.check()) < 1e-5
    assert made.retyped() >= 1


def test_constants_of_one_shape_stay_apart(make: Make) -> None:
    program = Program("constants")
    b = Builder(program)
    x = Value(laid_out(16, 8), "x")
    rows = np.arange(16.0).reshape(1, 16, 1, 1)
    roles = ("batch", "channel", "unit", "unit")
    y = b.op("mul", b.op("add", x, b.constant(rows, roles)), b.constant(rows[:, ::-1] + 1, roles))
    assert max(agreement.error for agreement in make(single(program, b, [x], y)).check()) < 1e-5


def test_states_can_be_inputs_and_outputs(make: Make) -> None:
    package = make(streaming_program(depth=1), state="io").packages[0]
    encoder = package.functions["encoder"]
    assert not encoder.states
    assert [item.name for item in encoder.inputs] == ["mel", "layers_0_window"]
    assert [item.name for item in encoder.outputs] == ["encoded", "layers_0_window_out"]


def test_a_function_alone_in_its_package_is_called_main(make: Make) -> None:
    made = make(streaming_program(), layout="separate")
    assert made.written.artifacts == ("tiny_encoder.mlpackage", "tiny_joiner.mlpackage")
    assert [list(package.functions) for package in made.packages] == [["main"], ["main"]]
    assert made.written.interfaces["joiner"].name == "main"


def test_two_builds_have_the_same_bytes(make: Make) -> None:
    one, two = (make(streaming_program(quantizations=COMPRESSED)).folder for _ in range(2))
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file())
    assert len(files) == 3
    for path in files:
        assert (one / path).read_bytes() == (two / path).read_bytes(), path


def test_the_package_manifest_names_model_and_weights(make: Make) -> None:
    folder = make(streaming_program()).folder / "tiny.mlpackage"
    content = json.loads((folder / "Manifest.json").read_text())
    entries = content["itemInfoEntries"]
    assert entries[content["rootModelIdentifier"]]["path"] == "com.apple.CoreML/model.mlmodel"
    assert all((folder / "Data" / entry["path"]).exists() for entry in entries.values())


def test_damaged_weights_are_found_by_reading_back(make: Make) -> None:
    made = make(streaming_program())
    weights = made.folder / "tiny.mlpackage" / "Data" / "com.apple.CoreML" / "weights" / "weight.bin"
    data = bytearray(weights.read_bytes())
    data[-32:] = np.full(16, 3.0, np.float16).tobytes()  # the last tensor: out.bias
    weights.write_bytes(data)
    with pytest.raises(EmitError, match="differs from the program"):
        made.check()


def test_a_result_that_is_an_input_a_constant_or_another_result_is_copied(make: Make) -> None:
    program = Program("copies")
    add_parameter(program, "w", 1, 16, 1, 8)
    b = Builder(program)
    x = Value(laid_out(16, 8), "x")
    y = b.op("relu", x)
    made = make(single(program, b, [x], x, b.parameter("w"), y, y))
    (package,) = made.packages
    assert [item.name for item in package.functions["main"].outputs] == ["y0", "y1", "y2", "y3"]
    assert max(agreement.error for agreement in made.check()) == 0
    assert made.retyped() == 4


def refuse(make: Make, program: Program, match: str) -> None:
    with pytest.raises((EmitError, BuildError), match=match):
        make(program)


def test_an_op_without_a_core_ml_form_is_named_with_its_place(make: Make) -> None:
    program = Program("p")
    b = Builder(program)
    x = Value(laid_out(16, 8), "x")
    y = b.op("rms_norm", x)
    refuse(make, single(program, b, [x], y), "rms_norm has no Core ML form")


def test_a_value_that_fp16_cannot_hold_is_refused_by_name(make: Make) -> None:
    program = streaming_program()
    type_, initializer = program.sources["out.bias"]
    program.sources["out.bias"] = (type_, replace(initializer, arguments=(("std", 1e6),)))
    refuse(make, program, "parameter out.bias has a value of magnitude .*, which fp16 can't hold")


def test_two_ports_of_one_name_are_refused(make: Make) -> None:
    program = Program("p")
    b = Builder(program)
    x, z = Value(laid_out(16, 8), "a.b"), Value(laid_out(16, 8), "a_b")
    refuse(make, single(program, b, [x, z], b.op("add", x, z)), "are called `a_b`")


def test_nothing_names_a_path_or_a_time(make: Make, tmp_path: Path) -> None:
    made = make(streaming_program())
    for path in made.folder.rglob("*"):
        if path.is_file():
            assert str(tmp_path).encode() not in path.read_bytes()
