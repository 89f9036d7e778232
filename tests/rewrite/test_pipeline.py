"""A stage runs its passes in order, verifies after each, validates promises when asked, and lets one watch."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.ir.program import Derived, Op, Program, Quantization, Value
from mctc.ir.text import parse_program
from mctc.ir.verify import VerificationError
from mctc.quantize import LEVELS, quantize
from mctc.rewrite.base import Context, Exact, Pass, Promise, Reshapes, Stores, Within
from mctc.rewrite.pipeline import PassError, run_stage
from mctc.rewrite.rewriter import Rewriter, rewrite
from mctc.rewrite.validate import ValidationError

TEXT = """
program @p {
  dim B: batch
  dim T: time @ 100
  source @w: f32[6, 4] = uniform(bound = 1.0)
  param @w
  function @f(%x: f32[batch B, time T, channel 4], %token: i32[batch B, time T] < 5) {
    %0 = parameter @w: f32[6, 4]
    %1 = linear(%x, %0)
    %2 = tanh(%1) at "m.mct":7:3 in f.tanh
    %3 = embedding(%token, %0)
    %4 = slice(%2, axis = channel, end = 4)
    %5 = add(%3, %4)
    return y = %5, z = %2
  }
  function @step(%x: f32[batch 1, channel 4]) {
    state %h: f32[batch 1, channel 4]
    %0 = add(%x, %h)
    next %h = %0
    return y = %h
  }
}
"""


def replacing(name: str, rule: Callable[[Op, Rewriter], Any], promise: Promise | None = None) -> type[Pass]:
    def run(self: Pass, program: Program, context: Context) -> Program:
        return rewrite(program, name, rule)

    return type(name, (Pass,), {"name": name, "promise": promise or Exact(), "run": run})


def scaled(target: str, factor: float) -> Callable[[Op, Rewriter], Value | None]:
    """Multiplies the result of an op."""

    def rule(op: Op, r: Rewriter) -> Value | None:
        return r.op("scale", r.copy(op)[0], factor=factor) if op.name == target else None

    return rule


def shifted(target: str, by: float) -> Callable[[Op, Rewriter], Value | None]:
    """Adds a number to the result of an op."""

    def rule(op: Op, r: Rewriter) -> Value | None:
        return r.op("scale", r.copy(op)[0], factor=1.0, offset=by) if op.name == target else None

    return rule


def twice_halved(op: Op, r: Rewriter) -> Value | None:
    return r.op("scale", r.op("scale", r.copy(op)[0], factor=2.0), factor=0.5) if op.name == "tanh" else None


def run(*passes: type[Pass], each: bool = True) -> Any:
    return run_stage(parse_program(TEXT), "common", passes, Context(), each=each)


def test_passes_run_are_told_with_sizes_and_errors() -> None:
    seen: list[str] = []
    program, ran = run_stage(
        parse_program(TEXT),
        "common",
        [replacing("b", twice_halved), replacing("a", lambda op, r: None)],
        Context(),
        each=True,
        watch=lambda cls, program: seen.append(f"{cls.name} {len(program.functions['f'].ops)}"),
    )
    assert seen == ["a 6", "b 8"]
    assert [(r.name, r.ops_before, r.ops_after, r.error) for r in ran] == [("a", 7, 7, 0.0), ("b", 7, 9, 0.0)]
    assert len(program.functions["f"].ops) == 8


def test_a_broken_exact_promise_names_pass_result_and_op() -> None:
    with pytest.raises(ValidationError, match=r"pass off promised exact but result y of f differs by") as caught:
        run(replacing("off", scaled("tanh", 1.0001)))
    assert "the first op with a new value is scale in f.tanh at m.mct:7:3" in caught.value.message


def test_an_error_within_the_tolerance_passes_and_is_reported() -> None:
    _, (ran,) = run(replacing("near", scaled("tanh", 1.0001), Within(1e-3)))
    assert ran.error == pytest.approx(1e-4, rel=0.01)
    with pytest.raises(ValidationError, match=r"promised within 1e-05"):
        run(replacing("far", scaled("tanh", 1.0001), Within(1e-5)))


CENTRED = """
function @f(%x: f32[time 7, channel 4]) {
  %0 = reduce_mean(%x, axis = time)
  %1 = sub(%x, %0)
  %2 = reduce_mean(%1, axis = time)
  return mean = %2, centred = %1
}
"""


def test_of_a_result_that_cancels_rounding_is_all_there_is_to_compare() -> None:
    """The mean of what is centred is zero but for rounding, and another order of sums rounds otherwise."""

    def in_another_order(op: Op, r: Rewriter) -> Value | None:
        if op.name != "reduce_mean":
            return None
        ends = [r.op("slice", r.operands(op)[0], axis="time", begin=b, end=e) for b, e in ((0, 3), (3, 7))]
        sums = [r.op("reduce_sum", each, axis="time") for each in ends]
        return r.op("scale", r.op("add", *sums), factor=1 / 7)

    def run_centred(cls: type[Pass]) -> Any:
        return run_stage(parse_program(CENTRED), "common", [cls], Context(), each=True)[1][0].error

    assert run_centred(replacing("reordered", in_another_order)) < 1e-12
    for target, factor in (("sub", 1.0001), ("reduce_mean", 1.0001)):
        with pytest.raises(ValidationError, match="differs by"):
            run_centred(replacing("off", scaled(target, factor)))
    for by in (1e-12, 1e-9):
        with pytest.raises(ValidationError, match="result mean of f differs"):
            run_centred(replacing("moved", shifted("sub", by)))


def test_without_validation_promises_are_taken_on_trust() -> None:
    _, (ran,) = run(replacing("off", scaled("tanh", 2.0)), each=False)
    assert ran.error is None


def test_an_update_that_forgets_the_state_is_found_by_chained_calls() -> None:
    with pytest.raises(ValidationError, match="result y of step differs"):
        run(replacing("forget", lambda op, r: r.operands(op)[0] if op.name == "add" and r.function.states else None))


def test_what_a_pass_leaves_alone_is_not_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counting(function: Any, *arguments: Any, **named: Any) -> Any:
        calls.append(function.name)
        return evaluate(function, *arguments, **named)

    monkeypatch.setattr("mctc.rewrite.validate.evaluate", counting)
    _, (ran,) = run(replacing("b", twice_halved))
    assert ran.error == 0
    assert set(calls) == {"f"}


def test_what_one_pass_leaves_is_evaluated_once_for_it_and_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def counting(function: Any, *arguments: Any, **named: Any) -> Any:
        calls.append(f"{function.name} {len(function.ops)}")
        return evaluate(function, *arguments, **named)

    monkeypatch.setattr("mctc.rewrite.validate.evaluate", counting)
    _, ran = run(replacing("a", twice_halved), replacing("b", scaled("tanh", 1.0), Within(1e-3)))
    assert [each.error for each in ran] == [0, 0]
    assert {name: calls.count(name) for name in calls} == {"f 6": 3, "f 8": 3, "f 9": 3}


def test_a_fault_of_a_later_pass_is_measured_against_what_the_one_before_left() -> None:
    passes = replacing("a", twice_halved), replacing("b", scaled("tanh", 1.0001))
    with pytest.raises(ValidationError, match=r"pass b promised exact but result y of f differs by"):
        run(*passes)


def test_other_parameters_under_the_same_ops_are_found() -> None:
    def swap(self: Pass, program: Program, context: Context) -> Program:
        half = Derived("scale", (program.parameters["w"].recipe,), (("factor", 0.5), ("offset", 0.0)), W)
        changed = replace(program.parameters["w"], recipe=half)
        return replace(program, parameters={"w": changed})

    W = parse_program(TEXT).parameters["w"].type
    with pytest.raises(ValidationError, match="pass swap promised exact but result y of f differs"):
        run(type("swap", (Pass,), {"name": "swap", "promise": Exact(), "run": swap}))


def test_a_lost_function_is_found() -> None:
    def lose(self: Pass, program: Program, context: Context) -> Program:
        new = rewrite(program, "lose", lambda op, r: None)
        del new.functions["step"]
        return new

    own = {"name": "lose", "promise": Exact(), "run": lose, "__module__": "mctc.passes.made_up"}
    with pytest.raises(ValidationError, match="pass lose lost function step"):
        run(type("lose", (Pass,), own))


def test_an_interface_may_be_reshaped() -> None:
    def transposed(op: Op, r: Rewriter) -> Value | None:
        if op.name != "tanh":
            return None
        return r.op("transpose", r.copy(op)[0], order=(0, 2, 1))

    def back(op: Op, r: Rewriter) -> Value | None:
        return r.op("transpose", transposed(op, r), order=(0, 2, 1)) if op.name == "tanh" else None

    _, (ran,) = run(replacing("there-and-back", back, Reshapes()))
    assert ran.error == 0
    _, (ran,) = run(replacing("there", transposed, Reshapes()))
    assert ran.error is not None
    assert ran.error < 1e-12


def test_a_pass_that_breaks_the_ir_is_stopped() -> None:
    def forget(self: Pass, program: Program, context: Context) -> Program:
        new = rewrite(program, "forget", lambda op, r: None)
        new.parameters = {}
        return new

    with pytest.raises(VerificationError, match="f: parameter: there is no parameter w"):
        run(type("forget", (Pass,), {"name": "forget", "promise": Exact(), "run": forget}), each=False)


def forgetting(name: str, module: str) -> type[Pass]:
    """A pass that leaves a program without its parameters."""

    def run(self: Pass, program: Program, context: Context) -> Program:
        return replace(program, parameters={})

    return type(name, (Pass,), {"name": name, "promise": Exact(), "run": run, "__module__": module})


@pytest.mark.parametrize("module", ["mctc.passes.made_up", "of_a_plugin"])
@pytest.mark.parametrize("name", ["a", "z"], ids=["first", "behind another"])
def test_what_a_stage_leaves_is_verified_whoever_broke_it(module: str, name: str) -> None:
    members = {"name": "k", "promise": Exact(), "run": lambda self, program, _: program, "__module__": module}
    keep = type("keep", (Pass,), members)
    with pytest.raises(VerificationError, match="there is no parameter w"):
        run_stage(parse_program(TEXT), "common", [keep, forgetting(name, module)], Context())


def test_where_a_stage_breaks_a_rule_it_runs_again_and_ends_at_the_pass_that_broke_it() -> None:
    ran: list[str] = []

    def noted(name: str) -> type[Pass]:
        def run(self: Pass, program: Program, context: Context) -> Program:
            ran.append(name)
            return program

        members = {"name": name, "promise": Exact(), "run": run, "__module__": "mctc.passes.made_up"}
        return type(name, (Pass,), members)

    passes = [noted("a"), forgetting("b", "mctc.passes.made_up"), noted("c")]
    with pytest.raises(VerificationError, match="there is no parameter w"):
        run_stage(parse_program(TEXT), "common", passes, Context())
    assert ran == ["a", "c", "a"]


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda *_: None, "pass `clumsy` of .* returns None, where a program belongs"),
        (lambda *_: {}, "returns {}, where a program belongs"),
        (lambda *_: 1 / 0, "fails: ZeroDivisionError: division by zero"),
        (lambda *_: sys.exit(0), "fails: SystemExit: 0"),
        (
            lambda _, program, __: replace(program, functions={}),
            "pass `clumsy` of .* leaves no function f, which was in",
        ),
        (lambda _, program, __: program.functions.clear() or program, "leaves no function f, which was in the program"),
        (lambda _, program, __: break_result(program), "leaves a program that breaks a rule: .*is not a value"),
    ],
)
def test_a_pass_of_a_plugin_that_fails_is_named_with_the_cause(run: Callable[..., object], message: str) -> None:
    cls = type("Clumsy", (Pass,), {"name": "clumsy", "promise": Exact(), "run": run})
    with pytest.raises((PassError, VerificationError), match=message):
        run_stage(parse_program(TEXT), "common", [cls], Context())


def break_result(given: Program) -> Program:
    name, function = next(iter(given.functions.items()))
    broken = replace(function, results=[(each, Value(value.type)) for each, value in function.results])
    return replace(given, functions={**given.functions, name: broken})


def storing(rule: Callable[[Op, Rewriter], Any], quantization: Quantization) -> type[Pass]:
    """Stores every parameter so, and rewrites what comes out of tanh."""

    def run(self: Pass, program: Program, context: Context) -> Program:
        program = rewrite(program, "store", rule)
        stored = {name: replace(each, quantization=quantization) for name, each in program.parameters.items()}
        return replace(program, parameters=stored)

    return type("store", (Pass,), {"name": "store", "promise": Stores(), "run": run})


def test_a_pass_that_stores_parameters_may_do_nothing_else() -> None:
    int8 = Quantization("int8", 8)
    _, (ran,) = run(storing(lambda op, r: None, int8))
    assert 0.0 < ran.error < 0.5 / 127 + 2.0**-10
    with pytest.raises(ValidationError, match=r"pass store promised stores but result y of f differs by"):
        run(storing(scaled("tanh", 1.0001), int8))


def test_stored_numbers_are_the_nearest_of_their_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LEVELS, "int8", 60)
    coarse = quantize(np.linspace(-1, 1, 24).reshape(6, 4), Quantization("int8", 8))
    monkeypatch.undo()
    monkeypatch.setattr("mctc.quantize.quantize", lambda array, how: coarse)
    with pytest.raises(ValidationError, match=r"promised to store numbers near what they are, but w is .* off as int8"):
        run(storing(lambda op, r: None, Quantization("int8", 8)))
