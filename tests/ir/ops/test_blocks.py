"""Functions of each number, a block of them after the other: the same bits as of all at once."""

from __future__ import annotations

import numpy as np
import pytest

from mctc.evaluate.reference import evaluate
from mctc.ir.ops import blocks
from mctc.ir.text import parse_program


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["gelu", "sigmoid", "softplus", "tanh", "exp"])
def test_blocks_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch, name: str, dtype: type) -> None:
    program = parse_program(f"function @f(%x: f32[7, channel 33]) {{ %y = {name}(%x) return y = %y }}")
    x = np.random.default_rng(0).normal(size=(7, 33)).astype(np.float32)

    def called() -> np.ndarray:
        return evaluate(program.functions["f"], {"x": x}, lambda _: x, dtype=dtype)[0]["y"]

    whole = called()
    monkeypatch.setattr(blocks, "BLOCK", 50)
    assert whole.dtype == dtype
    np.testing.assert_array_equal(called(), whole)


def test_what_does_not_lie_in_order_is_called_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 5)
    x = np.arange(12.0).reshape(3, 4).T
    sizes: list[int] = []
    made = blocks.in_blocks(lambda part: sizes.append(part.size) or part + 1, x)
    np.testing.assert_array_equal(made, x + 1)
    assert sizes == [12]
