"""The verifier accepts sound programs and names function, op and place of the first broken rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mctc.ir.build import Builder
from mctc.ir.dims import Extent
from mctc.ir.location import Location, Origin
from mctc.ir.program import Derived, Function, Parameter, Program, Source, State, Value, VocabularyMap
from mctc.ir.text import parse_program
from mctc.ir.types import Axis, DType, Role, TensorType, plain
from mctc.ir.verify import VerificationError, verify

TEXT = """
program @p {
  dim B: batch
  dim T: time
  source @w: f32[6, 4] = zeros()
  param @w
  param @v: f32[3, 4] = split(@w, parts = 2, axis = 0) result 1
  function @f(%x: f32[batch B, time T, channel 4], %y: f32[batch B, time T, channel 6]) {
    state %h: f32[batch 1, channel 4]
    %0 = parameter @w: f32[6, 4]
    %1 = linear(%x, %0) at "m.mct":4:2 in f.proj
    %2 = add(%1, %y) at "m.mct":5:2 in f.sum
    %3 = relu(%h)
    next %h = %3
    return z = %2
  }
}
"""


def typed(*axes: tuple[Role, int | str]) -> TensorType:
    return TensorType(DType.F32, tuple(Axis(role, Extent.of(extent)) for role, extent in axes))


def test_a_sound_program_is_accepted() -> None:
    verify(parse_program(TEXT))


def swap(p: Program) -> None:
    ops = p.functions["f"].ops
    ops[1], ops[2] = ops[2], ops[1]


def foreign(p: Program) -> None:
    p.functions["f"].ops[2] = parse_program(TEXT).functions["f"].ops[2]


def foreign_result(p: Program) -> None:
    p.functions["f"].results = parse_program(TEXT).functions["f"].results


def wrong_type(p: Program) -> None:
    p.functions["f"].ops[2].results[0].type = typed((Role.BATCH, "B"), (Role.TIME, "T"), (Role.CHANNEL, 7))


def twice(p: Program) -> None:
    p.functions["f"].ops.append(p.functions["f"].ops[2])


def stolen_result(p: Program) -> None:
    p.functions["f"].ops[2].results[0].owner = p.functions["f"].ops[1]


def inapplicable(p: Program) -> None:
    p.functions["f"].inputs[1].type = typed((Role.BATCH, "B"), (Role.TIME, "T"), (Role.CHANNEL, 5))


def lost_parameter(p: Program) -> None:
    del p.parameters["w"]


def changed_parameter(p: Program) -> None:
    p.sources["w"] = (plain(DType.F32, 4, 6), p.sources["w"][1])
    p.parameters = {"w": Parameter("w", plain(DType.F32, 4, 6), Source("w", plain(DType.F32, 4, 6)))}


def renamed_parameter(p: Program) -> None:
    p.parameters["u"] = p.parameters.pop("v")


def recipe_of_another_type(p: Program) -> None:
    p.parameters["v"] = replace(p.parameters["v"], type=plain(DType.F32, 4, 3))


def recipe_without_source(p: Program) -> None:
    del p.sources["w"]


def derive(p: Program, op: str, **changes: object) -> None:
    recipe = Derived(op, (p.parameters["w"].recipe,), (), plain(DType.F32, 3, 4))
    p.parameters["v"] = replace(p.parameters["v"], recipe=replace(recipe, **changes))  # type: ignore[arg-type]


def unknown_recipe_op(p: Program) -> None:
    derive(p, "melt")


def broken_recipe(p: Program) -> None:
    derive(p, "split")


def missing_result(p: Program) -> None:
    derive(p, "neg", result=1)


def twin_inputs(p: Program) -> None:
    p.functions["f"].inputs[1].name = "x"


def nameless_input(p: Program) -> None:
    p.functions["f"].inputs[1].name = ""


def twin_results(p: Program) -> None:
    p.functions["f"].results *= 2


def twin_states(p: Program) -> None:
    p.functions["f"].states *= 2


def state_of_another_type(p: Program) -> None:
    f = p.functions["f"]
    f.states = [State("h", f.states[0].value, f.ops[2].result)]


def foreign_update(p: Program) -> None:
    f = p.functions["f"]
    f.states = [State("h", f.states[0].value, Value(f.states[0].value.type))]


def input_made_by_an_op(p: Program) -> None:
    p.functions["f"].inputs.append(p.functions["f"].ops[2].result)
    p.functions["f"].inputs[-1].name = "q"


def undeclared_dimension(p: Program) -> None:
    del p.dims["T"]


def renamed_function(p: Program) -> None:
    p.functions["g"] = p.functions.pop("f")


def vocabulary_of_nothing(p: Program) -> None:
    p.vocabularies = (VocabularyMap("f", "logits", 10, 64),)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (swap, "f: add in f.sum at m.mct:5:2: operand 0 is not defined before this op"),
        (foreign, "f: add in f.sum at m.mct:5:2: operand 0 is not defined"),
        (foreign_result, "f: result z is not a value of the function"),
        (
            wrong_type,
            "the results are f32[batch B, time T, channel 7], inference gives f32[batch B, time T, channel 6]",
        ),
        (twice, "f: add in f.sum at m.mct:5:2: the op stands twice"),
        (stolen_result, "a result belongs to another op"),
        (inapplicable, "f: add in f.sum at m.mct:5:2: "),
        (lost_parameter, "f: parameter: there is no parameter w"),
        (changed_parameter, "f: parameter: w is f32[4, 6], the op says f32[6, 4]"),
        (renamed_parameter, "parameter v is listed as u"),
        (recipe_of_another_type, "parameter v: its type is f32[4, 3], its recipe gives f32[3, 4]"),
        (recipe_without_source, "parameter w: there is no source w: f32[6, 4]"),
        (unknown_recipe_op, "uses an op melt, which does not exist"),
        (broken_recipe, "parameter v: split in its recipe: "),
        (missing_result, "parameter v: result 1 of neg is stated as f32[3, 4]"),
        (twin_inputs, "f: two inputs are named 'x'"),
        (nameless_input, "f: one of the inputs has no name"),
        (twin_results, "f: two results are named 'z'"),
        (twin_states, "f: two states are named 'h'"),
        (state_of_another_type, "f: state h is f32[batch 1, channel 4], but its update is"),
        (foreign_update, "f: the update of state h is not a value of the function"),
        (input_made_by_an_op, "f: input q is the result of an op"),
        (undeclared_dimension, "f: input x: f32[batch B, time T, channel 4] names a dimension T that is not declared"),
        (renamed_function, "function f is listed as g"),
        (vocabulary_of_nothing, "there is no result logits of f"),
    ],
    ids=lambda part: part.__name__ if callable(part) else "",
)
def test_a_broken_rule_is_named(damage: Callable[[Program], None], message: str) -> None:
    program = parse_program(TEXT)
    damage(program)
    with pytest.raises(VerificationError) as caught:
        verify(program)
    assert message in str(caught.value)


def test_an_op_of_a_declaration_that_is_not_registered_is_named() -> None:
    program = Program("p")
    builder = Builder(program, Origin(Location("a.mct", 1, 1)))
    x = Value(plain(DType.F32, 2), "x")
    builder.op("relu", x)
    stray = type("relu", (type(builder.ops[0]),), {})
    op = stray((x,), {}, builder.origin).typed([x.type])
    program.functions["f"] = Function("f", [x], [op], [("y", op.result)])
    with pytest.raises(VerificationError, match=r"f: relu at a\.mct:1:1: there is no op of this name"):
        verify(program)


def test_what_the_builder_inferred_is_inferred_again_only_where_a_type_around_it_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = parse_program("function @f(%x: f32[channel 4]) { %y = relu(%x) return y = %y }")
    (op,) = program.functions["f"].ops
    asked = []
    infer = type(op).infer
    monkeypatch.setattr(type(op), "infer", lambda self: asked.append(self) or infer(self))
    verify(program)
    assert not asked
    op.results[0].type = plain(DType.F32, 4)
    with pytest.raises(VerificationError, match="inference gives"):
        verify(program)
    assert asked == [op]
