"""Rank and extents: which axis counts as what, and where that differs between chips."""

from __future__ import annotations

import pytest

from mctc.linter.coreml.rule import Effect
from mctc.linter.coreml.table import Table
from tests.linter.coreml.conftest import Check, Messages


def relu(*extents: int | str) -> str:
    shape = ", ".join(map(str, extents))
    return f"x: fp16[{shape}]\ny: fp16[{shape}] = relu(x=x)\nreturn y"


@pytest.mark.parametrize(("count", "refused"), [(5, False), (6, True), (10, True)])
def test_five_axes_are_the_most(messages: Messages, count: int, refused: bool) -> None:
    found = messages("ANE-SH-001", relu(*[2] * count))
    assert found == ([f"a tensor of rank {count}; the engine takes up to 5"] if refused else [])


def test_constants_of_rank_six_are_no_tensors_at_work(messages: Messages) -> None:
    palette = """
        x: fp16[1, 64, 8, 8]
        w: fp16[64, 64, 1, 1] = constexpr_lut_to_dense(indices=uint4[64, 64, 1, 1], lut=fp16[1, 1, 1, 1, 16, 1])
        y: fp16[1, 64, 8, 8] = conv(x=x, weight=w)
        return y
    """
    assert not messages("ANE-SH-001", palette)


@pytest.mark.parametrize(
    ("extents", "refused"),
    [
        ((1, 20000, 8, 8), False),  # channels
        ((20000, 1, 8, 8), False),  # batch
        ((1, 8, 20000, 8), True),
        ((1, 8, 8, 20000), True),
        ((1, 8, 8, 8, 20000), True),
        ((1, 20000, 8), False),  # may be channels
        ((1, 8, 20000), True),
        ((1, 20000), True),
        ((20000, 1), False),
        ((20000,), True),
    ],
)
def test_height_and_width_are_the_last_two_axes_of_four(
    messages: Messages, extents: tuple[int, ...], refused: bool
) -> None:
    assert bool(messages("ANE-SH-002", relu(*extents), device="m2")) is refused
    assert bool(messages("ANE-SH-004", relu(*extents), device="m4")) is refused


def test_a_table_that_is_looked_up_is_not_at_work(check: Check) -> None:
    program = """
        ids: int32[1, 64]
        y: fp16[1, 64, 256] = gather(x=fp16[100000, 256], indices=ids, axis=0)
        return y
    """
    codes = {each.rule.code for each in check(program, device="m1").findings}
    assert not {code for code in codes if code.startswith("ANE-SH")}


@pytest.mark.parametrize(
    ("extents", "code"),
    [
        ((1, 65536, 1, 1), None),
        ((1, 65537, 1, 1), "ANE-SH-003b"),
        ((65537, 1, 1, 1), "ANE-SH-003"),
        ((1, 1, 65537, 1), "ANE-SH-003"),
        ((1, 65537, 1), "ANE-SH-003"),  # a sequence, as far as the file tells
        ((1, 1, 65537), "ANE-SH-003"),
    ],
)
def test_channels_over_65536_are_contested_and_other_axes_refused(
    check: Check, rules: Table, extents: tuple[int, ...], code: str | None
) -> None:
    found = {each.rule.code for each in check(relu(*extents), device="m4").findings}
    assert found & {"ANE-SH-003", "ANE-SH-003b"} == ({code} if code else set())
    assert rules.rules["ANE-SH-003"].effect is Effect.OFF
    assert rules.rules["ANE-SH-003b"].contested


@pytest.mark.parametrize(
    ("device", "extent", "told"), [("m1", 16384, False), ("m1", 16385, True), ("m4", 65536, False), ("m4", 65537, True)]
)
def test_a_transpose_may_move_what_the_family_takes(messages: Messages, device: str, extent: int, told: bool) -> None:
    program = f"""
        x: fp16[1, 64, {extent}]
        y: fp16[1, {extent}, 64] = transpose(x=x, perm=[0, 2, 1])
        return y
    """
    assert bool(messages("ANE-SH-006", program, device=device)) is told


@pytest.mark.parametrize(
    ("shape", "perm"),
    [
        ((2, 3, 20000), [1, 0, 2]),  # stays where it is
        ((1, 1, 64, 20000), [1, 0, 2, 3]),
        ((1, 20000, 1), [0, 2, 1]),  # only an axis of one element steps over it
        ((1, 20000, 64), [0, 0, 1]),  # no permutation
        ((1, 20000, 64), []),
    ],
)
def test_a_long_axis_that_is_not_moved_is_no_finding(
    messages: Messages, shape: tuple[int, ...], perm: list[int]
) -> None:
    program = f"x: fp16{list(shape)}\ny: fp16{list(shape)} = transpose(x=x, perm={perm})\nreturn y"
    assert not messages("ANE-SH-006", program, device="m1")


@pytest.mark.parametrize(
    "program",
    [
        relu("_", "_", "_", "_"),
        relu("_"),
        "x: fp16\ny: fp16 = relu(x=x)\nreturn y",
        "x: fp16[4]\ny: fp16[4] = relu(x=lost)\nreturn y",
        "x: fp16[4]\ny: fp16[_, 4] = transpose(x=x)\nreturn y",
        "x: fp16[4, 4]\ny: fp16[4, 4] = transpose(x=x, perm=[-1, 7])\nreturn y",
        "x: fp16[4]\ntranspose()\nreshape()\nconv()\nlinear()\nreturn x",
        relu(1, 1, 1, -1),
    ],
)
def test_nothing_is_said_of_what_the_file_leaves_open(check: Check, program: str) -> None:
    codes = {each.rule.code for each in check(program).findings}
    assert not {code for code in codes if code.startswith(("ANE-SH-0", "ANE-LY"))}
