"""Sizes: too large for a phone, for a Mac, and too little to be worth a launch."""

from __future__ import annotations

import pytest

from mctc.linter.coreml.placement import Eligible, Predicted
from mctc.linter.coreml.segment import CHARGES
from tests.linter.coreml.conftest import Check, Messages

GB = 1_000_000_000


def weighing(size: int) -> str:
    return f"x: fp16[1, 64]\ny: fp16[1, 64] = linear(x=x, weight=int8[{size}])\nreturn y"


@pytest.mark.parametrize(
    ("size", "system", "codes"),
    [
        (GB, "ios18", set()),
        (GB + 1, "ios18", {"ANE-SZ-001"}),
        (3 * GB, "ios18", {"ANE-SZ-001"}),
        (GB, "macos15", set()),
        (GB + 1, "macos15", {"ANE-SZ-009"}),
        (2_015_800_000, "macos15", {"ANE-SZ-009"}),
        (2_015_800_001, "macos15", {"ANE-SZ-002"}),
        (GB + 1, None, {"ANE-SZ-001", "ANE-SZ-009"}),
    ],
)
def test_large_packages(check: Check, size: int, system: str | None, codes: set[str]) -> None:
    report = check(weighing(size), system=system)
    assert {f.rule.code for f in report.findings if f.rule.code.startswith("ANE-SZ-00")} - {
        "ANE-SZ-005",
        "ANE-SZ-005b",
    } == codes


@pytest.mark.parametrize(
    ("size", "system", "eligible"),
    [
        (GB + 1, "ios18", Eligible.NO),
        (GB + 1, "macos15", Eligible.CONTESTED),
        (3 * GB, "macos15", Eligible.CONTESTED),
    ],
)
def test_a_large_package_is_off_a_phone_and_in_doubt_on_a_mac(
    check: Check, size: int, system: str, eligible: Eligible
) -> None:
    assert check(weighing(size), system=system).functions[0].ops[0].eligible is eligible


@pytest.mark.parametrize(("size", "findings"), [(4_999_999, 1), (5_000_000, 0)])
def test_small_packages(messages: Messages, size: int, findings: int) -> None:
    assert len(messages("ANE-SZ-006", weighing(size))) == findings


def test_a_package_without_ops_is_quiet(check: Check) -> None:
    report = check("x: fp16[1, 64]\nreturn x")
    assert not [finding for finding in report.findings if finding.rule.code.startswith("ANE-SZ")]


def convolutions(count: int, extra: str = "") -> str:
    lines = (
        f"for _ in range({count}):\n    x: fp16[1, 64, 32, 32] = conv(x=x, weight=fp16[64, 64, 3, 3], pad_type='same')"
    )
    return f"x: fp16[1, 64, 32, 32]\n{lines}\n{extra}\nreturn x"


@pytest.mark.parametrize(
    ("count", "little", "close"),
    [(1, 1, 0), (2, 1, 0), (3, 0, 1), (5, 0, 1), (6, 0, 0)],  # 95.4 us saved by each
)
def test_a_function_has_to_save_a_launch_and_a_copy(messages: Messages, count: int, little: int, close: int) -> None:
    assert CHARGES.launch + CHARGES.output == 250
    assert len(messages("ANE-SZ-005", convolutions(count))) == little
    assert len(messages("ANE-SZ-005b", convolutions(count))) == close


def test_what_is_saved_is_said(messages: Messages) -> None:
    whole, need = "the whole of main is eligible, but saves", "where 250 µs are needed: likely on the CPU"
    assert messages("ANE-SZ-005", convolutions(1)) == [f"{whole} only 95 µs {need}"]
    assert messages("ANE-SZ-005", convolutions(2)) == [f"{whole} only 190 µs {need}, within the estimate's error"]
    relu = "x: fp16[1, 64, 32, 32]\ny: fp16[1, 64, 32, 32] = relu(x=x)\nreturn y"
    assert messages("ANE-SZ-005", relu) == [f"{whole.removesuffix(' saves')} saves nothing {need}"]


def test_an_op_that_is_not_eligible_but_takes_little_changes_nothing(messages: Messages) -> None:
    found = messages("ANE-SZ-005", convolutions(2, "n: fp16[64] = random_normal(shape=[64])"))
    assert len(found) == 1
    assert found[0].startswith("99% of main (by estimated time) is eligible, but saves only 190 µs")


def test_a_function_that_is_in_good_part_not_eligible_is_not_called_too_small(messages: Messages) -> None:
    lstm = "h: (fp16[16, 1, 32], fp16[1, 32]) = lstm(x=x, initial_h=fp16[1, 32], weight_ih=fp16[4096, 4096])"
    assert not messages("ANE-SZ-005", convolutions(1, lstm))


def test_views_alone_are_not_called_too_small(messages: Messages) -> None:
    assert not messages("ANE-SZ-005", "x: fp16[64, 64]\ny: fp16[4096] = reshape(x=x, shape=[4096])\nreturn y")


def test_each_function_is_judged_by_itself(check: Check) -> None:
    def body(name: str, count: int) -> str:
        return "\n".join([f"def {name}():", *(f"    {line}" for line in convolutions(count).splitlines() if line)])

    findings = check(f"{body('joiner', 1)}\n{body('encoder', 9)}").findings
    assert [each.function for each in findings if each.rule.code == "ANE-SZ-005"] == ["joiner"]


def test_what_sources_disagree_about_is_not_said_to_be_eligible(messages: Messages) -> None:
    found = messages("ANE-SZ-005", "x: fp16[1, 64]\ny: fp16[1, 64] = frobnicate(x=x)\nreturn y")
    assert found == [
        "the whole of main is eligible or contested, but saves nothing where 250 µs are needed: likely on the CPU"
    ]


def linear(made: int) -> str:
    """A layer that isn't square: of such the study has one alone, so how long the CPU takes is in doubt."""
    return f"x: fp16[1, 64, 512]\ny: fp16[1, 64, {made}] = linear(x=x, weight=fp16[{made}, 512])\nreturn y"


@pytest.mark.parametrize(
    ("code", "made", "said"),
    [
        ("ANE-SZ-005", 1024, "likely on the CPU, within the estimate's error"),
        ("ANE-SZ-005b", 64, "by estimates that may be off by more: too close to call"),
    ],
)
def test_a_place_that_estimates_leave_in_doubt_is_said_to_be(
    check: Check, messages: Messages, code: str, made: int, said: str
) -> None:
    assert check(linear(made), device="m4").functions[0].shares[Predicted.DOUBTFUL] == 1.0
    (message,) = messages(code, linear(made), device="m4")
    assert message.endswith(said)
