"""Patterns of whole graphs: segments, marks, depth, and how they go with the predicted placement."""

from __future__ import annotations

import pytest

from mctc.linter.coreml.rule import Severity
from tests.linter.coreml.conftest import Check, Messages

TYPE = "fp16[1, 64, 32, 32]"
CONV = f'{TYPE} = conv(x=x, weight=fp16[64, 64, 3, 3], pad_type="same")'
"""Saves 95 us on the engine."""
ON_THE_CPU = f"""
    a: fp32[1, 64, 32, 32] = cast(x=x, dtype="fp32")
    b: fp32[1, 64, 32, 32] = sin(x=a)
    x: {TYPE} = cast(x=b, dtype="fp16")
"""


def program(*parts: str | int) -> str:
    """A number stands for so many convolutions, other text for itself."""
    lines = [f"x: {TYPE}"]
    for part in parts:
        lines += [f"x: {CONV}"] * part if isinstance(part, int) else [each.strip() for each in part.strip().split("\n")]
    return "\n".join([*lines, "return x"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (program(1, ON_THE_CPU), ["start costs 250"]),
        (program(ON_THE_CPU, 1), ["end costs 375"]),
        (program(ON_THE_CPU, 2, ON_THE_CPU), ["middle costs 375"]),
        (program(ON_THE_CPU, 4, ON_THE_CPU), []),  # saves 382 us
        (program(3, ON_THE_CPU), []),  # saves 286 us
        (program(1), []),  # nothing else in the function: ANE-SZ-005
        (program(ON_THE_CPU), []),  # only casts
        (program(ON_THE_CPU, f"x: {TYPE} = relu(x=x)", ON_THE_CPU), []),
        (program(1, ON_THE_CPU, 1), ["start costs 250", "end costs 375"]),
    ],
)
def test_what_a_segment_costs_depends_on_where_it_is(messages: Messages, text: str, found: list[str]) -> None:
    told = [each.rpartition("a segment ")[2].replace("at the ", "").replace("in the ", "") for each in
            messages("ANE-GR-001", text)]  # fmt: skip
    assert told == found


@pytest.mark.parametrize(("islands", "found"), [(1, []), (2, []), (3, ["4 changes of backend and 3 launches"])])
def test_a_path_that_bounces_is_told_with_its_charges(messages: Messages, islands: int, found: list[str]) -> None:
    parts = [part for _ in range(islands - 1) for part in (8, ON_THE_CPU)]
    told = messages("ANE-GR-002", program(*parts, 8))
    assert [each.partition(":")[0] for each in told] == found
    assert all(": 1.00 ms of an estimated " in each for each in told)  # four changes, three launches, an output


def test_rules_of_placement_leave_the_placement_alone(check: Check) -> None:
    report = check(program(8, ON_THE_CPU, 8, ON_THE_CPU, 8))
    assert {each.eligible.value for each in report.functions[0].ops if each.type == "conv"} == {"yes"}


ENCODER = "for _ in range(4):\n    b: {} = conv(x=b, weight=fp16[80, 80, 3], pad_type='same')\nreturn b"


@pytest.mark.parametrize(("device", "width", "told"), [("m1", 16384, False), ("m1", 16512, True), ("m4", 16512, False)])
def test_a_waveform_in_front_of_an_encoder(messages: Messages, device: str, width: int, told: bool) -> None:
    made = f"fp16[1, 80, {width // 128}]"
    text = f"""x: fp16[1, 1, {width}]
b: {made} = conv(x=x, weight=fp16[80, 1, 128], strides=[128], pad_type="valid")
{ENCODER.format(made)}"""
    assert bool(messages("ANE-GR-003", text, device=device)) is told


