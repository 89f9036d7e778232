"""What targets share: dispatch to rules, places in errors, ports, numbers that an artifact can't hold."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.diagnostics.errors import MctcError
from mctc.driver.options import BuildError
from mctc.emit.called import Opened
from mctc.emit.emitter import Emitter, are
from mctc.emit.laid_out import bounds_of, check_convolution, check_order_kept, check_rank, count_ids, pad_widths
from mctc.emit.ports import element_types, interface, ports_of
from mctc.emit.rules import Rules
from mctc.emit.stored import held
from mctc.emit.unsupported import UnsupportedError
from mctc.ir.ops.elementwise import Relu, Tanh
from mctc.ir.program import Program, State
from mctc.ir.text import parse_program


class TextEmitter(Emitter[str]):
    target, language = "text", "text"


RULES = Rules[TextEmitter, str]()


@RULES.of(Relu)
def relu(op: Relu, e: TextEmitter) -> str:
    return f"relu({e.ref(op.x)})"


@RULES.of(Tanh)
def tanh(op: Tanh, e: TextEmitter) -> str:
    raise UnsupportedError("not today", "write relu")


def function_of(body: str, inputs: str = "%x: f32[batch 1, channel 4, unit 1, time 8]") -> Program:
    return parse_program(f"program @m {{ function @f({inputs}) {{ {body} }} }}")


def emitter(program: Program, states_as_io: bool = True) -> TextEmitter:
    made = TextEmitter(program, program.functions["f"], states_as_io=states_as_io)
    made.values = {value: name for name, value in made.ports.taken}
    return made


def test_an_op_is_what_its_rule_says() -> None:
    made = emitter(function_of("%y = relu(%x) %z = relu(%y) return out = %z"))
    made.emit_ops(RULES)
    assert made.ref(made.ports.given[0][1]) == "relu(relu(x))"


@pytest.mark.parametrize(
    ("line", "told", "hint"),
    [
        ("%y = tanh(%x)", "tanh: not today", "write relu"),
        ("%y = exp(%x)", "exp has no text form", "a pass has to lower it: see `mctc passes`"),
    ],
)
def test_an_error_says_the_op_whoever_raises_it(line: str, told: str, hint: str) -> None:
    with pytest.raises(MctcError) as caught:
        emitter(function_of(f"{line} return out = %y")).emit_ops(RULES)
    assert str(caught.value) == told
    assert caught.value.hint == hint


def test_a_form_returns_one_for_each_result() -> None:
    assert are("y", 1, str)
    assert are(["y", "z"], 2, str)
    assert not are("y", 2, str)
    assert not are(["y", 1], 2, str)
    assert not are(None, 1, str)


def test_states_are_ports_or_held() -> None:
    program = function_of("%y = relu(%x) return out = %y")
    function = program.functions["f"]
    function.states = [State("layers.0.h", function.inputs[0], function.ops[0].result)]
    passed, kept = (ports_of(function, states_as_io=io) for io in (True, False))
    assert [name for name, _ in passed.taken] == ["x", "layers_0_h"]
    assert [name for name, _ in passed.given] == ["out", "layers_0_h_out"]
    assert not passed.held
    assert [name for name, _ in kept.taken] == ["x"]
    assert [name for name, _ in kept.held] == ["layers_0_h"]
    told = interface(function, "a.txt", element_types("fp16"), 1, states_as_io=True)
    assert [(port.spec, port.name, port.dtype) for port in told.outputs] == [
        ("out", "out", "fp16"),
        ("layers.0.h", "layers_0_h_out", "fp16"),
    ]
    assert [port.name for port in told.states] == ["layers_0_h"]


def test_a_number_that_the_type_has_no_place_for_is_told() -> None:
    with pytest.raises(UnsupportedError, match="w has a value of magnitude 1e\\+06, which fp16 can't hold"):
        held(np.array([1.0, 1e6]), np.float16, "w")
    assert held(np.array([1.0, 1e6]), np.float32, "w").dtype == np.float32


def test_slices_and_pads_are_numbers_for_each_axis() -> None:
    program = function_of(
        "%y = slice(%x, axis = time, begin = 2, stride = 3) %z = pad(%x, axis = channel, after = 5) "
        "return a = %y, b = %z"
    )
    cut, padded = program.functions["f"].ops
    assert bounds_of(cut).begin == [0, 0, 0, 2]  # type: ignore[arg-type]
    assert bounds_of(cut).end == [1, 4, 1, 8]  # type: ignore[arg-type]
    assert bounds_of(cut).stride == [1, 1, 1, 3]  # type: ignore[arg-type]
    assert pad_widths(padded) == [0, 0, 0, 5, 0, 0, 0, 0]  # type: ignore[arg-type]


REFUSED = {
    "order": (
        "%y = split_channels(%x, groups = 2)", "f32[batch 1, time 8, channel 4]", check_order_kept, "moves entries",
    ),
    "convolution": (
        "%w = constant [[[[1.0, 1.0]]]]: f32[plain 1, plain 1, plain 1, plain 2] %y = conv2d(%x, %w)",
        "f32[batch 1, feature 2, time 8, channel 1]", check_convolution, "is convolved",
    ),
    "ids": (
        "%w = constant [[1.0, 2.0]]: f32[plain 1, plain 2] %y = embedding(%x, %w)",
        "i32[batch 2, label 3]", count_ids, "can't be looked up",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_laid_out_is_refused_in_words(name: str) -> None:
    body, type_, check, told = REFUSED[name]
    op = function_of(f"{body} return out = %y", f"%x: {type_}").functions["f"].ops[-1]
    with pytest.raises(UnsupportedError, match=told):
        check(op)  # type: ignore[operator]


def test_more_axes_than_the_device_takes_are_refused() -> None:
    axes = "[plain 1, plain 1, plain 1, plain 1, plain 1, plain 4]"
    op = function_of(f"%y = reshape(%x, axes = {axes}) return out = %y", "%x: f32[channel 4]").functions["f"].ops[0]
    with pytest.raises(UnsupportedError, match="has 6 axes, the limit is 5"):
        check_rank(op.result)


def test_plain_functions_execute_an_artifact() -> None:
    opened = Opened({"f": lambda given: {"y": given["x"] + 1}})
    assert opened.function().name == "f"
    assert opened.function("f")({"x": np.zeros(1)})["y"] == 1
    with pytest.raises(BuildError, match="`f` needs 'x'"):
        opened.function("f")({})
    with pytest.raises(BuildError, match="there is no function `g`"):
        opened.function("g")
