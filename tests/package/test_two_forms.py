"""A program read from its protobuf form and from its text gives the same records, and the same results."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.fuzz.guided.mil_printer import Printer
from mctc.evaluate.coreml import Evaluator
from mctc.package import Block, Constant, Function, Operation, read_package

RNG = np.random.default_rng(6)
WEIGHTS = Path("Data/com.apple.CoreML/weights")


def plain(record: Any) -> Any:
    """Records as lists that compare by value, what constants hold included."""
    if isinstance(record, Constant):
        value = record.value()
        return [
            "constant",
            record.type,
            record.stored_bytes,
            repr(value.tolist() if hasattr(value, "tolist") else value),
        ]
    if isinstance(record, Function | Block | Operation):
        return [type(record).__name__, *(plain(getattr(record, name)) for name in vars(record))]
    if isinstance(record, dict):
        return [(key, plain(value)) for key, value in record.items()]
    return [plain(item) for item in record] if isinstance(record, tuple) else record


def compile_package(path: Path, folder: Path, older: bool) -> Path:
    """What Core ML's compiler does to a package, as far as the program goes."""
    folder.mkdir()
    if (path / WEIGHTS).exists():
        shutil.copytree(path / WEIGHTS, folder / "weights")
    (folder / "model.mil").write_text(Printer(older).program(read_package(path)))
    return folder


def states(mb: Any, types: Any, target: Any) -> Any:
    specs = [mb.TensorSpec((1, 4, 1, 8), dtype=types.fp16), mb.StateTensorSpec((1, 4, 1, 3), dtype=types.fp16)]
    weight = RNG.standard_normal((6, 4, 1, 1)).astype(np.float16)

    @mb.program(input_specs=specs, opset_version=target)
    def program(x: Any, past: Any) -> Any:
        joined = mb.concat(values=[mb.read_state(input=past), x], axis=3)
        mb.coreml_update_state(state=past, value=mb.slice_by_index(x=joined, begin=[0, 0, 0, 8], end=[1, 4, 1, 11]))
        return mb.conv(x=joined, weight=weight, name="y")

    return program


def branches(mb: Any, types: Any, target: Any) -> Any:
    @mb.program(input_specs=[mb.TensorSpec((2,), dtype=types.fp32)], opset_version=target)
    def program(x: Any) -> Any:
        start = mb.reduce_sum(x=mb.mul(x=x, y=0.0), axes=[0], keep_dims=False)
        _, total = mb.while_loop(
            _cond=lambda i, _total: mb.less(x=i, y=3.0),
            _body=lambda i, total: (mb.add(x=i, y=1.0), mb.add(x=total, y=x)),
            loop_vars=(start, x),
        )
        positive = mb.greater(x=mb.reduce_sum(x=x, axes=[0], keep_dims=False), y=float("-inf"))
        return mb.cond(
            pred=positive,
            _true_fn=lambda: mb.add(x=total, y=100.0),
            _false_fn=lambda: mb.sub(x=total, y=100.0),
            name="y",
        )

    return program


def lists(mb: Any, types: Any, target: Any) -> Any:
    @mb.program(input_specs=[mb.TensorSpec((1, 3), dtype=types.fp32)], opset_version=target)
    def program(x: Any) -> Any:
        held = mb.make_list(init_length=2, dynamic_length=True, elem_shape=(3,), dtype="fp32")
        held = mb.list_scatter(ls=held, indices=[0], value=x)
        return mb.list_gather(ls=held, indices=[0], name="y")

    return program


def compressed(mb: Any, types: Any, target: Any) -> Any:
    def integers(dtype: str, low: int, high: int) -> Any:
        return RNG.integers(low, high, (16, 8)).astype(types.nptype_from_builtin(types.string_to_builtin(dtype)))

    @mb.program(input_specs=[mb.TensorSpec((1, 8), dtype=types.fp32)], opset_version=target)
    def program(x: Any) -> Any:
        lut = RNG.standard_normal((1, 1, 8, 1)).astype(np.float32)
        scale = RNG.uniform(0.1, 1, (16, 4)).astype(np.float32)
        palette = mb.constexpr_lut_to_dense(indices=integers("uint3", 0, 8), lut=lut)
        blocks = mb.constexpr_blockwise_shift_scale(data=integers("int4", -8, 8), scale=scale)
        return mb.linear(x=x, weight=palette, name="y"), mb.linear(x=x, weight=blocks, name="z")

    return program


def compressed_before(mb: Any, types: Any, target: Any) -> Any:
    @mb.program(input_specs=[mb.TensorSpec((1, 8), dtype=types.fp32)], opset_version=target)
    def program(x: Any) -> Any:
        affine = mb.constexpr_affine_dequantize(
            quantized_data=RNG.integers(-128, 128, (16, 8), dtype=np.int8),
            zero_point=RNG.integers(-9, 9, 16, dtype=np.int8),
            scale=RNG.uniform(0.1, 1, 16).astype(np.float32),
            axis=0,
        )
        palette = mb.constexpr_lut_to_dense(
            indices=RNG.integers(0, 256, 64, dtype=np.uint8),
            lut=RNG.standard_normal(16).astype(np.float32),
            shape=np.array([16, 8], np.uint32),
        )
        sparse = mb.constexpr_sparse_to_dense(
            nonzero_data=RNG.standard_normal(64).astype(np.float32),
            mask=np.full(16, 0b01010101, np.uint8),
            shape=np.array([16, 8], np.uint32),
        )
        return tuple(mb.linear(x=x, weight=item, name=f"y{k}") for k, item in enumerate((affine, palette, sparse)))

    return program


