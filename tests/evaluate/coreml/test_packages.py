"""Real packages, written by coremltools' own exporter, evaluated as read back from disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mctc.evaluate.coreml import Evaluator, TypeMismatch, UnsupportedOp
from mctc.package import Package, read_package
from mctc.package.protobuf import model_class

RNG = np.random.default_rng(4)
Save = Callable[..., Path]


@pytest.fixture
def save(coremltools: Any, tmp_path: Path) -> Save:
    """`save(program, name)` converts a MIL program and saves it; `passes=False` leaves it as written."""

    def convert(program: Any, name: str = "made", *, passes: bool = True, target: str = "iOS18") -> Path:
        model = coremltools.convert(
            program,
            minimum_deployment_target=getattr(coremltools.target, target),
            compute_precision=coremltools.precision.FLOAT32,
            compute_units=coremltools.ComputeUnit.CPU_ONLY,
            skip_model_load=True,
            **({} if passes else {"pass_pipeline": coremltools.PassPipeline.EMPTY}),
        )
        path = tmp_path / f"{name}.mlpackage"
        model.save(str(path))
        return path

    return convert


def specs(*shapes: tuple[int, ...], dtype: str = "fp32") -> list[Any]:
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import types

    return [mb.TensorSpec(shape, dtype=types.string_to_builtin(dtype)) for shape in shapes]


def test_a_streaming_convolution_equals_the_whole(coremltools: Any, save: Save) -> None:
    from coremltools.converters.mil import Builder as mb
    from coremltools.converters.mil.mil import types

    kernel, point = RNG.standard_normal((4, 1, 1, 3)), RNG.standard_normal((5, 4, 1, 1))
    state = mb.StateTensorSpec((1, 4, 1, 2), dtype=types.fp16)

    @mb.program(input_specs=[*specs((1, 4, 1, 6), dtype="fp16"), state], opset_version=coremltools.target.iOS18)
    def program(x: Any, past: Any) -> Any:
        joined = mb.concat(values=[mb.read_state(input=past), x], axis=3)
        y = mb.conv(x=joined, weight=kernel.astype(np.float16), groups=4)
        y = mb.conv(x=y, weight=point.astype(np.float16), bias=np.arange(5, dtype=np.float16))
        mb.coreml_update_state(state=past, value=mb.slice_by_index(x=joined, begin=[0, 0, 0, 6], end=[1, 4, 1, 8]))
        return mb.silu(x=y, name="y")

    fn = Evaluator(save(program)).function()
    state_, audio = fn.make_state(), RNG.standard_normal((1, 4, 1, 30)).astype(np.float16)
    chunks = [fn({"x": audio[..., t : t + 6]}, state_)["y"] for t in range(0, 30, 6)]
    padded = np.pad(audio.astype(np.float64), [(0, 0), (0, 0), (0, 0), (2, 0)])
    taps = kernel.astype(np.float16).astype(np.float64)[:, 0, 0]
    deep = sum(padded[0, :, 0, k : k + 30] * taps[:, k : k + 1] for k in range(3))
    whole = point.astype(np.float16).astype(np.float64)[:, :, 0, 0] @ deep + np.arange(5)[:, None]
    whole = whole / (1 + np.exp(-whole))
    np.testing.assert_allclose(np.concatenate(chunks, axis=-1)[0, :, 0], whole, rtol=4e-3, atol=4e-3)


def test_functions_of_one_package(coremltools: Any, save: Save, tmp_path: Path) -> None:
    from coremltools.converters.mil import Builder as mb

    weight = RNG.standard_normal((6, 8)).astype(np.float32)

    @mb.program(input_specs=specs((3, 8)), opset_version=coremltools.target.iOS18)
    def first(x: Any) -> Any:
        return mb.linear(x=x, weight=weight, name="y")

    @mb.program(input_specs=specs((2, 8)), opset_version=coremltools.target.iOS18)
    def second(x: Any) -> Any:
        return mb.relu(x=mb.linear(x=x, weight=weight), name="z")

    parts = coremltools.utils.MultiFunctionDescriptor()
    parts.add_function(str(save(first, "first")), "main", "encoder")
    parts.add_function(str(save(second, "second")), "main", "joiner")
    parts.default_function_name = "joiner"
    coremltools.utils.save_multifunction(parts, str(tmp_path / "both.mlpackage"))
    evaluator = Evaluator(tmp_path / "both.mlpackage", "fp32")
    assert set(evaluator.functions) == {"encoder", "joiner"}
    assert evaluator.package.default_function == "joiner"
    assert [f.name for f in evaluator.package.descriptions["joiner"].outputs] == ["z"]
    x = RNG.standard_normal((3, 8)).astype(np.float32)
    encoded = evaluator.function("encoder")({"x": x})["y"]
    np.testing.assert_allclose(encoded, x.astype(np.float64) @ weight.T, rtol=1e-5, atol=1e-5)
    joined = evaluator.function()({"x": x[:2]})["z"]
    np.testing.assert_allclose(joined, np.maximum(encoded[:2], 0), rtol=1e-5)


def integers(dtype: str, values: np.ndarray) -> np.ndarray:
    """Integers with the element type as coremltools marks it in numpy."""
    from coremltools.converters.mil.mil import types

    return values.astype(types.nptype_from_builtin(types.string_to_builtin(dtype)))


COMPRESSED = [
    ("int8", (16, 1)),
    ("uint8", (16, 1)),
    ("int4", (16, 1)),
    ("uint4", (1, 1)),
    ("int4", (16, 4)),
    ("int8", (4, 2)),
]


@pytest.mark.quick("False-int8-blocks5", "True-uint4-blocks3", "False-int4-blocks4")
@pytest.mark.parametrize(("dtype", "blocks"), COMPRESSED)
@pytest.mark.parametrize("with_offset", [False, True])
def test_integer_weights(coremltools: Any, save: Save, dtype: str, blocks: tuple[int, int], with_offset: bool) -> None:
    from coremltools.converters.mil import Builder as mb

    bits = int(dtype.lstrip("uint"))
    low = -(1 << bits - 1) if dtype.startswith("int") else 0
    data = RNG.integers(low, low + (1 << bits), (16, 8))
    scale = RNG.uniform(0.1, 1, blocks).astype(np.float32)
    offset = RNG.integers(low, low + (1 << bits), blocks)

    @mb.program(input_specs=specs((1, 8)), opset_version=coremltools.target.iOS18)
    def program(x: Any) -> Any:
        extra = {"offset": integers(dtype, offset)} if with_offset else {}
        weight = mb.constexpr_blockwise_shift_scale(data=integers(dtype, data), scale=scale, **extra)
        return mb.linear(x=x, weight=weight, name="y")

    per_block = np.kron(np.ones((16 // blocks[0], 8 // blocks[1])), np.ones(blocks)) * 0
    for i in range(16):
        for j in range(8):
            block = i * blocks[0] // 16, j * blocks[1] // 8
            per_block[i, j] = (data[i, j] - (offset[block] if with_offset else 0)) * float(scale[block])
    x = RNG.standard_normal((1, 8)).astype(np.float32)
    found = Evaluator(save(program), "fp32").function()({"x": x})["y"]
    np.testing.assert_allclose(found, x.astype(np.float64) @ per_block.T, rtol=1e-4, atol=1e-4)


@pytest.mark.quick("1-4", "4-3")
@pytest.mark.parametrize("bits", [1, 2, 3, 4, 6, 8])
@pytest.mark.parametrize("groups", [1, 4])
def test_palettes(coremltools: Any, save: Save, bits: int, groups: int) -> None:
    from coremltools.converters.mil import Builder as mb

    indices = RNG.integers(0, 1 << bits, (16, 8))
    lut = RNG.standard_normal((groups, 1, 1 << bits, 1)).astype(np.float32)

    @mb.program(input_specs=specs((1, 8)), opset_version=coremltools.target.iOS18)
    def program(x: Any) -> Any:
        return mb.linear(
            x=x, weight=mb.constexpr_lut_to_dense(indices=integers(f"uint{bits}", indices), lut=lut), name="y"
        )

    dense = np.array([[lut[i * groups // 16, 0, indices[i, j], 0] for j in range(8)] for i in range(16)])
    x = RNG.standard_normal((1, 8)).astype(np.float32)
    found = Evaluator(save(program), "fp32").function()({"x": x})["y"]
    np.testing.assert_allclose(found, x.astype(np.float64) @ dense.T, rtol=1e-4, atol=1e-5)


def test_the_compressed_forms_of_ios_16(coremltools: Any, save: Save) -> None:
    from coremltools.converters.mil import Builder as mb

    data = RNG.integers(-128, 128, (16, 8), dtype=np.int8)
    lut, indices = RNG.standard_normal(16).astype(np.float32), RNG.integers(0, 16, (16, 8))
    stream = (indices.reshape(-1, 2) * [1, 16]).sum(axis=1).astype(np.uint8)
    scale, zero = RNG.uniform(0.1, 1, 16).astype(np.float32), RNG.integers(-9, 9, 16, dtype=np.int8)

    @mb.program(input_specs=specs((1, 8)), opset_version=coremltools.target.iOS16)
    def program(x: Any) -> Any:
        affine = mb.constexpr_affine_dequantize(quantized_data=data, zero_point=zero, scale=scale, axis=0)
        palette = mb.constexpr_lut_to_dense(indices=stream, lut=lut, shape=np.array([16, 8], np.uint32))
        return mb.linear(x=x, weight=affine, name="y"), mb.linear(x=x, weight=palette, name="z")

    x = RNG.standard_normal((1, 8)).astype(np.float32)
    found = Evaluator(save(program, target="iOS16"), "fp32").function()({"x": x})
    affine = (data.astype(np.float64) - zero[:, None]) * scale[:, None]
    np.testing.assert_allclose(found["y"], x @ affine.T, rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(
        found["z"], x @ np.array([[lut[n] for n in row] for row in indices]).T, rtol=1e-4, atol=1e-5
    )


def test_a_loop_and_a_branch_from_the_exporter(coremltools: Any, save: Save) -> None:
    from coremltools.converters.mil import Builder as mb

    @mb.program(input_specs=specs((2,)), opset_version=coremltools.target.iOS18)
    def program(x: Any) -> Any:
        def go_on(i: Any, _total: Any) -> Any:
            return mb.less(x=i, y=3.0)

        def body(i: Any, total: Any) -> tuple[Any, Any]:
            return mb.add(x=i, y=1.0), mb.add(x=total, y=x)

        start = mb.reduce_sum(x=mb.mul(x=x, y=0.0), axes=[0], keep_dims=False)
        _, total = mb.while_loop(_cond=go_on, _body=body, loop_vars=(start, x))
        positive = mb.greater(x=mb.reduce_sum(x=x, axes=[0], keep_dims=False), y=0.0)
        return mb.cond(
            pred=positive,
            _true_fn=lambda: mb.add(x=total, y=100.0),
            _false_fn=lambda: mb.sub(x=total, y=100.0),
            name="y",
        )

    fn = Evaluator(save(program), "fp32").function()
    np.testing.assert_allclose(fn({"x": np.array([1.0, 2.0])})["y"], [104, 108])
    np.testing.assert_allclose(fn({"x": np.array([-1.0, -2.0])})["y"], [-104, -108])


def altered(package: Path, change: Callable[[Any], None]) -> Package:
    """The package with its specification changed."""
    path = package / "Data/com.apple.CoreML/model.mlmodel"
    model = model_class()()
    model.ParseFromString(path.read_bytes())
    function = model.mlProgram.functions["main"]
    change(function.block_specializations[function.opset].operations)
    path.write_bytes(model.SerializeToString())
    return read_package(package)


def test_a_program_that_lies_about_a_type_or_uses_a_foreign_op_is_refused(coremltools: Any, save: Save) -> None:
    from coremltools.converters.mil import Builder as mb

    @mb.program(input_specs=specs((2, 3)), opset_version=coremltools.target.iOS18)
    def program(x: Any) -> Any:
        return mb.exp(x=x, name="y")

    def lie(operations: Any) -> None:
        operations[-1].outputs[0].type.tensorType.dimensions[0].constant.size = 5

    fn = Evaluator(altered(save(program, "lie"), lie)).function()
    with pytest.raises(TypeMismatch, match=r"exp 'y': 'y' is declared fp32\[5, 3\], computed float32\[2, 3\]"):
        fn({"x": np.zeros((2, 3))})

    def rename(operations: Any) -> None:
        operations[-1].type = "expp"

    with pytest.raises(UnsupportedOp, match="expp 'y'"):
        Evaluator(altered(save(program, "foreign"), rename)).function()
