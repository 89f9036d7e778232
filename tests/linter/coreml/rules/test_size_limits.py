"""Every size of which a last passing and a first failing value are known is decided on the right side."""

from __future__ import annotations

from inspect import cleandoc

import pytest

from mctc.linter.coreml.placement import Eligible
from mctc.linter.coreml.rule import Severity
from tests.linter.coreml.conftest import Check

EVERY = ("m1", "m2", "m3", "m4", "m5", "m6", "a14", "a15", "a16", "a17", "a18", "a19")
OLD = ("m1", "m2", "m3", "a14", "a15", "a16")
NEW = ("m4", "m5", "m6", "a17", "a18", "a19")


def conv(high: int, wide: int) -> str:
    return f"""
        x: fp16[1, 3, 64, 64]
        y: fp16[1, 8, 64, 64] = conv(x=x, weight=fp16[8, 3, {high}, {wide}], pad_type="same")
        return y
    """


def conv_1d(wide: int) -> str:
    return f"""
        x: fp16[1, 3, 64]
        y: fp16[1, 8, 64] = conv(x=x, weight=fp16[8, 3, {wide}], pad_type="same")
        return y
    """


def pool(kind: str, high: int, wide: int) -> str:
    return f"""
        x: fp16[1, 8, 64, 64]
        y: fp16[1, 8, 64, 64] = {kind}(x=x, kernel_sizes=[{high}, {wide}], strides=[1, 1], pad_type="same")
        return y
    """


def matmul(inner: int) -> str:
    return f"""
        x: fp16[1, 8, {inner}]
        y: fp16[1, 8, 8] = matmul(x=x, y=fp16[{inner}, 8], transpose_x=False, transpose_y=False)
        return y
    """


def matmul_transposed(inner: int) -> str:
    return f"""
        x: fp16[1, {inner}, 8]
        y: fp16[1, 8, 8] = matmul(x=x, y=fp16[8, {inner}], transpose_x=True, transpose_y=True)
        return y
    """


def relu(*extents: int) -> str:
    return f"""
        x: fp16{list(extents)}
        y: fp16{list(extents)} = relu(x=x)
        return y
    """


# devices, code, the largest program that passes, the smallest that was seen to fail
ERRORS = (
    (EVERY, "ANE-CV-001", conv(1, 15), conv(1, 16)),
    (EVERY, "ANE-CV-001", conv_1d(15), conv_1d(16)),
    (EVERY, "ANE-CV-002", conv(31, 1), conv(32, 1)),
    (EVERY, "ANE-CV-003", conv(16, 16), conv(17, 17)),
    (("m4", "m4 max", "a17", "H16"), "ANE-PL-001", pool("max_pool", 8, 8), pool("max_pool", 9, 9)),
    (("m4", "m4 max", "a17", "H16"), "ANE-PL-001", pool("max_pool", 9, 1), pool("max_pool", 1, 9)),
    (EVERY, "ANE-MM-001", matmul(32768), matmul(40000)),
    (EVERY, "ANE-MM-001", matmul(32768), matmul(65535)),
    (EVERY, "ANE-MM-001", matmul_transposed(32768), matmul_transposed(40000)),
    (OLD, "ANE-SH-002", relu(1, 1, 1, 16384), relu(1, 1, 1, 16385)),
    (OLD, "ANE-SH-002", relu(1, 1, 16384, 1), relu(1, 1, 16385, 1)),
    (EVERY, "ANE-SH-003", relu(1, 1, 1, 65536), relu(1, 1, 1, 65537)),
    (EVERY, "ANE-SH-003", relu(65536, 1, 1, 1), relu(65537, 1, 1, 1)),
)
WARNINGS = (
    (("m1", "a14"), "ANE-CV-004", conv(1, 13), conv(1, 14)),
    (("m1", "a14"), "ANE-CV-004", conv(13, 13), conv(14, 14)),
    (("m1", "a14"), "ANE-CV-004b", conv(29, 1), conv(30, 1)),
    (("m6",), "ANE-CV-003b", conv(15, 15), conv(16, 16)),
    (EVERY, "ANE-CV-003b", conv(3, 15), conv(3, 16)),
    (EVERY, "ANE-CV-003b", conv(31, 3), conv(32, 3)),
    (("m1", "m2", "m3", "m5", "m6"), "ANE-PL-001b", pool("max_pool", 8, 8), pool("max_pool", 9, 9)),
    (("m4", "m6", "a17"), "ANE-PL-002", pool("avg_pool", 14, 14), pool("avg_pool", 15, 15)),
    (("m1", "m2", "m3", "m5"), "ANE-PL-002", pool("avg_pool", 13, 13), pool("avg_pool", 14, 14)),
    (OLD, "ANE-MM-002", matmul(16384), matmul(16385)),
)
ADVICE = (  # in the second row the size that passes is beyond what the family takes at all
    (NEW, "ANE-SH-004", relu(1, 1, 1, 16384), relu(1, 1, 1, 16385)),
    (NEW, "ANE-SH-004", relu(1, 1, 1, 65537), relu(1, 1, 1, 65536)),
    (("m6",), "ANE-CV-016", conv(1, 8), conv(1, 9)),
)


def rows_of(rows: tuple[tuple[tuple[str, ...], str, str, str], ...]) -> list[object]:
    return [
        pytest.param(device, code, passes, fails, id=f"{code}-{place}-{device}")
        for place, (devices, code, passes, fails) in enumerate(rows)
        for device in devices
    ]


