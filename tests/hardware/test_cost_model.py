"""The cost model that lint and passes share, and its readings."""

from __future__ import annotations

import pytest

from mctc.hardware.cost import CHARGE, NEAR, READINGS, ROW, WORKING_SET, Shaped, bytes_of, totals
from mctc.hardware.rates import MEMORY

PUBLISHED, PADDED, CHARGED, CLOSE = READINGS


def exp(*shape: int) -> Shaped:
    return Shaped("exp", (shape,), (), (shape,))


def test_rows_are_padded_to_64_bytes() -> None:
    assert bytes_of((1, 512, 16, 1), padded=False) == 2 * 512 * 16
    assert bytes_of((1, 512, 16, 1), padded=True) == ROW * 512 * 16
    assert bytes_of((1, 16, 1, 512), padded=True) == 2 * 16 * 512


def test_each_reading_counts_what_it_says() -> None:
    narrow, raw = exp(1, 512, 16, 1), 2 * 2 * 512 * 16
    assert narrow.microseconds(PUBLISHED) == pytest.approx(raw / MEMORY.ane)
    assert narrow.microseconds(PADDED) == pytest.approx(32 * raw / MEMORY.ane)
    assert narrow.microseconds(CHARGED) - narrow.microseconds(PADDED) == pytest.approx(CHARGE[1])
    assert narrow.microseconds(CLOSE) == pytest.approx(32 * raw / NEAR + CHARGE[0])


def test_values_beyond_the_working_set_are_streamed_in_every_reading() -> None:
    wide = exp(1, 1, 1, WORKING_SET)
    assert wide.microseconds(CLOSE) == pytest.approx(wide.microseconds(PUBLISHED) + CHARGE[0])
    assert totals([wide, wide]) == tuple(2 * wide.microseconds(reading) for reading in READINGS)
