"""States: how many, how wide, how they move on."""

from __future__ import annotations

import pytest

from mctc.linter.coreml.placement import Eligible
from tests.linter.coreml.conftest import Check, Messages


def states(count: int, type_: str = "fp16[1, 64, 1, 32]", *, x: str = "fp16[1, 64, 1, 32]") -> str:
    lines = [f"s{n}: state[{type_}]" for n in range(count)]
    lines += [f"x: {x}", f"y: {x} = relu(x=x)"]
    lines += [f"r{n}: {type_} = read_state(input=s{n})" for n in range(count)]
    return "\n".join([*lines, "return y"])


@pytest.mark.parametrize(("count", "severe", "doubtful"), [(0, 0, 0), (1, 0, 0), (2, 0, 1), (3, 1, 0), (12, 1, 0)])
def test_three_states_are_too_many_and_two_may_be(messages: Messages, count: int, severe: int, doubtful: int) -> None:
    assert len(messages("ANE-ST-003", states(count))) == severe
    assert len(messages("ANE-ST-003b", states(count))) == doubtful


def test_too_many_states_change_nothing_in_the_plan(check: Check) -> None:
    rows = check(states(3)).functions[0].ops
    assert [row.eligible for row in rows if row.type == "relu"] == [Eligible.YES]


@pytest.mark.parametrize("width", [32, 256, 2048])
def test_a_width_of_whole_lines_is_quiet(messages: Messages, width: int) -> None:
    assert not messages("ANE-ST-002", states(1, f"fp16[1, 3, 480, {width}]"))


@pytest.mark.parametrize("width", [1, 31, 33, 270, 255])
def test_another_width_is_named(messages: Messages, width: int) -> None:
    found = messages("ANE-ST-002", states(1, f"fp16[1, 3, 480, {width}]"))
    assert found == [f"the last axis of state s0 is {width}, not a multiple of 32"]


@pytest.mark.parametrize("type_", ["fp16[1, 64, 1, _]", "fp16", "fp16[0]"])
def test_states_of_unknown_or_no_width_are_quiet(messages: Messages, type_: str) -> None:
    assert not messages("ANE-ST-002", states(1, type_))


def test_a_state_that_nothing_uses_is_quiet(messages: Messages) -> None:
    text = "s: state[fp16[1, 270]]\nx: fp16[1, 64]\ny: fp16[1, 64] = relu(x=x)\nreturn y"
    assert not messages("ANE-ST-002", text)
    assert not messages("ANE-ST-001", text)


def test_only_the_accesses_to_a_state_are_in_doubt(check: Check) -> None:
    rows = check(states(1)).functions[0].ops
    assert {row.type: row.eligible for row in rows} == {"relu": Eligible.YES, "read_state": Eligible.CONTESTED}


def shifted(begin: str, *, kept: str = "write_state(input=s, data=y)", mask: str = "", join: str = "old, k") -> str:
    return f"""
    s: state[fp16[1, 8, 512, 64]]
    x: fp16[1, 8, 1, 64]
    k: fp16[1, 8, 1, 64] = relu(x=x)
    r: fp16[1, 8, 512, 64] = read_state(input=s)
    old: fp16[1, 8, 511, 64] = slice_by_index(x=r, begin={begin}, end=[1, 8, 512, 64]{mask})
    y: fp16[1, 8, 512, 64] = concat(values=[{join}], axis=2, interleave=False)
    {kept}
    return k
    """


@pytest.mark.parametrize("begin", ["[0, 0, 1, 0]", "[0, 0, -511, 0]"])
def test_a_cache_that_drops_its_first_position_is_named(messages: Messages, begin: str) -> None:
    found = messages("ANE-ST-004", shifted(begin), system="ios18")
    assert found == ["a cache moves on by 1 of 512 positions with slice and concat"]


@pytest.mark.parametrize(
    "text",
    [
        shifted("[0, 0, 0, 0]"),
        shifted("[0, 0, 1, 0]", mask=", begin_mask=[True, True, True, True]"),
        shifted("[0, 0, 1, 0]", kept=""),
        shifted("[0, 0, 1, 0]", join="k, old"),
        shifted("x"),
        shifted("[0]"),
        shifted("nowhere"),
    ],
    ids=["drops the last", "from the start", "not kept", "new first", "dynamic", "short", "undefined"],
)
def test_other_slices_and_joins_of_a_state_are_quiet(messages: Messages, text: str) -> None:
    assert not messages("ANE-ST-004", text, system="ios18")


def test_a_cache_passed_in_and_out_counts_as_well(messages: Messages) -> None:
    text = """
    cache: fp16[1, 64, 1, 3]
    x: fp16[1, 64, 1, 1]
    old: fp16[1, 64, 1, 2] = slice_by_index(x=cache, begin=[0, 0, 0, 1], end=[1, 64, 1, 3])
    y: fp16[1, 64, 1, 3] = concat(values=[old, x], axis=-1, interleave=False)
    return y
    """
    assert messages("ANE-ST-004", text, system="ios18")
    assert not messages("ANE-ST-004", text, system="macos15")