def severities(check: Check, text: str, device: str) -> dict[str, Severity]:
    return {each.rule.code: each.severity for each in check(cleandoc(text), device).findings}


@pytest.mark.parametrize(("device", "code", "passes", "fails"), rows_of(ERRORS))
def test_a_size_that_the_engine_refuses_is_an_error(
    device: str, code: str, passes: str, fails: str, check: Check
) -> None:
    assert code not in severities(check, passes, device)
    report = check(cleandoc(fails), device)
    assert Severity.ERROR in {each.severity for each in report.findings if each.rule.code == code}
    assert report.functions[0].ops[0].eligible is Eligible.NO


@pytest.mark.parametrize(("device", "code", "passes", "fails"), rows_of(WARNINGS))
def test_a_size_that_only_a_private_path_refuses_is_a_warning(
    device: str, code: str, passes: str, fails: str, check: Check
) -> None:
    assert code not in severities(check, passes, device)
    assert severities(check, fails, device)[code] is Severity.WARNING


@pytest.mark.parametrize(("device", "code", "passes", "fails"), rows_of(ADVICE))
def test_a_size_that_costs_something_leaves_the_op_eligible(
    device: str, code: str, passes: str, fails: str, check: Check
) -> None:
    assert code not in severities(check, passes, device)
    report = check(cleandoc(fails), device)
    assert code in {each.rule.code for each in report.findings}
    assert report.count(Severity.ERROR) == 0
    assert report.functions[0].ops[0].eligible is Eligible.YES


COMPILED_FOR_AN_M6 = (
    conv(1, 15), conv(15, 15), conv(31, 1), pool("max_pool", 8, 8), pool("max_pool", 9, 1), pool("avg_pool", 14, 14),
    matmul(16385), matmul(32768), relu(1, 1, 1, 65536), relu(1, 65536, 1, 1),
)  # fmt: skip
REFUSED_FOR_AN_M6 = (
    conv(1, 16), conv(1, 24), conv(32, 1), conv(64, 1), conv(17, 17), matmul(40000), matmul(65536),
    relu(1, 1, 1, 65537), relu(1, 1, 65537, 1),
)  # fmt: skip


@pytest.mark.parametrize("text", COMPILED_FOR_AN_M6, ids=map(str, range(len(COMPILED_FOR_AN_M6))))
def test_what_the_compiler_takes_for_an_m6_is_eligible_there(text: str, check: Check) -> None:
    """751K, arch_h16g_h18g.tsv, commit 6d4c3cf."""
    assert check(cleandoc(text), "m6").functions[0].ops[0].eligible is Eligible.YES


@pytest.mark.parametrize("text", REFUSED_FOR_AN_M6, ids=map(str, range(len(REFUSED_FOR_AN_M6))))
def test_what_the_compiler_refuses_for_an_m6_is_not_eligible_there(text: str, check: Check) -> None:
    assert check(cleandoc(text), "m6").functions[0].ops[0].eligible is Eligible.NO


MEASURED_TO_PASS = (
    conv(1, 15), conv_1d(15), conv(31, 1), conv(13, 13), conv(16, 16), pool("max_pool", 8, 8), pool("max_pool", 9, 1),
    pool("avg_pool", 14, 14), matmul(32768), relu(1, 1, 1, 65536), relu(65536, 1, 1, 1), relu(1, 65536, 1, 1),
)  # fmt: skip


@pytest.mark.parametrize("text", MEASURED_TO_PASS, ids=map(str, range(len(MEASURED_TO_PASS))))
def test_what_an_m4_was_measured_to_take_is_eligible_there(text: str, check: Check) -> None:
    report = check(cleandoc(text), "m4")
    assert report.count(Severity.ERROR) == 0
    assert report.functions[0].ops[0].eligible is Eligible.YES


OTHER_CHIPS = (
    ("m1", "m2", "ANE-CV-004", conv(1, 14)),
    ("m1", "m4", "ANE-CV-004", conv(16, 16)),
    ("m1", "m2", "ANE-CV-004b", conv(30, 1)),
    ("m4", "m3", "ANE-PL-001", pool("max_pool", 9, 9)),
    ("m3", "m4", "ANE-PL-001b", pool("max_pool", 9, 9)),
    ("m3", "m4", "ANE-PL-002", pool("avg_pool", 14, 14)),
    ("m3", "m4", "ANE-MM-002", matmul(16385)),
    ("a16", "a17", "ANE-MM-002", matmul(32768)),
    ("m3", "m4", "ANE-SH-002", relu(1, 1, 1, 16385)),
    ("m4", "m3", "ANE-SH-004", relu(1, 1, 1, 16385)),
    ("m6", "m4", "ANE-CV-003b", conv(16, 16)),
    ("m6", "m5", "ANE-CV-016", conv(1, 9)),
)


@pytest.mark.parametrize(
    ("said", "not_said", "code", "text"), OTHER_CHIPS, ids=["-".join(row[:3]) for row in OTHER_CHIPS]
)
def test_a_limit_of_one_family_is_not_said_of_another(
    said: str, not_said: str, code: str, text: str, check: Check
) -> None:
    assert code in severities(check, text, said)
    assert code not in severities(check, text, not_said)