def test_width_all_the_way_is_no_preprocessing(messages: Messages) -> None:
    text = """
        b: fp16[1, 80, 20000]
        for _ in range(4):
            b: fp16[1, 80, 20000] = conv(x=b, weight=fp16[80, 80, 3], pad_type="same")
        return b
    """
    assert not messages("ANE-GR-003", text, device="m1")


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (["mps_graph"], ["marked for mps_graph, not for the engine"]),
        ("bnns", ["marked for bnns, not for the engine"]),
        (["ane"], []),
        (["bnns", "ane"], []),
        (3, []),
    ],
)
def test_marks_for_backends(messages: Messages, value: object, found: list[str]) -> None:
    text = f"x: fp16[1, 64]\ny: fp16[1, 64] = relu(x=x, attributes={{'IntendedBackend': {value!r}}})\nreturn y"
    assert messages("ANE-GR-005", text) == found


@pytest.mark.parametrize("code", ["ANE-GR-007", "ANE-GR-008", "ANE-NM-011"])
def test_two_engines_are_those_of_an_m6(check: Check, code: str) -> None:
    text = "x: fp16[1, 64]\ny: fp16[1, 64] = relu(x=x)\nreturn y"
    skipped = {device: {each for each, _ in check(text, device=device).skipped} for device in ("m4", "m6", "a19")}
    assert code in skipped["m4"] & skipped["a19"]
    assert code not in skipped["m6"]


def test_a_run_of_elementwise_ops_is_broken_by_a_product(messages: Messages) -> None:
    text = """
        x: fp16[1, 64, 1, 64]
        for _ in range(200):
            x: fp16[1, 64, 1, 64] = mul(x=x, y=fp16[1])
        x: fp16[1, 64, 1, 64] = conv(x=x, weight=fp16[64, 64, 1, 1])
        for _ in range(200):
            x: fp16[1, 64, 1, 64] = mul(x=x, y=fp16[1])
        return x
    """
    assert not messages("ANE-GR-008", text, device="m6")


def test_convolutions_side_by_side_are_no_chain(messages: Messages) -> None:
    text = """
        x: fp16[1, 64, 1, 64]
        for _ in range(400):
            y: fp16[1, 64, 1, 64] = conv(x=x, weight=fp16[64, 64, 1, 1])
        return y
    """
    assert not messages("ANE-NM-011", text, device="m6")


@pytest.mark.parametrize(("depth", "told"), [(29, False), (30, True), (36, True)])
def test_a_cheap_end_is_told_of_after_a_long_chain(messages: Messages, depth: int, told: bool) -> None:
    end = f'x: {TYPE} = relu(x=x)\ny: fp32[1, 64, 32, 32] = cast(x=x, dtype="fp32")'
    text = program(depth, end).replace("return x", "return y")
    assert bool(messages("ANE-GR-009", text)) is told


PACKED = "w: fp16[64, 64, 1, 1] = constexpr_lut_to_dense(indices=uint4[64, 64, 1, 1], lut=fp16[1, 1, 1, 1, 16, 1])"


@pytest.mark.parametrize(("weight", "told"), [("w", True), ("fp16[64, 64, 1, 1]", False)])
def test_fp32_ahead_of_a_weight_matters_where_it_is_compressed(messages: Messages, weight: str, told: bool) -> None:
    text = f"""
        x: fp32[1, 64, 1, 16]
        a: fp32[1, 64, 1, 16] = real_div(x=x, y=fp32(8.0))
        b: fp16[1, 64, 1, 16] = cast(x=a, dtype="fp16")
        {PACKED}
        y: fp16[1, 64, 1, 16] = conv(x=b, weight={weight})
        return y
    """
    assert bool(messages("ANE-GR-010", text)) is told


@pytest.mark.parametrize(
    "text", ["x: fp16[4]\nreturn x", "x: fp16[_]\nconv()\nrelu()\nreturn x", "relu()\ny: fp16[4] = relu()\nreturn y"]
)
def test_programs_with_hardly_anything_have_no_patterns(check: Check, text: str) -> None:
    found = check(text, device="m6").findings
    assert not [each for each in found if each.rule.code.startswith("ANE-GR-0")]
    assert not [each for each in found if each.rule.code.startswith("ANE-GR") and each.severity is Severity.ERROR]