def two_functions(first: int, second: int, count: int) -> str:
    names = [f"    s{n}: state[fp16[1, 8, 512, 64]]" for n in range(count)]
    bodies = []
    for name, steps in (("decode", first), ("prefill", second)):
        type_ = f"fp16[1, 512, 1, {steps}]"
        bodies += [f"def {name}():", *names, f"    x: {type_}", f"    y: {type_} = relu(x=x)", "    return y"]
    return "\n".join(bodies)


@pytest.mark.parametrize(("second", "count", "findings"), [(288, 2, 1), (1, 2, 0), (288, 1, 0), (288, 0, 0)])
def test_a_prompt_with_two_states_beside_single_steps(
    messages: Messages, second: int, count: int, findings: int
) -> None:
    assert len(messages("ANE-ST-005", two_functions(1, second, count), system="ios18")) == findings


def test_only_the_longer_function_is_in_doubt(check: Check) -> None:
    report = check(two_functions(1, 288, 2), system="ios18")
    eligible = {function.name: function.ops[0].eligible for function in report.functions}
    assert eligible == {"decode": Eligible.YES, "prefill": Eligible.CONTESTED}


ATTENTION = "y: fp16[1, 1, 1, 64] = scaled_dot_product_attention(query=q, key=t, value=t)"
PRODUCT = "y: fp16[1, 8, 1, 2048] = matmul(x=q, y=t)"


@pytest.mark.parametrize(
    ("lines", "findings"),
    [
        ("y: fp16[1, 8, 1, 64] = scaled_dot_product_attention(query=q, key=r, value=r)", 1),
        (f"t: fp16[1, 8, 64, 2048] = transpose(x=r, perm=[0, 1, 3, 2])\n{PRODUCT}", 1),
        (f"t: fp16[1, 1, 2048, 64] = slice_by_index(x=r, begin=[0, 0, 0, 0], end=[1, 1, 2048, 64])\n{ATTENTION}", 1),
        (f"t: fp16[1, 8, 512, 64] = slice_by_index(x=r, begin=[0, 0, 0, 0], end=[1, 8, 512, 64])\n{ATTENTION}", 0),
        ("y: fp16[1, 8, 2048, 64] = add(x=q, y=r)", 0),
        ("y: fp16[1, 8, 1, 64] = matmul(x=q, y=missing)", 0),
    ],
)
def test_attention_over_a_whole_state(messages: Messages, lines: str, findings: int) -> None:
    head = "s: state[fp16[1, 8, 2048, 64]]\nq: fp16[1, 8, 1, 64]\nr: fp16[1, 8, 2048, 64] = read_state(input=s)\n"
    found = messages("ANE-ST-006", f"{head}{lines}\nreturn y")
    assert found == ["every call attends over the full length of s (2048)"] * findings


def test_listed_shapes_do_not_go_with_states(messages: Messages) -> None:
    flexible = states(1, x="fp16[1, 64, 1, _]").replace("x: fp16[1, 64, 1, _]", "x: enum[fp16[1, 4], fp16[1, 8]]")
    assert messages("ANE-ST-007", flexible) == ["x with listed shapes in a function with states"]
    assert not messages("ANE-ST-007", flexible.replace("fp16[1, 8]]", "fp16[1, 4]]"))


def test_one_packed_state_has_no_more_than_the_contested_finding(check: Check) -> None:
    text = """
    s: state[fp16[1, 1, 1, 4096]]
    x: fp16[1, 64, 1, 8]
    r: fp16[1, 1, 1, 4096] = read_state(input=s)
    a: fp16[1, 1, 1, 128] = slice_by_index(x=r, begin=[0, 0, 0, 64], end=[1, 1, 1, 192])
    b: fp16[1, 64, 1, 2] = reshape(x=a, shape=[1, 64, 1, 2])
    c: fp16[1, 64, 1, 10] = concat(values=[b, x], axis=3, interleave=False)
    d: fp16[1, 64, 1, 2] = slice_by_index(x=c, begin=[0, 0, 0, 8], end=[1, 64, 1, 10])
    e: fp16[1, 1, 1, 128] = reshape(x=d, shape=[1, 1, 1, 128])
    f: fp16[1, 1, 1, 64] = slice_by_index(x=r, begin=[0, 0, 0, 0], end=[1, 1, 1, 64])
    g: fp16[1, 1, 1, 3904] = slice_by_index(x=r, begin=[0, 0, 0, 192], end=[1, 1, 1, 4096])
    n: fp16[1, 1, 1, 4096] = concat(values=[f, e, g], axis=3, interleave=False)
    o: fp16[1, 64, 1, 10] = relu(x=c)
    write_state(input=s, data=n)
    return o
    """
    found = {finding.rule.code for finding in check(text, system="ios18").findings}
    assert {code for code in found if code.startswith("ANE-ST")} == {"ANE-ST-001"}
