"""Programs print and parse back: everything in the full form, all but origins in the short one."""

from __future__ import annotations

from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mctc.ir.build import Builder
from mctc.ir.dims import Extent
from mctc.ir.location import Event, Location, Origin
from mctc.ir.program import (
    Derived,
    Dim,
    Function,
    Initializer,
    PackedState,
    Parameter,
    Program,
    Quantization,
    QuantizeRule,
    Section,
    Source,
    State,
    Value,
    VocabularyMap,
)
from mctc.ir.recipes import compose, recipe_key, with_recipe
from mctc.ir.text import IrSyntaxError, LiteralError, equal, parse_program, print_function, print_program
from mctc.ir.types import Axis, DType, Role, TensorType, plain
from mctc.weights import Weights

FULL = Path(__file__).with_name("full.mir").read_text()  # every construct of the full form


def test_the_full_form_parses_back_to_itself() -> None:
    assert print_program(parse_program(FULL), locations=True) == FULL


def test_the_short_form_leaves_out_origins_only() -> None:
    short = print_program(parse_program(FULL))
    assert " at " not in short
    assert " by " not in short
    assert print_program(parse_program(short), locations=True) == short


def test_every_part_of_a_program_is_read() -> None:
    program = parse_program(FULL)
    assert program.name == "odd name"
    assert program.dims["T"] == Dim(Role.TIME, Fraction(100, 3))
    assert program.sources["enc.weight"] == (plain(DType.F32, 4, 8), Initializer("kaiming_uniform", (("fan_in", 8),)))
    assert program.parameters["enc.bias"].recipe == Source("enc.bias", plain(DType.F32, 4))
    half = program.parameters["enc.half"]
    assert half.quantization == Quantization("palette", 4, 16, axis=1)
    assert isinstance(half.recipe, Derived)
    assert half.recipe.result == 1
    assert program.train.settings == {"objective": ("rnnt", {"blank": 0})}
    assert program.stream.settings["chunk"] == Fraction(8, 25)
    assert program.stream.settings["list"][-1] == Extent.of("T") / 2 - 1
    place = Origin(Location("a.mct", 9, 1))
    assert program.quantize == (QuantizeRule("encoder.**", Quantization("int8", 8), place), QuantizeRule("**", None))
    assert program.vocabularies == (VocabularyMap("joiner", "logits", 1001, 1024),)
    assert program.instances == {"enc.layers.0": "layer"}
    function = program.functions["enc"]
    assert function.inputs[1].type.bound == Extent.of(1001)
    assert [state.name for state in function.states] == ["layers.0.h", "c"]
    assert function.packing[0] == PackedState("layers.0.h", "state", 0, 32, (1, 4))
    conv = function.ops[2]
    assert conv.origin.location == Location("a.mct", 3, 5)
    assert conv.origin.history == (Event("linear-to-conv", "linear became conv1d"), Event("odd pass", 'a "b" # c'))
    assert conv.attributes["pad"] == (0, 0)


WRITTEN = {
    Program: "name dims functions parameters sources train stream utterance audio tokens passes prune quantize "
    "vocabularies instances",
    Function: "name inputs ops results states origin packing domains",
    Parameter: "name type recipe quantization origin wide",
    Quantization: "scheme bits group axis expanded wide activations",
    QuantizeRule: "pattern quantization origin",
    VocabularyMap: "function result valid padded",
    PackedState: "name tensor row column shape pitch",
    State: "name value update",
    Initializer: "rule arguments",
    Section: "settings",
    Derived: "op operands attributes type result",
    Source: "name type",
    Dim: "role rate",
    TensorType: "dtype axes bound",
    Origin: "location path history",
    Event: "by change",
    Location: "file line column end_line end_column",
}


@pytest.mark.parametrize("part", WRITTEN)
def test_no_field_of_the_ir_is_left_out_of_the_text(part: type) -> None:
    assert [field.name for field in fields(part) if field.compare] == WRITTEN[part].split(), (
        "the textual form must hold every field"
    )


def test_recipes_that_passes_compose_are_read_as_they_were() -> None:
    weight = Parameter("w", plain(DType.F32, 4, 6), Source("w", plain(DType.F32, 4, 6)))
    half = replace(
        weight,
        name="v",
        type=plain(DType.F32, 4, 3),
        recipe=compose("split", [weight.recipe], {"parts": 2, "axis": 1}, 1),
    )
    ones = compose("constant", [], {"value": np.ones((4, 1)), "dtype": "f32", "roles": ("plain",) * 2})
    added = with_recipe(half, half.name, compose("add", [half.recipe, ones], {}))
    program = Program("p", sources={"w": (weight.type, Initializer())}, parameters={"w": weight, "v": added})
    back = parse_program(print_program(program))
    assert equal(program, back)
    assert recipe_key(back.parameters["v"].recipe) == recipe_key(added.recipe)


def test_a_recipe_whose_op_leaves_optional_operands_off_is_read_with_all_of_them() -> None:
    """Written, an operand that is absent at the end is left off; evaluated, the op takes it as None."""
    kernel = Parameter("w", plain(DType.F32, 2, 3, 1, 1), Source("w", plain(DType.F32, 2, 3, 1, 1)))
    roles = ("batch", "channel", "unit", "time")
    start = compose("constant", [], {"value": np.ones((1, 3, 1, 1)), "dtype": "f32", "roles": roles})
    folded = with_recipe(kernel, "v", compose("conv2d", [start, kernel.recipe, None], {}))
    program = Program("p", sources={"w": (kernel.type, Initializer("ones"))}, parameters={"w": kernel, "v": folded})
    back = parse_program(print_program(program))
    assert equal(program, back)
    np.testing.assert_array_equal(Weights(back.sources).value(back.parameters["v"]).ravel(), [3, 3])


