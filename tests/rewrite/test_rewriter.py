"""Rewriting rebuilds functions op by op, keeps the old program, writes histories and drops what is dead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from mctc.diagnostics.diagnostic import DiagnosticError
from mctc.ir.location import Event
from mctc.ir.op import InferenceError
from mctc.ir.ops.elementwise import Relu
from mctc.ir.ops.leaf import ParameterOp
from mctc.ir.ops.linear import Linear
from mctc.ir.ops.shape import Pad
from mctc.ir.program import Op, Program, Value
from mctc.ir.text import parse_program, print_program
from mctc.ir.types import TensorType
from mctc.ir.verify import verify
from mctc.rewrite.rewriter import RewriteError, Rewriter, drop_dead, rewrite

TEXT = """program @p {
  dim T: time @ 100
  source @v: f32[4] = ones()
  source @w: f32[4, 4] = ones()
  param @v
  param @w
  function @f(%x: f32[time T, channel 4]) {
    state %h: f32[time 1, channel 4]
    %0 = parameter @w: f32[4, 4]
    %1 = linear(%x, %0): f32[time T, channel 4] at "m.mct":3:5 in f.proj
    %2 = parameter @v: f32[4]
    %3 = mul(%1, %2): f32[time T, channel 4] in f.gain
    %4 = relu(%3): f32[time T, channel 4] at "m.mct":4:5
    next %h = %h
    return y = %4
  }
}
"""


def program() -> Program:
    return parse_program(TEXT)


def test_a_rule_that_keeps_everything_gives_an_equal_program() -> None:
    assert print_program(rewrite(program(), "keep", lambda op, r: None), locations=True) == TEXT


def test_a_replaced_op_records_the_pass_and_the_old_program_stays() -> None:
    old = program()

    def rule(op: Op, r: Rewriter) -> Value | None:
        if op.name != "relu":
            return None
        r.note("relu became a maximum with zero")
        return r.op("maximum", r.operands(op)[0], r.constant(0.0))

    new = rewrite(old, "relu-to-maximum", rule)
    verify(new)
    constant, maximum = new.functions["f"].ops[-2:]
    assert (constant.name, maximum.name) == ("constant", "maximum")
    event = Event("relu-to-maximum", "relu became a maximum with zero")
    assert maximum.origin.history == constant.origin.history == (event,)
    assert str(maximum.origin.location) == "m.mct:4:5"
    assert new.functions["f"].ops[1].origin.history == ()
    assert print_program(old, locations=True) == TEXT


def test_histories_depend_on_types_and_not_on_which_objects_they_are() -> None:
    """Types are shared where a cache still has them: two builds of one spec differed."""

    def rule(op: Op, r: Rewriter) -> Sequence[Value] | None:
        return r.copy(op) if isinstance(op, ParameterOp) else None

    shared, apart = program(), program()
    for name, each in shared.parameters.items():
        (op,) = (op for _, op in shared.ops() if isinstance(op, ParameterOp) and op.parameter == name)
        shared.parameters[name] = replace(each, type=op.declared)
        copied = TensorType(each.type.dtype, (*each.type.axes,), each.type.bound)
        apart.parameters[name] = replace(each, type=copied)
    texts = [print_program(rewrite(each, "p", rule), locations=True) for each in (shared, apart)]
    assert texts[0] == texts[1] == TEXT


def test_without_a_note_the_change_is_named_by_its_ops() -> None:
    def rule(op: Op, r: Rewriter) -> Value | None:
        return r.op("tanh", r.op("neg", r.operands(op)[0])) if op.name == "relu" else None

    last = rewrite(program(), "p", rule).functions["f"].ops[-1]
    assert last.origin.history == (Event("p", "relu became neg, tanh"),)


def test_what_nobody_uses_goes_with_its_parameters() -> None:
    def skip(op: Op, r: Rewriter) -> Value | None:
        return r.named(op, "left") if op.name == "mul" else None

    new = rewrite(program(), "skip", skip)
    assert [op.name for op in new.functions["f"].ops] == ["parameter", "linear", "relu"]
    assert list(new.parameters) == ["w"]
    assert set(new.sources) == {"v", "w"}


def test_one_of_several_results_keeps_an_op_alive() -> None:
    old = parse_program("""function @f(%x: f32[channel 4]) {
        %0, %1 = split(%x, parts = 2)
        %2 = relu(%0)
        return y = %1
    }""")
    assert [op.name for op in drop_dead(old).functions["f"].ops] == ["split"]


def test_retyped_inputs_change_every_type_that_follows() -> None:
    def retype(type_: TensorType) -> TensorType:
        return type_.substitute({"T": 8})

    new = rewrite(program(), "fix", lambda op, r: None, retype).functions["f"]
    assert str(new.results[0][1].type) == "f32[time 8, channel 4]"


def test_a_rewrite_that_does_not_type_check_names_pass_op_and_place() -> None:
    def rule(op: Op, r: Rewriter) -> Value | None:
        return r.op("linear", r.operands(op)[0], r.constant([1.0])) if op.name == "relu" else None

    with pytest.raises(RewriteError, match=r"pass bad broke relu at m\.mct:4:5: the weight must be \[out, in\]"):
        rewrite(program(), "bad", rule)


def test_an_input_that_can_not_be_retyped_is_named() -> None:
    def refuse(type_: TensorType) -> TensorType:
        raise InferenceError("two time axes")

    with pytest.raises(RewriteError, match="pass bad can't take x of f: two time axes"):
        rewrite(program(), "bad", lambda op, r: None, refuse)


def test_a_replacement_must_stand_for_every_result() -> None:
    old = parse_program("function @f(%x: f32[channel 4]) { %0, %1 = split(%x, parts = 2) return y = %1 }")

    def rule(op: Op, r: Rewriter) -> Sequence[Value]:
        return [r.op("relu", r.operands(op)[0])]

    with pytest.raises(RewriteError, match="pass bad gave 1 values for the 2 results of split"):
        rewrite(old, "bad", rule)


def test_only_uses_and_outputs() -> None:
    seen: dict[str, str | None] = {}

    def rule(op: Op, r: Rewriter) -> None:
        user = r.only_use(op.results[0])
        seen[op.name] = user.name if user else None

    rewrite(program(), "look", rule)
    assert seen == {"parameter": "mul", "linear": "mul", "mul": "relu", "relu": None}


def test_a_pass_that_makes_too_many_operations_is_stopped_at_the_op(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mctc.rewrite.rewriter.OPS", 50)

    def rule(op: Op, r: Rewriter) -> Value | None:
        value = r[op.x] if isinstance(op, Relu) else None
        while value is not None:
            value = r.op(Relu, value)
        return value

    with pytest.raises(DiagnosticError, match="pass endless makes more than 50 operations of f") as caught:
        rewrite(program(), "endless", rule)
    (found,) = caught.value.diagnostics
    assert found.code == "MCT0007"


def test_a_tensor_that_no_device_has_room_for_is_refused_at_its_op() -> None:
    def rule(op: Op, r: Rewriter) -> Sequence[Value] | None:
        return r.emit(Pad, r[op.x], axis="channel", after=1 << 29) if isinstance(op, Relu) else None

    fixed = parse_program(TEXT.replace("time T", "time 1"))
    with pytest.raises(DiagnosticError, match="536,870,916 entries") as caught:
        rewrite(fixed, "huge", rule)
    assert caught.value.diagnostics[0].code == "MCT0009"


def test_parameters_may_be_large() -> None:
    def rule(op: Op, r: Rewriter) -> Sequence[Value] | None:
        if not isinstance(op, Linear):
            return None
        r.emit(Pad, r[op.weight], axis=0, after=1 << 29)
        return None

    rewrite(program(), "wide", rule)
