"""What a proof says of results beyond a limit."""

from __future__ import annotations

from mctc.numerics.battery import NOISE
from mctc.numerics.difference import Difference
from mctc.numerics.limits import FP32
from mctc.proof.check import Measured, by_rounding


def test_a_limit_that_is_passed_by_rounding_alone_is_told() -> None:
    within, beyond = (Difference(error=error) for error in (1e-6, 4e-4))
    rows = [Measured(NOISE, "y", within, True), Measured(NOISE, "y", beyond, True), Measured(NOISE, "y", beyond, False)]
    assert list(by_rounding(rows, FP32)) == [f"4.0e-04 on {NOISE.name}, past {FP32}: rounding moves y as far"]
