"""Shapes that an input may take besides its default."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mctc.package import Feature, NotAProgram, TensorType, read_package
from mctc.package.protobuf import model_class


def described(tmp_path: Path, fill: Callable[[Any], None]) -> Feature:
    """The record of an input; that the model has no program doesn't matter."""
    model = model_class()()
    fill(model.description.input.add(name="x").type)
    (tmp_path / "m.mlmodel").write_bytes(model.SerializeToString())
    with pytest.raises(NotAProgram) as raised:
        read_package(tmp_path / "m.mlmodel")
    return raised.value.model.inputs[0]


def array(type_: Any, *shape: int) -> Any:
    type_.multiArrayType.shape.extend(shape)
    type_.multiArrayType.dataType = type_.multiArrayType.FLOAT16
    return type_.multiArrayType


def test_a_fixed_shape_has_no_others(tmp_path: Path) -> None:
    found = described(tmp_path, lambda type_: array(type_, 1, 8))
    assert found == Feature("x", "tensor", TensorType("fp16", (1, 8)))


@pytest.mark.parametrize(
    ("listed", "wanted"),
    [([(1, 8), (1, 16)], ((1, 8), (1, 16))), ([(1, 4), (1, 16)], ((1, 8), (1, 4), (1, 16)))],
    ids=["with the default", "without it"],
)
def test_enumerated_shapes_are_all_told(
    tmp_path: Path, listed: list[tuple[int, ...]], wanted: tuple[tuple[int, ...], ...]
) -> None:
    def fill(type_: Any) -> None:
        shapes = array(type_, 1, 8).enumeratedShapes.shapes
        for shape in listed:
            shapes.add(shape=shape)

    found = described(tmp_path, fill)
    assert (found.flexible, found.enumerated, found.ranges) == (True, wanted, ())


def test_ranges_are_told_and_a_negative_bound_is_none(tmp_path: Path) -> None:
    def fill(type_: Any) -> None:
        ranges = array(type_, 1, 8).shapeRange.sizeRanges
        ranges.add(lowerBound=1, upperBound=1)
        ranges.add(lowerBound=2, upperBound=-1)

    found = described(tmp_path, fill)
    assert (found.flexible, found.enumerated, found.ranges) == (True, (), ((1, 1), (2, None)))


@pytest.mark.parametrize(("field", "default"), [("floatDefaultValue", 0.5), ("intDefaultValue", 0), (None, None)])
def test_the_default_of_an_optional_input_is_told(tmp_path: Path, field: str | None, default: float | None) -> None:
    def fill(type_: Any) -> None:
        type_.isOptional = True
        if field is not None:
            setattr(array(type_, 1, 8), field, default)

    found = described(tmp_path, fill)
    assert (found.optional, found.default) == (True, default)


def test_an_image_of_flexible_size_is_flexible(tmp_path: Path) -> None:
    fixed = described(tmp_path, lambda type_: setattr(type_.imageType, "width", 4))
    by_list = described(tmp_path, lambda type_: type_.imageType.enumeratedSizes.sizes.add(width=4, height=4))
    by_range = described(tmp_path, lambda type_: type_.imageType.imageSizeRange.widthRange.SetInParent())
    assert by_list.enumerated == ((0, 0), (4, 4))  # the default size leads
    assert by_range.ranges == ((0, 0), (0, 0))
    assert [item.kind for item in (fixed, by_list, by_range)] == ["image"] * 3
    assert [item.flexible for item in (fixed, by_list, by_range)] == [False, True, True]


def test_hostile_extents_are_plain_numbers(tmp_path: Path) -> None:
    found = described(tmp_path, lambda type_: array(type_, -1, (1 << 63) - 1))
    assert found.type == TensorType("fp16", (-1, (1 << 63) - 1))


RANGES = """(("DefaultShapes", {{"x", [1, 4]}}), ("RangeDims", {{"x", [[1, 1], [2, -1]]}}))"""
LISTS = (
    """(("DefaultShapes", {{"x", [1, 4]}}), ("EnumeratedShapes", {{"a1", {{"x", [1, 4]}}}, {"b2", {{"x", [1, 8]}}}}))"""
)


@pytest.mark.parametrize(
    ("said", "default", "ranges", "listed"),
    [
        (f"({RANGES})", (1, 4), ((1, 1), (2, None)), ()),
        (f"({LISTS})", (1, 4), (), ((1, 4), (1, 8))),
        ('((("DefaultShapes", {{"x", [1, 4]}})))', (1, 4), (), ()),
    ],
)
def test_a_compiled_program_tells_the_shapes_of_its_inputs_itself(
    tmp_path: Path, said: str, default: tuple[int, ...], ranges: Any, listed: Any
) -> None:
    types = "tuple<tuple<tensor<string, []>, dict<tensor<string, []>, tensor<int32, [?]>>>>"
    text = f"""program(1.0)
    {{
        func main<ios17>(tensor<fp16, [1, ?]> x) [FlexibleShapeInformation = {types}({said})] {{
            tensor<fp16, [1, ?]> y = relu(x = x)[name = string("y")];
        }} -> (y);
    }}"""
    folder = tmp_path / "m.mlmodelc"
    folder.mkdir()
    (folder / "model.mil").write_text(text)
    (feature,) = read_package(folder).descriptions["main"].inputs
    assert feature.type == TensorType("fp16", default)
    assert (feature.ranges, feature.enumerated, feature.flexible) == (ranges, listed, True)


@pytest.mark.parametrize(
    "said", ["()", "(1)", '(("DefaultShapes", {{"z", [1]}}))', '(("DefaultShapes", {{"x", ["a"]}}))']
)
def test_shapes_of_another_form_are_passed_over(tmp_path: Path, said: str) -> None:
    text = f"""program(1.0)
    {{
        func main<ios17>(tensor<fp16, [1, ?]> x) [FlexibleShapeInformation = tuple<tensor<string, []>>({said})] {{
            tensor<fp16, [1, ?]> y = relu(x = x)[name = string("y")];
        }} -> (y);
    }}"""
    folder = tmp_path / "m.mlmodelc"
    folder.mkdir()
    (folder / "model.mil").write_text(text)
    described = read_package(folder).descriptions.get("main")
    assert described is None or not described.inputs


@pytest.mark.parametrize(
    ("feature", "allowed", "refused"),
    [
        (Feature("x", "tensor", None, flexible=True, ranges=((1, 1), (2, 9))), [(1, 2), (1, 9)], [(1, 1), (1, 10)]),
        (Feature("x", "tensor", None, flexible=True, ranges=((2, None),)), [(2,), (99999,)], [(1,)]),
        (Feature("x", "tensor", None, flexible=True, enumerated=((1, 4), (1, 8))), [(1, 4), (1, 8)], [(1, 6)]),
        (Feature("x", "image", None, flexible=True, ranges=((8, 16), (4, 4))), [(1, 3, 8, 4)], [(1, 3, 17, 4)]),
        (Feature("x", "image", None, flexible=True, enumerated=((8, 4), (9, 5))), [(1, 3, 9, 5)], [(1, 3, 9, 4)]),
    ],
    ids=["range", "no upper bound", "list", "image of a range", "image of a list"],
)
def test_shapes_beyond_the_description_are_refused(
    feature: Feature, allowed: list[tuple[int, ...]], refused: list[tuple[int, ...]]
) -> None:
    assert [feature.refusal(shape) for shape in allowed] == [None] * len(allowed)
    assert all(feature.refusal(shape) for shape in refused)