def unknown_extents(mb: Any, types: Any, target: Any) -> Any:
    import coremltools
    from coremltools.converters.mil.mil import get_new_symbol

    @mb.program(input_specs=[mb.TensorSpec((1, get_new_symbol()), dtype=types.fp32)], opset_version=target)
    def program(x: Any) -> Any:
        return mb.add(x=mb.expand_dims(x=x, axes=[2]), y=np.arange(3, dtype=np.float32), name="y")

    shape = coremltools.Shape([1, coremltools.RangeDim(2, 64, default=4)])
    program.functions["main"].input_types = [coremltools.TensorType(name="x", shape=shape)]
    return program


Make = Callable[[Any, Any, Any], Any]
PROGRAMS: list[tuple[Make, str]] = [
    (branches, "iOS15"),
    (lists, "iOS16"),
    (compressed_before, "iOS16"),
    (unknown_extents, "iOS17"),
    (states, "iOS18"),
    (compressed, "iOS18"),
    (branches, "iOS26"),
]


@pytest.fixture
def save(coremltools: Any, tmp_path: Path) -> Callable[[Make, str], Path]:
    """`save(make, target)` builds a program with coremltools for an opset and saves it as a package."""

    def convert(make: Make, name: str) -> Path:
        from coremltools.converters.mil import Builder as mb
        from coremltools.converters.mil.mil import types

        target = getattr(coremltools.target, name)
        path = tmp_path / f"{make.__name__}.mlpackage"
        coremltools.convert(
            make(mb, types, target),
            minimum_deployment_target=target,
            compute_units=coremltools.ComputeUnit.CPU_ONLY,
            skip_model_load=True,
        ).save(str(path))
        return path

    return convert


def feeds(function: Function) -> dict[str, Any]:
    shapes = {item.name: [4 if n is None else n for n in item.type.shape or ()] for item in function.inputs}  # type: ignore[union-attr]
    return {name: RNG.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize(("make", "target"), PROGRAMS, ids=[f"{make.__name__}-{name}" for make, name in PROGRAMS])
def test_both_forms_give_the_same_records_and_results(
    save: Callable[[Make, str], Path], tmp_path: Path, make: Make, target: str
) -> None:
    path = save(make, target)
    package = read_package(path)
    inputs = feeds(package.functions["main"])
    for older in (True, False):
        text = read_package(compile_package(path, tmp_path / f"{older}.mlmodelc", older))
        assert (text.opset, text.spec_version) == (package.opset, package.spec_version)
        assert plain(text.functions) == plain(package.functions)
        results = []
        for form in (package, text):
            function = Evaluator(form).function()
            results.append(function(inputs, function.make_state()))
        assert results[0].keys() == results[1].keys()
        for name, value in results[0].items():
            np.testing.assert_array_equal(value, results[1][name])


def test_several_functions_in_both_forms(coremltools: Any, save: Callable[[Make, str], Path], tmp_path: Path) -> None:
    described = coremltools.utils.MultiFunctionDescriptor()
    described.add_function(str(save(states, "iOS18")), "main", "stream")
    described.add_function(str(save(compressed, "iOS18")), "main", "whole")
    described.default_function_name = "whole"
    path = tmp_path / "both.mlpackage"
    coremltools.utils.save_multifunction(described, str(path))
    package = read_package(path)
    text = read_package(compile_package(path, tmp_path / "both.mlmodelc", older=False))
    assert list(package.functions) == ["stream", "whole"]
    assert (package.default_function, list(package.descriptions)) == ("whole", ["stream", "whole"])
    assert plain(text.functions) == plain(package.functions)


@settings(max_examples=40, deadline=None)
@given(text=st.text(max_size=20).filter(lambda text: "\0" not in text), wide=st.lists(st.floats(width=16), max_size=5))
def test_whatever_strings_and_numbers_a_text_holds_are_read(text: str, wide: list[float]) -> None:
    from mctc.package.mil_text import parse_text
    from mctc.package.weights import Weights

    printer = Printer(older=True)
    program = (
        f"program(1.0) {{ func f<ios18>() {{ a()[s = string({printer.literal(text)}), "
        f"n = tensor<fp16, [{len(wide)}]>({printer.literal(wide)})]; }} -> (); }}"
    )
    operation = parse_text(program, Path("f"), Weights(Path(), Path()))["f"].operations[0]
    assert operation.attributes["s"].value() == text
    np.testing.assert_array_equal(operation.attributes["n"].value(), np.array(wide, np.float16))
