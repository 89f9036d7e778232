"""Programs that don't mean what was converted."""

from __future__ import annotations

import pytest

from tests.linter.coreml.conftest import Messages


def test_the_remainder_by_one_is_recognised_where_there_are_fractions(messages: Messages) -> None:
    for dtype in ("fp16", "fp32"):
        (message,) = messages("ANE-NM-021", f"x: {dtype}[4]\ny: {dtype}[4] = sub(x=x, y=x)\nreturn y")
        assert message == "x less itself: 0, whatever comes in"
    assert not messages("ANE-NM-021", "x: int32[4]\ny: int32[4] = sub(x=x, y=x)\nreturn y")
    assert not messages("ANE-NM-021", "x: fp16[4]\nz: fp16[4]\ny: fp16[4] = sub(x=x, y=z)\nreturn y")


LOOKUP = """
    t: fp16[{rows}, 8, 40000]
    i: int32[1, 1, {places}]
    n: {dtype}[1, 1, {places}] = cast(x=i, dtype="{dtype}")
    s: {dtype}[1, {places}] = squeeze(x=n, axes=[0])
    y: fp16[1, 8] = {lookup}
    return y
"""


@pytest.mark.parametrize(
    ("rows", "places", "dtype", "lookup", "found"),
    [
        (40000, 1, "int16", "gather_nd(x=t, indices=s)", True),
        (40000, 1, "uint16", "gather_nd(x=t, indices=s)", False),
        (70000, 1, "uint16", "gather_nd(x=t, indices=s)", True),
        (30000, 1, "int16", "gather_nd(x=t, indices=s)", False),
        (30000, 3, "int16", "gather_nd(x=t, indices=s)", True),
        (30000, 1, "int16", "gather(x=t, indices=s, axis=2)", True),
        (30000, 1, "int16", "gather(x=t, indices=s, axis=1)", False),
    ],
)
def test_indices_are_too_narrow_for_a_longer_axis(
    messages: Messages, rows: int, places: int, dtype: str, lookup: str, found: bool
) -> None:
    program = LOOKUP.format(rows=rows, places=places, dtype=dtype, lookup=lookup)
    assert bool(messages("ANE-NM-022", program)) is found