def test_functions_alone_declare_what_they_name() -> None:
    program = parse_program("""
        function @f(%x: f32[batch B, time T/2, channel 3]) {  # types of results may be left out
            %w = parameter @w: f32[5, 3]
            %y = linear(%x, %w)
            return y = %y
        }""")
    assert program.dims == {"B": Dim(Role.BATCH), "T": Dim(Role.TIME)}
    assert program.parameters["w"] == Parameter("w", plain(DType.F32, 5, 3), Source("w", plain(DType.F32, 5, 3)))
    printed = print_function(program.functions["f"])
    assert "%1 = linear(%x, %0): f32[batch B, time T/2, channel 5]" in printed
    assert equal(parse_program(printed), parse_program(print_function(parse_program(printed).functions["f"])))


ARRAYS = [
    np.array(0.1),
    np.array([0.1, -0.0, np.inf, -np.inf], np.float32),
    np.array([np.nan, 1.0], np.float32),
    np.frombuffer(b"\x01\x00\xc0\x7f\x01\x00\xc0\x7f", np.float32),  # a NaN with a payload, twice
    np.arange(-60, 60, dtype=np.float16).reshape(2, 3, 20) / np.float16(3),
    np.eye(40, dtype=np.float32),
    np.full((50, 2), 0.1, np.float64),
    np.array([[-(2**31), 2**31 - 1]], np.int32),
    np.array([2**62, 1], np.int64),
    np.array([[True], [False]]),
    np.zeros((0, 3), np.float32),
    np.random.default_rng(0).normal(size=(3, 30)),
    np.arange(40, dtype=np.float32).reshape(2, 20).T,
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}{a.shape}")
def test_constants_keep_their_bits(array: np.ndarray) -> None:
    program = Program("p")
    builder = Builder(program)
    value = builder.constant(array)
    program.functions["f"] = Function("f", [], builder.ops, [("y", value)])
    back = parse_program(print_program(program)).functions["f"].ops[0].attributes["value"]
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert back.tobytes() == array.tobytes()


def test_values_of_equal_or_odd_names_stay_apart() -> None:
    type_ = TensorType(DType.F32, (Axis(Role.CHANNEL, Extent.of(2)),))
    values = [Value(type_, name) for name in ("x", "x", "", "7", "a b")]
    states = [State("x", values[3], values[0]), State("s", values[4], values[1])]
    function = Function("f", values[:3], [], [("y", values[2])], states)
    printed = print_function(function)
    assert print_function(parse_program(printed).functions["f"]) == printed
    assert len({value.name for value in parse_program(printed).functions["f"].inputs}) == 3


def test_attributes_without_a_text_are_named() -> None:
    with pytest.raises(LiteralError, match="complex has no textual form"):
        print_program(Program("p", train=Section({"a": 1j})))


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("program @x {", 1, "found the end of the text"),
        ("function @f() {\n %0 = relu(%x)\n}", 2, "%x is not defined before this use"),
        ("function @f(%x: f32[batch B]) {\n %0 = relu %x\n}", 2, "expected '(', found '%x'"),
        ("function @f(%x: f32[batch B]) {\n %0 = relux(%x)\n}", 2, "there is no op named relux"),
        ("function @f(%x: f32[batch B]) {\n\n %0 = relu(%x): f32[4]\n}", 3, "the text says f32[4]"),
        ("function @f(%x: f32[batch B, time T 4]) { }", 1, "found '4'"),
        ("function @f(%x: f32[batch B / 0]) { }", 1, "cannot be divided by 0"),
        ("function @f(%x: f32[batch B], %x: f32[]) { }", 1, "%x is defined twice"),
        ("function @f() {}\nfunction @f() {}", 2, "two functions @f"),
        ("function @f(%x: f32[2]) {\n %0, %1 = relu(%x)\n}", 2, "relu has 1 results, not 2"),
        ("function @f() {\n state %h: f32[2]\n}", 2, "state %h has no `next`"),
        ("function @f() {\n %0 = parameter @w\n}", 2, "@w is not declared"),
        ("function @f() {\n %0 = constant [1, [2]]\n}", 2, "these entries make no int32 array"),
        ("function @f() {\n %0 = constant [1, 2]: f32[3]\n}", 2, "the constant has shape [2]"),
        ('function @f() {\n %0 = constant packed "AAAA": f32[3]\n}', 2, "damaged"),
        ('function @f() {\n %0 = constant bytes "AAAA": f32[3]\n}', 2, "12 bytes was expected, there are 3"),
        ("function @f() {\n %0 = constant 1 as int3: i32[]\n}", 2, "there is no storage type int3"),
        ("dim T: tim", 1, "there is no role tim"),
        ("param @w", 1, "neither a type nor a source"),
        ("param @w: f32[2] = relu(@v)", 1, "there is no source @v"),
        ("stream { a = 1/0 }", 1, "over 0"),
        ("$", 1, "found '$'"),
    ],
)
def test_errors_say_where_and_what(text: str, line: int, message: str) -> None:
    with pytest.raises(IrSyntaxError) as caught:
        parse_program(text)
    assert caught.value.line == line
    assert message in str(caught.value)
