"""A state is kept in the shape that both its reader and its writer want."""

from __future__ import annotations

from mctc.passes.fold_state_reshapes import FoldStateReshapes

FLAT = "batch 1, channel 4, unit 1, feature 3"
TALL = "batch 1, channel 4, feature 3, unit 1"


def program(state: str, body: str) -> str:
    return f"function @f(%x: f32[{TALL}]) {{ state %h: f32[{state}] {body} }}"


def test_reshapes_on_both_sides_of_a_state_disappear(rewrites):
    rewrites(
        FoldStateReshapes,
        program(
            FLAT,
            f"""%a = reshape(%h, axes = [{TALL}]) %b = add(%a, %x)
            %c = reshape(%b, axes = [{FLAT}]) next %h = %c return y = %b""",
        ),
        program(TALL, "%b = add(%h, %x) next %h = %b return y = %b"),
    )


def test_where_only_roles_differ_they_are_set_before_the_state_is_written(rewrites):
    plain = "batch 1, channel 4, feature 3, time 1"
    made, _ = rewrites(
        FoldStateReshapes,
        program(
            FLAT,
            f"""%a = reshape(%h, axes = [{TALL}]) %t = reshape(%x, axes = [{plain}]) %b = add(%a, %t)
            %c = reshape(%b, axes = [{FLAT}]) next %h = %c return y = %b""",
        ),
    )
    (state,) = made.functions["f"].states
    assert state.value.type == state.update.type
    assert state.value.type.shape == (1, 4, 3, 1)


def test_a_state_that_is_also_read_as_it_is_stays(rewrites):
    text = program(
        FLAT,
        f"""%a = reshape(%h, axes = [{TALL}]) %b = add(%a, %x) %n = neg(%h)
        %c = reshape(%b, axes = [{FLAT}]) next %h = %c return y = %b, z = %n""",
    )
    rewrites(FoldStateReshapes, text, text)


def test_a_state_that_is_read_as_it_is_written_stays(rewrites):
    text = program(TALL, "%b = add(%h, %x) next %h = %b return y = %b")
    rewrites(FoldStateReshapes, text, text)
