"""Pads, resizes, gathers, concatenations."""

from __future__ import annotations

import pytest

from tests.linter.coreml.conftest import Messages


def pad(amounts: str, operands: str = "", x: str = "1, 8, 32, 32") -> str:
    return f"x: fp16[{x}]\ny: fp16[{x}] = pad(x=x, pad={amounts}{operands})\nreturn y"


@pytest.mark.parametrize(
    ("operands", "found"),
    [
        (', mode="constant", constant_val=fp16(1.0)', True),
        (', mode="constant", constant_val=fp16(-inf)', True),
        (", constant_val=fp16(-0.5)", True),
        (', mode="constant", constant_val=fp16(0.0)', False),
        (', mode="constant"', False),
        ("", False),
        (', mode="reflect", constant_val=fp16(1.0)', False),
        (', mode="constant", constant_val=x', False),
    ],
)
def test_a_constant_pad_is_zero(operands: str, found: bool, messages: Messages) -> None:
    assert bool(messages("ANE-PD-001", pad("[1, 1, 1, 1]", operands))) is found


@pytest.mark.parametrize(("device", "found"), [("m1", True), ("a14", True), ("m2", False), ("m4", False)])
def test_reflecting_is_questioned_on_an_m1_alone(device: str, found: bool, messages: Messages) -> None:
    assert bool(messages("ANE-PD-002", pad("[1, 1, 1, 1]", ', mode="reflect"'), device=device)) is found


@pytest.mark.parametrize(
    ("amounts", "x", "found"),
    [
        ("[0, 0, 0, 8, 0, 0, 0, 0]", "1, 8, 4, 4", True), ("[0, 8, 0, 0, 0, 0]", "1, 8, 4, 4", True),
        ("[1, 1, 1, 1]", "1, 8, 4, 4", False), ("[0, 0, 1, 1, 1, 1]", "1, 8, 4, 4", False),
        ("[1, 1, 0, 0, 0, 0]", "1, 8, 4, 4, 4", True), ("[1, 1, 0, 0]", "1, 8, 4, 4, 4", False),
        ("[1, 1, 1, 1, 1, 1]", "1, 8, 4", False), ("x", "1, 8, 4, 4", False),
    ],
)  # fmt: skip
def test_a_pad_of_the_channels_is_contested(amounts: str, x: str, found: bool, messages: Messages) -> None:
    assert bool(messages("ANE-PD-003", pad(amounts, x=x), device="m1")) is found
    assert not messages("ANE-PD-003", pad(amounts, x=x), device="m4")


@pytest.mark.parametrize(
    ("program", "out", "found"),
    [
        ("upsample_nearest_neighbor(x=x, scale_factor_height=2, scale_factor_width=2)", "16, 16", False),
        ("upsample_nearest_neighbor(x=x, scale_factor_height=5, scale_factor_width=5)", "40, 40", True),
        ("upsample_bilinear(x=x, scale_factor_height=fp16(1.5), scale_factor_width=fp16(1.5))", "12, 12", False),
        ("resize_bilinear(x=x, target_size_height=56, target_size_width=56)", "56, 56", True),
        ("resize_bilinear(x=x, target_size_height=4, target_size_width=4)", "4, 4", False),
        ("resize_bilinear(x=x, target_size_height=x, target_size_width=x)", "_, _", False),
        ("depth_to_space(x=x, block_size=4)", "32, 32", False),
        ("space_to_depth(x=x, block_size=5)", "_, _", True),
        ("space_to_batch(x=x, block_shape=[2, 7], paddings=x)", "_, _", True),
        ("pixel_unshuffle(x=x, downscale_factor=fp16(8))", "1, 1", False),
        ("pixel_shuffle(x=x, upscale_factor=x)", "_, _", False),
        ("pixel_shuffle(x=x, upscale_factor=-5)", "_, _", False),
    ],
)
def test_factors_are_products_of_two_and_three(program: str, out: str, found: bool, messages: Messages) -> None:
    assert bool(messages("ANE-RS-001", f"x: fp16[1, 8, 8, 8]\ny: fp16[1, 8, {out}] = {program}\nreturn y")) is found


def gather(indices: str, x: str = "1, 64, 32", axis: str = "2") -> str:
    return f"x: fp16[{x}]\na: int32\ny: fp16[1] = gather(x=x, indices={indices}, axis={axis})\nreturn y"


@pytest.mark.parametrize(
    ("indices", "x", "device", "found"),
    [
        ("[0, 1, 2]", "1, 64, 32", "m1", False), ("[0, 1]", "1, 64, 32", "m1", True), ("3", "1, 64, 32", "m1", True),
        ("[0, 1, 2]", "2, 64, 32", "m1", True), ("[0, 1]", "1, 64, 32", "m2", False), ("a", "1, 64, 32", "m1", False),
        ("nothing", "1, 64, 32", "m1", False), ("[0, 1]", "_, 64, 32", "m1", True),
    ],
)  # fmt: skip
def test_an_m1_gathers_three_constant_indices_of_one_batch(
    indices: str, x: str, device: str, found: bool, messages: Messages
) -> None:
    assert bool(messages("ANE-GA-001", gather(indices, x), device=device)) is found


@pytest.mark.parametrize(
    ("x", "axis", "found"),
    [("1, 2, 3, 4", "1", False), ("1, 2, 3, 4, 5", "1", True), ("1, 2, 3", "a", True), ("1, 2, 3", "-1", False)],
)
def test_a_gather_has_rank_4_and_a_constant_axis(x: str, axis: str, found: bool, messages: Messages) -> None:
    assert bool(messages("ANE-GA-002", gather("[0, 1, 2]", x, axis), device="m4")) is found


@pytest.mark.parametrize(
    ("axis", "said"),
    [
        ("1", []), ("0", []), ("-1", ["a concat along axis -1, the same as 3"]),
        ("-3", ["a concat along axis -3, the same as 1"]), ("-9", ["a concat along axis -9"]),
        ("a", ["a concat along a computed axis"]),
    ],
)  # fmt: skip
def test_a_concat_from_the_end_is_worth_a_word(axis: str, said: list[str], messages: Messages) -> None:
    text = f"x: fp16[1, 8, 4, 4]\na: int32\ny: fp16[1, 8, 4, 8] = concat(values=[x, x], axis={axis})\nreturn y"
    assert messages("ANE-CC-001", text) == said


def test_only_computed_values_are_branches(messages: Messages) -> None:
    inputs = "x: fp16[1, 8]\ny: fp16[16, 8] = concat(values=[" + ", ".join(["x"] * 16) + "], axis=0)\nreturn y"
    made = inputs.replace("y:", "z: fp16[1, 8] = relu(x=x)\ny:").replace("x, x", "z, z").replace("z, x", "z, z")
    assert not messages("ANE-CC-002", inputs)
    assert messages("ANE-CC-002", made)
