"""Numbers as the reports say them."""

from __future__ import annotations

import pytest

from mctc.linter.coreml.formats.text import render_text
from mctc.linter.coreml.formats.words import percent, portion
from tests.linter.coreml.conftest import Check


@pytest.mark.parametrize(
    ("share", "here", "ops", "said"),
    [
        (1.0, 3, 3, "100 %"),
        (0.0, 0, 3, "0 %"),
        (0.9999, 2, 3, "> 99 %"),
        (1.0, 2, 3, "> 99 %"),  # the op elsewhere is taken to cost nothing
        (0.0, 1, 3, "< 1 %"),
        (0.004, 1, 3, "< 1 %"),
        (0.5, 1, 3, "50 %"),
    ],
)
def test_a_share_is_whole_or_nothing_only_where_the_ops_are(share: float, here: int, ops: int, said: str) -> None:
    assert portion(share, here, ops) == said


@pytest.mark.parametrize(("share", "said"), [(0.9951, "> 99 %"), (1.0, "100 %"), (0.0, "0 %"), (0.0001, "< 1 %")])
def test_what_rounds_to_all_or_nothing_is_said_not_to_be(share: float, said: str) -> None:
    assert percent(share) == said


def test_a_cheap_op_elsewhere_takes_the_hundred_from_the_engine(check: Check) -> None:
    report = check(
        """
        x: fp16[1, 512, 1, 256]
        for _ in range(12):
            x: fp16[1, 512, 1, 256] = conv(x=x, weight=fp16[512, 512, 1, 9], pad=[0, 0, 4, 4])
        y: fp16[1, 512, 1, 1] = reduce_max(x=x, axes=[3], keep_dims=True)
        z: int32[1, 1, 1, 1] = reduce_argmax(x=y, axis=1, keep_dims=True)
        return z
        """,
        device="m4",
    )
    text = render_text([report])
    assert "100 %" not in text
    assert "Neural Engine > 99 % (" in text
    assert "CPU < 1 % (" in text


def test_ops_that_take_no_time_have_a_bar_of_where_they_are(check: Check) -> None:
    text = render_text([check("x: fp16[1, 8]\ny: fp16[1, 8] = identity(x=x)\nreturn y")])
    assert "░░░░░░░░░░░░░░░░░░░░  CPU 100 % (1 op)" in text
    assert "estimated 0.0 µs" in text
