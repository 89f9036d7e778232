"""A mask with a row for each utterance, on every op that takes one: each row is what it is alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mctc.ir.declared import registry
from mctc.ir.op import Array, InferenceError

BTC, BT, FRAMES, CHANNELS = "batch time channel", "batch time", 6, 4
MASKS = {
    "ones": np.ones((3, FRAMES)),
    "zeros": np.zeros((3, FRAMES)),
    "ragged": (np.arange(FRAMES) < np.array([[6], [2], [0]])).astype(float),
    "holes": np.array([[1.0, 0, 0, 1, 1, 0], [0, 1, 1, 0, 1, 1], [1, 1, 0, 1, 0, 1]]),
}
MASKED = {name for name, op in registry().items() if any(field.marks for field in op.fields)}


def operands(op: str, batch: int = 3, seed: int = 0) -> tuple[list[Any], dict[str, Any]]:
    """The operands in front of the mask, and the attributes."""
    rng = np.random.default_rng(seed)

    def frames(channels: int) -> tuple[Array, str]:
        return rng.normal(size=(batch, FRAMES, channels)), BTC

    def weight(*shape: int) -> tuple[Array, str]:
        return rng.normal(size=shape), " ".join(["plain"] * len(shape))

    x = frames(CHANNELS)
    if op in ("lstm", "gru"):
        gates = 4 if op == "lstm" else 3
        return [x, weight(gates * 3, CHANNELS), weight(gates * 3, 3), *[None] * 3], {}
    if op in ("selective_scan", "ssd"):
        heads = (CHANNELS,) if op == "selective_scan" else (2,)
        delta = np.abs(frames(heads[0])[0]), BTC
        a = -np.abs(weight(*(heads + (3,) * (op == "selective_scan")))[0])
        return [x, delta, (a, "plain plain"[: 6 * a.ndim - 1]), frames(3), frames(3), weight(*heads), None], {}
    bound = {"heads": 2, "left": 2, "right": 1}
    if op == "attention":
        return [x, frames(CHANNELS), frames(CHANNELS)], bound
    return [x, frames(CHANNELS), frames(CHANNELS), weight(CHANNELS, 4), weight(CHANNELS), weight(CHANNELS)], bound


def one(given: list[Any], row: int, frames: int = FRAMES) -> list[Any]:
    """The operands of one utterance of the batch, cut to its first frames."""
    return [(o[0][row : row + 1, :frames], o[1]) if o is not None and o[1] == BTC else o for o in given]


def test_every_op_with_a_mask_is_tested() -> None:
    assert {"attention", "gru", "lstm", "relative_attention", "selective_scan", "ssd"} == MASKED


@pytest.mark.parametrize("op", sorted(MASKED))
@pytest.mark.parametrize("mask", sorted(MASKS))
def test_a_row_of_a_mask_is_what_it_is_alone(bench: Any, op: str, mask: str) -> None:
    given, attributes = operands(op)
    alone = []
    for row, marks in enumerate(MASKS[mask]):
        alone.append(bench.run(op, bench.plain([*one(given, row), (marks, "time")]), **attributes))
    together = [np.concatenate(results) for results in zip(*alone)]
    assert all(np.isfinite(result).all() for result in together)
    bench.agree(op, [*given, (MASKS[mask], BT)], together, **attributes)


@pytest.mark.parametrize("op", sorted(MASKED))
def test_padding_that_a_mask_tells_of_changes_nothing_before_it(bench: Any, op: str) -> None:
    given, attributes = operands(op)
    for row, frames in enumerate((6, 4, 1)):
        marks = (np.arange(FRAMES) < frames).astype(float)[None]
        y, *states = bench.run(op, bench.plain([*one(given, row), (marks, BT)]), **attributes)
        alone, *ends = bench.run(op, bench.plain(one(given, row, frames)), **attributes)
        np.testing.assert_allclose(y[:, :frames], alone, rtol=1e-9, atol=1e-12)
        for state, end in zip(states, ends, strict=True):
            np.testing.assert_allclose(state, end, rtol=1e-9, atol=1e-12)


def test_where_no_frame_exists_states_stay_and_attention_averages(bench: Any) -> None:
    zeros = MASKS["zeros"], BT
    for op in ("lstm", "gru"):
        given, _ = operands(op)
        for result in bench.run(op, bench.plain([*given, zeros])):
            np.testing.assert_array_equal(result, np.zeros_like(result))
    for op in ("selective_scan", "ssd"):
        given, _ = operands(op)
        y, h = bench.run(op, bench.plain([*given, zeros]))
        skip = given[5][0] if op == "selective_scan" else np.repeat(given[5][0], CHANNELS // 2)
        np.testing.assert_allclose(y, given[0][0] * skip)
        np.testing.assert_array_equal(h, np.zeros_like(h))
    for op in ("attention", "relative_attention"):
        given, bound = operands(op)
        (y,) = bench.run(op, bench.plain([*given, zeros]), **bound)
        v = given[2][0]
        means = [v[:, max(0, t - 2) : t + 2].mean(axis=1) for t in range(FRAMES)]
        np.testing.assert_allclose(y, np.stack(means, axis=1))


@pytest.mark.parametrize("op", sorted(MASKED))
@pytest.mark.parametrize("roles", ["time", "batch time", "batch time channel", "time batch"])
def test_the_axes_of_a_mask_meet_by_role(bench: Any, op: str, roles: str) -> None:
    given, attributes = operands(op, batch=2)
    marks = MASKS["holes"][:2] if "batch" in roles else MASKS["holes"][0]
    expected = bench.run(op, bench.plain([*given, (marks, BT if marks.ndim == 2 else "time")]), **attributes)
    shaped = marks[..., None] if "channel" in roles else marks.T if roles == "time batch" else marks
    bench.agree(op, [*given, (shaped, roles)], expected, **attributes)


@pytest.mark.parametrize("op", sorted(MASKED))
@pytest.mark.parametrize(
    ("shape", "roles"),
    [((5,), "time"), ((3, 5), BT), ((2, FRAMES), BT), ((3,), "batch"), ((FRAMES,), "label"), ((3, FRAMES, 4), BTC)],
)
def test_a_mask_of_other_frames_is_refused(bench: Any, op: str, shape: tuple[int, ...], roles: str) -> None:
    given, attributes = operands(op)
    with pytest.raises(InferenceError, match=r"mask must be f32\[6\] or f32\[3, 6\], not "):
        bench.run(op, bench.plain([*given, (np.ones(shape), roles)]), **attributes)
