"""Results whose known range goes beyond fp16's: what is known, and what ends well."""

from __future__ import annotations

import pytest

from tests.linter.coreml.conftest import Messages

PROGRAM = """
    x: {dtype}[1, 64]
    b: {dtype}[1, 64] = {before}
    r: {dtype}[1, 64] = {op}
    y: {dtype}[1, 64] = {behind}
    return y
"""


USUAL = {
    "dtype": "fp16",
    "before": "clip(x=x, alpha=-300.0, beta=300.0)",
    "op": "square(x=b)",
    "behind": "mul(x=r, y=0.001)",
}


def found(messages: Messages, **more: str) -> list[str]:
    return messages("ANE-NM-025", PROGRAM.format(**{**USUAL, **more}))


@pytest.mark.parametrize(
    ("op", "before", "told"),
    [
        ("mul(x=b, y=60000.0)", "clip(x=x, alpha=-2.0, beta=1.0)", "mul may reach 1.2e+05"),
        ("square(x=b)", "clip(x=x, alpha=-300.0, beta=300.0)", "square may reach 9e+04"),
        ("add(x=b, y=60000.0)", "clip(x=x, alpha=0.0, beta=6000.0)", "add may reach 6.6e+04"),
        ("real_div(x=b, y=0.0001)", "clip(x=x, alpha=0.0, beta=10.0)", "real_div may reach 9.998e+04"),
    ],
)
def test_a_range_that_goes_beyond_is_told_with_its_end(messages: Messages, op: str, before: str, told: str) -> None:
    (message,) = found(messages, op=op, before=before)
    assert message.startswith(told)


@pytest.mark.parametrize(
    "more",
    [
        {"before": "identity(x=x)"},
        {"before": "relu(x=x)"},
        {"behind": "tanh(x=r)"},
        {"behind": "clip(x=r, alpha=-1.0, beta=1.0)"},
        {"dtype": "fp32"},
        {"op": "mul(x=b, y=200.0)"},
        {"op": "mul(x=b, y=fp16[64](inf))"},
    ],
)
def test_what_is_open_ends_well_or_holds_is_not(messages: Messages, more: dict[str, str]) -> None:
    assert found(messages)
    assert not found(messages, **more)


def test_one_overflow_is_told_where_it_begins(messages: Messages) -> None:
    (message,) = found(messages, behind="mul(x=r, y=7.0)")
    assert message.startswith("square may reach 9e+04")
